# SPDX-License-Identifier: Apache-2.0
"""Brokers, triggers, and the paths of source adapters."""
import json
import unittest

from harness import TestCase, event_headers

EVENT = {
    "event-type": "order.created",
    "event-type-version": "v1",
    "event-id": "31109198-4d69-4ae0-972d-76117f3748c8",
    "event-time": "2020-09-28T14:47:16.491Z",
    "data": {"orderCode": "3211213"},
}


def trigger(sink, name="billing", **more):
    return {"namespace": "shop", "name": name, "subscriber": sink.url, **more}


class Brokers(TestCase):
    def serve(self, *triggers, **config):
        config.setdefault("dispatcher", {"events": {"namespace": "shop", "source": "commerce"}})
        return self.weir(
            config={"brokers": [{"namespace": "shop"}], "triggers": list(triggers), **config}, kind="InMemoryChannel"
        )

    def post_kyma(self, server, path="/v1/events", headers=None, **changes):
        event = {name: value for name, value in {**EVENT, **changes}.items() if value is not ...}
        return server.post(path, {"content-type": "application/json", **(headers or {})}, json.dumps(event).encode())

    def test_every_trigger_gets_what_is_posted_to_its_broker(self):
        one, two = self.sink(), self.sink()
        server = self.serve(trigger(one), trigger(two, "shipping"))
        server.send("/shop/default", "1")
        self.assertEqual([one.wait(1)[0].id, two.wait(1)[0].id], ["1", "1"])

    def test_events_is_the_default_broker(self):
        to = self.sink()
        server = self.serve(trigger(to))
        for id, path in enumerate(["/events", "/shop/events"]):
            server.send(path, str(id))
        to.wait_ids(["0", "1"])
        self.assertEqual(server.post("/other/events", event_headers("2")).status, 404)

    def test_a_reply_to_a_trigger_goes_to_the_broker(self):
        def reply_once(request, _):
            if request.id != "1":
                return 204
            return 200, event_headers("2"), b"answer"

        to, other = self.sink(reply_once), self.sink()
        server = self.serve(trigger(to), trigger(other, "shipping"))
        server.send("/events", "1")
        other.wait_ids(["1", "2"])
        to.wait_ids(["1", "2"])

    def test_an_event_in_kymas_format_arrives_as_a_cloud_event(self):
        to = self.sink()
        server = self.serve(trigger(to))
        answer = self.post_kyma(server)
        self.assertEqual((answer.status, answer.json()), (200, {"event-id": EVENT["event-id"]}))
        request = to.wait(1)[0]
        self.assertEqual(
            request.attributes(),
            {
                "specversion": "1.0",
                "id": EVENT["event-id"],
                "type": "order.created",
                "source": "commerce",
                "time": EVENT["event-time"],
                "eventtypeversion": "v1",
                "datacontenttype": "application/json",
            },
        )
        self.assertEqual(json.loads(request.body), EVENT["data"])

    def test_an_event_in_kymas_format_without_id_is_told_its_id(self):
        to = self.sink()
        server = self.serve(trigger(to))
        answer = self.post_kyma(server, "/shop/v1/events", **{"event-id": ...})
        self.assertEqual(answer.status, 200)
        self.assertEqual(to.wait(1)[0].id, answer.json()["event-id"])

    def test_what_is_wrong_in_kymas_format_is_told_as_kyma_did(self):
        server = self.serve()
        answer = self.post_kyma(server, **{"event-time": ...})
        self.assertEqual(answer.status, 400)
        body = answer.json()
        self.assertEqual(body["code"], "invalid_event")
        self.assertEqual(body["reason"], "event-time: is missing")
        self.assertEqual(body["type"], "validation_violation")
        self.assertEqual(body["details"][0]["field"], "event-time")
        self.assertEqual(self.post_kyma(server, headers={"content-encoding": "gzip"}).status, 415)
        server.wait_admin("/status", lambda answer: answer.json()["channels"][0]["rejected"] == 1)

    def test_without_configuration_the_default_channel_takes_events(self):
        server = self.weir(kind="InMemoryChannel")
        server.send("/events", "1")
        self.assertEqual(self.post_kyma(server).status, 200)

    def test_options_of_the_server_as_a_whole(self):
        server = self.serve()
        answer = server.request("OPTIONS", "*", {"webhook-request-origin": "example.com"})
        self.assertEqual((answer.status, answer.headers["allow"]), (200, "POST, OPTIONS"))
        self.assertEqual(answer.headers["webhook-allowed-origin"], "example.com")
        self.assertEqual(server.request("POST", "*", event_headers("1")).status, 400)


if __name__ == "__main__":
    unittest.main()
