# SPDX-License-Identifier: Apache-2.0
"""The programs of a measurement: Weir, sinks, floors, load; started, watched, and ended."""
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[3]
BUILD = ROOT / "build"
CHANNEL = "/default/bench"
DEADLINE_S = 120


def die(text):
    sys.exit(f"scripts/bench: {text}")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def http_get(port, path):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as answer:
        return answer.code, ""
    except OSError:
        return 0, ""


class Folder:
    """A folder in the build folder, on the disk that the product would use, gone after the block."""

    def __enter__(self):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="bench-", dir=BUILD))
        return self.path

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)


class Process:
    """A program under test; ended with the block that it is used in."""

    def __init__(self, command, **more):
        self.started = time.monotonic()
        self.process = subprocess.Popen([str(part) for part in command], **more)
        self.pid = self.process.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(40)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def cpu_ns(self):
        """What all its threads ran, user and kernel."""
        total = 0
        for task in pathlib.Path(f"/proc/{self.pid}/task").glob("*/schedstat"):
            try:
                total += int(task.read_text().split()[0])
            except OSError:
                pass  # the thread has ended meanwhile
        return total

    def memory_mib(self, name):
        for line in pathlib.Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1]) / 1024
        return 0

    def wait_until(self, ready, what, deadline_s=60):
        while not ready():
            if self.process.poll() is not None or time.monotonic() > self.started + deadline_s:
                die(f"{what} did not get ready:\n{self.last_words()}")
            time.sleep(0.001)

    def last_words(self):
        return ""


class Sink(Process):
    """bench_sink: a subscriber that answers 202 and counts; with `forward` it posts each event on, the floor."""

    def __init__(self, forward=None):
        command = [BUILD / "tests/bench/bench_sink"] + (["-f", forward] if forward else [])
        super().__init__(command, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())
        self.path = CHANNEL

    def count(self):
        return int(http_get(self.port, "/")[1])


def subscription(name, port, **delivery):
    return {"name": name, "subscriber": f"http://127.0.0.1:{port}/{name}",
            "delivery": {"order": "unordered", "maxInFlight": 64, **delivery}}


def channel(kind, name="bench", subscriptions=()):
    return {"namespace": "default", "name": name, "kind": kind, "subscriptions": list(subscriptions)}


class Weir(Process):
    """`weir serve` with the channels given."""

    def __init__(self, kind, folder, channels):
        self.port, self.admin, self.path = free_port(), free_port(), CHANNEL
        config = {
            "dispatcher": {"listen": f"127.0.0.1:{self.port}", "admin": f"127.0.0.1:{self.admin}"},
            "channels": channels,
            **kind.config(folder),
        }
        path = folder / "weir.json"
        path.write_text(json.dumps(config))
        self.log = open(folder / "weir.log", "w+", encoding="utf-8")
        environment = {key: value for key, value in os.environ.items() if not key.startswith("WEIR_")}
        super().__init__([BUILD / "weir", "serve", "-c", path], stderr=self.log, cwd=folder, env=environment)
        self.wait_until(lambda: http_get(self.admin, "/readyz")[0] == 200, "weir serve")
        self.ready_ms = (time.monotonic() - self.started) * 1000

    def __exit__(self, *_):
        super().__exit__()
        self.log.close()

    def last_words(self):
        self.log.seek(0)
        return self.log.read()

    def figure(self, name):
        """One that has no labels, from /metrics; None if there is none."""
        for line in http_get(self.admin, "/metrics")[1].splitlines():
            if line.startswith(name + " "):
                return float(line.split()[1])
        return None


def post(target, options, *more, path=None):
    """Posts events with bench_load; all must be answered 2xx. What it prints."""
    command = [BUILD / "tests/bench/bench_load", "-c", options.connections, "-u", path or target.path, *more, target.port]
    load = json.loads(subprocess.check_output([str(part) for part in command]))
    if any(not status.startswith("2") for status in load["statuses"]):
        die(f"not every event was taken: {load['statuses']}")
    return load


def latency(target, sink_port, options, rate, seconds, size=1024):
    """`weir bench latency`: from when an event was due until it arrived at a sink on `sink_port`, in microseconds."""
    words = ["bench", "latency", target.path[1:], "--url", f"http://127.0.0.1:{target.port}", "--listen",
             f"127.0.0.1:{sink_port}", "--rate", rate, "--duration", f"{seconds}s", "--connections", options.connections,
             "--size", size, "-o", "json"]
    done = subprocess.run([str(BUILD / "weir"), *map(str, words)], capture_output=True, text=True, check=False)
    if done.returncode:
        die(f"weir bench latency: {done.stderr}")
    return json.loads(done.stdout)


def wait_for(sink, count):
    deadline = time.monotonic() + DEADLINE_S
    while sink.count() < count:
        if time.monotonic() > deadline:
            die(f"the sink got {sink.count()} events instead of {count} within {DEADLINE_S} s")
        time.sleep(0.002)
