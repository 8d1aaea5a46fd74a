# SPDX-License-Identifier: Apache-2.0
"""weir quarantine ls, show, replay, drop: while the dispatcher runs, and in its folder when it does not."""
import json
import os
import subprocess
import threading
import unittest

from harness import DEADLINE, WEIR, TestCase, channel, event_headers, subscription

FAILED, USAGE, UNAVAILABLE = 1, 64, 69


class Quarantine(TestCase):
    def setUp(self):
        self.open = threading.Event()  # the subscriber takes events
        self.to = self.sink(lambda request, before: 204 if self.open.is_set() else 400)
        self.other = self.sink()

    def start(self, **more):
        return self.weir(channel(subscription(self.to), subscription(self.other, "other")), **more)

    def quarantine(self, server, *words, code=0, admin=True):
        where = ["--admin", f"http://127.0.0.1:{server.admin_port}"] if admin else ["-c", "weir.json"]
        done = subprocess.run([WEIR, "quarantine", *words, *where], cwd=server.folder, capture_output=True, text=True,
                              timeout=DEADLINE, check=False)
        self.assertEqual(done.returncode, code, done.stderr)
        self.said = done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()] if "pretty" not in words else done.stdout

    def fill(self, server, count):
        for number in range(count):
            server.send("/shop/orders", str(number), b"payload")
        server.wait_quarantine(count)

    def test_what_is_there_is_listed_and_shown(self):
        server = self.start(kind="InMemoryChannel")
        self.assertEqual(self.quarantine(server, "ls"), [])
        self.fill(server, 3)
        lines = self.quarantine(server, "ls")
        self.assertEqual([line["id"] for line in lines], ["0", "1", "2"])
        self.assertEqual({(line["namespace"], line["channel"], line["subscription"], line["reason"]) for line in lines},
                         {("shop", "orders", "billing", "status 400")})
        self.assertEqual(self.quarantine(server, "show", lines[1]["name"])[0]["event"]["id"], "1")
        self.assertEqual(len(self.quarantine(server, "ls", "-n", "2")), 2)
        self.assertEqual(self.quarantine(server, "ls", "--subscription", "other"), [])
        self.assertIn("shop/orders  billing", self.quarantine(server, "ls", "-o", "pretty"))

    def test_a_replayed_event_comes_to_its_subscription_once_more_and_to_no_other(self):
        server = self.start(kind="EmbeddedChannel")
        self.fill(server, 2)
        self.open.set()
        name = self.quarantine(server, "ls")[0]["name"]
        self.quarantine(server, "replay", name)
        request = self.to.wait(3)[2]
        self.assertEqual((request.id, request.body), ("0", b"payload"))
        self.assertNotIn("ce-weirfor", request.headers)
        self.wait_delivered(server, delivered=1, quarantined=2)
        self.assertEqual(len(server.quarantine()), 1)
        server.wait_admin("/status", lambda answer: answer.json()["channels"][0]["subscriptions"][1]["filtered"] == 1)
        self.assertEqual(sorted(self.other.ids()), ["0", "1"])

    def test_what_fails_again_is_quarantined_again_and_nothing_is_lost(self):
        server = self.start(kind="InMemoryChannel")
        self.fill(server, 1)
        first = self.quarantine(server, "ls")[0]["name"]
        self.quarantine(server, "replay", first)
        self.wait_delivered(server, quarantined=2)
        lines = self.quarantine(server, "ls")
        self.assertEqual([line["id"] for line in lines], ["0"])
        self.assertNotEqual(lines[0]["name"], first)

    def test_all_ends_although_everything_fails_again(self):
        server = self.start(kind="InMemoryChannel")
        self.fill(server, 5)
        self.quarantine(server, "replay", "--all")
        self.wait_delivered(server, quarantined=10)
        self.assertEqual(len(self.to.ids()), 10)

    def test_all_of_many_are_replayed(self):
        server = self.start(kind="InMemoryChannel")
        self.fill(server, 250)  # more than a page
        self.open.set()
        self.quarantine(server, "replay", "--all", "--channel", "orders")
        self.to.wait(500)
        self.wait_delivered(server, delivered=250)
        self.assertEqual(server.quarantine(), [])

    def test_what_is_dropped_is_gone(self):
        server = self.start(kind="InMemoryChannel")
        self.fill(server, 3)
        names = [line["name"] for line in self.quarantine(server, "ls")]
        self.quarantine(server, "drop", names[0])
        self.assertEqual([line["name"] for line in self.quarantine(server, "ls")], names[1:])
        self.quarantine(server, "drop", names[0], code=FAILED)
        self.quarantine(server, "drop", "--all")
        self.assertEqual(server.quarantine(), [])

    def test_without_a_dispatcher_the_folder_is_looked_into_and_nothing_can_be_replayed(self):
        server = self.start(kind="InMemoryChannel")
        self.fill(server, 2)
        server.stop()
        lines = self.quarantine(server, "ls", admin=False)
        self.assertEqual([line["id"] for line in lines], ["0", "1"])
        self.assertEqual(self.quarantine(server, "show", lines[0]["name"], admin=False)[0]["event"]["id"], "0")
        self.quarantine(server, "replay", "--all", code=UNAVAILABLE, admin=False)
        self.quarantine(server, "drop", lines[0]["name"], admin=False)
        self.assertEqual([note["event"]["id"] for note in server.quarantine()], ["1"])

    def test_wrong_usage_is_told(self):
        server = self.start(kind="InMemoryChannel")
        for words in (["list"], ["show"], ["drop"], ["replay", "a.json", "--all"], ["ls", "--all"], ["ls", "x"],
                      ["ls", "--channel", "a&b=c"]):
            self.quarantine(server, *words, code=USAGE)
        self.quarantine(server, "drop", "../../weir.json", code=FAILED)
        self.assertTrue(os.path.exists(os.path.join(server.folder, "weir.json")))

    def test_the_admin_port_answers_what_it_cannot_do(self):
        server = self.start(kind="InMemoryChannel")
        for path, status in {"/quarantine/100-aa-000001.json": 404, "/quarantine/x": 400, "/quarantine?limit=0": 400,
                             "/quarantine/..%2f..%2fetc%2fpasswd": 400}.items():
            self.assertEqual(server.get(path).status, status, path)


if __name__ == "__main__":
    unittest.main(verbosity=2)
