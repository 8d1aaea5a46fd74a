#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""weir config check, show, explain, schema"""
import json
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
from weirtest import CONFIG, FAILED, SOURCE, USAGE, WeirTest, main  # noqa: E402

CANARY = "canary-8e1a"


class Check(WeirTest):
    settings = ("channel.default.kind=InMemoryChannel",)

    def test_a_right_configuration_is_summed_up(self):
        path = self.write("c.json", json.dumps({"channels": [
            {"namespace": "n", "name": "a", "subscriptions": [{"name": "s", "subscriber": "http://127.0.0.1:1/"}]},
            {"namespace": "n", "name": "b"}]}))
        self.assertEqual(self.succeed("config", "check", "-c", path).out,
                         "ok: 2 channels, 1 subscription, on InMemoryChannel\n")

    def test_no_configuration_is_right(self):
        self.assertEqual(self.succeed("config", "check").out, "ok: no channels, so default/default it is, on InMemoryChannel\n")

    def test_all_mistakes_are_told_at_once(self):
        path = self.write("c.json", '{\n "log.level": "loud",\n "dispatcher.batch": 1,\n "logg.level": 1,\n'
                                    ' "memory": {"maxRecords": 0},\n'
                                    ' "channels": [{"namespace": "n", "name": "a", "subscriptions": [\n'
                                    '  {"name": "s", "subscriber": "http://169.254.169.254/"}]}]\n}')
        result = self.fails(CONFIG, "config", "check", "-c", path)
        self.assertIn(f"{path}:4:2: logg.level: unknown key", result.err)
        self.assertIn(f"{path}:5:27: memory.maxRecords: ", result.err)
        self.assertIn(f"{path}:7:3: subscription s of n/a: subscriber: ", result.err)
        self.assertIn(f"{path}:2:15: log.level: ", result.err)
        self.assertIn(f"{path}:3:22: dispatcher.batch: ", result.err)
        self.assertEqual(result.out, "")

    def test_a_section_of_no_driver_is_a_mistake(self):
        result = self.fails(CONFIG, "config", "check", "--set", "memry.maxBytes=1MiB")
        self.assertIn('did you mean "memory.maxBytes"?', result.err)

    def test_drivers_judge_their_own_settings(self):
        path = self.write("c.json", '{"memory": {"maxBytes": 1, "maxRecords": "many", "maxByte": 1}}')
        result = self.fails(CONFIG, "config", "check", "-c", path)
        self.assertIn("c.json:1:25: memory.maxBytes: \"1\" is out of range; allowed: ", result.err)
        self.assertIn("c.json:1:42: memory.maxRecords: must be a whole number, not a string", result.err)
        self.assertIn('memory.maxByte: unknown key of the driver memory; did you mean "memory.maxBytes"?', result.err)

    def test_settings_of_a_driver_that_no_channel_uses_are_judged_too(self):
        result = self.fails(CONFIG, "config", "check", "--set", "memory.maxByte=1MiB")
        self.assertIn('memory.maxByte: unknown key of the driver memory; did you mean "memory.maxBytes"?', result.err)

    def test_a_kind_without_a_driver_names_those_there_are(self):
        path = self.write("c.json", '{"channels": [{"namespace": "n", "name": "a", "kind": "CarrierPigeonChannel"}]}')
        result = self.fails(CONFIG, "config", "check", "-c", path)
        self.assertIn("CarrierPigeonChannel", result.err)
        self.assertIn("InMemoryChannel", result.err)

    def test_addresses_that_must_not_be_posted_to_are_refused(self):
        subscriptions = [{"name": f"s{i}", "subscriber": url} for i, url in enumerate(
            ["http://169.254.169.254/latest/", "http://2851995902/", "http://[::ffff:169.254.169.254]/",
             "http://0.0.0.0/", "http://10.0.0.1/", "http://0177.0.0.1/"])]
        path = self.write("c.json", json.dumps({
            "dispatcher.addresses": {"allowLoopback": False, "allowPrivate": False},
            "channels": [{"namespace": "n", "name": "a", "subscriptions": subscriptions}]}))
        result = self.fails(CONFIG, "config", "check", "-c", path)
        for i in range(len(subscriptions)):
            self.assertIn(f"subscription s{i} of n/a: subscriber: ", result.err)

    def test_a_circle_of_replies_is_only_warned_of(self):
        path = self.write("c.json", json.dumps({"channels": [{"namespace": "n", "name": "a", "subscriptions": [
            {"name": "s", "subscriber": "http://127.0.0.1:1/", "reply": "channel:n/a"}]}]}))
        self.assertIn("warning: ", self.succeed("config", "check", "-c", path).err)

    def test_a_pipe_does_not_make_it_wait(self):
        os.mkfifo(self.folder / "pipe")
        self.assertIn("is a pipe", self.fails(CONFIG, "config", "check", "-c", self.folder / "pipe", timeout=10).err)

    def test_the_samples_are_right_as_far_as_their_drivers_are_there(self):
        for name in ("memory.json", "strict-limits.json", "two-subscribers-with-dead-letter.json"):
            self.succeed("config", "check", "-c", SOURCE / "configs" / name)


class Serve(WeirTest):
    """`weir serve` and `weir config check` run the same checks, so they say the same."""

    def test_a_wrong_configuration_does_not_start(self):
        channel = {"namespace": "n", "name": "a", "kind": "InMemoryChannel"}
        for number, wrong in enumerate([
                {"log.level": "loud"}, {"logg.level": "debug"}, {"memory.maxBytes": 1, "channels": [channel]},
                {"channels": [{**channel, "kind": "CarrierPigeonChannel"}]},
                {"channels": [{**channel, "subscriptions": [{"name": "s", "subscriber": "http://169.254.169.254/"}]}]},
                {"overrides": ["missing.yaml"]}]):
            path = self.write(f"{number}.json", json.dumps(wrong))
            checked = self.fails(CONFIG, "config", "check", "-c", path)
            served = self.fails(CONFIG, "serve", "-c", path, timeout=10)
            self.assertEqual(served.err, checked.err)
            self.assertNotEqual(served.err, "")


class Show(WeirTest):
    settings = ("channel.default.kind=InMemoryChannel",)

    def test_values_have_their_origin(self):
        path = self.write("c.json", '{\n  "log": {"level": "debug"}\n}')
        lines = self.succeed("config", "show", "--origin", "-c", path,
                             environment={"WEIR_LOG__FORMAT": "json"}).lines
        self.assertIn(f"log.level = debug  # {path}:2", lines)
        self.assertIn("log.format = json  # environment", lines)
        self.assertIn("channel.default.kind = InMemoryChannel  # --set", lines)
        self.assertIn("dispatcher.drainTimeout = PT30S  # default", lines)
        self.assertTrue(any(line.startswith("memory.maxBytes = ") for line in lines))

    def test_origins_are_left_out_unless_asked_for(self):
        self.assertIn("log.format = text", self.succeed("config", "show").lines)

    def test_no_token_of_an_url_is_shown(self):
        path = self.write("c.json", json.dumps({"channels": [{"namespace": "n", "name": "a", "subscriptions": [
            {"name": "s", "subscriber": f"http://127.0.0.1:1/?token={CANARY}"}]}]}))
        result = self.succeed("config", "show", "-c", path)
        self.assertNotIn(CANARY, result.out + result.err)

    def test_a_password_in_an_url_is_refused_and_not_repeated(self):
        path = self.write("c.json", json.dumps({"channels": [{"namespace": "n", "name": "a", "subscriptions": [
            {"name": "s", "subscriber": f"http://user:{CANARY}@127.0.0.1:1/"}]}]}))
        result = self.fails(CONFIG, "config", "show", "-c", path)
        self.assertNotIn(CANARY, result.out + result.err)


class Plan(WeirTest):
    channel = {"namespace": "n", "name": "a", "kind": "InMemoryChannel"}

    def test_what_a_reload_would_change_is_listed(self):
        now = self.write("now.json", json.dumps({"channels": [self.channel]}))
        subscription = {"name": "s", "subscriber": f"http://127.0.0.1:1/?{CANARY}"}
        then = self.write("then.json", json.dumps({"log": {"level": "debug"}, "channels": [
            {**self.channel, "subscriptions": [subscription]}]}))
        self.assertEqual(self.succeed("config", "plan", "-c", now, then).lines, [
            "change   log.level: from notice to debug",
            "add      channels[n/a].subscriptions[s]: from latest unless the backend knows its position"])

    def test_nothing_to_change(self):
        now = self.write("now.json", json.dumps({"channels": [self.channel]}))
        self.assertEqual(self.succeed("config", "plan", "-c", now, now).out, "nothing changes\n")

    def test_what_needs_a_restart_is_exit_code_1(self):
        then = self.write("then.json", json.dumps({"dispatcher": {"listen": "127.0.0.1:1"}}))
        result = self.fails(FAILED, "config", "plan", then)
        self.assertEqual(result.lines, ["restart  dispatcher.listen: from 127.0.0.1:8080 to 127.0.0.1:1"])

    def test_a_wrong_file_is_exit_code_78(self):
        self.assertIn("then.json:1:3: nonsense", self.fails(
            CONFIG, "config", "plan", self.write("then.json", '{ "nonsense": 1 }')).err)

    def test_without_a_file_it_is_wrong_usage(self):
        self.fails(USAGE, "config", "plan")


class Explain(WeirTest):
    def test_a_key_is_explained(self):
        text = self.succeed("config", "explain", "dispatcher.drainTimeout").out
        self.assertRegex(text, r"(?m)^  default +PT30S$")
        self.assertRegex(text, r"(?m)^  allowed +PT0S to PT1H$")
        self.assertIn("WEIR_DISPATCHER__DRAINTIMEOUT", text)

    def test_drivers_keys_are_explained(self):
        self.assertIn("size", self.succeed("config", "explain", "memory.maxBytes").out)

    def test_members_of_channels_are_explained(self):
        self.assertIn("whole number", self.succeed("config", "explain", "channels[].delivery.retry").out)

    def test_without_a_key_all_are_listed(self):
        lines = self.succeed("config", "explain").lines
        for key in ("channel.default.kind", "memory.maxBytes", "channels[].subscriptions[].subscriber"):
            self.assertTrue(any(line.startswith(key + " ") for line in lines), key)

    def test_the_reference_page_has_every_key_as_it_is(self):
        """WEIR_TEST_UPDATE=1 writes them into the page."""
        path = SOURCE / "docs" / "reference" / "configuration.md"
        rows, page = self.succeed("config", "explain", "--markdown").lines, path.read_text().splitlines()
        begin = page.index("|---|---|---|---|") + 1
        end = next((at for at in range(begin, len(page)) if not page[at].startswith("|")), len(page))
        if os.environ.get("WEIR_TEST_UPDATE"):
            path.write_text("\n".join(page[:begin] + rows + page[end:]) + "\n")
            return
        self.assertEqual([row for row in rows if row not in page], [], "docs/reference/configuration.md lacks what `weir config explain --markdown` prints")

    def test_an_unknown_key_names_the_nearest(self):
        self.assertIn('"dispatcher.listen"', self.fails(FAILED, "config", "explain", "dispatcher.lisen").err)


class Schema(WeirTest):
    def schema(self):
        return json.loads(self.succeed("config", "schema").out)

    def test_it_knows_the_drivers(self):
        self.assertIn("maxBytes", self.schema()["properties"]["memory"]["properties"])

    def test_it_takes_the_samples_and_refuses_mistakes(self):
        try:
            import jsonschema
        except ImportError:
            raise unittest.SkipTest("python3-jsonschema is not installed")
        validator = jsonschema.Draft7Validator(self.schema())
        for path in (SOURCE / "configs").glob("*.json"):
            if path.name.startswith(("embedded", "memory", "two", "kind", "strict")):
                validator.validate(json.loads(path.read_text()))
        for wrong in ({"dispatcher": {"lisen": "x"}}, {"log.level": "loud"}, {"dispatcher.batch": "yes"},
                      {"channels": [{"name": "a"}]}, {"dispatcher.limits.maxBodyBytes": 1}):
            self.assertFalse(validator.is_valid(wrong), wrong)


class Usage(WeirTest):
    def test_what_it_cannot_do_is_wrong_usage(self):
        for args in (("polish",), (), ("show", "key"), ("check", "--origin"), ("show", "--markdown"), ("explain", "a", "b")):
            self.fails(USAGE, "config", *args)


if __name__ == "__main__":
    main()
