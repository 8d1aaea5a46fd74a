# SPDX-License-Identifier: Apache-2.0
"""`weir serve` on a real Kafka: the form that other clients see, and that nothing is lost when something dies.

Needs the broker of `scripts/brokers/kafka start plain`, and starts it again after killing it.
  WEIR_BROKER_KILLS=30     kill the broker that many times (default 2)
  WEIR_KAFKA_KILLS=30      kill weir that many times (default 5)
"""
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import time
import unittest
import uuid

SOURCE = os.environ.get("WEIR_TEST_SOURCE", os.path.join(os.path.dirname(__file__), "..", ".."))
sys.path.insert(0, os.path.join(SOURCE, "tests", "e2e"))
from harness import DEADLINE, TestCase, channel, event_headers, subscription, wait_for  # noqa: E402
from test_kill import KEYS, SENDERS, Sender  # noqa: E402

BROKERS = "127.0.0.1:9092"
BROKER_KILLS = int(os.environ.get("WEIR_BROKER_KILLS") or 2)
KILLS = int(os.environ.get("WEIR_KAFKA_KILLS") or 5)
WINDOW = 16


def broker(*arguments):
    subprocess.run([os.path.join(SOURCE, "scripts", "brokers", "kafka"), *arguments], check=True, timeout=120,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def broker_kill():
    """Returns once it is dead: to a start it would still seem to run before."""
    broker("signal", "plain", "KILL")
    host, port = BROKERS.split(":")
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
        except OSError:
            return
        time.sleep(0.02)
    raise AssertionError("the broker does not die")


def wait_more(to, count):
    """Until the sink got that many events more: there is load in the meantime."""
    with to.changed:
        goal = len(to.times) + count
    wait_for(f"{count} events more", lambda: len(to.times) >= goal, to.changed)


def kcat(*arguments, data=None):
    done = subprocess.run(["kcat", "-b", BROKERS, *arguments], input=data, check=True, timeout=DEADLINE, capture_output=True)
    return done.stdout


def java(tool, *arguments, data=None):
    """One of Kafka's own console clients."""
    done = subprocess.run([os.path.join(SOURCE, "scripts", "brokers", "kafka"), "tool", tool, "--bootstrap-server", BROKERS,
                           *arguments], input=data, check=True, timeout=60, capture_output=True)
    return done.stdout


class Kafka(TestCase):
    def setUp(self):
        self.word = f"weir-e2e-{uuid.uuid4().hex[:12]}"
        self.topic = f"{self.word}.shop.orders"

    def serve(self, to, **more):
        config = {"kafka": {
            "brokers": BROKERS,
            "topicPattern": self.word + ".{namespace}.{name}",
            "groupPattern": self.word + ".{namespace}.{name}.{uid}",
            "properties": {"session.timeout.ms": "2000", "heartbeat.interval.ms": "200"},
        }}
        return self.weir(channel(subscription(to, retry=1000, maxInFlight=WINDOW, uid="billing")), config=config,
                         kind="KafkaChannel", **more)

    def send_from(self, address, count=SENDERS):
        senders = [Sender(number, address) for number in range(count)]
        for sender in senders:
            sender.start()
            self.addCleanup(sender.stopped.set)
        return senders

    def finish(self, senders, to, what):
        """Stops the senders and insists that everything that was answered 202 arrives."""
        for sender in senders:
            sender.stopped.set()
        for sender in senders:
            sender.join(DEADLINE)
        accepted = {id for sender in senders for id in sender.accepted}
        to.wait_ids(accepted)
        twice = sum(count - 1 for count in to.times.values())
        print(f"{what}: {len(accepted)} events answered 202, {len(accepted - set(to.times))} missing, {twice} arrived again, "
              f"{sum(sender.refused for sender in senders)} refused", file=sys.stderr)
        self.assertGreater(len(accepted), 100)
        return twice

    @unittest.skipUnless(shutil.which("kcat"), "kcat is not installed")
    def test_kcat_reads_the_binding_form(self):
        server = self.serve(self.sink())
        headers = {**event_headers("1", partitionkey="red"), "content-type": "text/plain"}
        self.assertEqual(server.post("/shop/orders", headers, b"hello").status, 202)
        record = json.loads(kcat("-C", "-t", self.topic, "-o", "beginning", "-c", "1", "-J"))
        found = dict(zip(record["headers"][::2], record["headers"][1::2]))
        self.assertEqual(record["key"], "red")
        self.assertEqual(record["payload"], "hello")
        self.assertEqual(found["ce_specversion"], "1.0")
        self.assertEqual(found["ce_id"], "1")
        self.assertEqual(found["ce_type"], "com.example.test")
        self.assertEqual(found["ce_source"], "/e2e")
        self.assertEqual(found["content-type"], "text/plain")

    @unittest.skipUnless(shutil.which("kcat"), "kcat is not installed")
    def test_what_kcat_writes_reaches_the_subscriber(self):
        to = self.sink()
        self.serve(to)
        kcat("-P", "-t", self.topic, "-k", "red", "-H", "ce_specversion=1.0", "-H", "ce_id=7", "-H", "ce_type=a.b", "-H",
             "ce_source=/kcat", "-H", "content-type=text/plain", data=b"from kcat")
        request = to.wait(1)[0]
        self.assertEqual(request.body, b"from kcat")
        self.assertEqual(request.attributes()["id"], "7")
        self.assertEqual(request.attributes()["datacontenttype"], "text/plain")

    def test_the_java_console_consumer_reads_the_binding_form(self):
        server = self.serve(self.sink())
        headers = {**event_headers("1", partitionkey="red", comexampleextension="five"), "content-type": "application/json"}
        self.assertEqual(server.post("/shop/orders", headers, b'{"a":1}').status, 202)
        line = java("consumer.ConsoleConsumer", "--topic", self.topic, "--from-beginning", "--max-messages", "1",
                    "--timeout-ms", "30000", "--formatter-property", "print.headers=true", "--formatter-property",
                    "print.key=true").decode().strip()
        written, key, value = line.split("\t")
        self.assertEqual((key, value), ("red", '{"a":1}'))
        self.assertEqual(sorted(written.split(",")), sorted([
            "ce_specversion:1.0", "ce_id:1", "ce_type:com.example.test", "ce_source:/e2e", "ce_partitionkey:red",
            "ce_comexampleextension:five", "content-type:application/json"]))

    def test_what_the_java_console_producer_writes_reaches_the_subscriber(self):
        to = self.sink()
        self.serve(to)
        java("ConsoleProducer", "--topic", self.topic, "--reader-property", "parse.headers=true", "--reader-property",
             "parse.key=true",
             data=b"ce_specversion:1.0,ce_id:8,ce_type:a.b,ce_source:/java,content-type:text/plain\tred\tfrom java\n")
        request = to.wait(1)[0]
        self.assertEqual(request.body, b"from java")
        self.assertEqual((request.attributes()["id"], request.attributes()["source"]), ("8", "/java"))

    @unittest.skipUnless(shutil.which("kcat"), "kcat is not installed")
    def test_structured_mode_is_read(self):
        to = self.sink()
        self.serve(to)
        event = {"specversion": "1.0", "id": "9", "type": "a.b", "source": "/kcat", "datacontenttype": "text/plain",
                 "data": "structured"}
        kcat("-P", "-t", self.topic, "-H", "content-type=application/cloudevents+json; charset=UTF-8",
             data=json.dumps(event).encode())
        request = to.wait(1)[0]
        self.assertEqual((request.id, request.body), ("9", b"structured"))

    @unittest.skipUnless(shutil.which("kcat"), "kcat is not installed")
    def test_records_of_knative_kafka_are_read(self):
        # As knative-kafka's receiver wrote them: the binding's headers with its own extension, the key of the subject.
        to = self.sink()
        self.serve(to)
        kcat("-P", "-t", self.topic, "-k", "order", "-H", "ce_specversion=1.0", "-H", "ce_id=10", "-H", "ce_type=a.b", "-H",
             "ce_source=/knative", "-H", "ce_time=2020-01-01T00:00:00Z", "-H", "ce_knativehistory=orders-kn-channel", "-H",
             "content-type=application/json", data=b'{"old":true}')
        request = to.wait(1)[0]
        self.assertEqual(request.body, b'{"old":true}')
        self.assertEqual(request.attributes()["id"], "10")
        self.assertEqual(request.attributes()["knativehistory"], "orders-kn-channel")

    @unittest.skipUnless(shutil.which("kcat"), "kcat is not installed")
    def test_a_record_that_is_no_event_goes_to_quarantine_and_holds_nothing_up(self):
        to = self.sink()
        server = self.serve(to)
        kcat("-P", "-t", self.topic, "-p", "0", data=b"no event at all")
        kcat("-P", "-t", self.topic, "-p", "0", "-H", "ce_specversion=1.0", "-H", "ce_id=11", "-H", "ce_type=a.b", "-H",
             "ce_source=/kcat", data=b"behind it")
        self.assertEqual(to.wait(1)[0].id, "11")
        server.wait_quarantine(1)

    def test_a_broker_that_is_killed_under_load_loses_nothing(self):
        to = self.sink()
        server = self.serve(to)
        senders = self.send_from(lambda: server.port)
        recovered = []
        for _ in range(BROKER_KILLS):
            time.sleep(1 + random.random())  # load before the kill, not waiting for anything
            broker_kill()
            broker("start", "plain")
            began, before = time.monotonic(), sum(len(sender.accepted) for sender in senders)
            while sum(len(sender.accepted) for sender in senders) < before + 10:
                self.assertLess(time.monotonic() - began, DEADLINE, "events are not taken again")
                time.sleep(0.01)
            recovered.append(time.monotonic() - began)
        self.finish(senders, to, f"{BROKER_KILLS} kills of the broker")
        self.assertLess(max(recovered), 15)

    def test_weir_that_is_killed_under_load_loses_nothing(self):
        to = self.sink()
        server = self.serve(to)
        port = [server.port]
        senders = self.send_from(lambda: port[0])
        for _ in range(KILLS):
            time.sleep(0.3 + random.random())  # the random moment, not waiting for anything
            server.process.kill()
            port[0] = 0
            server.wait_exit()
            server.start()
            port[0] = server.port
        self.finish(senders, to, f"{KILLS} kills of weir")

    def test_a_second_weir_joins_and_leaves_and_nothing_is_lost(self):
        to = self.sink()
        first = self.serve(to)
        senders = self.send_from(lambda: first.port)
        second = self.serve(to)
        wait_more(to, 300)
        self.assertEqual(second.stop(), 0)
        wait_more(to, 300)
        twice = self.finish(senders, to, "a second member came and went")
        self.assertLessEqual(twice, 4 * WINDOW * KEYS)


if __name__ == "__main__":
    unittest.main(verbosity=2)
