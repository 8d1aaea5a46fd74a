# SPDX-License-Identifier: Apache-2.0
"""What a sender is told: routes, methods, media types, batches."""
import json
import unittest

from harness import TestCase, channel, event_headers, subscription

BATCH = {"content-type": "application/cloudevents-batch+json"}


def event(id, **more):
    return {"specversion": "1.0", "id": id, "type": "t", "source": "/s", **more}


class Statuses(TestCase):
    def setUp(self):
        self.server = self.weir(channel(), kind="InMemoryChannel")

    def check_error(self, answer, status):
        self.assertEqual(answer.status, status)
        self.assertEqual(answer.headers["content-type"], "application/json")
        self.assertEqual(set(answer.json()), {"code", "reason"})

    def test_unknown_paths_are_404_and_never_normalised(self):
        for path in (
            "/", "/shop", "/shop/", "/shop/orders/", "//shop/orders", "/shop/../shop/orders", "/shop/%6frders",
            "/shop/Orders", "/nobody/orders", "/" + "a" * 300, "/shop/orders%2f",
        ):  # fmt: skip
            with self.subTest(path=path):
                self.check_error(self.server.post(path, event_headers("1")), 404)

    def test_unknown_hosts_are_404(self):
        for host in ("orders.shop.svc", "orders-kn-channel.other.svc", "localhost"):
            with self.subTest(host=host):
                self.check_error(self.server.post("/", {**event_headers("1"), "Host": host}), 404)

    def test_other_methods_are_405_and_told_which_are_allowed(self):
        for method in ("GET", "PUT", "DELETE", "PATCH", "post", "BREW"):
            with self.subTest(method=method):
                answer = self.server.request(method, "/shop/orders")
                self.check_error(answer, 405)
                self.assertEqual(answer.headers["allow"], "POST, OPTIONS")

    def test_head_is_405_without_a_body(self):
        answer = self.server.request("HEAD", "/shop/orders")
        self.assertEqual((answer.status, answer.body), (405, b""))

    def test_options_answers_the_webhook_handshake(self):
        headers = {"WebHook-Request-Origin": "events.example.com", "WebHook-Request-Rate": "120"}
        answer = self.server.request("OPTIONS", "/shop/orders", headers)
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.headers["allow"], "POST, OPTIONS")
        self.assertEqual(answer.headers["webhook-allowed-origin"], "events.example.com")
        self.assertEqual(answer.headers["webhook-allowed-rate"], "*")

    def test_options_does_not_send_back_what_is_no_origin(self):
        answer = self.server.request("OPTIONS", "/shop/orders", {"WebHook-Request-Origin": '<a> "b"'})
        self.assertEqual(answer.status, 200)
        self.assertNotIn("webhook-allowed-origin", answer.headers)

    def test_what_is_no_event_is_400_and_says_what_is_wrong(self):
        bad = {
            "no event at all": {},
            "no id": {name: value for name, value in event_headers("1").items() if name != "ce-id"},
            "old version": {**event_headers("1"), "ce-specversion": "0.3"},
        }
        for name, headers in bad.items():
            with self.subTest(name):
                answer = self.server.post("/shop/orders", headers, b"x")
                self.check_error(answer, 400)
        self.assertIn("id", self.server.post("/shop/orders", bad["no id"]).json()["reason"])

    def test_input_is_never_sent_back(self):
        marker = "zqj7-marker"
        answers = [
            self.server.post("/shop/orders", {**event_headers("1"), "ce-time": marker}),
            self.server.post("/shop/orders", {**event_headers("1"), "ce-" + marker: "1"}),
            self.server.post("/" + marker, event_headers("1")),
            self.server.post("/shop/orders", {"content-type": "application/cloudevents+json"}, marker.encode()),
        ]
        for answer in answers:
            self.assertGreaterEqual(answer.status, 400)
            self.assertNotIn(marker.encode(), answer.body)

    def test_unknown_formats_and_encodings_are_415(self):
        bad = [
            {"content-type": "application/cloudevents+avro"},
            {"content-type": "application/cloudevents"},
            BATCH,
            {**event_headers("1"), "content-encoding": "gzip"},
        ]
        for headers in bad:
            with self.subTest(headers=headers):
                self.check_error(self.server.post("/shop/orders", headers, b"[]"), 415)

    def test_larger_than_the_limit_is_413(self):
        body = b"x" * (1024 * 1024 + 1)
        self.check_error(self.server.post("/shop/orders", event_headers("1"), body), 413)

    def test_a_full_backend_is_429_or_503_and_says_when_to_try_again(self):
        server = self.weir(
            channel(subscription("http://127.0.0.1:9/", retry=1000, delay="PT60S")),
            kind="InMemoryChannel",
            config={"memory": {"maxRecords": 100}},
        )
        answers = [server.post("/shop/orders", event_headers(str(n)), b"x" * 1000) for n in range(120)]
        self.assertEqual([a.status for a in answers[:100]], [202] * 100)
        for answer in answers[100:]:
            self.assertIn(answer.status, (429, 503))
            self.assertEqual(answer.headers["retry-after"], "1")


class Batches(TestCase):
    def setUp(self):
        self.to = self.sink()
        config = {"dispatcher": {"batch": True, "limits": {"maxBatchEvents": 10}}}
        self.server = self.weir(channel(subscription(self.to)), kind="InMemoryChannel", config=config)

    def post(self, events):
        return self.server.post("/shop/orders", BATCH, json.dumps(events).encode())

    def test_all_events_of_a_batch_arrive_in_order(self):
        self.assertEqual(self.post([event(str(n)) for n in range(10)]).status, 202)
        self.assertEqual([request.id for request in self.to.wait(10)], [str(n) for n in range(10)])

    def test_batch_with_one_bad_event_publishes_none(self):
        self.assertEqual(self.post([event("1"), event("2", specversion="9"), event("3")]).status, 400)
        self.server.send("/shop/orders", "after")
        self.assertEqual(self.to.wait(1)[0].id, "after")

    def test_empty_batch_is_400(self):
        self.assertEqual(self.post([]).status, 400)

    def test_batch_that_is_no_array_is_400(self):
        self.assertEqual(self.post(event("1")).status, 400)

    def test_batch_over_the_limit_is_413(self):
        self.assertEqual(self.post([event(str(n)) for n in range(11)]).status, 413)


if __name__ == "__main__":
    unittest.main(verbosity=2)
