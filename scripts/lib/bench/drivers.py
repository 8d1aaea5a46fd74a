# SPDX-License-Identifier: Apache-2.0
"""What a driver adds to its client library: both in one program, in turn, on a real server."""
import subprocess

from . import kinds
from .programs import BUILD


def natss(options):
    """NATS Streaming: published, confirmed, delivered and acknowledged, 16 and 256 under way"""
    with kinds.find("NatssChannel").running() as kind:
        for window in (16, 256):
            subprocess.run([BUILD / "tests/bench/bench_natss", BUILD / "drivers/weir-driver-natss.so", kind.server,
                            str(min(options.events, 10000)), str(options.repeat), str(window)], check=True)


def jetstream(options):
    """JetStream: published and confirmed, then delivered and acknowledged, 256 under way"""
    with kinds.find("NatsJetStreamChannel").running() as kind:
        subprocess.run([BUILD / "tests/bench/bench_jetstream", BUILD / "drivers/weir-driver-jetstream.so", kind.server,
                        str(min(options.events, 20000)), str(options.repeat), "256"], check=True)


def kafka(options):
    """Kafka: published and delivered through the core and the driver, and by plain librdkafka"""
    with kinds.find("KafkaChannel").running() as kind:
        subprocess.run([BUILD / "bench_kafka", str(options.events), kind.server], check=True)


DRIVERS = {function.__name__: function for function in (natss, jetstream, kafka)}
