# SPDX-License-Identifier: Apache-2.0
"""Bad requests against the real program over real sockets: what each is answered, that it makes no event of any but those
answered 202, and that how the bytes are cut into segments changes nothing."""
import contextlib
import json
import socket
import time
import unittest

import bad_input_rows as rows
from harness import DEADLINE, TestCase, channel, subscription


class Reader:
    """Reads answers off a socket."""

    def __init__(self, connection):
        self.connection = connection
        self.bytes = b""

    def more(self):
        try:
            got = self.connection.recv(65536)
        except ConnectionResetError:
            got = b""
        self.bytes += got
        return bool(got)

    def answer(self):
        """(status, headers, body) of the next answer that is not 100; None if the connection ended instead."""
        while True:
            while b"\r\n\r\n" not in self.bytes:
                if not self.more():
                    return None
            head, self.bytes = self.bytes.split(b"\r\n\r\n", 1)
            lines = head.decode("latin-1").split("\r\n")
            status = int(lines[0].split(" ")[1])
            headers = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in lines[1:])}
            if status == 100:
                continue
            length = int(headers.get("content-length", 0))
            while len(self.bytes) < length and self.more():
                pass
            body, self.bytes = self.bytes[:length], self.bytes[length:]
            return status, headers, body

    def ended(self):
        """True if nothing more comes but the end."""
        return not self.bytes and not self.more()


def is_closed(answer):
    return answer is None or answer[0] == 400


class Case(TestCase):
    def connect(self, server):
        connection = socket.create_connection(("127.0.0.1", server.port), DEADLINE)
        self.addCleanup(connection.close)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def ask(self, server, request):
        """Sends bytes and nothing after them; returns the answer and whether the connection ended behind it."""
        with contextlib.closing(self.connect(server)) as connection:
            # What is refused early is not read to its end: the rest cannot be sent then.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(request)
                connection.shutdown(socket.SHUT_WR)
            reader = Reader(connection)
            answer = reader.answer()
            return answer, answer is None or reader.ended()

    def check_status(self, answer, status):
        if status == rows.CLOSED:
            self.assertTrue(is_closed(answer), answer)
        else:
            self.assertIsNotNone(answer, "closed without an answer")
            self.assertEqual(answer[0], status, answer)


class Rows(Case):
    def test_each_row_gets_its_status_and_only_202_makes_an_event(self):
        to = self.sink()
        server = self.weir(channel(subscription(to, order="ordered")), kind="InMemoryChannel")
        accepted = 0
        for number, name, request, status in rows.ROWS:
            with self.subTest(row=number, name=name):
                answer, ended = self.ask(server, request)
                accepted += bool(answer) and answer[0] == 202
                self.check_status(answer, status)
                self.assertTrue(ended, "not closed after the end of the input")
                if answer and answer[0] >= 400:
                    self.assertEqual(set(json.loads(answer[2])), {"code", "reason"})
        server.send("/shop/orders", "last")
        to.wait_ids({"last"})
        self.assertEqual(len(to.ids()), accepted + 1)
        self.assertEqual(set(to.ids()), {"1", "last"})  # no trailer, header or second id became one

    def test_after_a_framing_error_nothing_more_is_read(self):
        """What follows may be somebody's body that was smuggled in: it must not be taken for a request."""
        to = self.sink()
        server = self.weir(channel(subscription(to)), kind="InMemoryChannel")
        smuggled = rows.with_headers().replace(b"ce-id: 1", b"ce-id: smuggled")
        refused = [row for row in rows.FRAMING if row[3] in (400, 413, 414, 417, 431, 505)]
        for number, name, request, status in refused:
            with self.subTest(row=number, name=name):
                answer, ended = self.ask(server, request + smuggled)
                self.check_status(answer, status)
                self.assertEqual(answer[1].get("connection"), "close")
                self.assertTrue(ended)
        server.send("/shop/orders", "last")
        to.wait_ids({"last"})
        self.assertEqual(to.ids(), ["last"])

    def test_a_bad_request_behind_a_good_one_is_answered_after_it(self):
        server = self.weir(channel(), kind="InMemoryChannel")
        with contextlib.closing(self.connect(server)) as connection:
            connection.sendall(rows.with_headers() + b"POST /shop/orders HTTP/1.1\r\nHost : h\r\n\r\n")
            reader = Reader(connection)
            self.assertEqual([reader.answer()[0], reader.answer()[0]], [202, 400])
            self.assertTrue(reader.ended())

    def test_events_that_are_taken_mean_what_they_say(self):
        to = self.sink()
        server = self.weir(channel(subscription(to)), kind="InMemoryChannel")
        cases = [
            (b'ce-subject: "a b"', "ce-subject", "a%20b"),
            (b'ce-subject: "a\\"b"', "ce-subject", "a%22b"),
            (b"ce-subject: %41", "ce-subject", "A"),
            (b"ce-time: 2016-12-31T23:59:60Z", "ce-time", "2016-12-31T23:59:60Z"),
        ]
        for line, name, value in cases:
            with self.subTest(line=line):
                self.assertEqual(self.ask(server, rows.event(line))[0][0], 202)
                self.assertEqual(to.wait(len(to.requests) or 1)[-1].headers.get(name), value)
                to.requests.clear()


class Segments(Case):
    LONGEST = 700  # of a request that is cut at each byte

    def setUp(self):
        self.server = self.weir(
            channel(), kind="InMemoryChannel",
            config={"dispatcher": {"limits": {"maxConnectionsPerPeer": 4096}}, "memory": {"maxRecords": 1000000}},
        )  # fmt: skip

    def check_all(self, connections, row):
        for at, connection in connections:
            with contextlib.closing(connection):
                answer = Reader(connection).answer()
                with self.subTest(row=row[0], name=row[1], cut=at):
                    self.check_status(answer, row[3])

    def cut_everywhere(self, row):
        """One connection for each place to cut at: all first parts are sent before any second one."""
        request = row[2]
        connections = [(at, self.connect(self.server)) for at in range(1, len(request))]
        for at, connection in connections:
            connection.sendall(request[:at])
        for at, connection in connections:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(request[at:])
                connection.shutdown(socket.SHUT_WR)
        self.check_all(connections, row)

    def test_a_request_that_is_cut_in_two_means_the_same(self):
        taken = [row for row in rows.ROWS if row[3] in (200, 202) and len(row[2]) < self.LONGEST]
        self.assertGreater(len(taken), 30)
        for row in taken:
            self.cut_everywhere(row)

    def test_a_bad_request_that_is_cut_in_two_is_as_bad(self):
        for row in rows.FRAMING:
            if row[3] not in (200, 202) and len(row[2]) < self.LONGEST:
                self.cut_everywhere(row)

    def test_a_request_of_single_bytes_means_the_same(self):
        some = [row for row in rows.ROWS if len(row[2]) < self.LONGEST]
        connections = [self.connect(self.server) for _ in some]
        for at in range(self.LONGEST):
            for row, connection in zip(some, connections):
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    connection.sendall(row[2][at:at + 1])
                    if at == len(row[2]):
                        connection.shutdown(socket.SHUT_WR)
        for row, connection in zip(some, connections):
            self.check_all([("each byte", connection)], row)


class Slow(Case):
    def setUp(self):
        limits = {"headerTimeout": "PT0.3S", "bodyIdleTimeout": "PT0.3S", "idleTimeout": "PT0.3S"}
        self.server = self.weir(channel(), kind="InMemoryChannel", config={"dispatcher": {"limits": limits}})

    def test_a_head_that_does_not_end_is_408(self):
        with contextlib.closing(self.connect(self.server)) as connection:
            connection.sendall(rows.HEAD)
            reader = Reader(connection)
            self.assertEqual(reader.answer()[0], 408)
            self.assertTrue(reader.ended())

    def test_a_head_that_drips_is_408(self):
        connection = self.connect(self.server)
        connection.settimeout(0.05)
        connection.sendall(rows.HEAD)
        reader = Reader(connection)
        deadline = time.monotonic() + DEADLINE
        while b"\r\n\r\n" not in reader.bytes and time.monotonic() < deadline:
            connection.sendall(b"X: 1\r\n")
            with contextlib.suppress(TimeoutError):
                reader.more()
        self.assertTrue(reader.bytes.startswith(b"HTTP/1.1 408 "), reader.bytes)

    def test_a_body_that_pauses_is_408(self):
        with contextlib.closing(self.connect(self.server)) as connection:
            connection.sendall(rows.with_headers(b"Content-Length: 9", body=b"x"))
            reader = Reader(connection)
            self.assertEqual(reader.answer()[0], 408)
            self.assertTrue(reader.ended())

    def test_an_idle_connection_is_closed_without_a_word(self):
        with contextlib.closing(self.connect(self.server)) as connection:
            self.assertTrue(Reader(connection).ended())


if __name__ == "__main__":
    unittest.main(verbosity=2)
