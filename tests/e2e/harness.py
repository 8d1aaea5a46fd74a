# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests share: a real `weir serve`, subscribers that do as they are told, and waiting with a deadline.

Nothing here sleeps to wait for something to happen elsewhere: everything waits on a condition, at most DEADLINE seconds.
"""
import base64
import collections
import contextlib
import http.client
import http.server
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest

BUILD = os.environ.get("WEIR_TEST_BUILD", os.path.join(os.path.dirname(__file__), "..", "..", "build"))
WEIR = os.path.join(BUILD, "weir")
DEADLINE = 30.0


def sanitizers():
    with contextlib.suppress(OSError), open(os.path.join(BUILD, "CMakeCache.txt"), encoding="utf-8") as cache:
        return "".join(re.findall(r"^WEIR_SANITIZE:\w+=(.*)$", cache.read(), re.MULTILINE))
    return ""


SANITIZED = bool(sanitizers())
# librdkafka starts C11 threads, which gcc's thread sanitizer does not know: the program ends with SIGSEGV.
C11_THREADS_CRASH = "thread" in sanitizers()


def wait_for(what, condition, lock):
    """Waits until `condition()` is true; `lock` is a threading.Condition that is notified when that may be."""
    deadline = time.monotonic() + DEADLINE
    with lock:
        while not condition():
            left = deadline - time.monotonic()
            if left <= 0:
                raise AssertionError(f"waited {DEADLINE:.0f} s for {what}")
            lock.wait(left)


class Request:
    """One request that a subscriber got."""

    def __init__(self, path, headers, body):
        self.path = path
        self.headers = headers
        self.body = body
        self.when = time.monotonic()

    @property
    def id(self):
        return self.headers.get("ce-id")

    def attributes(self):
        """Everything about the event but its data."""
        found = {name[3:]: value for name, value in self.headers.items() if name.startswith("ce-")}
        if "content-type" in self.headers:
            found["datacontenttype"] = self.headers["content-type"]
        return found


class Sink:
    """A subscriber: keeps what it gets, and answers what `answer(request, how_many_before_with_this_id)` says: a status,
    or (status, headers, body), or None to close the connection without an answer."""

    def __init__(self, answer=lambda request, before: 204):
        sink = self
        self.answer = answer
        self.changed = threading.Condition()
        self.requests = []
        self.times = collections.Counter()  # how often each event came
        self.connections = set()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1

            def setup(self):
                super().setup()
                with sink.changed:
                    sink.connections.add(self.connection)

            def finish(self):
                with contextlib.suppress(OSError):
                    super().finish()
                with sink.changed:
                    sink.connections.discard(self.connection)

            def handle(self):
                with contextlib.suppress(OSError):
                    super().handle()

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                sink.take(self, Request(self.path, headers, body))

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            request_queue_size = 256
            daemon_threads = True

            def handle_error(self, *_):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/"

    def take(self, handler, request):
        with self.changed:
            before = self.times[request.id]
            self.times[request.id] += 1
            self.requests.append(request)
            self.changed.notify_all()
        answer = self.answer(request, before)
        if answer is None:
            handler.close_connection = True
            return
        status, headers, body = (answer, {}, b"") if isinstance(answer, int) else answer
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        if status != 204:
            handler.send_header("content-length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def ids(self):
        with self.changed:
            return [request.id for request in self.requests]

    def wait(self, count):
        """Waits for that many requests and returns them."""
        wait_for(f"{count} requests, there are {len(self.requests)}", lambda: len(self.requests) >= count, self.changed)
        with self.changed:
            return list(self.requests)

    def wait_ids(self, wanted):
        """Waits until each of these events has come at least once."""

        missing = set(wanted)

        def arrived():
            missing.difference_update([id for id in missing if id in self.times])
            return not missing

        try:
            wait_for("events to arrive", arrived, self.changed)
        except AssertionError:
            raise AssertionError(f"{len(missing)} events never arrived: {sorted(missing)[:20]}") from None

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        with self.changed:
            for connection in list(self.connections):
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        self.thread.join()


def closed_port():
    """A port that nobody listens on, as far as one can know."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read()

    def json(self):
        return json.loads(self.body)


class Weir:
    """`weir serve` with a configuration and a folder of its own. Survives being killed: start() it again."""

    def __init__(self, config=None, kind=None, environment=None):
        self.folder = tempfile.mkdtemp(prefix="weir-e2e-")
        self.config = {
            "dispatcher": {"listen": "127.0.0.1:0", "admin": "127.0.0.1:0", "drainTimeout": "PT1S"},
        }
        self.config["dispatcher"]["quarantine"] = {"path": os.path.join(self.folder, "quarantine")}
        if kind:
            self.config["channel"] = {"default": {"kind": kind}}
        if kind != "InMemoryChannel":
            self.config["embedded"] = {"path": os.path.join(self.folder, "data")}
        for key, value in (config or {}).items():
            if isinstance(value, dict):
                self.config.setdefault(key, {}).update(value)
            else:
                self.config[key] = value
        self.environment = environment or {}
        self.more = []  # arguments
        self.process = None
        self.changed = threading.Condition()
        self.log = []
        self.ready_line = None
        self.port = self.admin_port = 0

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        """Every test ends with a stop that must be clean; under a sanitizer that is where leaks are found."""
        try:
            if self.process and self.process.poll() is None and self.stop() != 0:
                raise AssertionError(f"exit code {self.process.returncode}; it said:\n" + "\n".join(self.log[-40:]))
        finally:
            self.kill()
            shutil.rmtree(self.folder, ignore_errors=True)

    def start(self, wait=True, before=None):
        """`before` runs in the new process, before the program."""
        path = self.write_config()
        self.ready_line = None
        self.process = subprocess.Popen(
            [WEIR, "serve", "-c", path, *self.more],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=before,
            env={**os.environ, **self.environment},
        )
        self.reader = threading.Thread(target=self.read_log, args=(self.process,), daemon=True)
        self.reader.start()
        if wait:
            self.wait_ready()
        return self

    def write_config(self, text=None):
        """Replaces the file as a whole, as editors do. `text`: instead of the configuration."""
        path = os.path.join(self.folder, "weir.json")
        with open(path + ".new", "w", encoding="utf-8") as file:
            file.write(json.dumps(self.config) if text is None else text)
        os.rename(path + ".new", path)
        return path

    def reload(self, text=None):
        """Writes the configuration and has it read again; returns the answer."""
        self.write_config(text)
        connection = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=DEADLINE)
        with contextlib.closing(connection):
            connection.request("POST", "/reload")
            return Answer(connection.getresponse())

    def read_log(self, process):
        with process.stderr as lines:
            for line in lines:
                with self.changed:
                    self.log.append(line.rstrip("\n"))
                    found = re.search(r"ready: events on [^;]*?:(\d+)[^;]*(?:; admin on \S+?:(\d+))?", line)
                    if found:
                        self.port, self.admin_port = int(found[1]), int(found[2] or 0)
                        tls = re.search(r", with TLS on [^;]*?:(\d+)", line)
                        self.tls_port = int(tls[1]) if tls else 0
                        self.ready_line = line
                    self.changed.notify_all()
        process.wait()
        with self.changed:
            self.changed.notify_all()

    def wait_ready(self):
        """Until it takes events and each subscription has its place in the backend."""
        wait_for(
            "weir to be ready; it said:\n" + "\n".join(self.log[-20:]),
            lambda: self.ready_line or self.process.poll() is not None,
            self.changed,
        )
        if not self.ready_line:
            raise AssertionError("weir ended:\n" + "\n".join(self.log[-20:]))
        self.wait_admin("/readyz", lambda answer: answer.status == 200)

    def wait_admin(self, path, condition):
        deadline = time.monotonic() + DEADLINE
        while True:
            answer = self.get(path)
            if condition(answer):
                return answer
            if time.monotonic() > deadline:
                raise AssertionError(f"waited {DEADLINE:.0f} s for {path}; last: {answer.status} {answer.body[-2000:]!r}")
            time.sleep(0.01)

    def get(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=DEADLINE)
        with contextlib.closing(connection):
            connection.request("GET", path)
            return Answer(connection.getresponse())

    def request(self, method, path, headers=None, body=b""):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
        with contextlib.closing(connection):
            connection.request(method, path, body, headers or {})
            return Answer(connection.getresponse())

    def post(self, path, headers, body=b""):
        return self.request("POST", path, headers, body)

    def send(self, path, id, body=b"", **extensions):
        """Posts a small event and insists on 202."""
        headers = event_headers(id, **extensions)
        answer = self.post(path, headers, body)
        if answer.status != 202:
            raise AssertionError(f"{answer.status} {answer.body!r}")
        return answer

    def said(self, text):
        with self.changed:
            return any(text in line for line in self.log)

    def wait_said(self, text):
        wait_for(f"the log to say {text!r}:\n" + "\n".join(self.log[-20:]), lambda: self.said(text), self.changed)

    def quarantine(self):
        folder = os.path.join(self.folder, "quarantine")
        if not os.path.isdir(folder):
            return []
        found = []
        for name in sorted(os.listdir(folder)):
            if not name.startswith("."):
                with open(os.path.join(folder, name), encoding="utf-8") as file:
                    found.append(json.load(file))
        return found

    def wait_quarantine(self, count):
        deadline = time.monotonic() + DEADLINE
        while len(self.quarantine()) < count:
            if time.monotonic() > deadline:
                raise AssertionError(f"waited {DEADLINE:.0f} s for {count} files in quarantine")
            time.sleep(0.02)
        return self.quarantine()

    def stop(self, number=signal.SIGTERM):
        """Asks it to stop and returns the exit code."""
        self.process.send_signal(number)
        return self.wait_exit()

    def wait_exit(self):
        code = self.process.wait(DEADLINE)
        self.reader.join(DEADLINE)
        return code

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
        if self.process:
            self.wait_exit()


def run_weir(*arguments, config=None, environment=None):
    """Runs `weir serve` that is expected to end by itself."""
    with tempfile.TemporaryDirectory(prefix="weir-e2e-") as folder:
        command = [WEIR, "serve"]
        if config is not None:
            path = os.path.join(folder, "weir.json")
            with open(path, "w", encoding="utf-8") as file:
                file.write(config if isinstance(config, str) else json.dumps(config))
            command += ["-c", path]
        return subprocess.run(
            command + list(arguments),
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
            env={**os.environ, **(environment or {})},
        )


def event_headers(id, type="com.example.test", source="/e2e", **extensions):
    headers = {"ce-specversion": "1.0", "ce-id": id, "ce-type": type, "ce-source": source}
    headers.update({f"ce-{name}": value for name, value in extensions.items()})
    return headers


def channel(*subscriptions, namespace="shop", name="orders", **more):
    return {"namespace": namespace, "name": name, "subscriptions": list(subscriptions), **more}


def subscription(sink, name="billing", retry=0, delay="PT0.01S", **more):
    """One subscription; what is not a key of a subscription itself is one of its delivery."""
    own = {key: more.pop(key) for key in ("reply", "from", "uid", "filters") if key in more}
    url = sink if isinstance(sink, str) else sink.url
    return {
        "name": name,
        "subscriber": url,
        "delivery": {"retry": retry, "backoffDelay": delay, "backoffPolicy": "linear", **more},
        **own,
    }


class TestCase(unittest.TestCase):
    """Makes what a test needs and cleans up behind it."""

    def sink(self, *arguments):
        sink = Sink(*arguments)
        self.addCleanup(sink.close)
        return sink

    def weir(self, *channels, start=True, **more):
        weir = Weir({"channels": list(channels), **more.pop("config", {})}, **more)
        self.addCleanup(weir.__exit__)
        return weir.start() if start else weir

    def wait_delivered(self, weir, **figures):
        """Until the first subscription's figures in /status are these."""

        def reached(answer):
            seen = answer.json()["channels"][0]["subscriptions"][0]
            return all(seen[name] == value for name, value in figures.items())

        weir.wait_admin("/status", reached)


def base64_text(text):
    return base64.b64decode(text).decode()
