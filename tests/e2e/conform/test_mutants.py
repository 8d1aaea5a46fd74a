#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The conformance kit can fail: every driver of tests/fixtures/mutants is found out by each case that is named for it.

WEIR_MUTANT=NAME runs one of them and shows why its cases fail.
"""
import concurrent.futures
import json
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
from weirtest import BUILD, SOURCE, WeirTest, clean_environment, main  # noqa: E402

FOLDER = SOURCE / "tests" / "fixtures" / "mutants"
NEEDED = 25


def rows():
    for line in (FOLDER / "mutants.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            name, base, *cases = line.split()
            yield name, base, cases


def judge(name, base, cases, *options):
    """Runs the cases against a mutant; the results by case. name "+x" is an object of its own."""
    library, mutation = ("mutant-" + name[1:], "none") if name[0] == "+" else ("mutant", name)
    base_path = BUILD / "drivers" / f"weir-driver-{base}.so"
    words = [str(BUILD / "weir"), "conform", str(BUILD / "tests" / "mutants" / f"weir-driver-{library}.so"), "--quiet",
             "--json", "-", "--set", f"{library}.base={base_path}", "--set", f"{library}.mutation={mutation}", *options]
    for case in cases:
        words += ["--case", case]
    # Cases that open it with one setting only still mean this driver.
    environment = {**clean_environment(), "WEIR_MUTATION": mutation, "WEIR_MUTANT_BASE": str(base_path)}
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False, env=environment)
    if done.returncode not in (0, 1):
        raise AssertionError(f"{name}: exit code {done.returncode}: {done.stderr}")
    return done.returncode, {case["id"]: case for case in json.loads(done.stdout)["cases"]}


def survivors(row):
    name, base, cases = row
    code, results = judge(name, base, cases, "--time-scale", "0.15", "--level", "should")
    alive = [f"{name}: {case} says {results[case]['verdict']}" for case in cases if results[case]["verdict"] != "FAIL"]
    if code != 1:
        alive.append(f"{name}: exit code {code}")
    if os.environ.get("WEIR_MUTANT"):
        for case in cases:
            print(f"{case}: {results[case].get('reason')}", file=sys.stderr)
    return alive


class Mutants(WeirTest):
    def test_every_mutant_is_killed_by_every_case_that_is_named_for_it(self):
        chosen = [row for row in rows() if os.environ.get("WEIR_MUTANT", row[0]) == row[0]]
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            alive = [line for lines in pool.map(survivors, chosen) for line in lines]
        self.assertEqual(alive, [])

    def test_every_mutant_has_a_case_and_there_are_enough(self):
        named = {name for name, _, cases in rows() if cases and name[0] != "+"}
        made = set(re.findall(r'\.name = "([a-z0-9-]+)"', (FOLDER / "mutations.c").read_text())) - {"none"}
        self.assertEqual(named, made)
        self.assertGreaterEqual(len(named), NEEDED)

    def test_without_its_fault_each_passes_what_kills_the_others(self):
        for base in ("memory", "embedded"):
            cases = sorted({case for _, _, cases in rows() for case in cases})
            code, results = judge("none", base, cases, "--time-scale", "3")
            failed = {case: row["reason"] for case, row in results.items() if row["verdict"] not in ("PASS", "SKIP")}
            self.assertEqual((code, failed), (0, {}), base)


if __name__ == "__main__":
    # What is tested is the kit; it takes several times as long there, and finds nothing more.
    if "-fsanitize" in (BUILD / "build.ninja").read_text():
        print("skipped: the mutants are run with the release build")
        sys.exit(77)
    main()
