#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""weir conform: what it says of good drivers, in every form, and how it ends."""
import json
import os
import sys
import xml.etree.ElementTree

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
from weirtest import BUILD, SOURCE, WeirTest, main  # noqa: E402

SCALE = os.environ.get("WEIR_TEST_SCALE", "3")


class Conform(WeirTest):
    def conform(self, *words):
        return self.weir("conform", "--time-scale", SCALE, *words, timeout=280)

    def passes(self, kind):
        report = self.folder / "report.json"
        done = self.conform(kind, "--json", report, "--quiet")
        self.assertEqual(done.code, 0, done.out)
        result = json.loads(report.read_text())
        self.assertGreater(sum(case["verdict"] == "PASS" for case in result["cases"]), 110)
        self.assertEqual([case["id"] for case in result["cases"] if case["verdict"] not in ("PASS", "SKIP")], [])
        return result

    def test_the_memory_driver_conforms(self):
        self.passes("InMemoryChannel")

    def test_the_embedded_driver_conforms(self):
        result = self.passes("EmbeddedChannel")
        self.assertEqual((result["driver"]["kind"], result["driver"]["durability"]), ("EmbeddedChannel", "disk"))
        self.assertIn("durable", result["driver"]["capabilities"])
        self.assertGreater(result["driver"]["limits"]["maxRecordBytes"], 1000000)
        self.assertGreater(result["seed"], 0)

    def test_the_reference_has_all_cases(self):
        listed = self.succeed("conform", "--list").out.strip()
        self.assertTrue((SOURCE / "docs/reference/conformance.md").read_text().strip().endswith(listed),
                        "run: weir conform --list, and put it into docs/reference/conformance.md")

    def test_tap_is_a_plan_and_lines(self):
        lines = self.conform("InMemoryChannel", "--tap", "--case", "PUB-0*").out.splitlines()
        self.assertEqual(lines[0], "TAP version 13")
        self.assertRegex(lines[1], r"^1\.\.\d+$")
        self.assertRegex(lines[2], r"^ok 1 - PUB-01 ")
        self.assertTrue(any("# SKIP" in line for line in lines))

    def test_junit_is_xml_with_a_case_each(self):
        done = self.conform("InMemoryChannel", "--junit", "-", "--case", "ABI-*", "--quiet")
        suite = xml.etree.ElementTree.fromstring(done.out)
        self.assertEqual((suite.tag, suite.get("failures"), suite.get("errors")), ("testsuite", "0", "0"))
        self.assertEqual(int(suite.get("tests")), len(suite.findall("testcase")))

    def test_people_get_progress_and_a_table(self):
        done = self.conform("InMemoryChannel", "--case", "LIF-0*")
        self.assertRegex(done.err, r"PASS +LIF-01 +MUST ")
        self.assertRegex(done.out, r"(?m)^LIF lifecycle and configuration +\d+ ")
        self.assertRegex(done.out, r"conforms: \d+ passed, 0 failed")

    def test_a_level_chooses_cases(self):
        done = self.conform("InMemoryChannel", "--level", "must", "--case", "RDL-04", "--case", "RDL-05", "--quiet",
                            "--json", "-")
        self.assertEqual([case["id"] for case in json.loads(done.out)["cases"]], ["RDL-05"])

    def test_a_seed_is_told_and_taken(self):
        done = self.conform("InMemoryChannel", "--seed", "42", "--case", "PUB-01", "--quiet")
        self.assertIn("seed 42", done.out)

    def test_shortages_are_survived_without_a_harness(self):
        done = self.conform("EmbeddedChannel", "--faults", "--quiet", "--json", "-")
        verdicts = {case["id"]: case["verdict"] for case in json.loads(done.out)["cases"]}
        self.assertEqual((verdicts["FLT-10d"], verdicts["FLT-10f"], verdicts["FLT-02"]), ("PASS", "PASS", "SKIP"))

    def test_a_harness_that_fails_is_named(self):
        done = self.conform("InMemoryChannel", "--case", "PUB-01", "--harness", "/bin/false")
        self.assertEqual(done.code, 69)
        self.assertIn("'about'", done.err)

    def test_a_driver_that_fails_ends_with_1(self):
        driver = BUILD / "tests/mutants/weir-driver-mutant.so"
        done = self.conform(driver, "--case", "PUB-01", "--quiet", "--set", "mutant.mutation=completes-twice", "--set",
                            f"mutant.base={BUILD}/drivers/weir-driver-memory.so")
        self.assertEqual(done.code, 1)
        self.assertIn("had 2 completions", done.out)
        self.assertIn("DOES NOT CONFORM", done.out)

    def test_usage_and_configuration_have_their_codes(self):
        self.assertEqual(self.conform("InMemoryChannel", "--case", "NONE-*").code, 64)
        self.assertEqual(self.conform("InMemoryChannel", "--time-scale", "fast").code, 64)
        self.assertEqual(self.conform().code, 64)
        self.assertEqual(self.conform("NoSuchChannel").code, 78)
        self.assertEqual(self.conform("/nowhere/weir-driver-x.so").code, 78)


if __name__ == "__main__":
    # The kit forks; what the thread sanitizer says of a forked process is about the sanitizer.
    if "-fsanitize=thread" in (BUILD / "build.ninja").read_text():
        print("skipped: the thread sanitizer runs the drivers' own tests")
        sys.exit(77)
    main()
