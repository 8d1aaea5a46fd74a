# SPDX-License-Identifier: Apache-2.0
"""A subscriber below HTTP: answers with any bytes, or with none, in any rhythm."""
import collections
import contextlib
import socket
import struct
import threading

from harness import wait_for

OK = b"HTTP/1.1 204 No Content\r\n\r\n"


class RawSink:
    """`script(connection, attempt)` answers a request, on a socket, for the attempt number (from 0) of that event. What it
    returns says whether the connection goes on. The event counts as taken from the attempt on that `script` sent OK for."""

    def __init__(self, script):
        self.script = script
        self.changed = threading.Condition()
        self.attempts = collections.Counter()
        self.taken = []
        self.open = set()
        self.ending = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/"

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with self.changed:
                self.open.add(connection)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with contextlib.suppress(OSError, ValueError), connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            rest = b""
            while True:
                head, rest = self.read_request(connection, rest)
                if head is None:
                    break
                id = next(line[6:].strip() for line in head.split(b"\r\n") if line.lower().startswith(b"ce-id:")).decode()
                with self.changed:
                    attempt = self.attempts[id]
                    self.attempts[id] += 1
                    self.changed.notify_all()
                answer = self.script(connection, attempt)
                if answer is OK:
                    with self.changed:
                        self.taken.append(id)
                        self.changed.notify_all()
                    connection.sendall(OK)
                elif not answer:
                    break
        with self.changed:
            self.open.discard(connection)

    @staticmethod
    def read_request(connection, rest):
        while b"\r\n\r\n" not in rest:
            more = connection.recv(65536)
            if not more:
                return None, b""
            rest += more
        head, rest = rest.split(b"\r\n\r\n", 1)
        length = next((int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
        while len(rest) < length:
            rest += connection.recv(65536)
        return head, rest[length:]

    def wait_taken(self, ids):
        wanted = set(ids)
        wait_for(f"{sorted(wanted)}, taken were {sorted(set(self.taken))}, attempts {dict(self.attempts)}",
                 lambda: wanted <= set(self.taken), self.changed)

    def close(self):
        self.ending.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        with self.changed:
            for connection in list(self.open):
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        self.thread.join()


def reset(connection):
    """Ends a connection with RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
