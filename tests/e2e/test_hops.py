# SPDX-License-Identifier: Apache-2.0
"""Replies and dead letters that go in a circle end in quarantine, and nothing is lost."""
import itertools
import unittest

from harness import TestCase, channel, closed_port, event_headers, subscription

MAX = 4


class Hops(TestCase):
    limits = {"dispatcher": {"limits": {"maxHops": MAX}}}

    def replying(self):
        numbers = itertools.count(1)
        return self.sink(
            lambda *_: (200, {**event_headers(f"r{next(numbers)}"), "content-type": "text/plain"}, b"again"))

    def test_a_reply_to_its_own_channel_ends(self):
        to = self.replying()
        server = self.weir(
            channel(subscription(to, reply="channel:shop/orders")), kind="InMemoryChannel", config=self.limits)
        server.send("/shop/orders", "1")
        note = server.wait_quarantine(1)[0]
        self.assertEqual(to.ids(), ["1"] + [f"r{number}" for number in range(1, MAX + 1)])
        self.assertEqual([request.headers.get("ce-weirhops") for request in to.requests],
                         [None] + [str(hops) for hops in range(1, MAX + 1)])
        self.assertEqual((note["event"]["id"], note["event"]["weirhops"]), (f"r{MAX}", str(MAX)))
        self.assertIn("weirhops", note["failure"]["reason"])
        self.wait_delivered(server, delivered=MAX, quarantined=1, looped=1)

    def test_dead_letter_sinks_that_point_at_each_other_end(self):
        to = self.sink(lambda *_: 400)
        server = self.weir(
            channel(subscription(to, deadLetterSink="channel:shop/b"), name="a"),
            channel(subscription(to, deadLetterSink="channel:shop/a"), name="b"),
            kind="InMemoryChannel", config=self.limits)
        server.send("/shop/a", "1")
        note = server.wait_quarantine(1)[0]
        self.assertEqual((note["event"]["id"], len(to.ids())), ("1", MAX + 1))

    def test_subscribers_that_are_channels_of_this_dispatcher_end(self):
        port = closed_port()
        one, other = (f"http://127.0.0.1:{port}/shop/{name}" for name in "ab")
        server = self.weir(
            channel(subscription(other), name="a"), channel(subscription(one), name="b"),
            kind="InMemoryChannel",
            config={"dispatcher": {"limits": {"maxHops": MAX}, "listen": f"127.0.0.1:{port}"}})
        server.send("/shop/a", "1")
        self.assertEqual(server.wait_quarantine(1)[0]["event"]["weirhops"], str(MAX))

    def test_an_event_that_is_only_delivered_is_not_touched(self):
        to = self.sink()
        server = self.weir(channel(subscription(to)), kind="InMemoryChannel", config=self.limits)
        server.send("/shop/orders", "1")
        self.assertNotIn("ce-weirhops", to.wait(1)[0].headers)


if __name__ == "__main__":
    unittest.main(verbosity=2)
