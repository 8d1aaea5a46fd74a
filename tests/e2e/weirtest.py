# SPDX-License-Identifier: Apache-2.0
"""What end-to-end tests share: where the build is, running the program, a folder for each test."""
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

SOURCE = pathlib.Path(os.environ.get("WEIR_TEST_SOURCE", pathlib.Path(__file__).resolve().parents[2]))
BUILD = pathlib.Path(os.environ.get("WEIR_TEST_BUILD", SOURCE / "build"))
WEIR = os.environ.get("WEIR_TEST_PROGRAM", str(BUILD / "weir"))

OK, FAILED, USAGE, UNAVAILABLE, CONFIG = 0, 1, 64, 69, 78


def clean_environment():
    """The caller's WEIR_ settings must not leak into a test; a proxy must not come between."""
    dropped = ("http_proxy", "https_proxy", "all_proxy", "STATE_DIRECTORY", "NOTIFY_SOCKET")
    return {key: value for key, value in os.environ.items()
            if not key.startswith("WEIR_") and key.lower() not in dropped and key not in dropped}


class Result:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    @property
    def lines(self):
        return self.out.splitlines()

    def __str__(self):
        return f"exit code {self.code}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"


class WeirTest(unittest.TestCase):
    """Each test runs in a folder of its own, self.folder, which is removed after it."""
    settings = ()

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="weir-test-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def weir(self, *args, stdin=b"", program=WEIR, environment=None, timeout=60, stdout=subprocess.PIPE):
        """Runs `weir ARGS` with the class's settings and waits for it."""
        command = [program, *map(str, args)]
        if args and args[0] in ("publish", "tail", "drivers", "serve", "config"):
            command += [word for setting in self.settings for word in ("--set", setting.format(folder=self.folder))]
        done = subprocess.run(command, input=stdin, stdout=stdout, stderr=subprocess.PIPE, cwd=self.folder,
                              env={**clean_environment(), **(environment or {})}, timeout=timeout, check=False)
        return Result(done.returncode, (done.stdout or b"").decode(), done.stderr.decode())

    def succeed(self, *args, **options):
        result = self.weir(*args, **options)
        self.assertEqual(result.code, OK, f"weir {args}: {result}")
        return result

    def fails(self, code, *args, **options):
        result = self.weir(*args, **options)
        self.assertEqual(result.code, code, f"weir {args}: {result}")
        return result

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return path


def main():
    unittest.main(verbosity=2)
