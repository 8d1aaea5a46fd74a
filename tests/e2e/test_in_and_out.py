# SPDX-License-Identifier: Apache-2.0
"""An event goes in over HTTP and comes out over HTTP: the same attributes, the same bytes."""
import concurrent.futures
import contextlib
import http.client
import json
import re
import unittest

from harness import DEADLINE, TestCase, channel, event_headers, subscription

ALL_BYTES = bytes(range(256)) * 4


class InAndOut(TestCase):
    kind = "InMemoryChannel"

    def setUp(self):
        self.to = self.sink()
        self.server = self.weir(channel(subscription(self.to)), kind=self.kind)

    def arrived(self):
        return self.to.wait(1)[0]

    def test_binary_event_arrives_with_the_same_attributes_and_bytes(self):
        headers = event_headers(
            "1 %C3%A4",
            type="com.example.order.placed",
            source="/shop/web?a=b#c",
            subject="order/42",
            time="2026-11-24T11:32:59.123Z",
            dataschema="https://example.com/schema",
            partitionkey="k1",
            number="-17",
        )
        headers["content-type"] = "application/octet-stream"
        self.assertEqual(self.server.post("/shop/orders", headers, ALL_BYTES).status, 202)
        request = self.arrived()
        expected = {name[3:]: value for name, value in headers.items() if name.startswith("ce-")}
        expected["id"] = "1%20%C3%A4"  # a space is always percent-encoded on the way out
        expected["datacontenttype"] = "application/octet-stream"
        self.assertEqual(request.attributes(), expected)
        self.assertEqual(request.body, ALL_BYTES)

    def test_json_data_is_not_touched(self):
        body = b'{ "b":1.0 ,"a" : [1e400, 12345678901234567890123], "a":null}\n'
        headers = {**event_headers("1"), "content-type": "application/json"}
        self.assertEqual(self.server.post("/shop/orders", headers, body).status, 202)
        self.assertEqual(self.arrived().body, body)

    def test_structured_event_arrives_in_binary_mode(self):
        event = {
            "specversion": "1.0",
            "id": "s-1",
            "type": "com.example.structured",
            "source": "urn:x",
            "datacontenttype": "application/json",
            "flag": True,
            "data": {"total": 9},
        }
        body = json.dumps(event).encode()
        answer = self.server.post("/shop/orders", {"content-type": "application/cloudevents+json"}, body)
        self.assertEqual(answer.status, 202)
        request = self.arrived()
        self.assertEqual(
            request.attributes(),
            {
                "specversion": "1.0",
                "id": "s-1",
                "type": "com.example.structured",
                "source": "urn:x",
                "flag": "true",
                "datacontenttype": "application/json",
            },
        )
        self.assertEqual(json.loads(request.body), {"total": 9})

    def test_structured_event_with_bytes_arrives_as_bytes(self):
        event = {"specversion": "1.0", "id": "b-1", "type": "t", "source": "/s", "data_base64": "AAEC/w=="}
        body = json.dumps(event).encode()
        self.server.post("/shop/orders", {"content-type": "application/cloudevents+json; charset=UTF-8"}, body)
        self.assertEqual(self.arrived().body, b"\x00\x01\x02\xff")

    def test_event_without_data_arrives_without_data(self):
        self.server.send("/shop/orders", "empty")
        request = self.arrived()
        self.assertEqual(request.body, b"")
        self.assertNotIn("content-type", request.headers)

    def test_subscriber_is_asked_for_a_reply(self):
        self.server.send("/shop/orders", "1")
        self.assertEqual(self.arrived().headers["prefer"], "reply")

    def test_largest_and_chunked_bodies_are_taken(self):
        body = b"x" * (1024 * 1024)
        self.assertEqual(self.server.post("/shop/orders", event_headers("big"), body).status, 202)
        self.assertEqual(self.arrived().body, body)

    def test_channel_is_found_by_host(self):
        headers = {**event_headers("1"), "Host": "orders-kn-channel.shop.svc.cluster.local:80"}
        self.assertEqual(self.server.post("/", headers).status, 202)
        self.assertEqual(self.arrived().id, "1")

    def test_every_event_of_many_arrives(self):
        for number in range(300):
            self.server.send("/shop/orders", str(number), partitionkey=str(number % 7))
        self.to.wait_ids({str(number) for number in range(300)})
        self.assertEqual(len(self.to.ids()), 300)
        self.wait_delivered(self.server, delivered=300)


class InAndOutEmbedded(InAndOut):
    kind = "EmbeddedChannel"


class Durability(TestCase):
    def test_memory_says_in_each_answer_and_at_start_that_it_keeps_nothing(self):
        server = self.weir(channel(), kind="InMemoryChannel")
        self.assertEqual(server.send("/shop/orders", "1").headers.get("weir-durability"), "memory")
        self.assertTrue(server.said("nothing survives a restart"))

    def test_embedded_says_no_such_thing(self):
        server = self.weir(channel(), kind="EmbeddedChannel")
        self.assertNotIn("weir-durability", server.send("/shop/orders", "1").headers)
        self.assertFalse(server.said("nothing survives a restart"))


class Fanout(TestCase):
    def test_each_subscription_gets_every_event(self):
        first, second = self.sink(), self.sink()
        server = self.weir(
            channel(subscription(first, "first"), subscription(second, "second")), kind="InMemoryChannel"
        )
        for number in range(20):
            server.send("/shop/orders", str(number))
        wanted = {str(number) for number in range(20)}
        first.wait_ids(wanted)
        second.wait_ids(wanted)

    def test_channels_do_not_mix(self):
        first, second = self.sink(), self.sink()
        server = self.weir(
            channel(subscription(first), name="a"), channel(subscription(second), name="b"), kind="InMemoryChannel"
        )
        server.send("/shop/a", "for-a")
        server.send("/shop/b", "for-b")
        self.assertEqual(first.wait(1)[0].id, "for-a")
        self.assertEqual(second.wait(1)[0].id, "for-b")
        self.assertEqual(len(first.ids()) + len(second.ids()), 2)


class Loops(TestCase):
    def test_many_loops_share_one_port_and_the_subscriptions(self):
        sinks = [self.sink() for _ in range(5)]
        server = self.weir(
            channel(*(subscription(to, f"s{number}") for number, to in enumerate(sinks))),
            kind="InMemoryChannel",
            config={"dispatcher": {"ingressLoops": 4, "deliveryLoops": 3}},
        )
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda number: server.send("/shop/orders", str(number)), range(200)))
        wanted = {str(number) for number in range(200)}
        for to in sinks:
            to.wait_ids(wanted)
            self.assertEqual(len(to.ids()), 200)

    def test_several_addresses_are_listened_on(self):
        server = self.weir(
            channel(), kind="InMemoryChannel", config={"dispatcher": {"listen": ["127.0.0.1:0", "127.0.0.2:0"]}}
        )
        ports = [int(port) for port in re.findall(r"127\.0\.0\.[12]:(\d+)", server.ready_line.split(";")[0])]
        self.assertEqual(len(ports), 2)
        for address, port in zip(("127.0.0.1", "127.0.0.2"), ports):
            connection = http.client.HTTPConnection(address, port, timeout=DEADLINE)
            with contextlib.closing(connection):
                connection.request("POST", "/shop/orders", b"x", event_headers("1"))
                self.assertEqual(connection.getresponse().status, 202)


if __name__ == "__main__":
    unittest.main(verbosity=2)
