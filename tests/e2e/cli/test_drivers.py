#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""weir drivers"""
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
from weirtest import BUILD, CONFIG, WeirTest, main  # noqa: E402


class Drivers(WeirTest):
    def test_the_list_has_kind_path_abi_and_version(self):
        text = self.succeed("drivers").out
        self.assertIn("InMemoryChannel", text)
        self.assertIn(str(BUILD / "drivers" / "weir-driver-memory.so"), text)
        self.assertRegex(text, r"memory \S+, ABI 1\.\d+")

    def test_the_list_is_had_as_json(self):
        drivers = {row["kind"]: row for row in json.loads(self.succeed("drivers", "--json").out)}
        memory = drivers["InMemoryChannel"]
        self.assertEqual(memory["name"], "memory")
        self.assertRegex(memory["abi"], r"^1\.\d+$")
        self.assertNotIn("problem", memory)

    def test_one_driver_tells_what_it_can_do_and_its_settings(self):
        text = self.succeed("drivers", "InMemoryChannel").out
        self.assertRegex(text, r"(?m)^durability +memory: .*nothing survives a restart")
        self.assertRegex(text, r"(?m)^capabilities .*\bfanout\b")
        self.assertRegex(text, r"(?m)^  memory\.\w+$")

    def test_one_driver_is_had_as_json(self):
        driver = json.loads(self.succeed("drivers", "InMemoryChannel", "--json").out)
        self.assertEqual(driver["backend"]["durability"], "memory")
        self.assertIn("fanout", driver["backend"]["capabilities"])
        self.assertTrue(all(option["key"].startswith("memory.") for option in driver["options"]))
        self.assertGreater(driver["backend"]["limits"]["maxRecordBytes"], 0)

    def test_a_closed_driver_is_not_opened(self):
        driver = json.loads(self.succeed("drivers", "InMemoryChannel", "--json", "--closed").out)
        self.assertNotIn("backend", driver)
        self.assertTrue(driver["options"])

    def test_an_unknown_kind_names_those_there_are(self):
        result = self.fails(CONFIG, "drivers", "InMemoryChanel")
        self.assertIn("InMemoryChannel", result.err)

    def test_an_empty_folder_is_named(self):
        empty = self.folder / "empty"
        empty.mkdir()
        result = self.fails(CONFIG, "drivers", "--set", f"drivers.path={empty}")
        self.assertIn(str(empty), result.err)

    def test_a_foreign_file_is_listed_with_its_problem(self):
        (self.folder / "weir-driver-foreign.so").write_bytes(b"not an ELF file at all")
        result = self.succeed("drivers", "--json", "--set", f"drivers.path={self.folder}")
        self.assertIn("problem", json.loads(result.out)[0])


if __name__ == "__main__":
    main()
