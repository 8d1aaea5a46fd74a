#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""scripts/soak: its judge with ledgers made by hand, and a short one of it with kills."""
import os
import pathlib
import subprocess
import sys
import unittest

SOURCE = pathlib.Path(os.environ.get("WEIR_TEST_SOURCE", pathlib.Path(__file__).resolve().parents[3]))
sys.path.insert(0, str(SOURCE / "scripts"))
from ledger import Ledger, body_of  # noqa: E402


class Judge(unittest.TestCase):
    def setUp(self):
        self.ledger = Ledger()

    def post(self, id, key, number, status=202):
        self.ledger.posted(id, key, number)
        if status:
            self.ledger.answered(id, status)

    def deliver(self, id, body=None):
        self.ledger.delivered("s", id, body or body_of(id, 100))

    def verdict(self, budget=0):
        return " ".join(self.ledger.judge(["s"], budget))

    def test_what_was_accepted_and_came_is_good(self):
        self.post("a", 1, 1)
        self.deliver("a")
        self.assertEqual(self.verdict(), "")

    def test_what_was_accepted_and_never_came_is_lost(self):
        self.post("a", 1, 1)
        self.assertIn("I1: 1 accepted events never reached s", self.verdict())

    def test_what_has_no_answer_may_come_or_not(self):
        self.post("a", 1, 1, None)
        self.post("b", 1, 2, 503)
        self.deliver("b")
        self.assertEqual(self.verdict(), "")

    def test_what_was_refused_must_not_come(self):
        self.post("a", 1, 1, 400)
        self.deliver("a")
        self.assertIn("I2", self.verdict())

    def test_what_nobody_sent_must_not_come(self):
        self.deliver("ghost")
        self.assertIn("nobody sent", self.verdict())

    def test_damage_is_seen(self):
        self.post("a", 1, 1)
        self.deliver("a", b"something else")
        self.assertIn("damaged", self.verdict())

    def test_duplicates_beyond_the_budget_are_too_many(self):
        self.post("a", 1, 1)
        self.deliver("a")
        self.deliver("a")
        self.assertIn("I3: 1 duplicates", self.verdict())
        self.assertEqual(self.verdict(budget=1), "")

    def test_order_within_a_key_is_that_of_first_success(self):
        for number, id in enumerate(("a", "b"), 1):
            self.post(id, 1, number)
        self.deliver("b")
        self.deliver("a")
        self.assertIn("I4", self.verdict())

    def test_keys_may_overtake_each_other_and_replays_may_come_late(self):
        self.post("a", 1, 1)
        self.post("b", 2, 1)
        self.post("c", 1, 2)
        for id in ("b", "a", "c", "a"):
            self.deliver(id)
        self.assertEqual(self.verdict(budget=1), "")


class Soak(unittest.TestCase):
    def test_a_short_one_with_kills_passes(self):
        done = subprocess.run([sys.executable, "-B", str(SOURCE / "scripts" / "soak"), "--seconds", "12", "--rate", "150",
                               "--fault-every", "3"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=170, check=False)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertRegex(done.stdout, r"(?m)^verdict: passed$")
        self.assertRegex(done.stdout, r"faults \{'")


if __name__ == "__main__":
    unittest.main(verbosity=2)
