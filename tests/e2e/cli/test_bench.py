#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""weir bench against a Weir that runs: what it counts is what happened."""
import csv
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
from harness import TestCase, Weir, channel, closed_port, subscription  # noqa: E402
from weirtest import FAILED, OK, UNAVAILABLE, USAGE, WEIR, clean_environment  # noqa: E402


def bench(*words, code=OK):
    done = subprocess.run([WEIR, "bench", *map(str, words)], capture_output=True, text=True, timeout=60,
                          env=clean_environment(), check=False)
    if done.returncode != code:
        raise AssertionError(f"exit code {done.returncode}, not {code}\n{done.stdout}\n{done.stderr}")
    return done


def figures(*words, code=OK):
    return json.loads(bench(*words, "-o", "json", code=code).stdout)


class Bench(TestCase):
    def serve(self, *ports, **more):
        subscriptions = [subscription(f"http://127.0.0.1:{port}/", name=f"s{port}".replace("/", "-"), retry=100, order="unordered")
                         for port in ports]
        weir = self.weir(channel(*subscriptions), kind="InMemoryChannel", **more)
        return weir, ("shop/orders", "--url", f"http://127.0.0.1:{weir.port}", "--warmup", "1ms")

    def test_publish_counts_what_was_answered_202(self):
        weir, words = self.serve()
        found = figures("publish", *words, "--events", 500, "--connections", 8)
        self.assertEqual((found["sent"], found["accepted"], found["statuses"]), (500, 500, {"202": 500}))
        self.assertIn('weir_ingress_events_accepted_total{namespace="shop",channel="orders"} 500', weir.get("/metrics").body.decode())
        self.assertGreater(found["answered_us"]["p50"], 0)

    def test_latency_follows_each_event_to_the_sink(self):
        port = closed_port()
        _, words = self.serve(port)
        found = figures("latency", *words, "--listen", f"127.0.0.1:{port}", "--events", 300, "--rate", 1000)
        self.assertEqual((found["received"], found["missing"], found["repeated"]), (300, 0, 0))
        self.assertGreaterEqual(found["received_us"]["max"], found["received_us"]["p50"])

    def test_an_event_comes_once_for_each_subscription(self):
        port = closed_port()
        _, words = self.serve(port, f"{port}/second")
        words = ("latency", *words, "--listen", f"127.0.0.1:{port}", "--events", 100)
        self.assertEqual(figures(*words, "--copies", 2)["received"], 200)
        # It ends when none is missing: the last repetitions may still be under way then.
        self.assertIn(figures(*words, "--copies", 1)["repeated"], range(1, 101))

    def test_what_does_not_arrive_is_missing_and_a_failure(self):
        _, words = self.serve()
        done = bench("latency", *words, "--listen", f"127.0.0.1:{closed_port()}", "--events", 5, "--settle", "50ms",
                     code=FAILED)
        self.assertIn("missing 5", done.stdout)
        self.assertIn("does a subscription", done.stderr)

    def test_refused_events_are_a_failure_with_their_status(self):
        _, words = self.serve()
        found = figures("publish", "shop/nothing", *words[1:], "--events", 3, code=UNAVAILABLE)
        self.assertEqual((found["accepted"], found["statuses"]), (0, {"404": 3}))

    def test_nobody_there_is_unavailable(self):
        url = f"http://127.0.0.1:{closed_port()}"
        done = bench("publish", "shop/orders", "--url", url, "--events", 2, code=UNAVAILABLE)
        self.assertIn("refused", done.stderr)

    def test_a_rate_is_kept(self):
        _, words = self.serve()
        found = figures("publish", *words, "--rate", 500, "--events", 500)
        self.assertLess(found["accepted_per_second"], 520)

    def test_csv_has_a_row_for_each_second_that_adds_up(self):
        _, words = self.serve()
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "seconds.csv")
            bench("publish", *words, "--rate", 400, "--events", 600, "--csv", path)
            with path.open(encoding="utf-8") as file:
                rows = list(csv.DictReader(file))
        self.assertEqual(len(rows), 2)
        self.assertEqual(sum(int(row["accepted"]) for row in rows), 600)

    def test_a_file_that_cannot_be_written_is_named(self):
        _, words = self.serve()
        self.assertIn("/dev/full: No space", bench("publish", *words, "--events", 1, "--csv", "/dev/full",
                                                   code=FAILED).stderr)

    def test_deliver_counts_what_others_publish(self):
        port = closed_port()
        weir, _ = self.serve(port)
        listening = subprocess.Popen([WEIR, "bench", "deliver", "--listen", f"127.0.0.1:{port}", "-n", "5",
                                      "--duration", "30s", "-o", "json"], stdout=subprocess.PIPE, text=True)
        self.addCleanup(listening.wait)
        for number in range(5):
            weir.send("/shop/orders", f"e-{number}")
        self.assertEqual(json.loads(listening.communicate(timeout=60)[0])["received"], 5)
        self.assertEqual(listening.returncode, OK)

    def test_sigint_ends_it_with_what_it_has(self):
        _, words = self.serve()
        running = subprocess.Popen([WEIR, "bench", "publish", *words, "--duration", "60s", "-o", "json"],
                                   stdout=subprocess.PIPE, text=True)
        self.addCleanup(running.wait)
        while self.accepted_by(words) < 10:
            self.assertIsNone(running.poll())
        running.send_signal(signal.SIGINT)
        found = json.loads(running.communicate(timeout=60)[0])
        self.assertTrue(found["interrupted"])
        self.assertGreaterEqual(found["accepted"], 10)

    def accepted_by(self, words):
        return figures("publish", *words, "--events", 10)["accepted"]

    def test_an_address_in_use_is_named(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            done = bench("deliver", "--listen", address, "--duration", "1s", code=UNAVAILABLE)
        self.assertIn(address, done.stderr)

    def test_wrong_usage_is_told(self):
        for words in (("neither",), ("publish",), ("latency", "a/b"), ("deliver", "a/b", "--listen", ":0"),
                      ("publish", "a/b", "--connections", "10001"), ("latency", "a/b", "--listen", ":0", "--copies", "64")):
            with self.subTest(words=words):
                self.assertIn("weir bench", bench(*words, code=USAGE).stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
