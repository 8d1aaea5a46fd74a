# SPDX-License-Identifier: Apache-2.0
"""`weir serve` on three Kafka brokers that die and come back, and three of it that join, leave and are killed.

Starts `scripts/brokers/kafka start cluster` itself.
  WEIR_BROKER_KILLS=30     kill brokers that many times (default 2)
  WEIR_MEMBER_KILLS=30     end a member that many times (default 4)
"""
import os
import random
import subprocess
import sys
import threading
import time
import unittest
import uuid

SOURCE = os.environ.get("WEIR_TEST_SOURCE", os.path.join(os.path.dirname(__file__), "..", ".."))
sys.path.insert(0, os.path.join(SOURCE, "tests", "e2e"))
from harness import DEADLINE, TestCase, channel, subscription, wait_for  # noqa: E402
from test_kill import KEYS, SENDERS, Sender  # noqa: E402

BROKERS = "127.0.0.1:9292,127.0.0.1:9293,127.0.0.1:9294"
BROKER_KILLS = int(os.environ.get("WEIR_BROKER_KILLS") or 2)
MEMBER_KILLS = int(os.environ.get("WEIR_MEMBER_KILLS") or 4)
WINDOW = 16
RECOVERY = 15


def brokers(*arguments):
    done = subprocess.run([os.path.join(SOURCE, "scripts", "brokers", "kafka"), *arguments], check=True, timeout=180,
                          capture_output=True, text=True)
    return done.stdout


class Watch(threading.Thread):
    """Asks the brokers, as an independent client, what a group has committed; it must never go back."""

    def __init__(self, group):
        super().__init__(daemon=True)
        self.group = group
        self.seen, self.back, self.looks = {}, [], 0
        self.stopped = threading.Event()

    def run(self):
        while not self.stopped.is_set():
            self.look()
            self.stopped.wait(0.5)

    def look(self):
        try:
            text = brokers("tool", "consumer.group.ConsumerGroupCommand", "--bootstrap-server", BROKERS, "--group", self.group,
                           "--describe", "--offsets", "--timeout", "4000")
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            return  # no coordinator for the moment
        self.looks += 1
        for line in text.splitlines():
            words = line.split()
            if len(words) > 3 and words[0] == self.group and words[3].isdigit():
                partition, offset = words[2], int(words[3])
                if offset < self.seen.get(partition, 0):
                    self.back.append(f"partition {partition}: {self.seen[partition]} and then {offset}")
                self.seen[partition] = offset


class Cluster(TestCase):
    @classmethod
    def setUpClass(cls):
        brokers("wipe", "cluster")
        brokers("start", "cluster")

    @classmethod
    def tearDownClass(cls):
        brokers("stop", "cluster")

    def setUp(self):
        self.word = f"weir-e2e-{uuid.uuid4().hex[:12]}"
        self.group = f"{self.word}.shop.orders.billing"

    def serve(self, to):
        config = {"kafka": {
            "brokers": BROKERS,
            "replicationFactor": 3,
            "partitions": 6,
            "topicPattern": self.word + ".{namespace}.{name}",
            "groupPattern": self.word + ".{namespace}.{name}.{uid}",
            "properties": {"session.timeout.ms": "3000", "heartbeat.interval.ms": "300"},
        }}
        return self.weir(channel(subscription(to, retry=1000, maxInFlight=WINDOW, uid="billing")), config=config,
                         kind="KafkaChannel")

    def watch(self):
        watch = Watch(self.group)
        watch.start()
        self.addCleanup(watch.join, DEADLINE)
        self.addCleanup(watch.stopped.set)
        return watch

    def send(self, address):
        senders = [Sender(number, address) for number in range(SENDERS)]
        for sender in senders:
            sender.start()
            self.addCleanup(sender.stopped.set)
        return senders

    def accepted(self, senders):
        return sum(len(sender.accepted) for sender in senders)

    def arrives(self, to, count, within):
        """Until so many events more have come; how long that took."""
        began = time.monotonic()
        with to.changed:
            goal = len(to.times) + count
        while time.monotonic() < began + within:
            with to.changed:
                if len(to.times) >= goal:
                    return time.monotonic() - began
            time.sleep(0.02)
        self.fail(f"{count} events more did not come within {within} s")

    def finish(self, to, senders, watch, ends, what):
        for sender in senders:
            sender.stopped.set()
        for sender in senders:
            sender.join(DEADLINE)
        accepted = {id for sender in senders for id in sender.accepted}
        to.wait_ids(accepted)
        watch.look()
        self.assertEqual(watch.back, [])
        self.assertGreater(watch.looks, 0)
        self.check_order(to, accepted)
        twice = sum(count - 1 for count in to.times.values())
        print(f"{what}: {len(accepted)} answered 202, {len(accepted - set(to.times))} missing, {twice} arrived again, "
              f"{sum(sender.refused for sender in senders)} refused, {watch.looks} looks at what is committed",
              file=sys.stderr)
        # Of each end: what was out, and what was settled since the last commit, a second before at most.
        with to.changed:
            seconds = to.requests[-1].when - to.requests[0].when
        rate = len(to.times) / max(seconds, 1)
        self.assertLessEqual(twice, ends * (WINDOW * 3 + 2 * rate))

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

    def test_brokers_that_die_and_come_back_lose_nothing(self):
        to = self.sink()
        server = self.serve(to)
        watch, senders = self.watch(), self.send(lambda: server.port)
        slowest = 0
        for number in range(BROKER_KILLS):
            self.arrives(to, 50, RECOVERY)
            node = f"c{number % 3 + 1}"
            brokers("signal", node, "KILL")
            slowest = max(slowest, self.arrives(to, 50, RECOVERY))
            brokers("node", node)
        print(f"slowest recovery {slowest:.1f} s", file=sys.stderr)
        self.arrives(to, 50, RECOVERY)
        self.finish(to, senders, watch, BROKER_KILLS, f"{BROKER_KILLS} kills of a broker of three")

    def test_members_that_join_and_leave_and_are_killed_lose_nothing(self):
        to = self.sink()
        first = self.serve(to)
        watch, senders = self.watch(), self.send(lambda: first.port)
        others = []
        for number in range(MEMBER_KILLS):
            while len(others) < 2:
                others.append(self.serve(to))
            self.arrives(to, 100, RECOVERY)
            other = others.pop(random.randrange(2))
            if number % 2:
                self.assertEqual(other.stop(), 0)
            else:
                other.kill()
            self.arrives(to, 100, RECOVERY)
        self.finish(to, senders, watch, 2 * MEMBER_KILLS, f"{MEMBER_KILLS} ends of one of three members")


if __name__ == "__main__":
    unittest.main(verbosity=2)
