# SPDX-License-Identifier: Apache-2.0
"""Events over TLS: who is let in, what a handshake may cost, and certificates that change while Weir runs."""
import http.client
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import unittest

from certificates import Authority
from harness import DEADLINE, SANITIZED, Answer, TestCase, channel, event_headers, run_weir, subscription

EVENT = b"POST /shop/orders HTTP/1.1\r\nHost: h\r\nce-specversion: 1.0\r\nce-type: t\r\nce-source: /s\r\nce-id: %s\r\n"


class Tls(TestCase):
    @classmethod
    def setUpClass(cls):
        if not shutil.which("openssl"):
            raise unittest.SkipTest("there is no openssl")
        cls.folder = tempfile.mkdtemp(prefix="weir-tls-")
        cls.authority = Authority(cls.folder)
        cls.certificate, cls.key = cls.authority.sign("server")
        cls.other = Authority(cls.folder, "other")

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder, ignore_errors=True)

    def serve(self, to=None, limits=None, **tls):
        tls = {"listen": "127.0.0.1:0", "certificateFile": self.certificate, "keyFile": self.key, **tls}
        return self.weir(
            channel(*([subscription(to)] if to else [])),
            config={"dispatcher": {"tls": tls, "limits": limits or {}}},
            kind="InMemoryChannel",
        )

    def context(self, client=None, **more):
        context = ssl.create_default_context(cafile=self.authority.certificate)
        if client:
            context.load_cert_chain(*client)
        for name, value in more.items():
            setattr(context, name, value)
        return context

    def open(self, server, context=None, host="127.0.0.1"):
        plain = socket.create_connection(("127.0.0.1", server.tls_port), DEADLINE)
        self.addCleanup(plain.close)
        connection = (context or self.context()).wrap_socket(plain, server_hostname=host)
        self.addCleanup(connection.close)
        return connection

    def post(self, server, id, context=None, body=b""):
        connection = http.client.HTTPSConnection("127.0.0.1", server.tls_port, timeout=DEADLINE, context=context or self.context())
        self.addCleanup(connection.close)
        connection.request("POST", "/shop/orders", body, event_headers(id))
        return Answer(connection.getresponse())

    def test_events_come_in_over_tls_and_plain(self):
        to = self.sink()
        server = self.serve(to)
        self.assertEqual(self.post(server, "1", body=b"x" * 1000).status, 202)
        server.send("/shop/orders", "2")
        to.wait_ids(["1", "2"])
        self.assertEqual(to.requests[0].body, b"x" * 1000)

    def test_bodies_of_all_sizes_come_whole(self):
        to = self.sink()
        server = self.serve(to)
        sizes = [1, 8191, 8192, 16383, 16384, 16385, 100_000, 1_000_000]
        for size in sizes:
            self.assertEqual(self.post(server, str(size), body=os.urandom(1) * size).status, 202)
        to.wait_ids(map(str, sizes))
        self.assertEqual({request.id: len(request.body) for request in to.requests}, {str(size): size for size in sizes})

    def test_a_request_in_one_byte_records_is_taken(self):
        to = self.sink()
        connection = self.open(self.serve(to))
        for byte in EVENT % b"1" + b"Content-Length: 2\r\n\r\nok":
            connection.send(bytes([byte]))
        self.assertTrue(connection.recv(1000).startswith(b"HTTP/1.1 202 "))
        self.assertEqual(to.wait(1)[0].body, b"ok")

    def test_pipelined_requests_are_all_answered(self):
        connection = self.open(self.serve())
        connection.sendall(b"".join(EVENT % b"%d" % i + b"Content-Length: 0\r\n\r\n" for i in range(50)))
        got = b""
        while got.count(b"HTTP/1.1 202 ") < 50:
            more = connection.recv(65536)
            self.assertTrue(more, got[-200:])
            got += more

    def test_the_protocol_is_http_1_1(self):
        server = self.serve()
        context = self.context()
        context.set_alpn_protocols(["h2", "http/1.1"])
        self.assertEqual(self.open(server, context).selected_alpn_protocol(), "http/1.1")
        context.set_alpn_protocols(["h2"])
        with self.assertRaises(ssl.SSLError):
            self.open(server, context)

    def test_old_versions_are_refused(self):
        server = self.serve()
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            self.open(server, self.context(minimum_version=version, maximum_version=version))
        context = self.context(minimum_version=ssl.TLSVersion.TLSv1, maximum_version=ssl.TLSVersion.TLSv1_1)
        context.set_ciphers("ALL:@SECLEVEL=0")
        with self.assertRaises(ssl.SSLError):
            self.open(server, context)
        server.wait_admin("/metrics", lambda answer: b"weir_http_tls_handshakes_failed_total 1\n" in answer.body)

    def test_something_else_than_tls_is_closed(self):
        server = self.serve()
        for text in (b"GET / HTTP/1.1\r\n\r\n", b"\0" * 100, b"\x16\x03\x01\xff\xff" + b"x" * 70000):
            with socket.create_connection(("127.0.0.1", server.tls_port), DEADLINE) as connection:
                try:
                    connection.sendall(text)
                    while connection.recv(1000):
                        pass
                except OSError:
                    pass
        self.assertEqual(self.post(server, "1").status, 202)

    def test_clients_need_a_certificate_where_they_are_asked_for_one(self):
        server = self.serve(clientCaFile=self.authority.certificate)
        self.assertEqual(self.post(server, "1", self.context(self.authority.sign("client"))).status, 202)
        for refused in (None, self.other.sign("stranger")):
            with self.assertRaises((ssl.SSLError, ConnectionError, http.client.HTTPException)):
                self.post(server, "2", self.context(refused))
        server.wait_admin("/status", lambda answer: answer.json()["channels"][0]["accepted"] == 1)

    def test_a_session_is_resumed(self):
        server = self.serve()
        context = self.context()
        first = self.open(server, context)
        first.sendall(EVENT % b"1" + b"Content-Length: 0\r\n\r\n")
        self.assertTrue(first.recv(1000).startswith(b"HTTP/1.1 202 "))
        plain = socket.create_connection(("127.0.0.1", server.tls_port), DEADLINE)
        self.addCleanup(plain.close)
        second = context.wrap_socket(plain, server_hostname="127.0.0.1", session=first.session)
        self.addCleanup(second.close)
        self.assertTrue(second.session_reused)

    def test_a_handshake_that_does_not_go_on_is_closed(self):
        server = self.serve(limits={"headerTimeout": "PT0.3S", "idleTimeout": "PT1H"})
        silent = socket.create_connection(("127.0.0.1", server.tls_port), DEADLINE)
        self.addCleanup(silent.close)
        halfway = socket.create_connection(("127.0.0.1", server.tls_port), DEADLINE)
        self.addCleanup(halfway.close)
        halfway.sendall(b"\x16\x03\x01\x00\x80")
        for connection in (silent, halfway):
            self.assertEqual(connection.recv(1000), b"")
        self.assertEqual(self.post(server, "1").status, 202)
        server.wait_admin("/status", lambda answer: answer.json()["http"]["tlsHandshakesFailed"] == 2)

    def test_renegotiation_is_refused(self):
        server = self.serve()
        client = subprocess.run(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{server.tls_port}", "-tls1_2", "-CAfile", self.authority.certificate],
            input=b"R\n", capture_output=True, timeout=DEADLINE, check=False,
        )
        self.assertIn(b"no renegotiation", client.stderr + client.stdout)
        self.assertEqual(self.post(server, "1").status, 202)

    def test_a_reload_gives_new_connections_the_new_certificate(self):
        certificate, key = (os.path.join(self.folder, name) for name in ("live.crt", "live.key"))
        shutil.copy(self.certificate, certificate)
        shutil.copy(self.key, key)
        server = self.serve(certificateFile=certificate, keyFile=key)
        before = self.open(server)
        serial = before.getpeercert()["serialNumber"]
        renewed = self.authority.sign("renewed")
        shutil.copy(renewed[0], certificate)
        shutil.copy(renewed[1], key)
        server.process.send_signal(signal.SIGHUP)
        self.assertNotEqual(self.wait_serial(server, serial), serial)
        before.sendall(EVENT % b"1" + b"Content-Length: 0\r\n\r\n")
        self.assertTrue(before.recv(1000).startswith(b"HTTP/1.1 202 "))

    def wait_serial(self, server, old):
        found = old
        for _ in range(300):
            connection = self.open(server)
            found = connection.getpeercert()["serialNumber"]
            connection.close()
            if found != old:
                break
        return found

    def test_a_reload_with_a_bad_certificate_changes_nothing(self):
        certificate, key = (os.path.join(self.folder, name) for name in ("bad.crt", "bad.key"))
        shutil.copy(self.certificate, certificate)
        shutil.copy(self.key, key)
        server = self.serve(certificateFile=certificate, keyFile=key)
        with open(certificate, "w", encoding="utf-8") as file:
            file.write("nonsense")
        server.process.send_signal(signal.SIGHUP)
        server.wait_said("is not a certificate in PEM")
        self.assertEqual(self.post(server, "1").status, 202)

    def test_a_certificate_that_ends_soon_is_told(self):
        certificate, key = self.authority.sign("short", days=3)
        server = self.serve(certificateFile=certificate, keyFile=key)
        server.wait_said("short.crt\" ends in ")
        metrics = server.get("/metrics").body.decode()
        self.assertRegex(metrics, r"weir_http_tls_certificate_expiry_timestamp_seconds 1[0-9]{9}")

    def test_wrong_files_are_named_at_the_start(self):
        writable = os.path.join(self.folder, "writable.key")
        shutil.copy(self.key, writable)
        os.chmod(writable, 0o666)
        cases = [
            ({"certificateFile": self.certificate}, "needs dispatcher.tls.certificateFile and dispatcher.tls.keyFile"),
            ({"certificateFile": "/nowhere", "keyFile": self.key}, 'certificate "/nowhere": No such file'),
            ({"certificateFile": self.key, "keyFile": self.key}, "is not a certificate in PEM"),
            ({"certificateFile": self.certificate, "keyFile": self.authority.key}, "not that of the certificate"),
            ({"certificateFile": self.certificate, "keyFile": writable}, "may be written to by others"),
            ({"certificateFile": self.certificate, "keyFile": self.key, "clientCaFile": self.key}, "are not certificates in PEM"),
        ]
        for tls, message in cases:
            config = {"dispatcher": {"listen": "127.0.0.1:0", "admin": [], "tls": {"listen": "127.0.0.1:0", **tls}},
                      "channel": {"default": {"kind": "InMemoryChannel"}}}
            ended = run_weir(config=config)
            self.assertEqual(ended.returncode, 78, ended.stderr)
            self.assertIn(message, ended.stderr)

    def test_many_handshakes_at_once_are_all_done(self):
        server = self.serve()
        count = 20 if SANITIZED else 100
        context = self.context()
        plain = [socket.create_connection(("127.0.0.1", server.tls_port), DEADLINE) for _ in range(count)]
        connections = []
        for one in plain:
            self.addCleanup(one.close)
            one.setblocking(False)
            connections.append(context.wrap_socket(one, server_hostname="127.0.0.1", do_handshake_on_connect=False))
        for connection in connections:
            self.addCleanup(connection.close)
            try:
                connection.do_handshake()
            except ssl.SSLWantReadError:
                pass
        for connection in connections:
            connection.settimeout(DEADLINE)
            connection.do_handshake()


if __name__ == "__main__":
    unittest.main()
