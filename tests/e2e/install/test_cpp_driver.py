#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A third party's driver: C++, outside of the tree, with the installed headers alone. It is loaded and judged."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
from weirtest import BUILD, SOURCE, WeirTest, main  # noqa: E402


def run(*command):
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False)
    if done.returncode:
        raise AssertionError(f"{command}: exit code {done.returncode}\n{done.stdout}")


class CppDriver(WeirTest):
    @classmethod
    def setUpClass(cls):
        cls.top = pathlib.Path(tempfile.mkdtemp(prefix="weir-cpp-"))
        run("cmake", "--install", BUILD, "--prefix", cls.top / "prefix")
        cls.driver = cls.top / "weir-driver-crate.so"
        # Templates of the standard library are not hidden by -fvisibility.
        (cls.top / "map").write_text("{ global: weir_driver_crate_init; local: *; };\n")
        run(os.environ.get("CXX", "g++"), "-std=c++14", "-Wall", "-Wextra", "-Werror", "-O2", "-fPIC", "-shared",
            "-fvisibility=hidden", f"-Wl,--version-script={cls.top / 'map'}", "-Wl,-z,defs", "-pthread", "-I",
            cls.top / "prefix/include", SOURCE / "tests/e2e/install/crate.cpp", "-o", cls.driver)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.top, ignore_errors=True)

    def judge(self, *words):
        done = self.weir("conform", self.driver, "--quiet", "--time-scale", "3", "--json", "-", *words,
                         program=str(self.top / "prefix/bin/weir"), timeout=280)
        return done, json.loads(done.out)

    def test_it_conforms(self):
        done, report = self.judge()
        failed = {case["id"]: case["reason"] for case in report["cases"] if case["verdict"] not in ("PASS", "SKIP")}
        self.assertEqual((failed, done.code), ({}, 0))
        self.assertEqual(report["driver"]["kind"], "CrateChannel")
        self.assertGreater(sum(case["verdict"] == "PASS" for case in report["cases"]), 70)

    def test_what_it_does_not_claim_was_judged_too(self):
        _, report = self.judge("--case", "NCK-08", "--case", "TRM-01", "--case", "FLW-04")
        self.assertEqual([case["verdict"] for case in report["cases"]], ["PASS"] * 3)
        self.assertEqual([case["notClaimed"] for case in report["cases"]], [True, False, True])

    def test_the_installed_program_uses_it(self):
        done = self.weir("publish", "a/b", "--id", "1", "--set", f"drivers.kinds.CrateChannel={self.driver}", "--set",
                         "channel.default.kind=CrateChannel", program=str(self.top / "prefix/bin/weir"))
        self.assertEqual((done.code, done.out), (0, "1\n"))


if __name__ == "__main__":
    # A library that needs a sanitizer's runtime first cannot be loaded by programs that are built without it.
    if "-fsanitize" in (BUILD / "build.ninja").read_text():
        print("skipped: a sanitizer build is not installed")
        sys.exit(77)
    main()
