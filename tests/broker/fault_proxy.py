# SPDX-License-Identifier: Apache-2.0
"""A TCP proxy that misbehaves on demand, like the network between a client and a broker."""
import contextlib
import socket
import threading
import time


class Proxy:
    """Listens on `listen` and passes bytes to `target`.

    idle: after so many seconds without a byte a connection is dropped as a load balancer does it: nobody is told, and
    what is sent after that goes nowhere. delay: seconds that each piece takes. cut() closes what is open and refuses
    what comes, until mend(). `opened` counts connections, `dropped` those that idled.
    """

    def __init__(self, target, listen=("127.0.0.1", 0), idle=None, delay=0.0):
        self.target, self.idle, self.delay = target, idle, delay
        self.lock = threading.Lock()
        self.pairs = set()
        self.opened = self.dropped = 0
        self.broken = self.closed = False
        self.listener = socket.create_server(listen, backlog=64)
        self.address = self.listener.getsockname()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while not self.closed:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            if self.broken:
                client.close()
                continue
            try:
                server = socket.create_connection(self.target, timeout=5)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            pair = Pair(self, client, server)
            with self.lock:
                self.opened += 1
                self.pairs.add(pair)
            pair.start()

    def cut(self):
        self.broken = True
        with self.lock:
            pairs = list(self.pairs)
        for pair in pairs:
            pair.close()

    def mend(self):
        self.broken = False

    def close(self):
        self.closed = True
        self.cut()
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


class Pair:
    """One connection through the proxy."""

    def __init__(self, proxy, client, server):
        self.proxy, self.client, self.server = proxy, client, server
        self.last = time.monotonic()
        self.silent = False

    def start(self):
        for here, there in ((self.client, self.server), (self.server, self.client)):
            threading.Thread(target=self.copy, args=(here, there), daemon=True).start()

    def copy(self, here, there):
        try:
            while True:
                data = here.recv(65536)
                if not data:
                    break
                if not self.pass_on(data, there):
                    continue
        except OSError:
            pass
        self.close()

    def pass_on(self, data, there):
        idle = self.proxy.idle
        if idle and not self.silent and time.monotonic() - self.last > idle:
            self.silent = True
            with self.proxy.lock:
                self.proxy.dropped += 1
        if self.silent:
            return False
        self.last = time.monotonic()
        if self.proxy.delay:
            time.sleep(self.proxy.delay)
        there.sendall(data)
        return True

    def close(self):
        with self.proxy.lock:
            self.proxy.pairs.discard(self)
        for end in (self.client, self.server):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
