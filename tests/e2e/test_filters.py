# SPDX-License-Identifier: Apache-2.0
"""Subscriptions' filters: who gets which events, and what becomes of the others."""
import unittest

from harness import TestCase, channel, event_headers, subscription


def filtered(sink, *filters, name="billing", **more):
    return {**subscription(sink, name, **more), "filters": list(filters)}


class Filters(TestCase):
    def deliver(self, *filters, events):
        """Sends each event and one that marks the end, and returns the ids of those that came."""
        to, end = self.sink(), self.sink()
        server = self.weir(
            channel(filtered(to, *filters), filtered(end, {"exact": {"type": "end"}}, name="end")),
            kind="InMemoryChannel",
        )
        for number, attributes in enumerate(events):
            server.post("/shop/orders", event_headers(str(number), **attributes))
        server.post("/shop/orders", event_headers("end", type="end"))
        end.wait_ids({"end"})
        server.wait_admin("/status", lambda answer: all(
            one["delivered"] + one["filtered"] == len(events) + 1
            for one in answer.json()["channels"][0]["subscriptions"]))
        self.server = server
        return sorted(to.ids())

    def test_exact_prefix_and_suffix_look_at_attributes_and_extensions(self):
        events = [
            {"type": "a.created", "region": "eu"},
            {"type": "a.deleted", "region": "eu"},
            {"type": "a.created", "region": "us"},
            {"type": "b.created", "region": "eu"},
            {"type": "a.created"},
        ]
        filters = {"prefix": {"type": "a."}}, {"suffix": {"type": ".created"}}, {"exact": {"region": "eu"}}
        self.assertEqual(self.deliver(*filters, events=events), ["0"])

    def test_groups_combine(self):
        any_of = {"any": [{"exact": {"type": "x"}}, {"all": [{"exact": {"type": "y"}}, {"not": {"exact": {"flag": "1"}}}]}]}
        events = [{"type": "x"}, {"type": "y"}, {"type": "y", "flag": "1"}, {"type": "z"}]
        self.assertEqual(self.deliver(any_of, events=events), ["0", "1"])

    def test_an_expression_decides_and_where_it_fails_nothing_passes_and_it_is_counted(self):
        events = [{"total": "1500"}, {"total": "10"}, {"total": "much"}, {}]
        got = self.deliver({"cesql": "INT(total) >= 1000 AND source LIKE '/e2e%'"}, events=events)
        self.assertEqual(got, ["0"])
        metrics = self.server.get("/metrics").body.decode()
        labels = '{namespace="shop",channel="orders",subscription="billing"}'
        self.assertIn(f"weir_egress_events_filtered_total{labels} 4\n", metrics)
        self.assertIn(f"weir_egress_filter_errors_total{labels} 3\n", metrics)

    def test_what_does_not_pass_is_settled_also_while_the_subscriber_is_down(self):
        to = self.sink(lambda *_: 503)
        server = self.weir(channel(filtered(to, {"exact": {"type": "wanted"}}, retry=1000)), kind="EmbeddedChannel")
        server.post("/shop/orders", event_headers("w", type="wanted"))
        to.wait(1)
        for number in range(500):  # more than a window
            server.post("/shop/orders", event_headers(str(number), type="other"))
        self.wait_delivered(server, filtered=500, delivered=0)
        self.assertEqual(set(to.ids()), {"w"})

    def test_a_trigger_has_filters(self):
        to = self.sink()
        server = self.weir(
            config={
                "brokers": [{"namespace": "shop", "name": "default"}],
                "triggers": [{"namespace": "shop", "name": "t", "subscriber": to.url,
                              "filters": [{"exact": {"type": "wanted"}}]}],
            },
            kind="InMemoryChannel",
        )
        server.post("/shop/default", event_headers("1", type="other"))
        server.post("/shop/default", event_headers("2", type="wanted"))
        to.wait(1)
        self.wait_delivered(server, filtered=1, delivered=1)
        self.assertEqual(to.ids(), ["2"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
