#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Installs into a new prefix, and builds against it as a third party would, with CMake and with pkg-config."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
from weirtest import BUILD, SOURCE, WeirTest, clean_environment, main  # noqa: E402

EXAMPLE = SOURCE / "docs" / "examples" / "third-party-driver"


def run(*command, **options):
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False, **options)
    if done.returncode:
        raise AssertionError(f"{command}: exit code {done.returncode}\n{done.stdout}")
    return done.stdout


class Install(WeirTest):
    @classmethod
    def setUpClass(cls):
        # Moved after it was installed: nothing may remember where that was.
        cls.top = pathlib.Path(tempfile.mkdtemp(prefix="weir-install-"))
        run("cmake", "--install", BUILD, "--prefix", cls.top / "first")
        cls.prefix = (cls.top / "first").rename(cls.top / "prefix")
        cls.lib = next(path.parent for path in cls.prefix.rglob("libweir.so"))
        cls.environment = {**clean_environment(), "PKG_CONFIG_PATH": str(cls.lib / "pkgconfig"),
                           "LD_LIBRARY_PATH": str(cls.lib)}

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.top, ignore_errors=True)

    def installed(self, *words):
        return self.succeed(*words, program=str(self.prefix / "bin" / "weir")).out

    def driver_works(self, path):
        settings = ("--set", f"drivers.kinds.ShelfChannel={path}", "--set", "channel.default.kind=ShelfChannel")
        driver = json.loads(self.installed("drivers", "ShelfChannel", "--json", *settings))
        self.assertEqual((driver["path"], driver["backend"]["durability"]), (str(path), "memory"))
        self.assertEqual(self.installed("publish", "a/b", "--id", "1", *settings), "1\n")

    def test_what_is_installed_is_complete(self):
        for path in ("bin/weir", "include/weir/driver.h", "include/weir/version.h"):
            self.assertTrue((self.prefix / path).is_file(), path)
        for path in ("weir/drivers/weir-driver-memory.so", "pkgconfig/weir.pc", "cmake/weir/weirConfig.cmake"):
            self.assertTrue((self.lib / path).is_file(), path)
        self.assertFalse(list(self.prefix.rglob("*.in")))

    def test_the_installed_program_finds_the_installed_drivers(self):
        paths = {row["kind"]: row["path"] for row in json.loads(self.installed("drivers", "--json"))}
        self.assertEqual(paths["InMemoryChannel"], str(self.lib / "weir" / "drivers" / "weir-driver-memory.so"))

    def test_a_driver_is_built_with_cmake(self):
        run("cmake", "-S", EXAMPLE, "-B", self.folder / "build", f"-DCMAKE_PREFIX_PATH={self.prefix}")
        run("cmake", "--build", self.folder / "build")
        self.driver_works(self.folder / "build" / "weir-driver-shelf.so")

    def test_a_driver_is_built_with_make_and_pkg_config(self):
        for name in ("Makefile", "shelf.c"):
            shutil.copy(EXAMPLE / name, self.folder)
        run("make", "-C", self.folder, env=self.environment)
        self.driver_works(self.folder / "weir-driver-shelf.so")

    def test_a_folder_of_a_third_party_is_listed(self):
        for name in ("Makefile", "shelf.c"):
            shutil.copy(EXAMPLE / name, self.folder)
        run("make", "-C", self.folder, env=self.environment)
        self.assertIn("ShelfChannel", self.installed("drivers", "--set", f"drivers.path={self.folder}"))

    def test_a_program_is_linked_with_cmake(self):
        shutil.copy(SOURCE / "tests/e2e/install/consumer.c", self.folder)
        shutil.copy(SOURCE / "tests/e2e/install/CMakeLists.consumer.txt", self.folder / "CMakeLists.txt")
        run("cmake", "-S", self.folder, "-B", self.folder / "build", f"-DCMAKE_PREFIX_PATH={self.prefix}")
        run("cmake", "--build", self.folder / "build")
        self.assertRegex(run(self.folder / "build" / "consumer"), r"^\d+\.\d+\.\d+ 1\n$")

    def test_a_program_is_linked_with_pkg_config(self):
        flags = run("pkg-config", "--cflags", "--libs", "weir", env=self.environment).split()
        run(os.environ.get("CC", "cc"), SOURCE / "tests/e2e/install/consumer.c", "-o", self.folder / "consumer", *flags)
        self.assertRegex(run(self.folder / "consumer", env=self.environment), r"^\d+\.\d+\.\d+ 1\n$")

    def test_pkg_config_knows_where_drivers_go(self):
        folder = run("pkg-config", "--variable=driversdir", "weir", env=self.environment).strip()
        self.assertTrue(pathlib.Path(folder).samefile(self.lib / "weir" / "drivers"))


if __name__ == "__main__":
    # A library that needs a sanitizer's runtime first cannot be loaded by programs that are built without it.
    if "-fsanitize" in (BUILD / "build.ninja").read_text():
        print("skipped: a sanitizer build is not installed")
        sys.exit(77)
    main()
