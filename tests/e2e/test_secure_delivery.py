# SPDX-License-Identifier: Apache-2.0
"""Subscribers with https://: whom Weir believes, and what it shows of itself. And what of a sender's headers gets there."""
import shutil
import ssl
import tempfile
import unittest

from certificates import Authority
from harness import TestCase, channel, event_headers, subscription


class SecureDelivery(TestCase):
    @classmethod
    def setUpClass(cls):
        if not shutil.which("openssl"):
            raise unittest.SkipTest("there is no openssl")
        cls.folder = tempfile.mkdtemp(prefix="weir-secure-")
        cls.authority, cls.other = Authority(cls.folder), Authority(cls.folder, "other")

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder, ignore_errors=True)

    def secure_sink(self, signed, clients=None):
        sink = self.sink()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*signed)
        if clients:
            context.load_verify_locations(clients.certificate)
            context.verify_mode = ssl.CERT_REQUIRED
        sink.server.socket = context.wrap_socket(sink.server.socket, server_side=True)
        return sink, f"https://127.0.0.1:{sink.port}/"

    def serve(self, url, **client):
        return self.weir(channel(subscription(url, retry=1)), config={"dispatcher": {"client": client}}, kind="InMemoryChannel")

    def test_a_subscriber_of_an_own_authority_is_believed(self):
        sink, url = self.secure_sink(self.authority.sign("subscriber"))
        server = self.serve(url, caFile=self.authority.certificate)
        server.send("/shop/orders", "1")
        sink.wait_ids(["1"])

    def test_a_subscriber_of_another_authority_or_name_gets_nothing(self):
        for signed in (self.other.sign("stranger"), self.authority.sign("elsewhere", host="DNS:example.com")):
            sink, url = self.secure_sink(signed)
            server = self.serve(url, caFile=self.authority.certificate)
            server.send("/shop/orders", "1")
            server.wait_quarantine(1)
            self.assertEqual(sink.ids(), [])

    def test_a_subscriber_that_asks_for_a_certificate_is_shown_it(self):
        sink, url = self.secure_sink(self.authority.sign("subscriber"), clients=self.authority)
        certificate, key = self.authority.sign("weir")
        server = self.serve(url, caFile=self.authority.certificate, certificateFile=certificate, keyFile=key)
        server.send("/shop/orders", "1")
        sink.wait_ids(["1"])

    def test_without_a_certificate_it_gets_nothing(self):
        sink, url = self.secure_sink(self.authority.sign("subscriber"), clients=self.authority)
        server = self.serve(url, caFile=self.authority.certificate)
        server.send("/shop/orders", "1")
        server.wait_quarantine(1)
        self.assertEqual(sink.ids(), [])


class Headers(TestCase):
    def test_a_trace_that_an_event_carries_is_not_rewritten(self):
        to = self.sink()
        server = self.weir(channel(subscription(to)), kind="InMemoryChannel")
        trace = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracestate": "a=1,b=2"}
        headers = {**event_headers("1", **trace), "traceparent": "00-11111111111111111111111111111111-2222222222222222-00"}
        self.assertEqual(server.post("/shop/orders", headers).status, 202)
        found = to.wait(1)[0].attributes()
        self.assertEqual({name: found[name] for name in trace}, trace)

    def test_what_is_only_for_this_hop_stays_here(self):
        to = self.sink()
        server = self.weir(channel(subscription(to)), kind="InMemoryChannel")
        for_us = {"authorization": "Bearer x", "cookie": "a=b", "x-forwarded-for": "1.2.3.4", "te": "trailers"}
        self.assertEqual(server.post("/shop/orders", {**event_headers("1"), **for_us}).status, 202)
        request = to.wait(1)[0]
        self.assertEqual([name for name in for_us if name in request.headers], [])
        self.assertEqual(request.headers["prefer"], "reply")


if __name__ == "__main__":
    unittest.main()
