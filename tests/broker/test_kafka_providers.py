# SPDX-License-Identifier: Apache-2.0
"""`weir serve` on a Kafka that wants a login, over TLS: the shapes of Event Hubs and Confluent Cloud, tokens, trust.

Needs the broker of `scripts/brokers/kafka start sasl`.
  WEIR_KAFKA_SILENCE=1     the silence before an idle connection is dropped as long as on Azure: five minutes
"""
import base64
import http.server
import json
import os
import sys
import threading
import time
import unittest
import urllib.parse
import uuid

SOURCE = os.environ.get("WEIR_TEST_SOURCE", os.path.join(os.path.dirname(__file__), "..", ".."))
sys.path.insert(0, os.path.join(SOURCE, "tests", "e2e"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from fault_proxy import Proxy  # noqa: E402
from harness import DEADLINE, TestCase, channel, event_headers, subscription, wait_for  # noqa: E402

BROKERS = os.environ.get("WEIR_BROKERS", os.path.join(SOURCE, "build-brokers"))
CERTS = os.path.join(BROKERS, "certs")
CA = os.path.join(CERTS, "ca.crt")
CONNECTION_STRING = "Endpoint=sb://localhost/;SharedAccessKeyName=test;SharedAccessKey=dGVzdA=="
CLIENT_SECRET = "canary-client-secret+/=&"


def part(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


class Tokens:
    """An endpoint that issues unsigned tokens and keeps what it was asked for."""

    def __init__(self, life=3600, status=200):
        self.life, self.status = life, status
        self.asked = []
        self.changed = threading.Condition()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                outer.answer(self, self.rfile.read(int(self.headers["content-length"])).decode())

            def do_GET(self):
                outer.answer(self, urllib.parse.urlsplit(self.path).query)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/token"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, handler, fields):
        asked = dict(urllib.parse.parse_qsl(fields))
        asked["method"], asked["Metadata"] = handler.command, handler.headers.get("Metadata")
        with self.changed:
            status, number = self.status, len(self.asked)
            self.asked.append(asked)
            self.changed.notify_all()
        now = int(time.time())
        claims = {"sub": f"weir-{number}", "iat": now - 1, "exp": now + self.life}
        body = {"access_token": part({"alg": "none"}) + "." + part(claims) + ".", "expires_in": self.life,
                "token_type": "Bearer", "more": {"access_token": "not this one"}}
        if status != 200:
            body = {"error": "invalid_client", "error_description": "the secret " + CLIENT_SECRET + " is wrong"}
        handler.send_response(status)
        data = json.dumps(body).encode()
        handler.send_header("content-length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Providers(TestCase):
    def serve(self, to, kafka, start=True, **more):
        word = f"weir-e2e-{uuid.uuid4().hex[:12]}"
        config = {"kafka": {"brokers": "localhost:9193", "caFile": CA, "topicPattern": word + ".{namespace}.{name}",
                            "groupPattern": word + ".{namespace}.{name}.{uid}", "replicationFactor": 1, **kafka}}
        config["kafka"] = {key: value for key, value in config["kafka"].items() if value is not None}
        return self.weir(channel(subscription(to)), config=config, kind="KafkaChannel", start=start, **more)

    def proxy(self, *arguments, **more):
        proxy = Proxy(*arguments, **more)
        self.addCleanup(proxy.close)
        return proxy

    def tokens(self, **more):
        tokens = Tokens(**more)
        self.addCleanup(tokens.close)
        return tokens

    def passes(self, kafka, **more):
        to = self.sink()
        server = self.serve(to, kafka, **more)
        server.send("/shop/orders", "1", b"hello")
        to.wait_ids({"1"})
        return server

    def refused(self, kafka, *words):
        """It says why at the start and does not serve, or is not ready; it never finds another way in."""
        to = self.sink()
        server = self.serve(to, kafka, start=False)
        server.start(wait=False)
        wait_for("a refusal", lambda: server.process.poll() is not None or any(
            word in line for word in words for line in server.log), server.changed)
        log = "\n".join(server.log)
        self.assertTrue(any(word in log for word in words), log)
        if server.process.poll() is None:
            self.assertFalse(server.admin_port and server.get("/readyz").status == 200)
        server.kill()
        return log

    # ---- logins ----

    def test_azure_with_a_connection_string(self):
        server = self.passes({"provider": "azure", "username": "$ConnectionString", "password": CONNECTION_STRING})
        self.assertNotIn("dGVzdA==", "\n".join(server.log))

    def test_confluent_with_an_api_key(self):
        self.passes({"provider": "confluent", "username": "APIKEY", "password": "api-secret"})

    def test_a_client_certificate(self):
        self.passes({"brokers": "localhost:9194", "certificateFile": os.path.join(CERTS, "client.crt"),
                     "keyFile": os.path.join(CERTS, "client.key")})

    def test_a_wrong_password_is_refused_and_not_shown(self):
        log = self.refused({"provider": "azure", "username": "$ConnectionString",
                            "password": CONNECTION_STRING.replace("dGVzdA", "canary")}, "uthentication")
        self.assertNotIn("canary", log)

    def test_no_client_certificate_is_refused(self):
        self.refused({"brokers": "localhost:9194"}, "ertificate", "handshake", "no broker", "SSL")

    # ---- trust ----

    def test_a_stranger_s_authority_is_refused(self):
        self.refused({"username": "APIKEY", "password": "api-secret", "caFile": os.path.join(CERTS, "stranger.crt")},
                     "certificate verify failed", "SSL")

    def test_another_host_s_certificate_is_refused(self):
        # The certificate is for localhost and 127.0.0.1.
        proxy = self.proxy(("127.0.0.1", 9193), listen=("127.0.0.2", 0))
        self.refused({"username": "APIKEY", "password": "api-secret", "brokers": f"127.0.0.2:{proxy.address[1]}"},
                     "certificate verify failed", "SSL")

    def test_plain_text_is_not_an_answer_to_tls(self):
        # A port without TLS: it must not be used.
        self.refused({"username": "APIKEY", "password": "api-secret", "brokers": "127.0.0.1:9192"}, "SSL", "no broker")

    # ---- limits ----

    def test_an_event_over_the_limit_is_413_and_the_connection_lives(self):
        to = self.sink()
        server = self.serve(to, {"provider": "azure", "username": "$ConnectionString", "password": CONNECTION_STRING})
        server.send("/shop/orders", "1")
        answer = server.post("/shop/orders", event_headers("2"), b"x" * 900_001)
        self.assertEqual(answer.status, 413, answer.body)
        server.send("/shop/orders", "3")
        to.wait_ids({"1", "3"})
        self.assertNotIn("2", to.times)

    def test_after_a_long_silence_an_event_passes_at_once(self):
        long = os.environ.get("WEIR_KAFKA_SILENCE")
        drop, silence = (240, 300) if long else (4, 7)
        proxy = self.proxy(("127.0.0.1", 19193), listen=("127.0.0.1", 19194), idle=drop)
        to = self.sink()
        server = self.serve(to, {
            "provider": "azure", "username": "$ConnectionString", "password": CONNECTION_STRING,
            "brokers": "localhost:19194",
            # In proportion: Azure drops after 240 s, the provider's settings are 180 s.
            "properties": {} if long else {"connections.max.idle.ms": "3000", "topic.metadata.refresh.interval.ms": "3000",
                                           "metadata.max.age.ms": "3000"}})
        server.send("/shop/orders", "1")
        to.wait_ids({"1"})
        time.sleep(silence)  # the silence is what is tested
        began = time.monotonic()
        server.send("/shop/orders", "2")
        took = time.monotonic() - began
        to.wait_ids({"2"})
        print(f"after {silence} s of silence an event was answered in {took * 1000:.0f} ms; {proxy.opened} connections, "
              f"{proxy.dropped} dropped", file=sys.stderr)
        self.assertLess(took, 1.5)

    def test_a_cut_connection_loses_nothing(self):
        proxy = self.proxy(("127.0.0.1", 19193), listen=("127.0.0.1", 19194))
        to = self.sink()
        server = self.serve(to, {"username": "APIKEY", "password": "api-secret", "brokers": "localhost:19194"})
        server.send("/shop/orders", "1")
        for number in range(2, 5):
            proxy.cut()
            posted = threading.Thread(target=server.send, args=("/shop/orders", str(number)))
            posted.start()
            proxy.mend()
            posted.join(DEADLINE)
        to.wait_ids({"1", "2", "3", "4"})

    # ---- tokens ----

    def oauth(self, tokens, **more):
        return {"oauth": "client-secret", "oauthTokenUrl": tokens.url, "oauthClientId": "weir",
                "oauthClientSecret": CLIENT_SECRET, **more}

    def test_a_client_secret_is_exchanged_for_a_token(self):
        tokens = self.tokens()
        server = self.passes(self.oauth(tokens, provider="azure"))
        asked = tokens.asked[0]
        self.assertEqual(asked["grant_type"], "client_credentials")
        self.assertEqual(asked["client_secret"], CLIENT_SECRET)
        self.assertEqual(asked["scope"], "https://localhost/.default")
        self.assertEqual(len(tokens.asked), 1, "one token serves all clients")
        self.assertNotIn("canary", "\n".join(server.log))

    def test_a_workload_identity_is_exchanged_for_a_token(self):
        tokens = self.tokens()
        to = self.sink()
        server = self.serve(to, {"oauth": "workload-identity", "oauthTokenUrl": tokens.url, "oauthClientId": "weir",
                                 "oauthTokenFile": None, "oauthScope": "kafka"}, start=False)
        path = os.path.join(server.folder, "federated")
        with open(path, "w", encoding="utf-8") as file:
            file.write("federated-token\n")
        server.environment["AZURE_FEDERATED_TOKEN_FILE"] = path
        server.start()
        server.send("/shop/orders", "1")
        to.wait_ids({"1"})
        self.assertEqual(tokens.asked[0]["client_assertion"], "federated-token")
        self.assertEqual(tokens.asked[0]["client_assertion_type"],
                         "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")

    def test_a_managed_identity_asks_the_metadata_service(self):
        tokens = self.tokens()
        self.passes({"provider": "azure", "oauth": "managed-identity", "oauthTokenUrl": tokens.url})
        asked = tokens.asked[0]
        self.assertEqual((asked["method"], asked["Metadata"]), ("GET", "true"))
        self.assertEqual(asked["resource"], "https://localhost")

    def test_an_expired_token_is_replaced_mid_stream(self):
        tokens = self.tokens(life=12)
        to = self.sink()
        server = self.serve(to, self.oauth(tokens))
        sent, end, goal = 0, time.monotonic() + DEADLINE, 3
        while len(tokens.asked) < goal:
            self.assertLess(time.monotonic(), end, f"{len(tokens.asked)} tokens only")
            server.send("/shop/orders", str(sent))
            sent += 1
            time.sleep(0.02)  # a stream, not waiting for anything
        to.wait_ids({str(number) for number in range(sent)})
        print(f"{sent} events while {len(tokens.asked)} tokens of 12 s were used", file=sys.stderr)

    def test_a_refused_secret_is_told_and_not_shown(self):
        tokens = self.tokens(status=401)
        log = self.refused(self.oauth(tokens), "the token endpoint answers 401: invalid_client")
        self.assertNotIn("canary", log)

    def test_tokens_are_not_asked_for_in_plain_text_elsewhere(self):
        log = self.refused({"oauth": "client-secret", "oauthTokenUrl": "http://example.com/token", "oauthClientId": "weir",
                            "oauthClientSecret": CLIENT_SECRET}, "must begin with https://")
        self.assertNotIn("canary", log)


if __name__ == "__main__":
    unittest.main(verbosity=2)
