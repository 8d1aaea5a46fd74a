#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The command line itself: help, wrong usage, configuration errors, exit codes."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
from weirtest import CONFIG, FAILED, USAGE, WeirTest, main  # noqa: E402

COMMANDS = ("publish", "tail", "drivers", "version")


class Usage(WeirTest):
    def test_version_names_the_library_and_the_abi(self):
        self.assertRegex(self.succeed("version").out, r"^weir \d+\.\d+\.\d+ \(driver ABI \d+\.\d+\)\n$")
        self.assertEqual(self.succeed("--version").out, self.succeed("version").out)

    def test_help_lists_every_command(self):
        text = self.succeed("--help").out
        for command in COMMANDS:
            self.assertRegex(text, rf"(?m)^  {command} ")

    def test_every_command_has_help(self):
        for command in COMMANDS:
            result = self.succeed(command, "--help")
            self.assertIn(f"usage: weir {command}", result.out)
            self.assertIn("--help", result.out)
            self.assertEqual(result.err, "")

    def test_no_command_shows_the_overview_on_stderr(self):
        result = self.fails(USAGE)
        self.assertEqual(result.out, "")
        self.assertIn("commands:", result.err)

    def test_a_mistyped_command_gets_the_nearest(self):
        result = self.fails(USAGE, "pubilsh")
        self.assertIn("did you mean 'publish'?", result.err)
        self.assertEqual(result.out, "")

    def test_a_mistyped_option_gets_the_nearest(self):
        self.assertIn("did you mean --source?", self.fails(USAGE, "publish", "a/b", "--sorce", "x").err)
        self.assertIn("did you mean --count?", self.fails(USAGE, "tail", "a/b", "--cuont", "1").err)

    def test_wrong_arguments_are_usage_errors(self):
        for words in (("publish",), ("publish", "noslash"), ("publish", "a/b/c"), ("publish", "a/"), ("tail", "/b"),
                      ("publish", "A/b"), ("publish", "a/.."), ("publish", "a/" + "x" * 254), ("tail", "a/b c"),
                      ("tail", "a/b", "--group", "a b"),
                      ("publish", "a/b", "c/d"), ("tail", "a/b", "--count", "many"), ("tail", "a/b", "--from", "first"),
                      ("tail", "a/b", "--timeout", "soon"), ("publish", "a/b", "--data", "x", "--lines"),
                      ("publish", "a/b", "--lines", "--id", "1"), ("publish", "a/b", "--url", "ftp://x"),
                      ("tail", "a/b", "--admin", "http://x", "--group", "g"), ("drivers", "A", "B"), ("version", "x")):
            with self.subTest(words=words):
                self.assertEqual(self.fails(USAGE, *words).out, "")

    def test_output_that_does_not_arrive_is_a_failure(self):
        with open("/dev/full", "wb") as full:
            self.assertIn("No space left", self.fails(FAILED, "version", stdout=full).err)


class Configuration(WeirTest):
    def test_every_problem_of_a_file_is_told_with_its_place(self):
        path = self.write("bad.json", '{\n  "dispatcher": {\n    "lisen": "127.0.0.1:8080",\n    "drainTimeout": 5\n  }\n}\n')
        result = self.fails(CONFIG, "drivers", "-c", path)
        self.assertRegex(result.err, r"bad\.json:3:\d+: dispatcher\.lisen: ")
        self.assertIn("dispatcher.listen", result.err)
        self.assertRegex(result.err, r"bad\.json:4:\d+: dispatcher\.drainTimeout: ")
        self.assertEqual(result.out, "")

    def test_a_missing_file_is_a_configuration_error(self):
        self.assertIn("nowhere.json", self.fails(CONFIG, "publish", "a/b", "-c", "nowhere.json").err)

    def test_an_unknown_setting_is_a_configuration_error(self):
        result = self.fails(CONFIG, "tail", "a/b", "--set", "dispatcher.lisen=:1")
        self.assertIn("dispatcher.listen", result.err)

    def test_the_environment_is_read(self):
        self.fails(CONFIG, "drivers", environment={"WEIR_DISPATCHER__LISEN": "127.0.0.1:1"})

    def test_a_setting_wins_over_the_environment(self):
        self.succeed("drivers", "--set", "channel.default.kind=InMemoryChannel",
                     environment={"WEIR_CHANNEL__DEFAULT__KIND": "EmbeddedChannel"})

    def test_an_unknown_kind_is_a_configuration_error(self):
        result = self.fails(CONFIG, "publish", "a/b", "--set", "channel.default.kind=NoSuchChannel")
        self.assertIn("NoSuchChannel", result.err)
        self.assertIn("InMemoryChannel", result.err)


if __name__ == "__main__":
    main()
