# SPDX-License-Identifier: Apache-2.0
"""`weir serve` on a real NATS Streaming server with a file store: the form that other clients see, and that nothing is lost
when a server or a dispatcher dies, is silent, or becomes several.

Starts servers of its own, on ports 4231 and 8231, from the programs that `scripts/brokers/nats install` has built.
  WEIR_BROKER_KILLS=30    kill the server that many times (default 3)
  WEIR_BROKER_SILENCE=60  stop it (SIGSTOP) for so many seconds, with the default pings (default: 8, with quick pings)
"""
import http.client
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

SOURCE = os.environ.get("WEIR_TEST_SOURCE", os.path.join(os.path.dirname(__file__), "..", ".."))
sys.path.insert(0, os.path.join(SOURCE, "tests", "e2e"))
from harness import BUILD, DEADLINE, TestCase, channel, event_headers, subscription, wait_for  # noqa: E402
from test_kill import KEYS, Sender  # noqa: E402

BROKERS = os.environ.get("WEIR_BROKERS", os.path.join(SOURCE, "build-brokers"))
PROGRAM = os.path.join(BROKERS, "bin", "nats-streaming-server")
TOOL = os.path.join(BUILD, "tests", "broker", "stan_tool")
PORT = 4231
URL = f"nats://127.0.0.1:{PORT}"
MONITOR = f"http://127.0.0.1:{PORT + 4000}"
KILLS = int(os.environ.get("WEIR_BROKER_KILLS") or 3)
SILENCE = float(os.environ.get("WEIR_BROKER_SILENCE") or 0)
BACK = 15  # seconds in which everything works again


class Server:
    """A NATS Streaming server whose store outlives it."""

    def __init__(self, *arguments):
        self.folder = tempfile.mkdtemp(prefix="weir-natss-")
        self.arguments = arguments or ("-mc", "0", "-mm", "0", "-mb", "0", "-msu", "0")
        self.process = None
        self.start()

    def start(self):
        self.log = open(os.path.join(self.folder, "log"), "ab")
        self.process = subprocess.Popen(
            [PROGRAM, "-a", "127.0.0.1", "-p", str(PORT), "-m", str(PORT + 4000), "-cid", "test-cluster", "-store", "file",
             "-dir", os.path.join(self.folder, "store"), *self.arguments],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        deadline = time.monotonic() + DEADLINE
        while not self.is_ready():
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise AssertionError("the streaming server does not start")
            time.sleep(0.02)

    @staticmethod
    def is_ready():
        connection = http.client.HTTPConnection("127.0.0.1", PORT + 4000, timeout=1)
        try:
            connection.request("GET", "/streaming/serverz")
            return b"STANDALONE" in connection.getresponse().read()
        except OSError:
            return False
        finally:
            connection.close()

    def kill(self):
        self.process.kill()
        self.process.wait(DEADLINE)
        self.log.close()

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def tool(*arguments, data=None):
    return subprocess.run([TOOL, URL, *arguments], input=data, check=True, timeout=DEADLINE, capture_output=True).stdout


def wait_more(to, count):
    """Until the sink got that many events more: there is load in the meantime."""
    with to.changed:
        goal = len(to.times) + count
    wait_for(f"{count} events more", lambda: len(to.times) >= goal, to.changed)


class Natss(TestCase):
    def setUp(self):
        self.server = Server()
        self.addCleanup(self.server.end)

    def serve(self, to, natss=None, settings=None, start=True):
        config = {"natss": {"url": URL, "monitorUrl": MONITOR, **(natss or {})}}
        more = {"retry": 1000, "maxInFlight": 16, "uid": "billing", **(settings or {})}
        return self.weir(channel(subscription(to, **more)), config=config, kind="NatssChannel", start=start)

    def senders(self, address, count=3):
        senders = [Sender(number, address) for number in range(count)]
        for sender in senders:
            sender.start()
            self.addCleanup(sender.stopped.set)
        return senders

    def finish(self, senders, to, what):
        """Stops the senders and insists that everything that was answered 202 arrives, in the order of its key."""
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
        self.check_order(to, accepted)
        return twice

    def check_order(self, to, accepted):
        last, pairs = {}, 0
        for id in dict.fromkeys(to.ids()):
            if id not in accepted:
                continue
            sender, sequence = map(int, id.split("-"))
            key = (sender, sequence % KEYS)
            self.assertGreater(sequence, last.get(key, -1), f"{id} came after a later event of its key")
            pairs += key in last
            last[key] = sequence
        self.assertGreater(pairs, 50)

    # ---- the form -----------------------------------------------------------------------

    def test_another_client_reads_the_versioned_envelope(self):
        server = self.serve(self.sink())
        headers = {**event_headers("1", partitionkey="red"), "content-type": "text/plain"}
        self.assertEqual(server.post("/shop/orders", headers, b"hello").status, 202)
        body = tool("first", "orders.shop")
        self.assertEqual(body[:4], b"WE\x01\x00")
        event = json.loads(body[4:])
        self.assertEqual({name: event[name] for name in ("specversion", "id", "type", "source", "partitionkey", "data")},
                         {"specversion": "1.0", "id": "1", "type": "com.example.test", "source": "/e2e",
                          "partitionkey": "red", "data": "hello"})

    def test_what_an_old_dispatcher_wrote_reaches_the_subscriber(self):
        to = self.sink()
        self.serve(to)
        tool("publish", "orders.shop", data=json.dumps({
            "specversion": "1.0", "id": "7", "type": "a.b", "source": "/old", "datacontenttype": "application/json",
            "data": {"n": 1}}).encode())
        request = to.wait(1)[0]
        self.assertEqual(request.attributes()["id"], "7")
        self.assertEqual(json.loads(request.body), {"n": 1})

    # ---- the server -------------------------------------------------------------------------

    def test_a_server_that_is_killed_under_load_loses_nothing(self):
        to = self.sink()
        weir = self.serve(to)
        senders = self.senders(lambda: weir.port)
        slowest = 0
        for _ in range(KILLS):
            time.sleep(0.5 + random.random())  # the random moment, not waiting for anything
            self.server.kill()
            weir.wait_admin("/readyz", lambda answer: answer.status != 200)
            self.server.start()
            began = time.monotonic()
            wait_more(to, 10)
            weir.wait_admin("/readyz", lambda answer: answer.status == 200)
            slowest = max(slowest, time.monotonic() - began)
        self.finish(senders, to, f"{KILLS} kills of the server, back after {slowest:.1f} s at most")
        self.assertLess(slowest, BACK)

    def test_a_server_that_is_silent_loses_nothing(self):
        quick = {} if SILENCE else {"pingInterval": "PT1S", "pingMaxOut": 2}
        noticed = 20 + 5 if SILENCE else 5 + 3
        to = self.sink()
        weir = self.serve(to, natss=quick)
        senders = self.senders(lambda: weir.port)
        wait_more(to, 100)
        self.server.process.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        weir.wait_admin("/readyz", lambda answer: answer.status != 200)
        self.assertLess(time.monotonic() - began, noticed)
        while time.monotonic() < began + (SILENCE or 8):
            self.assertNotEqual(weir.get("/readyz").status, 200)
            time.sleep(0.1)
        self.server.process.send_signal(signal.SIGCONT)
        began = time.monotonic()
        wait_more(to, 10)
        weir.wait_admin("/readyz", lambda answer: answer.status == 200)
        back = time.monotonic() - began
        self.finish(senders, to, f"{SILENCE or 8:.0f} s of silence, back after {back:.1f} s")
        self.assertLess(back, BACK)

    # ---- the subscriber -----------------------------------------------------------------------

    def test_a_subscriber_slower_than_the_ack_wait_gets_each_event_once(self):
        def slow(request, before):
            time.sleep(3)
            return 204

        to = self.sink(slow)
        weir = self.serve(to, natss={"ackWait": "PT1S"}, settings={"order": "unordered", "maxInFlight": 8})
        for number in range(24):
            weir.send("/shop/orders", str(number))
        self.wait_delivered(weir, delivered=24)
        self.assertEqual(set(to.times.values()), {1})

    # ---- dispatchers -----------------------------------------------------------------------------

    def test_what_a_killed_dispatcher_held_comes_to_its_successor(self):
        held = []

        def hold(request, before):
            if len(held) < 8:
                held.append(request.id)
                time.sleep(60)
            return 204

        to = self.sink(hold)
        weir = self.serve(to, settings={"order": "unordered", "maxInFlight": 8})
        ids = {str(number) for number in range(20)}
        for id in sorted(ids):
            weir.send("/shop/orders", id)
        wait_for("events to be held", lambda: len(held) == 8, to.changed)
        weir.process.kill()
        weir.wait_exit()
        began = time.monotonic()
        weir.start()
        wait_for("all to arrive", lambda: ids <= {id for id, count in to.times.items() if count > (id in held)}, to.changed)
        took = time.monotonic() - began
        print(f"a killed dispatcher's events were with its successor after {took:.1f} s", file=sys.stderr)
        self.assertLess(took, BACK)

    def test_one_dispatcher_becomes_three_and_one_again(self):
        to = self.sink()
        all = [self.serve(to), self.serve(to, start=False), self.serve(to, start=False)]
        alive = [all[0].port]
        senders = self.senders(lambda: alive[random.randrange(len(alive))])
        wait_more(to, 100)
        for weir in all[1:]:
            weir.start()
            alive.append(weir.port)
        wait_more(to, 300)
        # The one that reads goes in order, the next one is killed.
        del alive[0]
        self.assertEqual(all[0].stop(), 0)
        wait_more(to, 300)
        del alive[0]
        all[1].process.kill()
        all[1].wait_exit()
        wait_more(to, 300)
        self.assertEqual(all[2].get("/readyz").status, 200)
        self.finish(senders, to, "one dispatcher, three, one")

    # ---- leaving --------------------------------------------------------------------------------

    def test_a_channel_moves_to_another_backend_and_nothing_is_lost(self):
        to = self.sink()
        weir = self.serve(to)
        senders = self.senders(lambda: weir.port)
        wait_more(to, 200)
        weir.config["channel"] = {"default": {"kind": "EmbeddedChannel"}}
        self.assertEqual(weir.reload().status, 200)
        weir.wait_said("channel shop/orders has moved to EmbeddedChannel: nothing is left elsewhere")
        wait_more(to, 200)
        self.finish(senders, to, "from one backend to another")


class Login(TestCase):
    def serve(self, arguments, **natss):
        server = Server("-mm", "0", "-mb", "0", *arguments)
        self.addCleanup(server.end)
        to = self.sink()
        weir = self.weir(channel(subscription(to)), config={"natss": {"url": URL, **natss}}, kind="NatssChannel", start=False)
        return weir, to

    def assert_works(self, arguments, **natss):
        weir, to = self.serve(arguments, **natss)
        weir.start()
        weir.send("/shop/orders", "1")
        to.wait_ids({"1"})

    def assert_refused(self, arguments, text, **natss):
        weir, _ = self.serve(arguments, **natss)
        weir.start(wait=False)
        self.assertNotEqual(weir.wait_exit(), 0)
        self.assertTrue(weir.said(text), weir.log)
        self.assertFalse(weir.said("wrong-word"))

    def test_user_and_password(self):
        self.assert_works(("-user", "stan", "-pass", "right-word"), username="stan", password="right-word")

    def test_a_wrong_password_is_refused_at_the_start(self):
        self.assert_refused(("-user", "stan", "-pass", "right-word"), "Authorization Violation", username="stan", password="wrong-word")

    def test_a_token(self):
        self.assert_works(("-auth", "right-word"), token="right-word")

    @unittest.skipUnless(shutil.which("openssl"), "openssl is not installed")
    def test_tls(self):
        with tempfile.TemporaryDirectory(prefix="weir-natss-tls-") as folder:
            certificate, key = os.path.join(folder, "c.pem"), os.path.join(folder, "k.pem")
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                            "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                            "-keyout", key, "-out", certificate], check=True, capture_output=True)
            server = ("-tls", f"-tlscert={certificate}", f"-tlskey={key}", "-secure", f"-tls_client_cacert={certificate}")
            self.assert_works(server, caFile=certificate, tlsHostname="localhost")
            self.doCleanups()
            self.assert_refused(server, "natss", url=URL.replace("nats:", "tls:"), tlsHostname="localhost")


class Limits(TestCase):
    def serve(self, *limits, **natss):
        server = Server(*limits)
        self.addCleanup(server.end)
        return self.weir(channel(subscription(self.sink())), config={"natss": {"url": URL, "monitorUrl": MONITOR, **natss}},
                         kind="NatssChannel", start=False)

    def test_a_server_that_drops_events_silently_is_refused(self):
        weir = self.serve("-mm", "1000")
        weir.start(wait=False)
        weir.wait_said("1000 events of a channel (-mm 0)")
        weir.wait_said("ready: events on")
        self.assertNotEqual(weir.get("/readyz").status, 200)
        self.assertNotEqual(weir.post("/shop/orders", event_headers("1")).status, 202)

    def test_a_server_that_drops_events_silently_is_taken_if_that_is_allowed(self):
        weir = self.serve("-mm", "1000", allowLoss=True)
        weir.start()
        self.assertTrue(weir.said("EVENTS MAY BE LOST"))
        weir.send("/shop/orders", "1")


    def test_what_the_server_has_dropped_unread_is_told(self):
        server = Server("-mm", "5")
        self.addCleanup(server.end)
        gate = threading.Event()
        to = self.sink(lambda request, before: gate.wait(DEADLINE) and 204)
        self.addCleanup(gate.set)
        weir = self.weir(channel(subscription(to)), kind="NatssChannel",
                         config={"natss": {"url": URL, "monitorUrl": MONITOR, "allowLoss": True, "maxInflight": 2}})
        for number in range(20):
            weir.send("/shop/orders", str(number))
        gate.set()
        weir.wait_said("events 3 to 15 were lost to the backend's retention")
        to.wait_ids({"0", "1", "15", "16", "17", "18", "19"})


if __name__ == "__main__":
    unittest.main(verbosity=2)
