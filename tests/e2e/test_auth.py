# SPDX-License-Identifier: Apache-2.0
"""Who may send: shared tokens and tokens of an issuer, against the real program."""
import base64
import http.client
import http.server
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import unittest

from harness import TestCase, channel, event_headers, run_weir, subscription

SECRET = "canary-shared-token-0123456789"


def text(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Issuer:
    """An OpenID Connect issuer, as far as tokens and keys go."""

    def __init__(self, folder):
        self.folder, self.keys, self.answered = folder, {}, 0
        issuer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = issuer.body().encode()
                issuer.answered += 1
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/keys"
        self.add("one")

    def add(self, id):
        path = os.path.join(self.folder, f"{id}.pem")
        subprocess.run(["openssl", "genpkey", "-algorithm", "RSA", "-out", path], check=True, capture_output=True)
        modulus = subprocess.run(["openssl", "rsa", "-in", path, "-noout", "-modulus"], check=True, capture_output=True).stdout
        self.keys[id] = text(bytes.fromhex(modulus.decode().strip().split("=")[1]))

    def body(self):
        return json.dumps({"keys": [{"kty": "RSA", "kid": id, "n": n, "e": "AQAB"} for id, n in self.keys.items()]})

    def token(self, id="one", **claims):
        claims = {"iss": "https://issuer", "sub": "web", "exp": int(time.time()) + 600,
                  "aud": "messaging.knative.dev/inmemorychannel/shop/orders", **claims}
        signed = ".".join(text(json.dumps(part).encode()) for part in ({"alg": "RS256", "kid": id}, claims))
        signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", os.path.join(self.folder, f"{id}.pem")],
                                   input=signed.encode(), check=True, capture_output=True).stdout
        return f"{signed}.{text(signature)}"


class Auth(TestCase):
    @classmethod
    def setUpClass(cls):
        if not shutil.which("openssl"):
            raise unittest.SkipTest("there is no openssl")
        cls.folder = tempfile.mkdtemp(prefix="weir-auth-")
        cls.tokens = os.path.join(cls.folder, "tokens")
        with open(cls.tokens, "w", encoding="utf-8") as file:
            file.write(f"{SECRET}\n")
        os.chmod(cls.tokens, 0o600)
        cls.issuer = Issuer(cls.folder)

    @classmethod
    def tearDownClass(cls):
        cls.issuer.server.shutdown()
        cls.issuer.server.server_close()
        shutil.rmtree(cls.folder, ignore_errors=True)

    def serve(self, to=None, **auth):
        return self.weir(
            channel(*([subscription(to)] if to else [])), channel(name="other"),
            config={"dispatcher": {"auth": auth}}, kind="InMemoryChannel",
        )

    def serve_issuer(self, **more):
        server = self.serve(issuer="https://issuer", keys=self.issuer.url, **more)
        server.wait_said("keys of the issuer: ")
        return server

    def post(self, server, *values, path="/shop/orders"):
        headers = event_headers("1")
        if values:
            headers["authorization"] = values[0]
        return server.post(path, headers)

    def status(self, server, token, path="/shop/orders"):
        return self.post(server, f"Bearer {token}", path=path).status

    def test_shared_tokens(self):
        to = self.sink()
        server = self.serve(to, tokenFile=self.tokens)
        missing = self.post(server)
        self.assertEqual((missing.status, missing.json()["code"]), (401, "unauthorized"))
        self.assertEqual(missing.headers["www-authenticate"], 'Bearer realm="weir"')
        wrong = self.post(server, "Bearer wrong-token-0123456789")
        self.assertEqual((wrong.status, wrong.json()["code"]), (401, "invalid_token"))
        self.assertIn('error="invalid_token"', wrong.headers["www-authenticate"])
        self.assertNotIn("wrong-token", wrong.body.decode())
        malformed = self.post(server, "Bearer ")
        self.assertEqual((malformed.status, malformed.json()["code"]), (400, "invalid_request"))
        self.assertEqual(self.status(server, SECRET), 202)
        request = to.wait(1)[0]
        self.assertNotIn("authorization", request.headers)
        self.assertFalse(server.said(SECRET))

    def test_two_headers_and_a_token_in_the_url(self):
        server = self.serve(tokenFile=self.tokens)
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        self.addCleanup(connection.close)
        connection.putrequest("POST", "/shop/orders")
        for name, value in event_headers("1").items():
            connection.putheader(name, value)
        for _ in range(2):
            connection.putheader("authorization", f"Bearer {SECRET}")
        connection.putheader("content-length", "0")
        connection.endheaders()
        self.assertEqual(connection.getresponse().status, 400)
        self.assertEqual(server.post(f"/shop/orders?access_token={SECRET}", event_headers("1")).status, 400)

    def test_unknown_channels_and_handshakes_need_no_token(self):
        server = self.serve(tokenFile=self.tokens)
        self.assertEqual(self.post(server, path="/shop/nothing").status, 404)
        self.assertEqual(server.request("OPTIONS", "/shop/orders").status, 200)

    def test_tokens_of_an_issuer(self):
        server = self.serve_issuer()
        good = self.issuer.token()
        self.assertEqual([self.status(server, good) for _ in range(3)], [202] * 3)
        self.assertEqual(self.status(server, good, "/shop/other"), 401)
        self.assertEqual(self.status(server, self.issuer.token(exp=int(time.time()) - 100)), 401)
        self.assertEqual(self.status(server, self.issuer.token(nbf=int(time.time()) + 100)), 401)
        self.assertEqual(self.status(server, self.issuer.token(iss="https://other")), 401)
        self.assertEqual(self.status(server, self.issuer.token(aud=["x", "y"])), 401)
        self.assertEqual(self.status(server, good[:-4] + ("AAAA" if not good.endswith("AAAA") else "BBBB")), 401)
        none = text(b'{"alg":"none"}') + "." + good.split(".")[1] + "."
        self.assertEqual(self.status(server, none), 401)
        server.wait_admin("/status", lambda answer: answer.json()["channels"][0]["accepted"] == 3)

    def test_subjects_that_may_not_send_are_forbidden(self):
        server = self.serve_issuer(subjects=["web"], audience="weir")
        self.assertEqual(self.status(server, self.issuer.token(aud="weir")), 202)
        answer = self.post(server, "Bearer " + self.issuer.token(aud="weir", sub="batch"))
        self.assertEqual((answer.status, answer.json()["code"]), (403, "forbidden"))

    def test_a_key_that_is_new_is_found_after_a_while(self):
        server = self.serve_issuer()
        self.issuer.add("two")
        self.addCleanup(self.issuer.keys.pop, "two")
        token, statuses = self.issuer.token("two"), set()
        deadline = time.monotonic() + 30
        while (status := self.status(server, token)) != 202 and time.monotonic() < deadline:
            statuses.add(status)
            time.sleep(0.2)
        self.assertEqual(status, 202)
        self.assertLessEqual(statuses, {401, 503})

    def test_while_the_issuer_is_away_the_answer_is_503(self):
        server = self.serve(issuer="https://issuer", keys="https://127.0.0.1:1/keys")
        answer = self.post(server, "Bearer " + self.issuer.token())
        self.assertEqual((answer.status, answer.headers["retry-after"]), (503, "1"))
        server.wait_said("the keys of the issuer cannot be read")

    def test_a_reload_takes_the_new_tokens(self):
        path = os.path.join(self.folder, "rotated")
        shutil.copy(self.tokens, path)
        server = self.serve(tokenFile=path)
        self.assertEqual(self.status(server, SECRET), 202)
        with open(path, "w", encoding="utf-8") as file:
            file.write("the-next-token-0123456789\n")
        server.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + 30
        while self.status(server, SECRET) != 401 and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assertEqual(self.status(server, "the-next-token-0123456789"), 202)
        self.assertEqual(self.status(server, SECRET), 401)

    def test_wrong_settings_are_named_at_the_start(self):
        readable = os.path.join(self.folder, "writable")
        shutil.copy(self.tokens, readable)
        os.chmod(readable, 0o666)
        cases = [
            ({"tokenFile": "/nowhere"}, "dispatcher.auth.tokenFile: the file that it names"),
            ({"tokenFile": readable}, "others may write to"),
            ({"issuer": "https://i"}, "dispatcher.auth.issuer: needs dispatcher.auth.keys"),
            ({"issuer": "https://i", "keys": "http://example.com/"}, "dispatcher.auth.keys: must be a file or an https:// URL"),
        ]
        for auth, message in cases:
            ended = run_weir(config={"dispatcher": {"listen": "127.0.0.1:0", "admin": [], "auth": auth}})
            self.assertEqual(ended.returncode, 78, ended.stderr)
            self.assertIn(message, ended.stderr)


if __name__ == "__main__":
    unittest.main()
