# SPDX-License-Identifier: Apache-2.0
"""What runs out: descriptors, and the patience of who reads the log."""
import contextlib
import fcntl
import os
import resource
import socket
import time
import unittest

from harness import DEADLINE, TestCase, channel, closed_port, event_headers, subscription


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

    def test_idle_connections_do_not_keep_health_checks_out(self):
        server = self.weir(channel(), kind="InMemoryChannel")
        with contextlib.ExitStack() as idle:
            for _ in range(100):
                idle.enter_context(socket.create_connection(("127.0.0.1", server.admin_port), DEADLINE))
            self.assertEqual(server.get("/healthz").status, 200)
            with socket.create_connection(("127.0.0.1", server.admin_port), DEADLINE) as one:
                self.assertEqual(one.recv(1), b"")  # they do not stay

    def test_the_soft_limit_is_raised(self):
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        server = self.weir(channel(), kind="InMemoryChannel", start=False)
        server.start(before=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard)))
        self.assertEqual(resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE), (hard, hard))


class Log(TestCase):
    """Where the log goes is somebody else's, who may not read it, or have closed it."""

    def start_unheard(self, before):
        config = {"dispatcher": {"listen": f"127.0.0.1:{closed_port()}", "admin": f"127.0.0.1:{closed_port()}"},
                  "log": {"level": "debug"}}  # fmt: skip
        server = self.weir(channel(subscription("http://127.0.0.1:9/")), start=False, config=config)
        server.port, server.admin_port = (
            int(server.config["dispatcher"][key].rsplit(":", 1)[1]) for key in ("listen", "admin")
        )
        server.start(wait=False, before=before)
        deadline = time.monotonic() + DEADLINE
        while True:
            with contextlib.suppress(OSError):
                if server.get("/readyz").status == 200:
                    return server
            self.assertLess(time.monotonic(), deadline, "it is not ready")
            time.sleep(0.02)

    def check_events(self, server):
        """Each of them makes a line, or more."""
        for number in range(300):
            server.send("/shop/orders", str(number))
        server.wait_quarantine(300)
        self.assertEqual(server.get("/healthz").status, 200)
        self.assertEqual(server.stop(), 0)

    def test_a_pipe_that_nobody_reads_holds_nothing_up(self):
        reads, writes = os.pipe()
        self.addCleanup(os.close, reads)
        fcntl.fcntl(writes, fcntl.F_SETPIPE_SZ, 4096)
        server = self.start_unheard(lambda: os.dup2(writes, 2))
        os.close(writes)
        self.check_events(server)

    def test_a_disk_that_is_full_holds_nothing_up(self):
        self.check_events(self.start_unheard(lambda: os.dup2(os.open("/dev/full", os.O_WRONLY), 2)))

    def test_a_closed_stream_is_not_taken_for_a_file_that_is_opened_later(self):
        server = self.start_unheard(lambda: os.closerange(0, 3))
        files = [os.readlink(f"/proc/{server.process.pid}/fd/{fd}") for fd in range(3)]
        self.assertEqual(files, ["/dev/null"] * 3)
        self.check_events(server)


if __name__ == "__main__":
    unittest.main(verbosity=2)
