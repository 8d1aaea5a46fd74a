# SPDX-License-Identifier: Apache-2.0
"""kill -9 of `weir serve` at random moments under load: every event that was answered 202 arrives.

  test_kill.py [COUNT [SEED]]    kills COUNT times (default: WEIR_KILLS, else 30)
"""
import http.client
import os
import random
import sys
import threading
import time
import unittest

from harness import DEADLINE, TestCase, channel, event_headers, subscription

KILLS = int(os.environ.get("WEIR_KILLS") or 30)
SEED = int.from_bytes(os.urandom(4), "little")
SENDERS = 4
KEYS = 8
BODY = b"x" * 200


class Sender(threading.Thread):
    """Posts events as fast as they are answered, whatever happens to the server; remembers which got 202."""

    def __init__(self, number, address):
        super().__init__(daemon=True)
        self.number = number
        self.address = address  # called for each connection: the port changes with each start
        self.accepted = []
        self.unanswered = 0
        self.refused = 0
        self.stopped = threading.Event()

    def run(self):
        sequence = 0
        while not self.stopped.is_set():
            try:
                self.serve_connection(sequence)
            except (OSError, http.client.HTTPException):
                self.unanswered += 1
                self.stopped.wait(0.002)
            sequence += 100000

    def serve_connection(self, sequence):
        port = self.address()
        if not port:
            self.stopped.wait(0.002)
            return
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
        try:
            while not self.stopped.is_set():
                id = f"{self.number}-{sequence}"
                headers = event_headers(id, partitionkey=f"{self.number}-{sequence % KEYS}")
                connection.request("POST", "/shop/orders", BODY, headers)
                answer = connection.getresponse()
                answer.read()
                if answer.status == 202:
                    self.accepted.append(id)
                else:
                    self.refused += 1
                sequence += 1
        finally:
            connection.close()


class Ends(TestCase):
    """The process ends again and again while events come in."""

    def endure(self, times, end):
        """Calls `end(server)` and starts it again, that often, at random moments; returns subscriber and senders."""
        chance = random.Random(SEED)
        to = self.sink()
        server = self.weir(
            channel(subscription(to, retry=1000, maxInFlight=16)), config={"dispatcher": {"drainTimeout": "PT30S"}}
        )
        port = [server.port]
        senders = [Sender(number, lambda: port[0]) for number in range(SENDERS)]
        for sender in senders:
            sender.start()
        for _ in range(times):
            time.sleep(chance.random() * 0.15)  # the random moment, not waiting for anything
            end(server)
            port[0] = 0
            server.start()
            port[0] = server.port
        for sender in senders:
            sender.stopped.set()
        for sender in senders:
            sender.join(DEADLINE)
        self.assertFalse(any(sender.is_alive() for sender in senders))
        accepted = {id for sender in senders for id in sender.accepted}
        to.wait_ids(accepted)
        self.check_order(to, accepted)
        return to, senders, accepted

    def test_every_event_that_was_answered_202_arrives_whenever_it_is_killed(self):
        print(f"{KILLS} kills, seed {SEED}", file=sys.stderr)
        began = time.monotonic()
        to, senders, accepted = self.endure(KILLS, lambda server: server.kill())
        self.report(to, senders, accepted, time.monotonic() - began)

    def test_a_stop_under_load_loses_nothing_and_repeats_nothing(self):
        def stop(server):
            self.assertEqual(server.stop(), 0)

        to, senders, accepted = self.endure(min(KILLS, 10), stop)
        repeated = {id: count for id, count in to.times.items() if count > 1}
        self.assertEqual(repeated, {})
        self.assertEqual(sum(sender.refused for sender in senders), 0)

    def check_order(self, to, accepted):
        """First arrivals of each key are in the order of sending."""
        last = {}
        for id in dict.fromkeys(to.ids()):
            if id not in accepted:
                continue
            sender, sequence = map(int, id.split("-"))
            key = (sender, sequence % KEYS)
            self.assertGreater(sequence, last.get(key, -1), f"{id} came after a later event of its key")
            last[key] = sequence

    def report(self, to, senders, accepted, seconds):
        times = to.times
        twice = sum(count - 1 for count in times.values())
        print(
            f"{KILLS} kills in {seconds:.1f} s: {len(accepted)} events answered 202, {len(accepted - set(times))} missing, "
            f"{twice} arrived again, {len(set(times) - accepted)} arrived without a 202, "
            f"{sum(sender.unanswered for sender in senders)} broken connections, "
            f"{sum(sender.refused for sender in senders)} refused",
            file=sys.stderr,
        )
        self.assertGreater(len(accepted), KILLS)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        KILLS = int(sys.argv.pop(1))
    if len(sys.argv) > 1:
        SEED = int(sys.argv.pop(1))
    unittest.main(verbosity=2)
