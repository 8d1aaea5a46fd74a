# SPDX-License-Identifier: Apache-2.0
"""Thousands of connections that do nothing, and heads that drip: a sender that behaves does not notice.

What it would take without them is measured in the same run, before and after. `WEIR_FLOOD` says how many connections; a
process has to be allowed that many descriptors, so there may be fewer where it is not.
"""
import contextlib
import os
import resource
import selectors
import socket
import tempfile
import time
import unittest

from certificates import Authority
from harness import DEADLINE, SANITIZED, TestCase, channel, event_headers

SPARE = 200  # descriptors for everything else
REQUESTS, ROUNDS = 1500, 5
EVENT = "".join(f"{name}: {value}\r\n" for name, value in event_headers("1").items())
REQUEST = f"POST /shop/orders HTTP/1.1\r\nHost: h\r\n{EVENT}content-length: 0\r\n\r\n".encode()


def flood_size():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    wanted = int(os.environ.get("WEIR_FLOOD", 1000 if SANITIZED else 10000))
    # Weir keeps a quarter of its own for deliveries.
    return wanted if hard == resource.RLIM_INFINITY else min(wanted, int(hard * 0.75) - SPARE)


class Floods(TestCase):
    def serve(self, **tls):
        return self.weir(
            channel(),
            config={"dispatcher": {"limits": {"maxConnections": 100000, "maxConnectionsPerPeer": 100000, "headerTimeout": "PT1H",
                                              "idleTimeout": "PT1H",
                                              "maxKeepaliveRequests": 1000000}, "tls": tls}},
            kind="InMemoryChannel",
        )

    def p99_us(self, connection, keep=None):
        times = []
        for number in range(REQUESTS):
            if keep and number % 500 == 0:
                keep()
            began = time.perf_counter()
            connection.sendall(REQUEST)
            answer = connection.recv(4096)
            times.append(time.perf_counter() - began)
            self.assertTrue(answer.startswith(b"HTTP/1.1 202 "), answer)
            if b"connection: close" in answer.lower():
                self.fail("the connection was to be kept")
        return sorted(times)[int(len(times) * 0.99)] * 1e6

    def sender(self, server):
        connection = socket.create_connection(("127.0.0.1", server.port), DEADLINE)
        self.addCleanup(connection.close)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def compare(self, what, server, flood):
        """`flood(stack)` begins one on a stack and returns what keeps it going, called now and then while requests are measured."""
        ratios = []
        for _ in range(ROUNDS):
            quiet = self.p99_us(self.sender(server))
            with contextlib.ExitStack() as stack:
                keep = flood(stack)
                flooded = self.p99_us(self.sender(server), keep)
            self.wait_left(server)
            quiet = max(quiet, self.p99_us(self.sender(server)))
            ratios.append(flooded / quiet)
            if min(ratios) < 2:
                break
        print(f"{what}: p99 x {', '.join(f'{ratio:.2f}' for ratio in ratios)} of {quiet:.0f} us")
        if not SANITIZED:
            self.assertLess(min(ratios), 2)

    def wait_left(self, server):
        server.wait_admin("/status", lambda answer: answer.json()["http"]["connections"] <= 10)

    def connect(self, stack, port, count, first=b""):
        connections = []
        for _ in range(count):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", port), DEADLINE))
            if first:
                connection.sendall(first)
            connections.append(connection)
        return connections

    def test_ten_thousand_idle_connections(self):
        size, server = flood_size(), self.serve()

        def flood(stack):
            self.connect(stack, server.port, size)
            server.wait_admin("/status", lambda answer: answer.json()["http"]["connections"] >= size)
            return lambda: None

        self.compare(f"{size} idle connections", server, flood)
        self.assertEqual(server.get("/status").json()["http"]["refused"], 0)

    def test_thousands_of_heads_that_drip(self):
        size, server = flood_size() // 5, self.serve()

        def flood(stack):
            connections = self.connect(stack, server.port, size, b"POST /shop/orders HTTP/1.1\r\nHost: h\r\n")

            def drip():
                for connection in connections:
                    connection.sendall(b"x: y\r\n")

            return drip

        self.compare(f"{size} heads that drip", server, flood)

    def test_handshakes_that_do_not_go_on(self):
        folder = self.enterContext(tempfile.TemporaryDirectory(prefix="weir-flood-"))
        certificate, key = Authority(folder).sign("server")
        size, server = flood_size() // 5, self.serve(listen="127.0.0.1:0", certificateFile=certificate, keyFile=key)

        def flood(stack):
            self.connect(stack, server.tls_port, size, b"\x16\x03\x01\x01\x00\x01\x00")
            return lambda: None

        self.compare(f"{size} handshakes that do not go on", server, flood)

    def test_bodies_that_drip_are_ended_by_the_clock(self):
        size = min(flood_size(), 500)
        server = self.weir(channel(), config={"dispatcher": {"limits": {"requestTimeout": "PT1S"}}}, kind="InMemoryChannel")
        head = f"POST /shop/orders HTTP/1.1\r\nHost: h\r\n{EVENT}content-length: 1000000\r\n\r\n".encode()
        with contextlib.ExitStack() as stack, selectors.DefaultSelector() as selector:
            for connection in self.connect(stack, server.port, size, head):
                selector.register(connection, selectors.EVENT_READ)
            deadline, over = time.monotonic() + DEADLINE, 0
            while over < size and time.monotonic() < deadline:
                for key, _ in selector.select(0.05):
                    self.assertTrue(key.fileobj.recv(4096).startswith(b"HTTP/1.1 408 "))
                    selector.unregister(key.fileobj)
                    over += 1
                for key in list(selector.get_map().values()):
                    with contextlib.suppress(OSError):
                        key.fileobj.sendall(b"x")
            self.assertEqual(over, size)
        server.wait_admin("/status", lambda answer: answer.json()["http"]["timeouts"] == size)


if __name__ == "__main__":
    unittest.main()
