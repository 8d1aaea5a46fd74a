# SPDX-License-Identifier: Apache-2.0
"""Knative's conformance matrix of delivery: failures of the subscriber, replies, failures of the reply's target.

Each case has one retry, so two attempts, and a dead-letter sink. Knative's own four tuples are among them; here the
columns are crossed, with both places where the dead-letter sink can stand, and with URLs and channels as targets.
"""
import itertools
import unittest

from harness import TestCase, channel, event_headers, subscription

RETRY = 1
ATTEMPTS = RETRY + 1


def reply():
    return 200, {**event_headers("reply-1", type="reply"), "content-type": "text/plain"}, b"hello"


class Case:
    def __init__(self, fails, replies, has_target, target_fails):
        self.fails, self.replies, self.has_target, self.target_fails = fails, replies, has_target, target_fails

    @property
    def sends_reply(self):
        return self.replies and self.has_target

    def expect(self):
        """Attempts at the subscriber and at the reply's target, whether the reply arrives, and how many dead letters.
        A reply that is not taken fails the whole delivery, so each of its attempts is one of the delivery."""
        subscriber = target = 0
        for attempt in range(ATTEMPTS):
            subscriber += 1
            if attempt < self.fails:
                continue
            if not self.sends_reply:
                return subscriber, target, False, 0
            target += 1
            if target > self.target_fails:
                return subscriber, target, True, 0
        return subscriber, target, False, 1

    def __str__(self):
        return f"fails {self.fails}, replies {self.replies}, target {self.has_target}, target fails {self.target_fails}"


CASES = [
    Case(*columns)
    for columns in itertools.product((0, 1, 2), (False, True), (False, True), (0, 1, 2))
    if columns[2] or columns[3] == 0
]


class Matrix(TestCase):
    def run_case(self, case, dead_letter_of, targets):
        to = self.sink(lambda request, before: 503 if before < case.fails else reply() if case.replies else 202)
        target = self.sink(lambda request, before: 503 if before < case.target_fails else 202)
        dead, end = self.sink(), self.sink()
        one = {"name": "s", "subscriber": to.url}
        delivery = {"retry": RETRY, "backoffDelay": "PT0.01S", "backoffPolicy": "linear",
                    "deadLetterSink": dead.url if targets == "urls" else "channel:shop/dead"}
        if case.has_target:
            one["reply"] = target.url
        if dead_letter_of == "subscription":
            one["delivery"] = delivery
            main = channel(one)
        else:
            main = channel(one, delivery=delivery)
        server = self.weir(main, channel(subscription(dead, "d"), name="dead"), kind="InMemoryChannel")
        server.send("/shop/orders", "1", b"data")
        subscriber, tried, arrives, letters = case.expect()
        self.wait_delivered(server, delivered=1 - letters, deadLettered=letters, quarantined=0)
        if letters:
            dead.wait(1)
        what = f"{case}; dead-letter sink of the {dead_letter_of}, {targets}"
        self.assertEqual(to.ids(), ["1"] * subscriber, what)
        self.assertEqual(target.ids(), ["reply-1"] * tried, what)
        self.assertEqual(dead.ids(), ["1"] * letters, what)
        self.assertEqual(bool(arrives), tried > case.target_fails, what)
        if letters:
            self.check_letter(dead.requests[0], to if case.fails >= ATTEMPTS or not tried else target, what)
        self.wait_delivered(server, delivered=1 - letters, deadLettered=letters, retries=subscriber - 1)
        for sink in (to, target, dead, end):
            sink.close()
        server.stop()

    def check_letter(self, letter, failed, what):
        self.assertEqual((letter.body, letter.headers["ce-knativeerrordest"]), (b"data", failed.url), what)
        self.assertEqual(letter.headers["ce-knativeerrorcode"], "503", what)

    def run_all(self, dead_letter_of, targets):
        for case in CASES:
            with self.subTest(str(case)):
                self.run_case(case, dead_letter_of, targets)

    def test_with_the_dead_letter_sink_of_the_subscription(self):
        self.run_all("subscription", "urls")

    def test_with_the_dead_letter_sink_of_the_channel(self):
        self.run_all("channel", "urls")

    def test_with_a_channel_as_dead_letter_sink(self):
        self.run_all("subscription", "channels")

    def test_knatives_own_four_rows_are_among_them(self):
        rows = {(1, False, False, 0), (1, True, True, 0), (1, True, True, 1), (1, True, True, 2)}
        self.assertLessEqual(rows, {(c.fails, c.replies, c.has_target, c.target_fails) for c in CASES})


class Sinks(TestCase):
    """The extensions of a dead letter: the subscriber cannot be reached, answers nothing, answers something."""

    def letter(self, answer):
        dead = self.sink()
        to = answer if isinstance(answer, str) else self.sink(lambda *_: answer)
        server = self.weir(channel(subscription(to, retry=RETRY, deadLetterSink=dead.url)), kind="InMemoryChannel")
        server.send("/shop/orders", "1")
        headers = dead.wait(1)[0].headers
        return {name: headers.get("ce-knativeerror" + name) for name in ("dest", "code", "data")}

    def test_subscriber_unreachable(self):
        from harness import closed_port
        url = f"http://127.0.0.1:{closed_port()}/"
        letter = self.letter(url)
        self.assertEqual((letter["dest"], letter["code"]), (url, None))
        self.assertTrue(letter["data"])

    def test_error_without_data(self):
        letter = self.letter((500, {}, b""))
        self.assertEqual((letter["code"], letter["data"]), ("500", None))

    def test_error_with_data(self):
        self.assertEqual(self.letter((500, {}, b"oh"))["data"], "b2g=")

    def test_headers_of_the_answer_that_begin_with_kne_become_extensions(self):
        dead = self.sink()
        to = self.sink(lambda *_: (400, {"kne-reason": "full", "Kne-Shelf": "7", "kne-bad_name": "x", "x-kne": "y"}, b""))
        server = self.weir(channel(subscription(to, deadLetterSink=dead.url)), kind="InMemoryChannel")
        server.send("/shop/orders", "1")
        headers = dead.wait(1)[0].headers
        self.assertEqual((headers.get("ce-reason"), headers.get("ce-shelf")), ("full", "7"))
        self.assertNotIn("ce-bad_name", headers)


if __name__ == "__main__":
    unittest.main(verbosity=2)
