# SPDX-License-Identifier: Apache-2.0
"""Other programs, already installed, measured in turn with Weir: CloudEvents in over HTTP, out to one subscriber.

Each is set up as its documentation has it for that, with as many connections and as much in flight as Weir is given. What
it keeps events in is the kind that is measured: memory for InMemoryChannel, the same broker for KafkaChannel.
"""
import json
import os
import pathlib
import subprocess
import uuid

from .programs import Folder, Process, Sink, Weir, channel, die, free_port, http_get, subscription
from .scenarios import Row, burst, repeat


class Peer(Process):
    def __init__(self, command, folder, port, path, ready, **more):
        self.port, self.path = port, path
        self.log = open(folder / "peer.log", "w+", encoding="utf-8")
        super().__init__(command, stdout=self.log, stderr=subprocess.STDOUT, cwd=folder, **more)
        self.wait_until(ready, command[0])

    def __exit__(self, *_):
        super().__exit__()
        self.log.close()

    def last_words(self):
        self.log.seek(0)
        return self.log.read()[-4000:]


def bento(program, kind, folder, sink, options):
    """HTTP server, buffer in memory or a topic between two streams, HTTP client; it answers when the event is written."""
    port, topic = free_port(), f"bench-{uuid.uuid4().hex[:8]}"
    out = {"http_client": {"url": f"http://127.0.0.1:{sink.port}/", "verb": "POST", "max_in_flight": 64,
                           "metadata": {"include_patterns": [".*"]}}}
    source = {"http_server": {"path": "/events", "allowed_verbs": ["POST"], "timeout": "30s"}}
    streams = {"in": {"input": source, "output": out}}
    if kind.name == "KafkaChannel":
        keep = {"kafka_franz": {"seed_brokers": [kind.server], "topic": topic, "max_in_flight": 64,
                                "metadata": {"include_patterns": [".*"]}}}
        take = {"kafka_franz": {"seed_brokers": [kind.server], "topics": [topic], "consumer_group": topic}}
        streams = {"in": {"input": source, "output": keep}, "out": {"input": take, "output": out}}
    elif kind.name == "InMemoryChannel":
        streams["in"]["buffer"] = {"memory": {"limit": 64 * 1024 * 1024}}
    else:
        die(f"bento has nothing that keeps events like {kind.name}")
    (folder / "streams").mkdir()
    for name, stream in streams.items():
        (folder / "streams" / f"{name}.yaml").write_text(json.dumps(stream))
    (folder / "main.json").write_text(json.dumps({"http": {"address": f"127.0.0.1:{port}"}, "logger": {"level": "WARN"}}))
    command = [program, "-c", folder / "main.json", "streams", *sorted((folder / "streams").iterdir())]
    return Peer(command, folder, port, "/in/events", lambda: http_get(port, "/ready")[0] == 200)


def fluent_bit(program, kind, folder, sink, options):
    """HTTP input, HTTP output. It answers before anything is kept, and puts many events into one request: not like for like."""
    port = free_port()
    if kind.name != "InMemoryChannel":
        die("fluent-bit is set up here for InMemoryChannel only")
    command = [program, "-q", "-f", "0.2", "-i", "http", "-p", "listen=127.0.0.1", "-p", f"port={port}", "-o", "http", "-m", "*",
               "-p", "host=127.0.0.1", "-p", f"port={sink.port}", "-p", "uri=/", "-p", "format=json"]

    def listens():
        return http_get(port, "/")[0] != 0

    return Peer(command, folder, port, "/bench", listens)


def dapr(program, kind, folder, sink, options):
    """daprd with a pub/sub component and a declarative subscription; it answers when the event is published."""
    port, app = free_port(), sink.port
    meta = {"KafkaChannel": ("pubsub.kafka", [{"name": "brokers", "value": kind.server}, {"name": "authType", "value": "none"},
                                             {"name": "consumerGroup", "value": uuid.uuid4().hex}]),
            "InMemoryChannel": ("pubsub.in-memory", [])}
    if kind.name not in meta:
        die(f"dapr is set up here for {', '.join(meta)}")
    name, settings = meta[kind.name]
    resources = folder / "resources"
    resources.mkdir()
    (resources / "pubsub.yaml").write_text(json.dumps({
        "apiVersion": "dapr.io/v1alpha1", "kind": "Component", "metadata": {"name": "bench"},
        "spec": {"type": name, "version": "v1", "metadata": settings}}))
    (resources / "subscription.yaml").write_text(json.dumps({
        "apiVersion": "dapr.io/v2alpha1", "kind": "Subscription", "metadata": {"name": "bench"},
        "spec": {"topic": "bench", "pubsubname": "bench", "routes": {"default": "/"}}}))
    command = [program, "--app-id", "bench", "--app-port", app, "--dapr-http-port", port, "--dapr-grpc-port", free_port(),
               "--metrics-port", free_port(), "--resources-path", resources, "--log-level", "warn",
               "--app-max-concurrency", "64"]
    return Peer(command, folder, port, "/v1.0/publish/bench/bench", lambda: http_get(port, "/v1.0/healthz")[0] in (200, 204))


PEERS = {"bento": bento, "fluent-bit": fluent_bit, "daprd": dapr}


def beside(kind, path, options):
    """Rows for Weir and the peer, which take turns on sinks of their own."""
    name = pathlib.Path(path).name
    if name not in PEERS or not os.access(path, os.X_OK):
        die(f"--peer {path}: not an executable called {', '.join(PEERS)}")
    with Folder() as folder, Folder() as peer_folder, Sink() as sink, Sink() as peer_sink:
        some = [channel(kind.name, subscriptions=[subscription("s", sink.port)])]
        with Weir(kind, folder, some) as weir, PEERS[name](os.path.abspath(path), kind, peer_folder, peer_sink, options) as peer:
            idle = {"weir": weir.memory_mib("VmRSS"), name: peer.memory_mib("VmRSS")}
            rows = repeat(options, (Row("weir"), lambda: burst(weir, [sink], options)),
                          (Row(name), lambda: burst(peer, [peer_sink], options)))
            for row, program in zip(rows, (weir, peer)):
                row.add(idle_mib=idle[row.name], highest_mib=program.memory_mib("VmHWM"))
    return rows
