# SPDX-License-Identifier: Apache-2.0
"""Another configuration while events flow: what changes, what does not notice, what is refused."""
import collections
import http.client
import json
import os
import random
import re
import signal
import threading
import time
import unittest

from harness import DEADLINE, SANITIZED, TestCase, channel, event_headers, subscription

RELOADS = int(os.environ.get("WEIR_RELOADS", "200" if SANITIZED else "1000"))


class ReloadTest(TestCase):
    def reloaded(self, server, effects=None):
        answer = server.reload()
        self.assertEqual(answer.status, 200, answer.body)
        if effects is not None:
            self.assertEqual([change["effect"] for change in answer.json()["changes"]], effects, answer.body)
        return answer.json()

    def refused(self, server, status, code, text=None):
        answer = server.reload(text)
        self.assertEqual((answer.status, answer.json()["code"]), (status, code), answer.body)
        return answer.json()


class Changes(ReloadTest):
    def test_a_subscription_that_is_added_gets_what_comes_from_then_on(self):
        first, second = self.sink(), self.sink()
        server = self.weir(channel(subscription(first)))
        server.send("/shop/orders", "1")
        server.config["channels"] = [channel(subscription(first), subscription(second, name="audit"))]
        self.reloaded(server, ["add"])
        server.send("/shop/orders", "2")
        second.wait(1)
        first.wait(2)
        self.assertEqual((first.ids(), second.ids()), (["1", "2"], ["2"]))

    def test_a_subscription_that_is_removed_gets_nothing_more_and_goes_on_where_it_was_when_it_is_back(self):
        first, second = self.sink(), self.sink()
        both = [channel(subscription(first), subscription(second, name="audit"))]
        server = self.weir(*both)
        server.send("/shop/orders", "1")
        second.wait(1)
        server.config["channels"] = [channel(subscription(first))]
        self.reloaded(server, ["remove"])
        server.send("/shop/orders", "2")
        first.wait(2)
        server.config["channels"] = both
        self.reloaded(server, ["add"])
        second.wait(2)
        self.assertEqual(second.ids(), ["1", "2"])

    def test_a_channel_that_is_added_takes_events(self):
        to = self.sink()
        server = self.weir(channel())
        self.assertEqual(server.post("/shop/returns", event_headers("1")).status, 404)
        server.config["channels"].append(channel(subscription(to), name="returns"))
        self.reloaded(server, ["add", "add"])
        server.send("/shop/returns", "2")
        to.wait(1)

    def test_a_channel_that_is_removed_is_unknown(self):
        server = self.weir(channel(), channel(name="returns"))
        server.send("/shop/returns", "1")
        server.config["channels"].pop()
        self.reloaded(server, ["remove"])
        self.assertEqual(server.post("/shop/returns", event_headers("2")).status, 404)
        server.send("/shop/orders", "3")

    def test_events_go_to_another_uri_from_the_next_attempt_on(self):
        first, second = self.sink(lambda *_: 503), self.sink()
        server = self.weir(channel(subscription(first, retry=1000, delay="PT0.05S")))
        server.send("/shop/orders", "1")
        first.wait(1)
        server.config["channels"] = [channel(subscription(second, retry=1000, delay="PT0.05S"))]
        self.assertIn("subscriber", self.reloaded(server, ["change"])["changes"][0]["text"])
        second.wait(1)
        self.wait_delivered(server, delivered=1, quarantined=0)

    def test_a_post_that_is_under_way_is_finished_where_it_began(self):
        going = threading.Event()
        self.addCleanup(going.set)
        first, second = self.sink(lambda *_: going.wait(DEADLINE) and 204), self.sink()
        server = self.weir(channel(subscription(first)))
        server.send("/shop/orders", "1")
        first.wait(1)
        server.config["channels"] = [channel(subscription(second))]
        self.reloaded(server)
        going.set()
        self.wait_delivered(server, delivered=1)
        self.assertEqual((first.ids(), second.ids()), (["1"], []))

    def test_a_dead_letter_sink_can_be_added_for_what_fails_already(self):
        to, dead = self.sink(lambda *_: 503), self.sink()
        server = self.weir(channel(subscription(to, retry=1000, delay="PT0.05S")))
        server.send("/shop/orders", "1")
        to.wait(2)
        server.config["channels"] = [channel(subscription(to, retry=1, deadLetterSink=dead.url))]
        self.assertEqual(self.reloaded(server, ["change"])["changes"][0]["text"],
                         "deadLetterSink, retry, backoffDelay")
        dead.wait(1)
        self.wait_delivered(server, deadLettered=1)

    def test_another_order_is_another_reader_of_the_same_position(self):
        to = self.sink()
        server = self.weir(channel(subscription(to)))
        server.send("/shop/orders", "1")
        to.wait(1)
        server.config["channels"] = [channel(subscription(to, order="unordered", maxInFlight=200))]
        self.reloaded(server, ["change"])
        server.send("/shop/orders", "2")
        to.wait(2)
        self.assertEqual(to.ids(), ["1", "2"])

    def test_the_log_changes_its_level(self):
        server = self.weir(channel())
        server.config["log"] = {"level": "debug"}
        self.reloaded(server, ["change"])

    def test_nothing_changes_when_nothing_is_changed(self):
        server = self.weir(channel())
        self.assertEqual(self.reloaded(server, []), {"generation": 2, "result": "applied", "changes": []})


class Refusals(ReloadTest):
    def stays(self, server, text):
        """All that tells of reloads says why; the old configuration takes events."""
        state = server.get("/status").json()["configuration"]
        self.assertEqual((state["generation"], state["reloadsRefused"]), (1, 1))
        self.assertIn(text, state["lastReload"]["text"])
        self.assertEqual(state["lastReload"]["result"], "refused")
        metrics = server.get("/metrics").body.decode()
        self.assertIn("weir_config_last_reload_successful 0", metrics)
        self.assertIn('weir_config_reloads_total{result="refused"} 1', metrics)
        self.assertTrue(server.said(text))
        server.send("/shop/orders", "still here")

    def test_a_wrong_configuration_says_everything_that_is_wrong(self):
        server = self.weir(channel())
        answer = self.refused(server, 422, "invalid_configuration", '{ "nonsense": 1, "log": { "level": "loud" } }')
        self.assertEqual(len(answer["problems"]), 2, answer)
        self.assertTrue(any("weir.json:1:3: nonsense" in problem for problem in answer["problems"]), answer)
        self.stays(server, "log.level")

    def test_a_file_that_is_gone(self):
        server = self.weir(channel())
        path = server.write_config()
        os.unlink(path)
        server.process.send_signal(signal.SIGHUP)
        server.wait_said("configuration not taken")
        self.stays(server, "cannot be opened")

    def test_what_needs_a_restart_is_named(self):
        server = self.weir(channel())
        server.config["dispatcher"]["listen"] = "127.0.0.1:1"
        server.config["channels"].append(channel(name="returns"))
        answer = self.refused(server, 409, "restart_needed")
        self.assertIn("dispatcher.listen: from 127.0.0.1:0 to 127.0.0.1:1", answer["reason"])
        self.stays(server, "that needs a restart")
        self.assertEqual(server.post("/shop/returns", event_headers("1")).status, 404)

    def test_the_data_folder_needs_a_restart(self):
        server = self.weir(channel())
        server.config["embedded"]["path"] += "2"
        self.assertIn("embedded.path", self.refused(server, 409, "restart_needed")["reason"])

    def test_a_get_reloads_nothing(self):
        server = self.weir(channel())
        answer = server.get("/reload")
        self.assertEqual((answer.status, answer.headers["allow"]), (405, "POST"))
        self.assertEqual(server.get("/status").json()["configuration"]["reloadsApplied"], 0)


class Moves(ReloadTest):
    """A channel whose kind changes takes its subscriptions along, and nothing is lost."""

    def arrived(self, server):
        """Nothing is left on the old backend."""
        server.wait_admin("/status", lambda answer: "moves" not in answer.json()["channels"][0])

    def move(self, first, then):
        to = self.sink()
        one = subscription(to, retry=50)
        server = self.weir(channel(one, kind=first))
        load = Load(server, "/shop/orders")
        to.wait(50)
        server.config["channels"] = [channel(one, kind=then)]
        self.reloaded(server, ["move"])
        self.arrived(server)
        to.wait(len(to.ids()) + 50)
        load.stop()
        to.wait_ids(load.accepted)
        self.assertEqual(load.other, {})
        self.assertEqual([id for id, times in to.times.items() if times > 1], [])
        self.assertEqual(to.ids(), load.accepted, "events of no key keep their order")
        self.assertEqual(server.get("/status").json()["channels"][0]["kind"], then)

    def test_from_memory_to_the_embedded_store(self):
        self.move("InMemoryChannel", "EmbeddedChannel")

    def test_from_the_embedded_store_to_memory(self):
        self.move("EmbeddedChannel", "InMemoryChannel")

    def test_the_default_moves_every_channel_that_follows_it(self):
        server = self.weir(channel(), channel(name="b"))
        server.config["channel"] = {"default": {"kind": "InMemoryChannel"}}
        self.reloaded(server, ["move", "move"])
        self.arrived(server)
        # The keeper learns of it a moment later.
        deadline = time.monotonic() + DEADLINE
        while server.send("/shop/b", "1").headers.get("weir-durability") != "memory":
            self.assertLess(time.monotonic(), deadline, "the answers do not say where the events are now")

    def test_what_was_not_delivered_before_a_restart_comes_first(self):
        down = threading.Event()
        down.set()
        to = self.sink(lambda *_: 503 if down.is_set() else 204)
        one = subscription(to, retry=1000, delay="PT0.05S")
        server = self.weir(channel(one, kind="EmbeddedChannel"))
        for number in range(10):
            server.send("/shop/orders", f"a{number}")
        server.config["channels"] = [channel(one, kind="InMemoryChannel")]
        self.reloaded(server, ["move"])
        moves = server.get("/status").json()["channels"][0]["moves"]
        self.assertEqual((moves[0]["from"], moves[0]["to"]), ("EmbeddedChannel", "InMemoryChannel"))
        server.stop(signal.SIGKILL)
        down.clear()
        server.start()
        to.wait_ids({f"a{number}" for number in range(10)})
        self.arrived(server)


class Watching(ReloadTest):
    """Nobody asks for a reload: the files change."""

    def generation(self, server, number, refused=0):
        def reached(answer):
            state = answer.json()["configuration"]
            return (state["generation"], state["reloadsRefused"]) == (number, refused)

        server.wait_admin("/status", reached)

    def with_returns(self, server):
        server.config["channels"].append(channel(name="returns"))

    def test_a_file_that_is_replaced(self):
        server = self.weir(channel())
        self.with_returns(server)
        server.write_config()
        self.generation(server, 2)
        server.send("/shop/returns", "1")

    def test_a_file_that_is_written_to(self):
        server = self.weir(channel())
        self.with_returns(server)
        text = json.dumps(server.config)
        with open(os.path.join(server.folder, "weir.json"), "w", encoding="utf-8") as file:
            file.write(text)
        self.generation(server, 2)
        server.send("/shop/returns", "1")

    def test_a_file_that_is_wrong_and_then_mended(self):
        server = self.weir(channel())
        server.write_config("{")
        self.generation(server, 1, refused=1)
        self.with_returns(server)
        server.write_config()
        self.generation(server, 2, refused=1)

    def test_switched_off_it_does_not_look(self):
        server = self.weir(channel(), config={"dispatcher": {"watch": False}})
        self.with_returns(server)
        self.assertEqual(self.reloaded(server, ["add"])["generation"], 2)
        server.config["dispatcher"]["watch"] = True
        self.reloaded(server, ["change"])
        server.config["channels"].pop()
        server.write_config()
        self.generation(server, 4)

    def mount(self, folder, number, files):
        """As kubelet does it: a folder of its own for each version, and `..data` is moved from one to the next."""
        version = os.path.join(folder, f"..v{number}")
        os.mkdir(version)
        for name, text in files.items():
            with open(os.path.join(version, name), "w", encoding="utf-8") as file:
                file.write(text)
        os.symlink(f"..v{number}", os.path.join(folder, "..data_tmp"))
        os.rename(os.path.join(folder, "..data_tmp"), os.path.join(folder, "..data"))
        for name in files:
            path = os.path.join(folder, name)
            if not os.path.lexists(path):
                os.symlink(f"..data/{name}", path)

    def test_a_mounted_folder_of_overrides(self):
        server = self.weir(channel(), start=False)
        mounted = os.path.join(server.folder, "mounted")
        os.mkdir(mounted)
        self.mount(mounted, 1, {"log.level": "notice"})
        server.config["overrides"] = [mounted]
        server.start()
        self.mount(mounted, 2, {"log.level": "debug", "dispatcher.drainTimeout": "PT2S"})
        server.wait_said("configuration: change log.level: from notice to debug")
        server.wait_said("configuration: change dispatcher.drainTimeout")

    def test_a_configuration_that_is_mounted_itself(self):
        server = self.weir(channel(), start=False)
        mounted = os.path.join(server.folder, "mounted")
        os.mkdir(mounted)
        self.mount(mounted, 1, {"weir.json": json.dumps({"log": {"level": "notice"}})})
        os.symlink(os.path.join(mounted, "weir.json"), os.path.join(server.folder, "more.json"))
        server.config["overrides"] = []
        server.more = ["-c", os.path.join(server.folder, "more.json")]
        server.start()
        self.mount(mounted, 2, {"weir.json": json.dumps({"log": {"level": "debug"}})})
        server.wait_said("configuration: change log.level: from notice to debug")


class Load:
    """Posts events as fast as they are answered, until it is told to stop."""

    def __init__(self, server, path):
        self.server, self.path = server, path
        self.accepted, self.other = [], collections.Counter()
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=DEADLINE)
        number = 0
        while not self.stopping.wait(0.002):
            id = f"{self.path}-{number}"
            number += 1
            connection.request("POST", self.path, b"", event_headers(id))
            answer = connection.getresponse()
            answer.read()
            if answer.status == 202:
                self.accepted.append(id)
            else:
                self.other[answer.status] += 1
        connection.close()

    def stop(self):
        self.stopping.set()
        self.thread.join()


class Thousand(ReloadTest):
    """Adds, removes, changes, does nothing and is wrong in turn, while events flow."""

    def resident(self, server):
        text = server.get("/metrics").body.decode()
        return float(re.search(r"^weir_process_resident_memory_bytes (\S+)", text, re.M)[1])

    def next_config(self, server, random, steady, others, step):
        """Which configuration comes next, and whether it is one."""
        config = [channel(steady, name="steady"), channel(name="orders")]
        for number, sink in enumerate(others):
            if random.random() < 0.6:
                config[1]["subscriptions"].append(
                    subscription(sink, name=f"s{number}", retry=random.randrange(90, 100), order=random.choice(
                        ["ordered", "unordered"])))
        if random.random() < 0.5:
            config.append(channel(subscription(others[0], name="x"), name=f"extra{random.randrange(3)}"))
        server.config["channels"] = config
        return '{ "channels": 7 }' if step % 10 == 9 else None

    def test_reloads_under_load(self):
        steady, others = self.sink(), [self.sink() for _ in range(3)]
        chance = random.Random(5)
        one = subscription(steady, name="one", retry=50)
        changing = [subscription(sink, name=f"s{number}") for number, sink in enumerate(others)]
        server = self.weir(channel(one, name="steady"), channel(*changing), config={"dispatcher": {"watch": False}})
        loads = [Load(server, "/shop/steady"), Load(server, "/shop/orders")]
        settled = 0
        for step in range(RELOADS):
            bad = self.next_config(server, chance, one, others, step)
            answer = server.reload(bad)
            self.assertEqual(answer.status, 422 if bad else 200, answer.body)
            if step == RELOADS // 4:
                settled = self.resident(server)
        grown = self.resident(server) - settled
        for load in loads:
            load.stop()
        server.config["channels"] = [channel(one, name="steady"), channel(*changing)]
        self.reloaded(server)
        steady.wait_ids(loads[0].accepted)
        for sink in others:
            sink.wait_ids(loads[1].accepted)
        twice = [id for id, times in steady.times.items() if times > 1]
        self.assertEqual(twice, [], "duplicates on a subscription that never changed")
        self.assertEqual(loads[0].other, {}, "refused on a channel that never changed")
        self.assertEqual(loads[1].other, {}, "refused on a channel that only gained and lost subscriptions")
        state = server.get("/status").json()["configuration"]
        self.assertEqual(state["reloadsApplied"] + state["reloadsRefused"], RELOADS + 1)
        print(f"{RELOADS} reloads, {sum(len(load.accepted) for load in loads)} events, none lost, "
              f"grown by {grown / 1024:.0f} KiB after the first quarter")
        if not SANITIZED:
            self.assertLess(grown, 4 * 1024 * 1024)


if __name__ == "__main__":
    unittest.main(verbosity=2)
