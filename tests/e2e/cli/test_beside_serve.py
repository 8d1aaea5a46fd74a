#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""weir publish, tail and drivers while `weir serve` holds the backend: the commands reach it over HTTP by themselves."""
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
from harness import TestCase, channel, subscription  # noqa: E402
from weirtest import CONFIG, FAILED, UNAVAILABLE, WeirTest, main  # noqa: E402


class BesideServe(WeirTest, TestCase):
    """Same configuration as the server's, with the ports that it got."""

    def serve(self, *channels):
        server = TestCase.weir(self, *channels)
        self.words = ("-c", os.path.join(server.folder, "weir.json"), "--set",
                      f"dispatcher.listen=127.0.0.1:{server.port}", "--set",
                      f"dispatcher.admin=127.0.0.1:{server.admin_port}")
        return server

    def test_a_published_event_reaches_the_subscriber(self):
        sink = self.sink()
        self.serve(channel(subscription(sink)))
        self.assertEqual(self.succeed("publish", "shop/orders", "--id", "p-1", "--data", "[1]", *self.words).out, "p-1\n")
        sink.wait_ids(["p-1"])

    def test_lines_are_published_in_order(self):
        sink = self.sink()
        self.serve(channel(subscription(sink)))
        ids = self.succeed("publish", "shop/orders", "--lines", *self.words,
                           stdin=b"".join(b"%d\n" % i for i in range(100))).lines
        self.assertEqual(len(ids), 100)
        sink.wait_ids(ids)
        self.assertEqual(sorted(set(sink.ids()), key=sink.ids().index), ids)

    def test_tail_sees_what_the_channel_keeps(self):
        self.serve(channel())
        ids = self.succeed("publish", "shop/orders", "--lines", *self.words, stdin=b"1\n2\n3\n").lines
        result = self.succeed("tail", "shop/orders", "--from", "earliest", "--count", "3", "--timeout", "20s", *self.words)
        self.assertEqual([json.loads(line)["id"] for line in result.lines], ids)

    def test_tail_with_too_few_events_fails_after_its_timeout(self):
        self.serve(channel())
        self.assertIn("0 of 1 events", self.fails(FAILED, "tail", "shop/orders", "--count", "1", "--timeout", "3s",
                                                  *self.words).err)

    def test_tail_of_a_channel_that_is_not_served_says_so(self):
        self.serve(channel())
        self.fails(CONFIG, "tail", "shop/nothing", *self.words)

    def test_publish_to_a_channel_that_is_not_served_fails(self):
        self.serve(channel())
        self.assertIn("404", self.fails(FAILED, "publish", "shop/nothing", *self.words).err)

    def test_a_group_cannot_be_had(self):
        self.serve(channel())
        self.assertIn("--group", self.fails(UNAVAILABLE, "tail", "shop/orders", "--group", "g", *self.words).err)

    def test_drivers_says_who_holds_the_backend(self):
        server = self.serve(channel())
        driver = json.loads(self.succeed("drivers", "EmbeddedChannel", "--json", *self.words).out)
        self.assertIn(str(server.process.pid), driver["problem"])
        self.assertTrue(driver["options"])


if __name__ == "__main__":
    main()
