#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""weir publish --url and weir tail --admin, against a server that says what the test wants."""
import http.server
import json
import os
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
from weirtest import CONFIG, FAILED, UNAVAILABLE, WeirTest, main  # noqa: E402


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, body):
        status, answer = self.server.answers.pop(0) if self.server.answers else (202, b"")
        self.server.seen.append((self.path, {key.lower(): value for key, value in self.headers.items()}, body))
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def do_POST(self):
        self.answer(self.rfile.read(int(self.headers["Content-Length"])))

    def do_GET(self):
        self.answer(b"")

    def log_message(self, *_):
        pass


class Http(WeirTest):
    def setUp(self):
        super().setUp()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.seen, self.server.answers = [], []
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        self.base = f"http://127.0.0.1:{self.server.server_port}"

    def test_an_event_is_posted_in_binary_mode(self):
        result = self.succeed("publish", "a/b", "--url", self.base, "--id", "1", "--type", "t", "--source", "/s", "--ext",
                              "x=\u00e4 %", "--data", "[1]")
        self.assertEqual(result.out, "1\n")
        (path, headers, body), = self.server.seen
        self.assertEqual((path, body), ("/a/b", b"[1]"))
        self.assertEqual({key: headers.get(key) for key in
                          ("ce-id", "ce-type", "ce-source", "ce-specversion", "ce-x", "content-type", "expect")},
                         {"ce-id": "1", "ce-type": "t", "ce-source": "/s", "ce-specversion": "1.0",
                          "ce-x": "%C3%A4%20%25", "content-type": "application/json", "expect": None})

    def test_an_event_without_data_has_no_content_type(self):
        self.succeed("publish", "a/b", "--url", self.base)
        self.assertNotIn("content-type", self.server.seen[0][1])

    def test_lines_are_posted_until_one_is_refused(self):
        self.server.answers = [(202, b""), (503, b'{"code":"EUNAVAIL","reason":"disk full"}')]
        result = self.fails(UNAVAILABLE, "publish", "a/b", "--url", self.base, "--lines", stdin=b"1\n2\n3\n")
        self.assertEqual(len(result.lines), 1)
        self.assertEqual(len(self.server.seen), 2)
        self.assertIn("disk full", result.err)

    def test_a_refused_event_is_a_failure_with_the_reason(self):
        self.server.answers = [(413, b'{"code":"ETOOBIG","reason":"larger than 1 MiB"}')]
        result = self.fails(FAILED, "publish", "a/b", "--url", self.base)
        self.assertIn("413", result.err)
        self.assertIn("larger than 1 MiB", result.err)
        self.assertEqual(result.out, "")

    def test_a_server_that_is_not_there_is_unavailable(self):
        self.server.shutdown()
        self.server.server_close()
        self.assertIn(self.base, self.fails(UNAVAILABLE, "publish", "a/b", "--url", self.base).err)

    def test_tail_copies_the_lines_that_it_gets(self):
        events = [{"specversion": "1.0", "id": str(i), "source": "/s", "type": "t", "data": i} for i in range(3)]
        self.server.answers = [(200, b"\n".join(json.dumps(event).encode() for event in events) + b"\n")]
        result = self.succeed("tail", "a/b", "--admin", self.base, "--from", "earliest", "--count", "3")
        self.assertEqual([json.loads(line)["data"] for line in result.lines], [0, 1, 2])
        self.assertEqual(self.server.seen[0][0], "/tail/a/b?from=earliest&count=3")

    def test_tail_takes_no_more_than_it_wants(self):
        line = json.dumps({"specversion": "1.0", "id": "1", "source": "/s", "type": "t"}).encode() + b"\n"
        self.server.answers = [(200, line * 5)]
        self.assertEqual(len(self.succeed("tail", "a/b", "--admin", self.base, "--count", "2").lines), 2)

    def test_tail_says_what_is_no_event(self):
        self.server.answers = [(200, b'{"id":1}\n')]
        result = self.succeed("tail", "a/b", "--admin", self.base)
        self.assertIn("no event", result.err)
        self.assertEqual(result.out, "")

    def test_tail_of_an_unknown_channel_says_so(self):
        self.server.answers = [(404, b'{"code":"ENOTFOUND","reason":"no such channel"}')]
        self.assertIn("no such channel", self.fails(CONFIG, "tail", "a/b", "--admin", self.base).err)


if __name__ == "__main__":
    main()
