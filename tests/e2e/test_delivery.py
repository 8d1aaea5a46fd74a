# SPDX-License-Identifier: Apache-2.0
"""Retries, dead letters, quarantine, order and replies."""
import os
import random
import sys
import threading
import unittest

from harness import TestCase, base64_text, channel, closed_port, event_headers, subscription


class Retries(TestCase):
    def test_an_event_is_tried_again_until_it_is_taken(self):
        to = self.sink(lambda request, before: 503 if before < 3 else 200)
        server = self.weir(channel(subscription(to, retry=5)), kind="InMemoryChannel")
        server.send("/shop/orders", "1", b"same")
        requests = to.wait(4)
        self.assertEqual({(request.id, request.body) for request in requests}, {("1", b"same")})
        self.wait_delivered(server, delivered=1, retries=3, deadLettered=0, quarantined=0)

    def test_a_connection_that_breaks_is_tried_again(self):
        to = self.sink(lambda request, before: None if before < 2 else 200)
        server = self.weir(channel(subscription(to, retry=5)), kind="InMemoryChannel")
        server.send("/shop/orders", "1")
        to.wait(3)
        self.wait_delivered(server, delivered=1)

    def test_an_answer_that_does_not_come_in_time_is_tried_again(self):
        release = threading.Event()
        self.addCleanup(release.set)

        def answer(request, before):
            if before == 0:
                release.wait(30)
            return 200

        to = self.sink(answer)
        server = self.weir(channel(subscription(to, retry=3, timeout="PT0.2S")), kind="InMemoryChannel")
        server.send("/shop/orders", "1")
        to.wait(2)
        self.wait_delivered(server, delivered=1, retries=1)

    def test_retry_after_is_followed(self):
        to = self.sink(lambda request, before: (503, {"retry-after": "1"}, b"") if before == 0 else 200)
        server = self.weir(channel(subscription(to, retry=1, retryAfterMax="PT10S")), kind="InMemoryChannel")
        server.send("/shop/orders", "1")
        first, second = to.wait(2)
        self.assertGreaterEqual(second.when - first.when, 0.95)

    def test_a_redirect_is_not_followed(self):
        other = self.sink()
        to = self.sink(lambda request, before: (307, {"location": other.url}, b""))
        server = self.weir(channel(subscription(to, retry=5)), kind="InMemoryChannel")
        server.send("/shop/orders", "1")
        server.wait_quarantine(1)
        self.assertEqual((len(to.ids()), len(other.ids())), (1, 0))


class DeadLetters(TestCase):
    def deliver(self, answer, retry=2, **more):
        dead = self.sink()
        to = self.sink(answer)
        self.url = to.url
        server = self.weir(
            channel(subscription(to, retry=retry, deadLetterSink=dead.url, **more)), kind="InMemoryChannel"
        )
        server.send("/shop/orders", "1", b"payload", partitionkey="k")
        letter = dead.wait(1)[0]
        self.wait_delivered(server, deadLettered=1, delivered=0, quarantined=0)
        return to, letter

    def test_when_retries_are_exhausted_the_sink_gets_the_event_and_the_reason(self):
        to, letter = self.deliver(lambda request, before: (500, {}, b"no thanks"))
        self.assertEqual(len(to.ids()), 3)
        self.assertEqual((letter.id, letter.body), ("1", b"payload"))
        self.assertEqual(letter.headers["ce-partitionkey"], "k")
        self.assertEqual(letter.headers["ce-knativeerrordest"], self.url)
        self.assertEqual(letter.headers["ce-knativeerrorcode"], "500")
        self.assertEqual(base64_text(letter.headers["ce-knativeerrordata"]), "no thanks")

    def test_a_refused_event_goes_there_after_one_attempt(self):
        to, letter = self.deliver(lambda request, before: 422)
        self.assertEqual(len(to.ids()), 1)
        self.assertEqual(letter.headers["ce-knativeerrorcode"], "422")
        self.assertNotIn("ce-knativeerrordata", letter.headers)

    def test_the_answer_is_cut_at_768_bytes(self):
        _, letter = self.deliver(lambda request, before: (400, {}, b"x" * 5000))
        self.assertEqual(base64_text(letter.headers["ce-knativeerrordata"]), "x" * 768)

    def test_without_an_answer_there_is_no_code_but_a_reason(self):
        _, letter = self.deliver(lambda request, before: None, retry=0)
        self.assertNotIn("ce-knativeerrorcode", letter.headers)
        self.assertTrue(base64_text(letter.headers["ce-knativeerrordata"]))

    def test_the_sink_is_tried_again_too(self):
        dead = self.sink(lambda request, before: 503 if before < 2 else 202)
        server = self.weir(
            channel(subscription(self.sink(lambda *_: 400), retry=3, deadLetterSink=dead.url)), kind="InMemoryChannel"
        )
        server.send("/shop/orders", "1")
        dead.wait(3)
        self.wait_delivered(server, deadLettered=1, quarantined=0)

    def test_the_sink_may_be_a_channel(self):
        dead = self.sink()
        server = self.weir(
            channel(subscription(self.sink(lambda *_: 400), deadLetterSink="channel:shop/dead")),
            channel(subscription(dead), name="dead"),
            kind="InMemoryChannel",
        )
        server.send("/shop/orders", "1")
        letter = dead.wait(1)[0]
        self.assertEqual((letter.id, letter.headers["ce-knativeerrorcode"]), ("1", "400"))
        self.wait_delivered(server, deadLettered=1)


class Quarantine(TestCase):
    def test_without_a_sink_the_event_is_kept_on_disk_with_the_reason(self):
        to = self.sink(lambda request, before: (400, {}, b"never"))
        server = self.weir(channel(subscription(to)), kind="InMemoryChannel")
        headers = {**event_headers("1"), "content-type": "application/json"}
        self.assertEqual(server.post("/shop/orders", headers, b'{"a": 1.0}').status, 202)
        note = server.wait_quarantine(1)[0]
        self.assertEqual((note["namespace"], note["channel"], note["subscription"]), ("shop", "orders", "billing"))
        self.assertEqual((note["event"]["id"], note["event"]["data"]), ("1", {"a": 1.0}))
        self.assertEqual((note["failure"]["destination"], note["failure"]["status"]), (to.url, 400))
        self.assertEqual(base64_text(note["failure"]["answer_base64"]), "never")
        self.wait_delivered(server, quarantined=1, delivered=0, deadLettered=0)

    def test_a_sink_that_is_down_leads_there(self):
        to = self.sink(lambda *_: 500)
        down = f"http://127.0.0.1:{closed_port()}/"
        server = self.weir(channel(subscription(to, retry=1, deadLetterSink=down)), kind="InMemoryChannel")
        server.send("/shop/orders", "1")
        note = server.wait_quarantine(1)[0]
        self.assertEqual((note["event"]["id"], note["failure"]["destination"]), ("1", down))

    def test_when_it_cannot_be_written_the_event_is_kept_and_readiness_says_so(self):
        server = self.weir(channel(subscription(self.sink(lambda *_: 400))), kind="InMemoryChannel", start=False)
        blocker = os.path.join(server.folder, "quarantine")
        with open(blocker, "w", encoding="utf-8"):
            pass
        server.start()
        server.send("/shop/orders", "1")
        server.wait_admin("/readyz", lambda answer: answer.status == 503 and b"quarantine" in answer.body)
        server.wait_said("cannot be put into quarantine")
        os.unlink(blocker)
        self.assertEqual(server.wait_quarantine(1)[0]["event"]["id"], "1")
        server.wait_admin("/readyz", lambda answer: answer.status == 200)


class Order(TestCase):
    def test_a_key_that_is_retried_keeps_its_order_and_holds_up_no_other(self):
        fail = threading.Event()
        fail.set()
        to = self.sink(lambda request, before: 503 if request.id == "a0" and fail.is_set() else 200)
        server = self.weir(channel(subscription(to, retry=1000)), kind="InMemoryChannel")
        for number in range(10):
            server.send("/shop/orders", f"a{number}", partitionkey="a")
            server.send("/shop/orders", f"b{number}", partitionkey="b")
        to.wait_ids({f"b{number}" for number in range(10)} | {"a0"})
        self.assertFalse([id for id in to.ids() if id.startswith("a") and id != "a0"])
        fail.clear()
        to.wait_ids({"a9"})
        for key in "ab":
            seen = list(dict.fromkeys(id for id in to.ids() if id.startswith(key)))
            self.assertEqual(seen, [f"{key}{number}" for number in range(10)])

    def test_without_a_key_events_keep_the_order_of_publishing(self):
        to = self.sink(lambda request, before: 503 if request.id == "3" and before < 3 else 200)
        server = self.weir(channel(subscription(to, retry=1000)), kind="InMemoryChannel")
        for number in range(10):
            server.send("/shop/orders", str(number))
        to.wait_ids({"9"})
        self.assertEqual(list(dict.fromkeys(to.ids())), [str(number) for number in range(10)])

    def test_unordered_events_do_not_wait_for_each_other(self):
        to = self.sink(lambda request, before: 503 if request.id == "0" else 200)
        server = self.weir(channel(subscription(to, retry=1000, order="unordered")), kind="InMemoryChannel")
        for number in range(10):
            server.send("/shop/orders", str(number))
        to.wait_ids({str(number) for number in range(10)})

    def test_no_more_are_under_way_than_allowed(self):
        lock = threading.Lock()
        now, most = [0], [0]
        gate = threading.Barrier(3, timeout=30)

        def answer(request, before):
            with lock:
                now[0] += 1
                most[0] = max(most[0], now[0])
            gate.wait()
            with lock:
                now[0] -= 1
            return 200

        to = self.sink(answer)
        server = self.weir(channel(subscription(to, order="unordered", maxInFlight=3)), kind="InMemoryChannel")
        for number in range(12):
            server.send("/shop/orders", str(number))
        to.wait_ids({str(number) for number in range(12)})
        self.wait_delivered(server, delivered=12)
        self.assertEqual(most[0], 3)


def reply_event(id, **more):
    return {**event_headers(id, type="reply"), "content-type": "text/plain", **more}


class Replies(TestCase):
    def test_binary_and_structured_replies_go_to_the_reply_url(self):
        structured = b'{"specversion":"1.0","id":"r-s","type":"reply","source":"/r","data":[1]}'

        def answer(request, before):
            if request.id == "1":
                return (200, reply_event("r-b"), b"hello")
            return (200, {"content-type": "application/cloudevents+json"}, structured)

        replies = self.sink()
        server = self.weir(channel(subscription(self.sink(answer), reply=replies.url)), kind="InMemoryChannel")
        server.send("/shop/orders", "1")
        server.send("/shop/orders", "2")
        got = {request.id: request for request in replies.wait(2)}
        self.assertEqual((got["r-b"].body, got["r-b"].headers["content-type"]), (b"hello", "text/plain"))
        self.assertEqual((got["r-s"].body, got["r-s"].headers["ce-type"]), (b"[1]", "reply"))
        self.wait_delivered(server, delivered=2, replies=2)

    def test_a_reply_may_go_to_a_channel(self):
        replies = self.sink()
        server = self.weir(
            channel(subscription(self.sink(lambda *_: (200, reply_event("r"), b"x")), reply="channel:shop/replies")),
            channel(subscription(replies), name="replies"),
            kind="InMemoryChannel",
        )
        server.send("/shop/orders", "1")
        self.assertEqual(replies.wait(1)[0].id, "r")

    def test_a_reply_that_is_not_taken_means_that_the_delivery_failed_and_all_of_it_is_retried(self):
        replies = self.sink(lambda request, before: 503 if before < 2 else 202)
        to = self.sink(lambda *_: (200, reply_event("r"), b"x"))
        server = self.weir(channel(subscription(to, retry=5, reply=replies.url)), kind="InMemoryChannel")
        server.send("/shop/orders", "1")
        replies.wait(3)
        self.wait_delivered(server, delivered=1, retries=2, replies=1)
        self.assertEqual(to.ids(), ["1", "1", "1"])

    def test_a_reply_that_is_refused_sends_the_event_to_the_dead_letter_sink(self):
        replies, dead = self.sink(lambda *_: 400), self.sink()
        to = self.sink(lambda *_: (200, reply_event("r"), b"x"))
        server = self.weir(
            channel(subscription(to, retry=5, reply=replies.url, deadLetterSink=dead.url)), kind="InMemoryChannel"
        )
        server.send("/shop/orders", "1")
        letter = dead.wait(1)[0]
        self.assertEqual((letter.id, letter.headers["ce-knativeerrordest"]), ("1", replies.url))

    def test_a_reply_that_is_a_bad_event_is_a_failure_that_is_not_retried(self):
        to = self.sink(lambda *_: (200, {"ce-specversion": "1.0", "ce-id": "r"}, b""))
        server = self.weir(channel(subscription(to, retry=5, reply=self.sink().url)), kind="InMemoryChannel")
        server.send("/shop/orders", "1")
        server.wait_quarantine(1)
        self.assertEqual(len(to.ids()), 1)

    def test_a_reply_that_is_compressed_is_a_failure_that_is_not_retried(self):
        reply = {**event_headers("r"), "content-type": "text/plain", "content-encoding": "gzip"}
        to, back = self.sink(lambda *_: (200, reply, b"\x1f\x8b\x08")), self.sink()
        server = self.weir(channel(subscription(to, retry=5, reply=back.url)), kind="InMemoryChannel")
        server.send("/shop/orders", "1")
        self.assertIn("Content-Encoding", server.wait_quarantine(1)[0]["failure"]["reason"])
        self.assertEqual((len(to.ids()), back.ids()), (1, []))

    def test_what_is_no_reply_is_not_sent_on(self):
        answers = {
            "event in a 202": (202, reply_event("r"), b"x"),
            "text": (200, {"content-type": "text/plain"}, b"ok"),
            "batch": (200, {"content-type": "application/cloudevents-batch+json"}, b"[]"),
            "nothing": (200, {}, b""),
        }
        replies = self.sink()
        to = self.sink(lambda request, before: answers[request.headers["ce-case"].replace("%20", " ")])
        server = self.weir(channel(subscription(to, reply=replies.url)), kind="InMemoryChannel")
        for number, name in enumerate(answers):
            server.send("/shop/orders", str(number), case=name.replace(" ", "%20"))
        self.wait_delivered(server, delivered=len(answers))
        self.assertEqual(replies.ids(), [])

    def test_without_a_reply_address_a_reply_is_dropped(self):
        to = self.sink(lambda *_: (200, reply_event("r"), b"x"))
        server = self.weir(channel(subscription(to)), kind="InMemoryChannel")
        server.send("/shop/orders", "1")
        self.wait_delivered(server, delivered=1, replies=0)


class Accounts(TestCase):
    """Nothing is lost between the columns: whatever subscribers do, each event ends in exactly one of them."""

    def chaos(self, request, before):
        number = self.chance.random()
        if number < 0.5:
            return 204
        if number < 0.6:
            return (200, reply_event("r-" + request.id), b"hello")
        if number < 0.75:
            return 503
        if number < 0.85:
            return 400
        return None if number < 0.9 else 200

    def settled(self, answer):
        subscriptions = [one for channel in answer.json()["channels"] for one in channel["subscriptions"]]
        self.accounts = {one["name"]: one for one in subscriptions}
        ended = sum(self.outcomes(one) for one in subscriptions if one["name"] in "ab")
        return ended == 600 and all(one["lag"] == one["inFlight"] == one["waiting"] == 0 for one in subscriptions)

    def outcomes(self, one):
        return one["delivered"] + one["deadLettered"] + one["quarantined"]

    def test_every_event_ends_in_one_of_delivered_dead_lettered_and_quarantined(self):
        seed = random.randrange(2**32)
        print("seed", seed, file=sys.stderr)
        self.chance = random.Random(seed)
        to, dead = self.sink(self.chaos), self.sink(self.chaos)
        channels = {"reply": "channel:shop/replies", "deadLetterSink": "channel:shop/dead"}
        server = self.weir(
            channel(
                subscription(to, "a", retry=2, order="unordered", **channels),
                subscription(to, "b", retry=1, deadLetterSink=dead.url, reply="channel:shop/replies"),
            ),
            channel(subscription(to, "replies", retry=1), name="replies"),
            channel(subscription(dead, "dead", order="unordered"), name="dead"),
            config={"dispatcher": {"deliveryLoops": 2}},
        )
        for number in range(300):
            server.send("/shop/orders", str(number), partitionkey=str(number % 10))
        server.wait_admin("/status", self.settled)
        a, b = self.accounts["a"], self.accounts["b"]
        self.assertEqual((self.outcomes(a), self.outcomes(b)), (300, 300))
        self.assertEqual(self.outcomes(self.accounts["dead"]), a["deadLettered"])
        self.assertEqual(self.outcomes(self.accounts["replies"]), a["replies"] + b["replies"])
        self.assertEqual(len(server.quarantine()), sum(one["quarantined"] for one in self.accounts.values()))


if __name__ == "__main__":
    unittest.main(verbosity=2)
