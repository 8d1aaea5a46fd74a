# SPDX-License-Identifier: Apache-2.0
"""`weir serve` on a real nats-server: the form that other clients see, and that nothing is lost when something dies.

Starts servers of its own with scripts/brokers/nats, on NATS_PORT (default 4224), and kills them.
  WEIR_BROKER_KILLS=30      kill the server that many times (default 3)
  WEIR_BROKER_SILENCE=60    stop it for that many seconds (default 12)
"""
import base64
import http.client
import json
import os
import pathlib
import socket
import subprocess
import sys
import threading
import time
import unittest
import uuid

SOURCE = os.environ.get("WEIR_TEST_SOURCE", os.path.join(os.path.dirname(__file__), "..", ".."))
sys.path.insert(0, os.path.join(SOURCE, "tests", "e2e"))
from harness import DEADLINE, TestCase, channel, event_headers, subscription, wait_for  # noqa: E402
from test_kill import KEYS, SENDERS, Sender  # noqa: E402

PORT = int(os.environ.get("NATS_PORT") or 4224)
KILLS = int(os.environ.get("WEIR_BROKER_KILLS") or 3)
SILENCE = float(os.environ.get("WEIR_BROKER_SILENCE") or 12)
BACK = 15  # seconds until everything works again
WINDOW = 16
ACK_WAIT = 4


def broker(*arguments, port=PORT):
    done = subprocess.run([os.path.join(SOURCE, "scripts", "brokers", "nats"), *arguments], check=True, timeout=300,
                          env={**os.environ, "NATS_PORT": str(port)}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return done.stdout.decode().strip()


def broker_kill():
    """Returns once it is dead: to a start it would still seem to run before."""
    broker("signal", "jetstream", "KILL")
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", PORT), timeout=1).close()
        except OSError:
            return
        time.sleep(0.02)
    raise AssertionError("the server does not die")


class Nats:
    """NATS over a socket, written from its protocol's description: nothing of the driver's library is in it."""

    def __init__(self):
        self.socket = socket.create_connection(("127.0.0.1", PORT), timeout=DEADLINE)
        self.file = self.socket.makefile("rb")
        self.file.readline()  # INFO
        self.inbox = f"_INBOX.{uuid.uuid4().hex}"
        self.write(b'CONNECT {"verbose":false,"headers":true,"no_responders":true,"protocol":1}\r\n'
                   + f"SUB {self.inbox} 1\r\nPING\r\n".encode())
        while self.file.readline() != b"PONG\r\n":
            pass

    def write(self, data):
        self.socket.sendall(data)

    def request(self, subject, body=b"", headers=None):
        """Publishes, and returns the headers and the body of the answer."""
        if headers is None:
            self.write(f"PUB {subject} {self.inbox} {len(body)}\r\n".encode() + body + b"\r\n")
        else:
            lines = b"NATS/1.0\r\n" + b"".join(f"{name}: {value}\r\n".encode() for name, value in headers) + b"\r\n"
            self.write(f"HPUB {subject} {self.inbox} {len(lines)} {len(lines) + len(body)}\r\n".encode() + lines + body + b"\r\n")
        return self.message()

    def message(self):
        while True:
            words = self.file.readline().split()
            if words[0] == b"PING":
                self.write(b"PONG\r\n")
            elif words[0] == b"MSG":
                return b"", self.file.read(int(words[-1]) + 2)[:-2]
            elif words[0] == b"HMSG":
                data = self.file.read(int(words[-1]) + 2)[:-2]
                return data[:int(words[-2])], data[int(words[-2]):]

    def api(self, name, **body):
        answer = json.loads(self.request(f"$JS.API.{name}", json.dumps(body).encode() if body else b"")[1])
        assert "error" not in answer, answer
        return answer

    def close(self):
        self.file.close()
        self.socket.close()


class JetStream(TestCase):
    @classmethod
    def setUpClass(cls):
        broker("wipe", "jetstream")
        broker("start", "jetstream")

    @classmethod
    def tearDownClass(cls):
        broker("wipe", "jetstream")

    def setUp(self):
        self.name = f"orders-{uuid.uuid4().hex[:8]}"
        self.path = f"/shop/{self.name}"
        self.stream = f"KN_SHOP__{self.name.upper().replace('-', '_')}"
        self.subject = f"shop.{self.name}._knative"

    def nats(self):
        client = Nats()
        self.addCleanup(client.close)
        return client

    def serve(self, to, settings=None, start=True, **more):
        config = {"jetstream": {"url": f"nats://127.0.0.1:{PORT}", "ackWait": f"PT{ACK_WAIT}S", **(settings or {})}}
        delivery = {"retry": 1000, "maxInFlight": WINDOW, "uid": "3f5c1b52-8a5b-4a10-9a0e-111111111111", **more}
        return self.weir(channel(subscription(to, **delivery), name=self.name), config=config, start=start,
                         kind="NatsJetStreamChannel")

    def send_from(self, address, count=SENDERS):
        senders = [OwnSender(self.path, number, address) for number in range(count)]
        for sender in senders:
            sender.start()
            self.addCleanup(sender.stopped.set)
        return senders

    def finish(self, senders, to, what):
        """Stops the senders and insists that everything that was answered 202 arrives. How many came again."""
        for sender in senders:
            sender.stopped.set()
        for sender in senders:
            sender.join(DEADLINE)
        accepted = {id for sender in senders for id in sender.accepted}
        to.wait_ids(accepted)
        twice = sum(count - 1 for count in to.times.values())
        print(f"{what}: {len(accepted)} events answered 202, {len(accepted - set(to.times))} missing, {twice} came again, "
              f"{sum(sender.refused for sender in senders)} refused", file=sys.stderr)
        self.assertGreater(len(accepted), 100)
        return accepted, twice

    def check_order(self, to, accepted):
        """First arrivals of each key are in the order of sending."""
        last = {}
        for id in dict.fromkeys(to.ids()):
            if id in accepted:
                sender, sequence = map(int, id.split("-"))
                key = (sender, sequence % KEYS)
                self.assertGreater(sequence, last.get(key, -1), f"{id} came after a later event of its key")

    def wait_taken(self, senders, count, since):
        """Until that many events more were answered 202. Seconds since then."""
        before = sum(len(sender.accepted) for sender in senders)
        while sum(len(sender.accepted) for sender in senders) < before + count:
            self.assertLess(time.monotonic() - since, DEADLINE, "events are not taken again")
            time.sleep(0.01)
        return time.monotonic() - since

    def wait_more(self, to, count):
        with to.changed:
            goal = len(to.times) + count
        wait_for(f"{count} events more", lambda: len(to.times) >= goal, to.changed)


class OwnSender(Sender):
    """Posts to a channel of the test's own."""

    def __init__(self, path, number, address):
        super().__init__(number, address)
        self.path = path

    def serve_connection(self, sequence):
        port = self.address()
        if not port:
            self.stopped.wait(0.002)
            return
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
        try:
            while not self.stopped.is_set():
                id = f"{self.number}-{sequence}"
                connection.request("POST", self.path, b"x" * 200,
                                   event_headers(id, partitionkey=f"{self.number}-{sequence % KEYS}"))
                answer = connection.getresponse()
                answer.read()
                if answer.status == 202:
                    self.accepted.append(id)
                else:
                    self.refused += 1
                    self.stopped.wait(0.02)
                sequence += 1
        finally:
            connection.close()


class Form(JetStream):
    def test_another_client_reads_the_binding_form_under_the_names_of_knative(self):
        server = self.serve(self.sink())
        headers = {**event_headers("1", subject="a b"), "content-type": "text/plain"}
        self.assertEqual(server.post(self.path, headers, b"hello").status, 202)
        answer = self.nats().api(f"STREAM.MSG.GET.{self.stream}", seq=1)["message"]
        found = dict(line.split(": ", 1) for line in base64.b64decode(answer["hdrs"]).decode().split("\r\n")[1:] if line)
        self.assertEqual(answer["subject"], self.subject)
        self.assertEqual(base64.b64decode(answer["data"]), b"hello")
        self.assertEqual(found["ce-specversion"], "1.0")
        self.assertEqual(found["ce-id"], "1")
        self.assertEqual(found["ce-source"], "/e2e")
        self.assertEqual(found["ce-subject"], "a%20b")
        self.assertEqual(found["Nats-Msg-Id"], "/e2e 1")
        consumers = self.nats().api(f"CONSUMER.NAMES.{self.stream}")["consumers"]
        self.assertEqual(consumers, ["KN_SUB_3F5C1B528A5B4A109A0E111111111111"])

    def test_what_another_client_writes_reaches_the_subscriber(self):
        to = self.sink()
        self.serve(to)
        client = self.nats()
        client.request(self.subject, b"from a socket", [("ce-specversion", "1.0"), ("ce-id", "7"), ("ce-type", "a.b"),
                                                        ("ce-source", "/socket"), ("content-type", "text/plain")])
        client.request(self.subject, b'{"specversion":"1.0","id":"8","type":"a.b","source":"/socket","data":{"n":1}}',
                       [("content-type", "application/cloudevents+json")])
        first, second = to.wait(2)
        self.assertEqual(first.body, b"from a socket")
        self.assertEqual(first.attributes()["id"], "7")
        self.assertEqual(first.attributes()["datacontenttype"], "text/plain")
        self.assertEqual(second.attributes()["id"], "8")
        self.assertEqual(json.loads(second.body), {"n": 1})

    def test_an_event_that_is_posted_twice_is_kept_once(self):
        to = self.sink()
        server = self.serve(to)
        for id in ("same", "same", "other"):
            self.assertEqual(server.send(self.path, id).status, 202)
        to.wait_ids({"same", "other"})
        self.assertEqual(self.nats().api(f"STREAM.INFO.{self.stream}")["state"]["messages"], 2)

    def test_a_full_stream_refuses_and_drops_nothing(self):
        to = self.sink()
        server = self.serve(to, {"maxMessages": 3})
        statuses = [server.post(self.path, event_headers(str(number))).status for number in range(4)]
        self.assertEqual(statuses[:3], [202] * 3)
        self.assertGreaterEqual(statuses[3], 500)
        self.assertEqual(self.nats().api(f"STREAM.INFO.{self.stream}")["state"]["first_seq"], 1)


class Deaths(JetStream):
    def test_a_server_that_is_killed_under_load_loses_nothing(self):
        to = self.sink()
        server = self.serve(to)
        senders = self.send_from(lambda: server.port)
        back = []
        for _ in range(KILLS):
            self.wait_more(to, 200)
            broker_kill()
            server.wait_admin("/readyz", lambda answer: answer.status == 503)
            broker("start", "jetstream")
            began = time.monotonic()
            self.wait_taken(senders, 10, began)
            server.wait_admin("/readyz", lambda answer: answer.status == 200)
            self.wait_more(to, 10)
            back.append(time.monotonic() - began)
        self.finish(senders, to, f"{KILLS} kills of the server, back after at most {max(back):.1f} s")
        self.assertLess(max(back), BACK)

    def test_a_server_that_falls_silent_loses_nothing(self):
        to = self.sink()
        server = self.serve(to)
        senders = self.send_from(lambda: server.port)
        self.wait_more(to, 200)
        broker("signal", "jetstream", "STOP")
        try:
            stopped = time.monotonic()
            server.wait_admin("/readyz", lambda answer: answer.status == 503)
            noticed = time.monotonic() - stopped
            time.sleep(max(0, SILENCE - noticed))  # the length of the silence, not waiting for anything
            self.assertEqual(server.get("/readyz").status, 503)
        finally:
            broker("signal", "jetstream", "CONT")
        began = time.monotonic()
        self.wait_taken(senders, 10, began)
        server.wait_admin("/readyz", lambda answer: answer.status == 200)
        self.wait_more(to, 10)
        back = time.monotonic() - began
        self.finish(senders, to, f"silent for {SILENCE:.0f} s, noticed after {noticed:.1f} s, back after {back:.1f} s")
        self.assertLess(back, BACK)

    def test_a_subscriber_slower_than_the_deadline_gets_each_event_once(self):
        def slowly(request, before):
            time.sleep(2.5 * ACK_WAIT)
            return 204

        to = self.sink(slowly)
        server = self.serve(to, timeout="PT60S", order="unordered")
        for number in range(16):
            self.assertEqual(server.send(self.path, str(number)).status, 202)
        to.wait_ids({str(number) for number in range(16)})
        self.wait_delivered(server, inFlight=0)
        self.assertEqual(set(to.times.values()), {1})

    def test_what_a_killed_dispatcher_held_comes_to_its_successor(self):
        release = threading.Event()

        def hold(request, before):
            release.wait(DEADLINE)
            return 204

        to, other = self.sink(hold), self.sink()
        first = self.serve(to, order="unordered")
        ids = {str(number) for number in range(WINDOW)}
        for id in ids:
            self.assertEqual(first.send(self.path, id).status, 202)
        to.wait_ids(ids)
        first.kill()
        began = time.monotonic()
        self.serve(other)
        other.wait_ids(ids)
        took = time.monotonic() - began
        release.set()
        print(f"what a killed dispatcher held came to its successor after {took:.1f} s", file=sys.stderr)
        self.assertLess(took, BACK)

    def test_one_becomes_three_and_one_again(self):
        to = self.sink()
        first = self.serve(to, order="ordered")
        port = [first.port]
        senders = self.send_from(lambda: port[0])
        self.wait_more(to, 200)
        second, third = self.serve(to, order="ordered"), self.serve(to, order="ordered")
        port[0] = third.port  # for connections that are made from now on
        self.wait_more(to, 400)
        self.assertEqual(first.stop(), 0)  # the one that had its turn
        self.wait_more(to, 200)
        self.assertEqual(second.stop(), 0)
        self.wait_more(to, 200)
        accepted, twice = self.finish(senders, to, "one dispatcher became three and one again")
        self.check_order(to, accepted)
        self.assertLessEqual(twice, 4 * WINDOW)

    def test_order_survives_the_death_of_the_one_whose_turn_it_is(self):
        to = self.sink()
        first, second = self.serve(to, order="ordered"), self.serve(to, order="ordered")
        senders = self.send_from(lambda: second.port)
        self.wait_more(to, 200)
        first.kill()
        began = time.monotonic()
        self.wait_more(to, 200)
        took = time.monotonic() - began
        accepted, twice = self.finish(senders, to, f"the other one took over after {took:.1f} s at most")
        self.check_order(to, accepted)
        self.assertLess(took, BACK)
        self.assertLessEqual(twice, WINDOW)

    def test_a_stream_that_is_deleted_is_made_anew(self):
        to = self.sink()
        server = self.serve(to)
        self.assertEqual(server.send(self.path, "before").status, 202)
        to.wait_ids({"before"})
        self.nats().api(f"STREAM.DELETE.{self.stream}")
        began = time.monotonic()
        statuses = []
        while not statuses or statuses[-1] != 202:
            statuses.append(server.post(self.path, event_headers(f"after-{len(statuses)}")).status)
            self.assertLess(time.monotonic() - began, BACK)
        to.wait_ids({f"after-{len(statuses) - 1}"})
        self.assertLess(time.monotonic() - began, BACK)
        server.wait_admin("/readyz", lambda answer: answer.status == 200)


class Doors(TestCase):
    """Servers that do not let everybody in."""

    def start(self, kind):
        self.url = broker("start", kind, port=PORT + 2)
        self.addCleanup(broker, "wipe", kind, port=PORT + 2)
        return broker("files", kind, port=PORT + 2)

    def serve(self, url=None, **settings):
        config = {"jetstream": {"url": url or self.url, **settings}}
        return self.weir(channel(), config=config, kind="NatsJetStreamChannel", start=False)

    def comes_in(self, url=None, **settings):
        server = self.serve(url, **settings).start()
        self.assertEqual(server.send("/shop/orders", "1").status, 202)
        server.stop()

    def stays_out(self, word, url=None, **settings):
        """It ends, and says why; no secret is told."""
        server = self.serve(url, **settings)
        server.start(wait=False)
        self.assertNotEqual(server.wait_exit(), 0)
        log = "\n".join(server.log)
        self.assertIn(word, log)
        self.assertNotIn("sesame", log)

    def test_a_user_with_the_right_password(self):
        files = self.start("jetstream-login")
        self.comes_in(username="weir", password="open sesame")
        self.comes_in(nkey=pathlib.Path(files, "user.nkey").read_text(), nkeySeed=f"{files}/user.nk")
        self.stays_out("credentials", username="weir", password="sesame!")
        self.stays_out("username and password", url=self.url)

    def test_a_token(self):
        self.start("jetstream-token")
        self.comes_in(token="open-sesame")
        self.stays_out("credentials", token="close-sesame")

    def test_a_client_certificate_and_a_ca_of_its_own(self):
        files = self.start("jetstream-tls")
        mine = {"certificateFile": f"{files}/client.pem", "keyFile": f"{files}/client.key"}
        self.comes_in(url=f"tls://localhost:{PORT + 2}", caFile=f"{files}/ca.pem", **mine)
        self.comes_in(url=f"tls://127.0.0.1:{PORT + 2}", caFile=f"{files}/ca.pem", tlsHostname="localhost", **mine)
        self.stays_out("certificate", url=f"tls://127.0.0.1:{PORT + 2}", caFile=f"{files}/ca.pem", **mine)
        self.stays_out("certificate", url=f"tls://localhost:{PORT + 2}", **mine)


if __name__ == "__main__":
    unittest.main(verbosity=2)
