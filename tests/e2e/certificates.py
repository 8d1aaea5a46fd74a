# SPDX-License-Identifier: Apache-2.0
"""Certificates for tests, made with the program openssl."""
import os
import subprocess


class Authority:
    """Signs certificates; everything lies in `folder`."""

    def __init__(self, folder, name="ca"):
        self.folder, self.name = folder, name
        self.certificate = os.path.join(folder, f"{name}.crt")
        self.key = os.path.join(folder, f"{name}.key")
        self.run("req", "-x509", *self.new_key(self.key), "-out", self.certificate, "-days", "30", "-subj", f"/CN={name}",
                 "-addext", "basicConstraints=critical,CA:TRUE")

    @staticmethod
    def new_key(path):
        return "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", path

    @staticmethod
    def run(*arguments):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=30)

    def sign(self, name, days=60, host="IP:127.0.0.1,DNS:localhost"):
        """(certificate, key) of a name."""
        certificate, key, request = (os.path.join(self.folder, f"{name}.{end}") for end in ("crt", "key", "csr"))
        extensions = os.path.join(self.folder, f"{name}.ext")
        with open(extensions, "w", encoding="utf-8") as file:
            file.write(f"subjectAltName={host}\n")
        self.run("req", "-new", *self.new_key(key), "-out", request, "-subj", f"/CN={name}")
        self.run("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key, "-CAcreateserial", "-days",
                 str(days), "-extfile", extensions, "-out", certificate)
        return certificate, key
