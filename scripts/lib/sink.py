# SPDX-License-Identifier: Apache-2.0
"""A subscriber for demonstrations: prints each CloudEvent that it gets. Usage: sink.py PORT"""
import http.server
import os
import sys


class Subscriber(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(204)
        self.end_headers()
        lines = [f"{name[3:]}: {value}" for name, value in self.headers.items() if name.lower().startswith("ce-")]
        text = "    --- the subscriber got ---\n" + "".join(f"    {line}\n" for line in sorted(lines))
        text += "    " + body.decode("utf-8", "replace") + "\n"
        sys.stdout.write(text)
        sys.stdout.flush()
        if "WEIR_SINK_LOG" in os.environ:
            with open(os.environ["WEIR_SINK_LOG"], "a", encoding="utf-8") as log:
                log.write(text)

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Subscriber).serve_forever()
