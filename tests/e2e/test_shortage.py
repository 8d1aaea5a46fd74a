# SPDX-License-Identifier: Apache-2.0
"""What runs out: descriptors, and the patience of who reads the log."""
import contextlib
import resource
import socket
import unittest

from harness import DEADLINE, TestCase, channel, event_headers, subscription


class Descriptors(TestCase):
    def test_senders_cannot_take_those_that_deliveries_need(self):
        to = self.sink(lambda request, before: (200, {"connection": "close"}, b""))  # each delivery is a new connection
        server = self.weir(channel(subscription(to)), start=False)
        server.start(before=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)))
        with contextlib.ExitStack() as all_connections:
            sender = all_connections.enter_context(socket.create_connection(("127.0.0.1", server.port), DEADLINE))
            for _ in range(100):
                idle = all_connections.enter_context(socket.create_connection(("127.0.0.1", server.port), DEADLINE))
                idle.sendall(b"POST /shop/orders HTTP/1.1\r\n")
            for id in ("1", "2", "3"):
                headers = "".join(f"{name}: {value}\r\n" for name, value in event_headers(id).items())
                sender.sendall(f"POST /shop/orders HTTP/1.1\r\nHost: h\r\n{headers}\r\n".encode())
                self.assertTrue(sender.recv(4096).startswith(b"HTTP/1.1 202 "))
                to.wait_ids({id})
            self.assertEqual(server.get("/healthz").status, 200)
            self.assertFalse(server.said("paused"))

    def test_the_soft_limit_is_raised(self):
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        server = self.weir(channel(), kind="InMemoryChannel", start=False)
        server.start(before=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard)))
        self.assertEqual(resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE), (hard, hard))


if __name__ == "__main__":
    unittest.main(verbosity=2)
