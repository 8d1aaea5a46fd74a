# SPDX-License-Identifier: Apache-2.0
"""The override manifests of Kyma and Knative, as operators have them, pick the backend: applied as they are."""
import os
import shutil
import subprocess
import unittest

from harness import BUILD, C11_THREADS_CRASH, DEADLINE, WEIR, TestCase, run_weir

SOURCE = os.environ.get("WEIR_TEST_SOURCE", os.path.join(os.path.dirname(__file__), "..", ".."))
CONFIGS = os.path.join(SOURCE, "configs")
KYMA = os.path.join(CONFIGS, "overrides-kyma.yaml")
KNATIVE = os.path.join(CONFIGS, "overrides-knative.yaml")


def show(*settings):
    done = subprocess.run([WEIR, "config", "show", "--origin", *[word for one in settings for word in ("--set", one)]],
                          capture_output=True, text=True, timeout=DEADLINE, check=False)
    return done.returncode, done.stdout.splitlines(), done.stderr


@unittest.skipUnless(os.path.exists(os.path.join(BUILD, "drivers", "weir-driver-kafka.so")), "no Kafka driver is built")
@unittest.skipIf(C11_THREADS_CRASH, "the thread sanitizer does not know C11 threads")
class Kyma(TestCase):
    def assert_shown(self, lines, key, value):
        self.assertTrue(any(line.startswith(f"{key} = {value}  # overrides: {KYMA}:") for line in lines), (key, lines))

    def test_the_sample_picks_kafka_and_its_provider(self):
        code, lines, err = show(f"overrides={KYMA}")
        self.assertEqual((code, err), (0, ""))
        self.assert_shown(lines, "channel.default.kind", "KafkaChannel")
        self.assert_shown(lines, "channel.default.apiVersion", "knativekafka.kyma-project.io/v1alpha1")
        self.assert_shown(lines, "kafka.provider", "confluent")
        self.assert_shown(lines, "kafka.brokers", "kafka.example.com:9093")
        self.assert_shown(lines, "kafka.password", "(secret)")

    def test_without_it_the_embedded_store_is_the_default(self):
        code, lines, _ = show()
        self.assertEqual(code, 0)
        self.assertIn("channel.default.kind = EmbeddedChannel  # default", lines)

    def serves(self, kind, **more):
        server = self.weir(start=False)
        del server.config["channels"]
        server.config.update(more)
        server.start(wait=False)
        server.wait_said(f"channels: default/default on {kind}")
        return server

    def test_a_dispatcher_runs_on_what_it_says(self):
        server = self.serves("KafkaChannel", overrides=[KYMA])
        backends = server.get("/status").json()["backends"]
        self.assertEqual([backend["kind"] for backend in backends], ["KafkaChannel"])
        server.kill()

    def test_a_dispatcher_without_it_takes_events_at_once(self):
        server = self.serves("EmbeddedChannel")
        server.wait_ready()
        server.send("/default/default", "1")

    def test_both_documents_as_they_are_in_a_cluster_one_by_one(self):
        """As an operator has them: a file each, mounted or not."""
        folder = self.weir(start=False).folder
        with open(KYMA, encoding="utf-8") as file:
            documents = file.read().split("\n---\n")
        paths = []
        for number, text in enumerate(documents):
            paths.append(os.path.join(folder, f"{number}.yaml"))
            with open(paths[-1], "w", encoding="utf-8") as file:
                file.write(text)
        code, lines, err = show(f'overrides=["{paths[0]}", "{paths[1]}"]')
        self.assertEqual((code, err), (0, ""))
        self.assertTrue(any(line.startswith("kafka.provider = confluent  # overrides: " + paths[1]) for line in lines))
        self.assertTrue(any(line.startswith("channel.default.kind = KafkaChannel  # overrides: " + paths[0])
                            for line in lines))

    def test_a_dispatcher_goes_over_to_it_and_back_while_it_runs(self):
        server = self.serves("EmbeddedChannel")
        server.wait_ready()
        server.send("/default/default", "1")
        mounted = os.path.join(server.folder, "overrides.yaml")
        shutil.copy(KYMA, mounted)
        server.config["overrides"] = [mounted]
        answer = server.reload()
        self.assertEqual((answer.status, [change["effect"] for change in answer.json()["changes"]]),
                         (200, ["change", "move"]), answer.body)
        # The broker cannot be reached: events still go where they went.
        server.send("/default/default", "2")
        move = server.get("/status").json()["channels"][0]["moves"][0]
        self.assertEqual((move["to"], move["stage"]), ("KafkaChannel", "preparing"))
        server.config["overrides"] = []
        self.assertEqual(server.reload().status, 200)
        server.wait_admin("/status", lambda got: "moves" not in got.json()["channels"][0])
        server.send("/default/default", "3")


class Knative(TestCase):
    def test_the_sample_picks_the_default_and_that_of_namespaces(self):
        code, lines, err = show(f"overrides={KNATIVE}")
        self.assertEqual(code, 0, err)
        self.assertTrue(any(line.startswith("channel.default.kind = ") and KNATIVE in line for line in lines), lines)

    def test_a_kind_without_a_driver_names_those_there_are(self):
        done = run_weir("--set", "channel.default.kind=CarrierPigeonChannel")
        self.assertEqual(done.returncode, 78)
        self.assertIn("EmbeddedChannel", done.stderr)
        self.assertIn("drivers", done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
