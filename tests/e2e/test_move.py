# SPDX-License-Identifier: Apache-2.0
"""A channel that moves from one backend to another while events flow, by a reload and by a restart."""
import collections
import contextlib
import http.client
import threading
import time
import unittest

from harness import TestCase, channel, closed_port, event_headers, subscription

MEMORY, EMBEDDED = "InMemoryChannel", "EmbeddedChannel"
KEYS = 7


class Load(threading.Thread):
    """Publishes every few milliseconds on a connection of its own, with one key."""

    def __init__(self, server, first, step):
        super().__init__()
        self.port, self.first, self.step = server.port, first, step
        self.accepted, self.stopped = [], threading.Event()

    def run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        with contextlib.closing(connection):
            self.send_on(connection)

    def send_on(self, connection):
        number = self.first
        while not self.stopped.is_set():
            try:
                connection.request("POST", "/shop/orders", b"x",
                                   event_headers(str(number), partitionkey=str(number % KEYS)))
                answer = connection.getresponse()
                answer.read()
            except OSError:
                return
            if answer.status == 202:
                self.accepted.append(number)
            number += self.step
            time.sleep(0.001)

    def finish(self):
        self.stopped.set()
        self.join()
        return self.accepted


def by_key(numbers):
    keys = collections.defaultdict(list)
    for number in numbers:
        keys[number % KEYS].append(number)
    return keys


class Move(TestCase):
    def ordered(self, sink, kind):
        return channel(subscription(sink, order="ordered", retry=1000, delay="PT0.1S"), kind=kind)

    def load(self, server):
        # One connection for each key, so that the order of publishing is known.
        loads = [Load(server, key, KEYS) for key in range(KEYS)]
        for load in loads:
            load.start()
        return loads

    def moved(self, server, kind):
        def done(answer):
            seen = answer.json()["channels"][0]
            return seen["kind"] == kind and "moves" not in seen

        server.wait_admin("/status", done)

    def move_under_load(self, before, after):
        sink = self.sink()
        server = self.weir(self.ordered(sink, before))
        loads = self.load(server)
        time.sleep(0.5)
        server.config["channels"] = [self.ordered(sink, after)]
        answer = server.reload()
        self.assertEqual(answer.status, 200, answer.body)
        self.assertEqual([change["effect"] for change in answer.json()["changes"]], ["move"])
        self.moved(server, after)
        time.sleep(0.5)
        accepted = [number for load in loads for number in load.finish()]
        sink.wait_ids([str(number) for number in accepted])
        came = [int(id) for id in sink.ids()]
        self.assertEqual(len(came), len(set(came)), "duplicates")
        self.assertEqual(by_key(came), by_key(sorted(accepted)))
        self.assertGreater(len(accepted), 300)

    def test_from_memory_to_the_disk(self):
        self.move_under_load(MEMORY, EMBEDDED)

    def test_from_the_disk_to_memory(self):
        self.move_under_load(EMBEDDED, MEMORY)

    def test_what_was_left_when_it_was_killed_is_delivered_after_the_restart(self):
        nobody = f"http://127.0.0.1:{closed_port()}/"
        server = self.weir(self.ordered(nobody, EMBEDDED))
        loads = self.load(server)
        time.sleep(0.3)
        accepted = [number for load in loads for number in load.finish()]
        server.config["channels"] = [self.ordered(nobody, MEMORY)]
        self.assertEqual(server.reload().status, 200)
        server.wait_admin("/status", lambda answer: answer.json()["channels"][0]["kind"] == MEMORY)
        moves = server.get("/status").json()["channels"][0]["moves"]
        self.assertEqual((moves[0]["stage"], moves[0]["from"], moves[0]["to"]), ("draining", EMBEDDED, MEMORY))
        self.assertEqual(moves[0]["eventsLeft"], len(accepted))
        server.kill()
        again = self.sink()
        server.config["channels"] = [self.ordered(again, MEMORY)]
        server.start()
        again.wait_ids([str(number) for number in accepted])
        self.moved(server, MEMORY)

    def test_another_kind_after_a_restart_drains_the_one_before(self):
        nobody = f"http://127.0.0.1:{closed_port()}/"
        server = self.weir(self.ordered(nobody, EMBEDDED))
        for number in range(20):
            server.send("/shop/orders", str(number))
        server.stop()
        again = self.sink()
        server.config["channels"] = [self.ordered(again, MEMORY)]
        server.start()
        server.send("/shop/orders", "20")
        again.wait(21)
        self.assertEqual(sorted(map(int, again.ids())), list(range(21)))
        self.moved(server, MEMORY)

    def test_events_in_memory_are_said_to_be(self):
        sink = self.sink()
        server = self.weir(self.ordered(sink, EMBEDDED))
        self.assertIsNone(server.send("/shop/orders", "1").headers.get("weir-durability"))
        server.config["channels"] = [self.ordered(sink, MEMORY)]
        self.assertEqual(server.reload().status, 200)
        server.wait_said(f"has moved to {MEMORY}")
        self.assertEqual(server.send("/shop/orders", "2").headers.get("weir-durability"), "memory")


if __name__ == "__main__":
    unittest.main()
