#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""weir publish and weir tail, on a backend that they open themselves."""
import base64
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
from weirtest import FAILED, UNAVAILABLE, USAGE, WEIR, WeirTest, clean_environment, main  # noqa: E402

UUID = r"^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"


class Memory(WeirTest):
    settings = ("channel.default.kind=InMemoryChannel",)

    def test_publish_prints_the_id_of_a_persisted_event(self):
        self.assertEqual(self.succeed("publish", "a/b", "--id", "e-1", "--data", "x").out, "e-1\n")
        self.assertRegex(self.succeed("publish", "a/b").out.strip(), UUID)

    def test_a_bad_attribute_is_wrong_usage(self):
        for words in (("--ext", "my-name=1"), ("--ext", "noequals"), ("--type", ""), ("--source", "a b"), ("--id", ""),
                      ("--data", "x", "--content-type", ";;")):
            with self.subTest(words=words):
                self.assertEqual(self.fails(USAGE, "publish", "a/b", *words).out, "")

    def test_a_missing_data_file_is_named(self):
        self.assertIn("gone.bin", self.fails(FAILED, "publish", "a/b", "--data-file", "gone.bin").err)

    def test_tail_ends_after_its_timeout(self):
        self.assertEqual(self.succeed("tail", "a/b", "--timeout", "200ms").out, "")

    def test_fewer_events_than_asked_for_are_a_failure(self):
        self.assertIn("0 of 1", self.fails(FAILED, "tail", "a/b", "--count", "1", "--timeout", "200ms").err)

    def test_tail_ends_on_sigterm(self):
        tail = subprocess.Popen([WEIR, "tail", "a/b", "--set", self.settings[0]], cwd=self.folder,
                                env=clean_environment())
        self.addCleanup(tail.kill)
        # Without its handler SIGTERM would kill it: wait until the handler is there.
        mask = 1 << (signal.SIGTERM - 1)
        status = pathlib.Path(f"/proc/{tail.pid}/status")
        while not int(re.search(r"SigCgt:\s*(\w+)", status.read_text())[1], 16) & mask:
            self.assertIsNone(tail.poll())
        tail.terminate()
        self.assertEqual(tail.wait(timeout=20), 0)


class Embedded(WeirTest):
    settings = ("channel.default.kind=EmbeddedChannel", "embedded.path={folder}/data")

    def tail(self, *words):
        result = self.succeed("tail", "a/b", "--from", "earliest", "--timeout", "20s", *words)
        return [json.loads(line) for line in result.lines]

    def test_an_event_comes_out_as_it_went_in(self):
        self.succeed("publish", "a/b", "--id", "1", "--type", "t", "--source", "/s", "--subject", "sub", "--ext", "one=1",
                     "--ext", "two=b c", "--data", '{ "n": 12345678901234567890.10,\n "a": [] }')
        event, = self.tail("--count", "1")
        self.assertEqual({key: event[key] for key in ("id", "type", "source", "subject", "one", "two", "specversion")},
                         {"id": "1", "type": "t", "source": "/s", "subject": "sub", "one": "1", "two": "b c",
                          "specversion": "1.0"})
        self.assertEqual(event["datacontenttype"], "application/json")
        self.assertEqual(event["data"]["a"], [])
        self.assertRegex(event["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")

    def test_the_media_type_follows_the_data(self):
        self.write("blob", "")
        (self.folder / "blob").write_bytes(bytes(range(256)))
        self.succeed("publish", "a/b", "--data", "plain words")
        self.succeed("publish", "a/b", "--data-file", "blob")
        self.succeed("publish", "a/b", "--data-file", "-", "--content-type", "text/csv", stdin=b"1,2\n")
        self.succeed("publish", "a/b")
        text, blob, csv, none = self.tail("--count", "4")
        self.assertEqual((text["datacontenttype"], text["data"]), ("text/plain", "plain words"))
        self.assertEqual(blob["datacontenttype"], "application/octet-stream")
        self.assertEqual(base64.b64decode(blob["data_base64"]), bytes(range(256)))
        self.assertEqual((csv["datacontenttype"], csv["data"]), ("text/csv", "1,2\n"))
        self.assertNotIn("data", none)
        self.assertNotIn("datacontenttype", none)

    def test_each_line_becomes_an_event_in_order(self):
        ids = self.succeed("publish", "a/b", "--lines", stdin=b"".join(b"line %d\n" % i for i in range(2000)) + b"end").lines
        self.assertEqual(len(set(ids)), 2001)
        events = self.tail("--count", "2001")
        self.assertEqual([event["id"] for event in events], ids)
        self.assertEqual([event["data"] for event in events], [f"line {i}" for i in range(2000)] + ["end"])

    def test_empty_lines_are_events_and_no_input_is_none(self):
        self.assertEqual(len(self.succeed("publish", "a/b", "--lines", stdin=b"\n\nx\n").lines), 3)
        self.assertEqual(self.succeed("publish", "a/b", "--lines", stdin=b"").out, "")

    def test_a_group_goes_on_where_it_ended(self):
        self.succeed("publish", "a/b", "--lines", stdin=b"1\n2\n3\n4\n")
        self.assertEqual([event["data"] for event in self.tail("--group", "g", "--count", "2")], [1, 2])
        self.assertEqual([event["data"] for event in self.tail("--group", "g", "--count", "2")], [3, 4])

    def test_a_forgotten_group_begins_anew(self):
        self.succeed("publish", "a/b", "--lines", stdin=b"1\n2\n3\n4\n")
        self.assertEqual([event["data"] for event in self.tail("--group", "g", "--count", "2")], [1, 2])
        self.assertEqual([event["data"] for event in self.tail("--group", "g", "--count", "1", "--forget")], [3])
        self.assertEqual(self.succeed("tail", "a/b", "--group", "g", "--timeout", "300ms").out, "")

    def test_what_a_subscription_has_left_is_forgotten(self):
        self.succeed("tail", "a/b", "--group", "old", "--timeout", "300ms")
        self.succeed("tail", "a/b", "--group", "old", "--forget", "--timeout", "300ms")
        self.succeed("publish", "a/b", "--data", "1")
        self.assertEqual(self.succeed("tail", "a/b", "--group", "old", "--timeout", "300ms").out, "")
        self.fails(USAGE, "tail", "a/b", "--forget")

    def test_latest_skips_what_is_there(self):
        self.succeed("publish", "a/b", "--data", "old")
        self.assertEqual(self.succeed("tail", "a/b", "--timeout", "300ms").out, "")

    def test_pretty_output_is_safe_for_a_terminal(self):
        self.succeed("publish", "a/b", "--id", "1", "--content-type", "text/plain", "--data", "a\x1b[2Jb\nc\x07\u0085")
        text = self.succeed("tail", "a/b", "--from", "earliest", "--count", "1", "--timeout", "20s", "-o", "pretty").out
        self.assertIn("a?[2Jb\n    c?", text)
        self.assertNotIn("\x1b", text)
        self.assertNotIn("\u0085", text)

    def test_what_was_not_written_is_not_acknowledged(self):
        self.succeed("publish", "a/b", "--data", "1")
        with open("/dev/full", "wb") as full:
            self.fails(FAILED, "tail", "a/b", "--from", "earliest", "--group", "g", "--count", "1", "--timeout", "20s",
                       stdout=full)
        self.assertEqual([event["data"] for event in self.tail("--group", "g", "--count", "1")], [1])

    def test_a_backend_that_another_process_holds_is_reached_over_http(self):
        with socket.create_server(("127.0.0.1", 0)) as nobody:
            port = nobody.getsockname()[1]
        holder = subprocess.Popen([WEIR, "tail", "a/b", "--from", "earliest", "--set", self.settings[0], "--set",
                                   self.settings[1].format(folder=self.folder)],
                                  cwd=self.folder, env=clean_environment(), stdout=subprocess.PIPE)
        self.addCleanup(holder.stdout.close)
        self.addCleanup(holder.wait)
        self.addCleanup(holder.kill)
        # It holds the backend once it has its store.
        while not (self.folder / "data").exists() or not any((self.folder / "data").iterdir()):
            self.assertIsNone(holder.poll())
        result = self.fails(UNAVAILABLE, "publish", "a/b", "--set", f"dispatcher.listen=127.0.0.1:{port}")
        self.assertIn(f"http://127.0.0.1:{port}/a/b", result.err)
        result = self.fails(UNAVAILABLE, "tail", "a/b", "--set", f"dispatcher.admin=127.0.0.1:{port}")
        self.assertIn(f"http://127.0.0.1:{port}/tail/a/b", result.err)


if __name__ == "__main__":
    main()
