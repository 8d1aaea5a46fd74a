#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every bad configuration that operators come up with, and what is said to it, as tests/fixtures/config/bad-input.txt has it.

WEIR_TEST_UPDATE=1 writes that file. In it @ stands for the folder of the test.
"""
import json
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
from weirtest import BUILD, CONFIG, OK, SOURCE, WeirTest, main  # noqa: E402

GOLDEN = SOURCE / "tests" / "fixtures" / "config" / "bad-input.txt"


def channels(*subscriptions, **more):
    return {"channels": [{"namespace": "n", "name": "a", "subscriptions": [
        {"name": f"s{number}", "subscriber": "http://127.0.0.1:1/", **one} for number, one in enumerate(subscriptions)],
        **more}]}


def urls(*all_of_them):
    return channels(*({"subscriber": url} for url in all_of_them))


class Golden(WeirTest):
    settings = ("channel.default.kind=InMemoryChannel",)

    def put(self, name, text, mode=0o600):
        path = self.folder / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        path.chmod(mode)
        return path

    def files(self):
        """Row 97: what is not a file with text in it."""
        yield "97 an empty file", self.put("empty.json", "")
        yield "97 a binary file", self.put("binary.json", bytes(range(256)))
        with open(self.folder / "large.json", "wb") as file:
            file.truncate(100 * 1024 * 1024)
        yield "97 a file of 100 MiB", self.folder / "large.json"
        yield "97 a file that is not there", self.folder / "none.json"
        (self.folder / "folder.json").mkdir()
        yield "97 a folder", self.folder / "folder.json"
        os.mkfifo(self.folder / "pipe.json")
        yield "97 a pipe", self.folder / "pipe.json"
        os.symlink("loop.json", self.folder / "loop.json")
        yield "97 a link to itself", self.folder / "loop.json"

    def texts(self):
        """Rows 98 to 102: what the text says."""
        yield "98 unknown keys", {"dispatcher.lisen": "x", "chanels": [], "memory": {"maxByte": 1}}
        yield "98 a key twice", '{"log.level": "debug", "log": {"level": "debug"}, "log.level": "error"}'
        yield "98 wrong types", {"dispatcher": {"batch": "yes", "listen": 8080}, "channels": {}, "log.level": None}
        yield "99 numbers", {"dispatcher": {"ingressLoops": -1, "deliveryLoops": 1e9},
                             "dispatcher.limits": {"maxHeaders": 0, "maxExtensions": 4294967296, "maxJsonDepth": "08"}}
        yield "99 durations", {"dispatcher": {"drainTimeout": "10", "publishTimeout": "PT0S"},
                               "dispatcher.limits": {"idleTimeout": "-PT1S", "requestTimeout": "PT99999999999999H"}}
        yield "100 names twice", {"channels": channels({}, {"name": "s0"})["channels"] + channels()["channels"]}
        yield "100 replies and dead letters to where nothing is", channels(
            {"reply": "channel:n/b", "delivery": {"deadLetterSink": "channel:n/c"}})
        yield "100 a dead-letter sink that is the channel itself", channels(
            {"delivery": {"deadLetterSink": "channel:n/a"}})
        yield "100 a circle of replies", channels({"reply": "channel:n/a"})
        yield "101 schemes", urls("file:///etc/passwd", "ftp://h/", "gopher://h/", "unix:/run/x", "http+unix://h/", "h/")
        yield "101 parts of URLs", urls("http://u:p@h/", "http://h/#f", "http:///", "http://h:0/", "http://h:65536/",
                                        "http://[fe80::1%25eth0]/", "http://h/a b", "http://h\\x/")
        yield "102 addresses in every notation", {**urls(
            "http://0177.0.0.1/", "http://2130706433/", "http://[::ffff:127.0.0.1]/", "http://127.1/", "http://[::1]/",
            "http://10.0.0.1/", "http://172.16.0.1/", "http://192.168.0.1/", "http://100.64.0.1/"),
            "dispatcher.addresses": {"allowLoopback": False, "allowPrivate": False}}
        yield "102 addresses that are never allowed", urls(
            "http://169.254.169.254/", "http://2852039166/", "http://[fd00:ec2::254]/", "http://[fe80::1]/",
            "http://0.0.0.0/", "http://224.0.0.1/", "http://[ff02::1]/", "http://[::]/")

    def manifests(self):
        """Row 98: YAML that is up to something."""
        bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
            f"{chr(98 + i)}: &{chr(98 + i)} [*{chr(97 + i)},*{chr(97 + i)},*{chr(97 + i)}]\n" for i in range(20))
        for name, text in (("anchors that multiply", bomb), ("an alias of what it is in", "a: &a [*a]\n"),
                           ("a tag", "kind: ConfigMap\ndata: !!python/object:os.system {log.level: debug}\n"),
                           ("no manifest", "just: text\n"), ("not base64", "kind: Secret\ndata: {log.level: '%%'}\n"),
                           ("a tab", "kind: ConfigMap\ndata:\n\tlog.level: debug\n")):
            yield f"98 YAML: {name}", {"overrides": [str(self.put(name.replace(" ", "-") + ".yaml", text))]}

    def secrets(self):
        """Row 104: secrets in files."""
        for name, text, mode in (("that everybody may read", "x\n", 0o644), ("that others may write to", "x\n", 0o666),
                                 ("that is empty", "", 0o600), ("with a NUL", "a\0b", 0o600),
                                 ("of 1 MiB", "x" * 1024 * 1024, 0o600)):
            path = self.put(name.replace(" ", "-"), text, mode)
            yield f"104 a secret in a file {name}", {"natss": {"passwordFile": str(path), "username": "u"}}
        yield "104 a secret in a file that is not there", {"natss": {"passwordFile": "@/none", "username": "u"}}
        yield "104 half of the credentials", {"natss": {"password": "secret"}}

    def drivers(self):
        """Row 105: where drivers come from."""
        yield "105 a driver's path that is relative", {"drivers.kinds": {"AcmeChannel": "acme.so"}, "drivers.path": ["x"]}
        path = self.put("acme.so", "no ELF", 0o755)
        acme = {"drivers.kinds": {"AcmeChannel": str(path)}, "channels": [
            {"namespace": "n", "name": "a", "kind": "AcmeChannel"}]}
        yield "105 a driver that is none", acme
        yield "105 a kind that no driver has", {"channels": [{"namespace": "n", "name": "a", "kind": "NoChannel"}]}

    def unsafe_driver(self):
        folder = self.folder / "open"
        folder.mkdir()
        folder.chmod(0o777)
        path = self.put("open/acme.so", "no ELF", 0o755)
        yield "105 a driver in a folder that everybody may write to", {
            "drivers.kinds": {"AcmeChannel": str(path)},
            "channels": [{"namespace": "n", "name": "a", "kind": "AcmeChannel"}]}

    def say(self, name, what):
        """What `weir config check` says to it."""
        path = what
        if not isinstance(what, os.PathLike):
            text = what if isinstance(what, str) else json.dumps(what)
            path = self.put("c.json", text.replace("@/", f"{self.folder}/"))
        result = self.weir("config", "check", "-c", path, timeout=20)
        self.assertIn(result.code, (OK, CONFIG), f"{name}: {result}")
        self.assertNotIn("secret\"", result.err)
        said = re.sub(re.escape(str(BUILD)) + r"[^ ,]*", "BUILD", result.err.replace(str(self.folder), "@"))
        # Which drivers there are depends on what was built.
        said = re.sub(r"(?m)(no driver for it|kinds? found|searched).*$", r"\1 ...", said)
        return f"=== {name}: exit code {result.code}\n{said}"

    def test_each_says_what_the_golden_file_has(self):
        said = "".join(self.say(name, what) for ways in (
            self.files, self.texts, self.manifests, self.secrets, self.drivers, self.unsafe_driver) for name, what in ways())
        if os.environ.get("WEIR_TEST_UPDATE"):
            GOLDEN.write_text(said)
        self.maxDiff = None
        self.assertEqual(said, GOLDEN.read_text())


if __name__ == "__main__":
    main()
