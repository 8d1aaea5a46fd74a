# SPDX-License-Identifier: Apache-2.0
"""Subscribers that misbehave: no event is lost, attempts are as many as the policy says, and nobody else notices."""
import email.utils
import statistics
import time
import unittest

from harness import SANITIZED, TestCase, channel, closed_port, event_headers, subscription
from raw_sink import OK, RawSink, reset

EVENTS = ["1", "2", "3"]


def sends(*parts, stay=False):
    """A fault for the first attempt: these bytes, then the end of the connection."""

    def script(connection, attempt):
        if attempt:
            return OK
        for part in parts:
            connection.sendall(part)
        return stay

    return script


def drips(text):
    def script(connection, attempt):
        if attempt:
            return OK
        while True:  # until the other side has had enough
            for at in range(len(text)):
                connection.sendall(text[at : at + 1])
                time.sleep(0.02)

    return script


def floods(head, block):
    def script(connection, attempt):
        if attempt:
            return OK
        connection.sendall(head)
        while True:
            connection.sendall(block)

    return script


def silent(sink):
    return lambda connection, attempt: OK if attempt else sink().ending.wait(60) and False


def resets(head):
    def script(connection, attempt):
        if attempt:
            return OK
        connection.sendall(head)
        reset(connection)
        return False

    return script


TWO_HUNDRED = b"HTTP/1.1 200 OK\r\n"
# Each fails the first attempt at an event; the next is answered well.
TRANSPORT = {
    "F23 header drip": drips(b"HTTP/1.1 200 OK\r\nx: " + b"y" * 1000),
    "F23 body drip": drips(TWO_HUNDRED + b"content-type: application/json\r\nce-id: r\r\nce-type: t\r\nce-source: /s\r\n"
                           b"ce-specversion: 1.0\r\ncontent-length: 5000\r\n\r\n" + b"y" * 5000),
    "F24 end before an answer": sends(),
    "F24 half a status line": sends(b"HTTP/1.1 20"),
    "F24 head that does not end": sends(TWO_HUNDRED + b"content-length: 0\r\n"),
    "F24 reset": resets(b""),
    "F24 reset within the head": resets(TWO_HUNDRED + b"x: y\r\n"),
    "F25 head of 10 MiB": floods(TWO_HUNDRED, b"x: " + b"y" * 65536 + b"\r\n"),
    "F26 garbage": sends(b"\x16\x03\x01 nonsense\r\n\r\n"),
    "F26 HTTP/0.9": sends(b"taken, thank you"),
    "F26 NUL in the status line": sends(b"HTTP/1.1 2\x0000 OK\r\n\r\n"),
    "F26 two lengths": sends(TWO_HUNDRED + b"content-length: 1\r\ncontent-length: 2\r\n\r\nxx"),
    "F21 more interim answers than anybody needs": sends(b"HTTP/1.1 102 Processing\r\n\r\n" * 100 + OK),
}


class Faults(TestCase):
    def raw(self, script):
        sink = RawSink(script)
        self.addCleanup(sink.close)
        return sink

    def serve(self, *channels, **more):
        return self.weir(*channels, kind="InMemoryChannel", **more)

    def figures(self, server, number=0, which=0):
        return server.get("/status").json()["channels"][number]["subscriptions"][which]

    def wait_figures(self, server, number, **figures):
        server.wait_admin(
            "/status",
            lambda answer: all(
                answer.json()["channels"][number]["subscriptions"][0][name] == value for name, value in figures.items()
            ),
        )

    def test_f21_to_f26_what_breaks_below_http_is_tried_again_and_holds_up_nobody(self):
        names = list(TRANSPORT) + ["F23 silence"]
        bad, good = {}, self.sink()
        for name in TRANSPORT:
            bad[name] = self.raw(TRANSPORT[name])
        bad["F23 silence"] = self.raw(silent(lambda: bad["F23 silence"]))
        channels = [
            channel(subscription(bad[name], "bad", retry=3, timeout="PT0.5S", order="unordered"), subscription(good, "good"),
                    name=f"c{number}")
            for number, name in enumerate(names)
        ]
        server = self.serve(*channels)
        for number in range(len(names)):
            for id in EVENTS:
                server.send(f"/shop/c{number}", f"{number}-{id}")
        good.wait_ids([f"{number}-{id}" for number in range(len(names)) for id in EVENTS])
        for number, name in enumerate(names):
            with self.subTest(name):
                ids = [f"{number}-{id}" for id in EVENTS]
                bad[name].wait_taken(ids)
                self.wait_figures(server, number, delivered=3, retries=3, quarantined=0, waiting=0, inFlight=0)
                self.assertEqual([bad[name].attempts[id] for id in ids], [2, 2, 2])

    def test_f17_server_errors_are_tried_again_in_order(self):
        to = self.sink(lambda request, before: 204 if before >= 3 else [500, 502, 503][before])
        server = self.serve(channel(subscription(to, retry=5)))
        for number in range(5):
            server.send("/shop/orders", str(number), partitionkey="k")
        to.wait(20)
        self.wait_figures(server, 0, delivered=5, retries=15)
        self.assertEqual(to.ids(), [str(number) for number in range(5) for _ in range(4)])

    def test_f17_waits_grow_as_the_policy_says(self):
        to = self.sink(lambda request, before: 204 if before == 4 else 504)
        policy = {**subscription(to), "delivery": {"retry": 5, "backoffDelay": "PT0.1S", "backoffPolicy": "exponential"}}
        server = self.serve(channel(policy))
        server.send("/shop/orders", "1")
        times = [request.when for request in to.wait(5)]
        waits = [after - before for before, after in zip(times, times[1:])]
        for number, wait in enumerate(waits):
            self.assertGreater(wait, 0.1 * 2**number * 0.9 - 0.01, waits)  # jitter is a tenth
        self.assertGreater(waits[3], 3 * waits[0] * 0.7)

    def test_f18_what_retry_after_may_say(self):
        soon = email.utils.formatdate(time.time() + 2, usegmt=True)
        past = email.utils.formatdate(time.time() - 1000, usegmt=True)
        rows = [("1", 0.95, 3), ("1000000000", 1.45, 4), (soon, 0.4, 4), (past, 0, 0.9), ("-5", 0, 0.9), ("soon", 0, 0.9), ("", 0, 0.9)]
        to = self.sink(lambda request, before: 204 if before else
                       (429 if int(request.id) % 2 else 503, {"retry-after": rows[int(request.id)][0]}, b""))
        server = self.serve(channel(subscription(to, retry=1, retryAfterMax="PT1.5S", order="unordered")))
        for number in range(len(rows)):
            server.send("/shop/orders", str(number))
        to.wait(2 * len(rows))
        for number, (value, least, most) in enumerate(rows):
            with self.subTest(value):
                first, second = [request.when for request in to.requests if request.id == str(number)]
                self.assertGreaterEqual(second - first, least)
                self.assertLess(second - first, most + (5 if SANITIZED else 0.5))

    def test_f19_and_f20_statuses_that_are_tried_again_and_those_that_are_not(self):
        refused, again = [400, 401, 403, 405, 410, 413, 415, 422, 301, 302, 307, 308, 304], [404, 408, 409, 429, 500, 599]
        to = self.sink(lambda request, before: int(request.id))
        dead = self.sink()
        server = self.serve(channel(subscription(to, retry=2, deadLetterSink=dead.url, order="unordered")))
        for status in refused + again:
            server.send("/shop/orders", str(status))
        letters = {request.id: request.headers for request in dead.wait(len(refused + again))}
        self.wait_figures(server, 0, deadLettered=len(refused + again), delivered=0, quarantined=0)
        self.assertEqual({id: count for id, count in to.times.items()},
                         {str(status): 1 if status in refused else 3 for status in refused + again})
        for status in refused + again:
            self.assertEqual(letters[str(status)]["ce-knativeerrorcode"], str(status))
            self.assertEqual(letters[str(status)]["ce-knativeerrordest"], to.url)

    def test_f21_a_few_interim_answers_are_skipped(self):
        to = self.raw(lambda connection, attempt: connection.sendall(b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" * 3) or OK)
        server = self.serve(channel(subscription(to, retry=0)))
        server.send("/shop/orders", "1")
        self.wait_figures(server, 0, delivered=1, retries=0)

    def test_f21_an_upgrade_that_nobody_asked_for_is_no_success(self):
        to = self.raw(sends(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n"))
        dead = self.sink()
        server = self.serve(channel(subscription(to, retry=3, timeout="PT0.5S", deadLetterSink=dead.url)))
        server.send("/shop/orders", "1")
        server.wait_admin("/status", lambda answer: sum(
            answer.json()["channels"][0]["subscriptions"][0][name] for name in ("delivered", "deadLettered")) == 1)
        # Not done with the first answer: tried again, or dead.
        self.assertTrue(to.attempts["1"] > 1 or dead.ids() == ["1"])

    def test_f22_refused_connections_and_unknown_names_keep_the_event(self):
        refused, unknown = f"http://127.0.0.1:{closed_port()}/", "http://nowhere.invalid/"
        server = self.serve(channel(subscription(refused, retry=2), name="a"), channel(subscription(unknown, retry=2), name="b"))
        for name in "ab":
            server.send(f"/shop/{name}", name)
        kept = server.wait_quarantine(2)
        self.assertEqual(len(kept), 2)
        for number in range(2):
            self.wait_figures(server, number, quarantined=1, retries=2, delivered=0)

    def test_f25_answers_without_end_are_cut_off(self):
        flood = floods(TWO_HUNDRED + b"transfer-encoding: chunked\r\n\r\n", b"10000\r\n" + b"z" * 65536 + b"\r\n")
        big = floods(b"HTTP/1.1 500 no\r\ncontent-length: 1073741824\r\n\r\n", b"z" * 65536)
        sinks = [self.raw(flood), self.raw(big)]
        server = self.serve(*(channel(subscription(sink, retry=3, timeout="PT2S"), name=name) for sink, name in zip(sinks, "ab")))
        for name in "ab":
            for id in EVENTS:
                server.send(f"/shop/{name}", id)
        for number in range(2):
            self.wait_figures(server, number, delivered=3, quarantined=0)
        sinks[1].wait_taken(EVENTS)
        with open(f"/proc/{server.process.pid}/status", encoding="ascii") as file:
            peak = next(int(line.split()[1]) for line in file if line.startswith("VmHWM:"))
        if not SANITIZED:
            self.assertLess(peak, 64 * 1024)

    def test_f27_connections_that_close_when_the_next_event_comes(self):
        def script(connection, attempt):
            connection.sendall(OK)
            return False

        to = self.raw(script)
        server = self.serve(channel(subscription(to, retry=5)))
        ids = [str(number) for number in range(50)]
        for id in ids:
            server.send("/shop/orders", id)
        self.wait_figures(server, 0, delivered=50, quarantined=0)
        self.assertEqual(set(to.attempts), set(ids))
        self.assertLessEqual(max(to.attempts.values()), 6)

    def test_f29_an_event_waits_for_a_dead_letter_sink_that_is_down(self):
        up = []
        dead = self.sink(lambda request, before: 204 if up else 503)
        to = self.sink(lambda request, before: 400 if request.id == "bad" else 204)
        server = self.serve(channel(subscription(to, retry=100, delay="PT0.05S", deadLetterSink=dead.url)))
        server.send("/shop/orders", "bad", partitionkey="a")
        dead.wait(3)
        server.send("/shop/orders", "good", partitionkey="b")
        to.wait_ids(["good"])  # only its key waits
        self.assertEqual(self.figures(server)["deadLettered"], 0)
        up.append(True)
        self.wait_figures(server, 0, deadLettered=1, delivered=1, quarantined=0)
        self.assertEqual(to.times["bad"], 1)

    def test_f29_when_it_stays_down_the_event_is_in_quarantine(self):
        dead = self.sink(lambda request, before: 503)
        to = self.sink(lambda request, before: 400)
        server = self.serve(channel(subscription(to, retry=2, deadLetterSink=dead.url)))
        server.send("/shop/orders", "1")
        self.assertEqual(len(server.wait_quarantine(1)), 1)
        self.wait_figures(server, 0, quarantined=1, deadLettered=0, delivered=0)

    def test_f30_an_event_waits_until_its_reply_is_taken(self):
        up = []
        replies = self.sink(lambda request, before: 204 if up else 503)
        to = self.sink(lambda request, before: (200, event_headers(f"r{request.id}"), b"reply"))
        server = self.serve(channel(subscription(to, retry=100, delay="PT0.05S", reply=replies.url)))
        server.send("/shop/orders", "1")
        replies.wait(3)
        self.assertEqual(self.figures(server)["delivered"], 0)
        up.append(True)
        self.wait_figures(server, 0, delivered=1, replies=1, quarantined=0)
        # The whole delivery is tried again, so the subscriber was asked as often as the reply was sent.
        self.assertEqual(to.times["1"], replies.times["r1"])


class Neighbours(TestCase):
    """How long an event takes to a subscriber that works, while another of the same channel does not: against a channel where
    both work, event by event in turn, so that both sides see the same machine."""

    ROUNDS, PAIRS = 4, 60

    def compare(self, bad_url, **delivery):
        arrived = {}
        good = self.sink(lambda request, before: arrived.setdefault(request.id, time.monotonic()) and 204)
        fine = self.sink()
        server = self.weir(
            channel(subscription(fine, "other"), subscription(good, "good"), name="calm"),
            channel(subscription(bad_url, "other", **delivery), subscription(good, "good"), name="storm"),
            kind="InMemoryChannel",
        )
        ratios = []
        for turn in range(self.ROUNDS):
            taken = {"calm": [], "storm": []}
            for number in range(self.PAIRS):
                for name in ("calm", "storm") if number % 2 else ("storm", "calm"):
                    id = f"{name}-{turn}-{number}"
                    begin = time.monotonic()
                    server.send(f"/shop/{name}", id)
                    good.wait_ids([id])
                    taken[name].append(arrived[id] - begin)
            ratios.append(statistics.median(taken["storm"]) / statistics.median(taken["calm"]))
            if min(ratios) <= 1.1:
                break
        return server, ratios

    def check(self, bad_url, **delivery):
        server, ratios = self.compare(bad_url, **delivery)
        print(f"{self.id().rsplit('.', 1)[1]}: latency of the neighbour x {', '.join(f'{ratio:.2f}' for ratio in ratios)}")
        if not SANITIZED:
            self.assertLessEqual(min(ratios), 1.1)
        return server

    def test_f17_of_one_that_answers_503(self):
        self.check(self.sink(lambda request, before: 503), retry=1000, delay="PT0.2S")

    def test_f22_of_one_that_is_not_there(self):
        self.check(f"http://127.0.0.1:{closed_port()}/", retry=1000, delay="PT0.2S")

    def test_f23_of_one_that_says_nothing(self):
        sink = RawSink(lambda connection, attempt: sink.ending.wait(60) and False)
        self.addCleanup(sink.close)
        self.check(sink, retry=1000, timeout="PT0.5S")

    def test_f28_of_one_that_is_slow(self):
        def slow(request, before):
            time.sleep(0.5)
            return 204

        sink = self.sink(slow)
        server = self.check(sink, maxInFlight=8)
        figures = server.get("/status").json()["channels"][1]["subscriptions"][0]
        self.assertLessEqual(figures["inFlight"], 8)


if __name__ == "__main__":
    unittest.main()
