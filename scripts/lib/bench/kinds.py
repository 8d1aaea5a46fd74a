# SPDX-License-Identifier: Apache-2.0
"""The kinds of channel: what each needs in the configuration, and which server must run."""
import contextlib
import subprocess
import uuid

from .programs import ROOT, die


class Kind:
    """`broker`: words for scripts/brokers that start what it needs; `keys`: its part of the configuration."""

    def __init__(self, name, keys=None, broker=None):
        self.name, self.keys, self.broker = name, keys or (lambda folder, server: {}), broker
        self.server = None

    def config(self, folder):
        return self.keys(folder, self.server)

    @contextlib.contextmanager
    def running(self):
        """The server runs inside the block; what it kept is forgotten after it."""
        if not self.broker:
            yield self
            return
        script, variant = ROOT / "scripts/brokers" / self.broker[0], self.broker[1]
        done = subprocess.run([script, "start", variant], stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            die(f"scripts/brokers/{self.broker[0]} start {variant} failed")
        self.server = done.stdout.split()[-1]
        try:
            yield self
        finally:
            subprocess.run([script, "wipe", variant], stdout=subprocess.DEVNULL, check=False)


def embedded(folder, _):
    return {"embedded": {"path": str(folder / f"data-{uuid.uuid4().hex[:8]}")}}


KINDS = {kind.name: kind for kind in (
    Kind("InMemoryChannel"),
    Kind("EmbeddedChannel", embedded),
    Kind("KafkaChannel", lambda _, server: {"kafka": {"brokers": server}}, ("kafka", "plain")),
    Kind("NatsJetStreamChannel", lambda _, server: {"jetstream": {"url": server}}, ("nats", "jetstream")),
    Kind("NatssChannel", lambda _, server: {"natss": {"url": server}}, ("nats", "streaming")),
)}
LOCAL = ("InMemoryChannel", "EmbeddedChannel")


def find(name):
    if name not in KINDS:
        die(f"--kind {name}: one of {', '.join(KINDS)}")
    return KINDS[name]
