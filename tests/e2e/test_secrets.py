# SPDX-License-Identifier: Apache-2.0
"""Secrets are planted in every place where they can be, and looked for in everything that comes out."""
import base64
import json
import os
import resource
import signal
import subprocess
import unittest

from harness import BUILD, C11_THREADS_CRASH, DEADLINE, SANITIZED, WEIR, TestCase, channel, closed_port, subscription

CANARY = "canary7f3e"


def has_driver(name):
    return os.path.exists(os.path.join(BUILD, "drivers", f"weir-driver-{name}.so"))


@unittest.skipUnless(has_driver("kafka"), "the Kafka driver is not built")
class Canaries(TestCase):
    """All of them contain CANARY, each with a word of its own behind it."""

    def setUp(self):
        self.server = self.weir(start=False)
        self.folder = self.server.folder
        with open(self.path("password"), "w", encoding="utf-8") as file:
            file.write(f"{CANARY}-file\n")
        os.chmod(self.path("password"), 0o600)

    def path(self, name):
        return os.path.join(self.folder, name)

    def manifest(self):
        encoded = base64.b64encode(f"{CANARY}-data".encode()).decode()
        text = ("apiVersion: v1\nkind: Secret\nmetadata: {name: k, labels: {component: knative-eventing-kafka}}\n"
                f"data:\n  kafka.password: {encoded}\nstringData:\n  kafka.username: user\n")
        with open(self.path("secret.yaml"), "w", encoding="utf-8") as file:
            file.write(text)
        return self.path("secret.yaml")

    def mounted(self):
        folder = self.path("mounted")
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "kafka.password"), "w", encoding="utf-8") as file:
            file.write(f"{CANARY}-mounted")
        os.chmod(os.path.join(folder, "kafka.password"), 0o600)
        return folder

    def assert_clean(self, text, where):
        if isinstance(text, bytes):
            text = text.decode(errors="replace")
        encoded = base64.b64encode(CANARY.encode()).decode()[:12]
        for needle in (CANARY, encoded):
            self.assertNotIn(needle, text, where)

    def ways(self):
        """(what is in the file, arguments, environment): each way in which a secret gets in."""
        secret = {"kafka": {"provider": "confluent", "brokers": f"127.0.0.1:{closed_port()}", "username": "u"}}

        def kafka(**more):
            return {"kafka": {**secret["kafka"], **more}}

        yield kafka(password=f"{CANARY}-inline"), [], {}
        yield kafka(passwordFile=self.path("password")), [], {}
        yield kafka(), [], {"WEIR_KAFKA__PASSWORD": f"{CANARY}-environment"}
        yield kafka(), ["--set", f"kafka.password={CANARY}-set"], {}
        yield {**secret, "overrides": [self.manifest()]}, [], {}
        yield {**kafka(), "overrides": [self.mounted()]}, [], {}
        yield kafka(password="x", properties={"sasl.jaas.config": f"{CANARY}-property"}), [], {}

    def test_no_command_about_a_configuration_shows_one(self):
        for number, (config, arguments, environment) in enumerate(self.ways()):
            path = self.path(f"{number}.json")
            with open(path, "w", encoding="utf-8") as file:
                json.dump({**config, "channel": {"default": {"kind": "InMemoryChannel"}}, "channels": [
                    channel(subscription(f"http://127.0.0.1:1/?token={CANARY}-token"))]}, file)
            wrong = self.path(f"{number}-wrong.json")
            with open(wrong, "w", encoding="utf-8") as file:
                json.dump({**config, "channel": {"default": {"kind": "KafkaChannel"}}, "kafka.partitions": "many"}, file)
            for command in (["check", "-c", path], ["show", "--origin", "-c", path], ["plan", "-c", path, wrong],
                            ["plan", path], ["check", "-c", wrong], ["show", "-c", wrong], ["explain", "kafka.password"]):
                done = subprocess.run([WEIR, "config", *command, *arguments], capture_output=True, cwd=self.folder,
                                      env={**os.environ, **environment}, timeout=DEADLINE, check=False)
                self.assert_clean(done.stdout + done.stderr, f"weir config {command} of {config}")
                self.assertNotIn(b"unknown command", done.stderr)

    def test_a_secret_in_the_wrong_place_is_not_repeated(self):
        for number, text in enumerate([
                f'{{"kafka": {{"password": ["{CANARY}"]}}}}', f'{{"kafka": {{"password": {{"{CANARY}": 1}}}}}}',
                f'{{"kafka": {{"passwordFile": "/nowhere"}}, "channels": [{{"namespace": "n", "name": "a", '
                f'"subscriptions": [{{"name": "s", "subscriber": "http://u:{CANARY}@127.0.0.1/"}}]}}]}}']):
            path = self.path(f"bad{number}.json")
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            done = subprocess.run([WEIR, "config", "check", "-c", path], capture_output=True, cwd=self.folder,
                                  timeout=DEADLINE, check=False)
            self.assertEqual(done.returncode, 78, done.stderr)
            if number != 1:  # there it is a key
                self.assert_clean(done.stdout + done.stderr, text)

    @unittest.skipIf(C11_THREADS_CRASH, "the thread sanitizer does not know C11 threads")
    def test_a_dispatcher_tells_nobody(self):
        """The backend cannot be reached, so that what it says of itself is there, too."""
        for config, arguments, environment in self.ways():
            if "properties" in config["kafka"]:
                continue
            server = self.weir(channel(subscription(f"http://127.0.0.1:1/?token={CANARY}-token"), kind="KafkaChannel"),
                               channel(kind="InMemoryChannel", name="here"),
                               config={**config, "log": {"level": "debug"}}, start=False, environment=environment)
            server.more = arguments
            server.start(wait=False)
            server.wait_said("ready: events on")
            server.config["kafka"]["partitions"] = 7
            self.assert_clean(server.reload().body, "a reload that is refused")
            self.assert_clean(server.reload('{"kafka": {"passwort": "' + CANARY + '"}}').body, "a wrong reload")
            for path in ("/status", "/metrics", "/readyz", "/", "/reload"):
                self.assert_clean(server.get(path).body, path)
            server.send("/shop/here", "1")
            server.post("/shop/orders", {"ce-id": "x"})
            server.kill()
            self.assert_clean("\n".join(server.log), "the log")

    @unittest.skipIf(SANITIZED, "a sanitizer has its own way to end")
    def test_a_crash_leaves_no_core_file_with_one(self):
        def core_files():
            resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

        _, hard = resource.getrlimit(resource.RLIMIT_CORE)
        if hard != resource.RLIM_INFINITY:
            self.skipTest("core files are not allowed here")
        dumped = []
        for config in ({}, {"kafka": {"password": f"{CANARY}-core", "username": "u"}}):
            server = self.weir(channel(kind="InMemoryChannel"), config=config, start=False)
            server.start(before=core_files)
            self.assertEqual(server.stop(signal.SIGABRT), -signal.SIGABRT)
            dumped.append(any(name.startswith("core") for name in os.listdir(server.folder)))
        if not dumped[0]:
            self.skipTest("no core files are written here, with secrets or without")
        self.assertEqual(dumped, [True, False])


class Rotation(TestCase):
    """Credentials change without a restart."""

    @unittest.skipUnless(has_driver("kafka"), "the Kafka driver is not built")
    @unittest.skipIf(C11_THREADS_CRASH, "the thread sanitizer does not know C11 threads")
    def test_a_file_with_another_password_opens_the_backend_anew_and_touches_nothing_else(self):
        to = self.sink()
        server = self.weir(channel(subscription(to), kind="InMemoryChannel"), channel(kind="KafkaChannel", name="far"),
                           start=False)
        path = os.path.join(server.folder, "password")
        with open(path, "w", encoding="utf-8") as file:
            file.write("one\n")
        os.chmod(path, 0o600)
        server.config["kafka"] = {"provider": "confluent", "brokers": f"127.0.0.1:{closed_port()}", "username": "u",
                                  "passwordFile": path}
        server.start(wait=False)
        server.wait_said("ready: events on")
        server.send("/shop/orders", "1")
        with open(path + ".new", "w", encoding="utf-8") as file:
            file.write("two\n")
        os.chmod(path + ".new", 0o600)
        os.rename(path + ".new", path)
        server.wait_said("configuration: renew kafka.password: other credentials")
        server.send("/shop/orders", "2")
        to.wait_ids(["1", "2"])
        self.assertEqual(max(to.times.values()), 1)
        server.kill()


if __name__ == "__main__":
    unittest.main(verbosity=2)
