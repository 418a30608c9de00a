"""What stands against misuse, with the real program: docs/operations/security.md."""

import gzip
import json
import os
import socket
import ssl
import stat
import subprocess
import unittest
import urllib.error
import urllib.request

from serve_test import identify, order
from support import WRITE_KEY, Scene, eventually

WRITE_KEYS = "write_keys:\n  - name: web\n    env: TAILRACE_WRITE_KEY"


class Security(unittest.TestCase):
    def setUp(self):
        self.scene = Scene()
        with open(os.path.join(self.scene.workspace, "tailrace.yaml")) as file:
            self.assertIn(WRITE_KEYS, file.read())

    def tearDown(self):
        self.scene.close()

    def test_files_are_for_their_owner_alone_and_hold_no_secret(self):
        scene = self.scene
        os.umask(0)
        self.addCleanup(os.umask, 0o022)
        scene.serve("--apply")
        scene.send(identify("u1", email="ada@example.com"), order("u1", "o1"))
        eventually(lambda: scene.statuses()["Purchasers 30d on Meta"]["pending"] == 0, "delivered")
        self.assertTrue(stat.S_ISSOCK(os.stat(os.path.join(scene.store, "admin.sock")).st_mode))
        kept = b""
        for directory, _, names in os.walk(scene.store):
            self.assertEqual(stat.S_IMODE(os.stat(directory).st_mode), 0o700, directory)
            for path in (os.path.join(directory, name) for name in names):
                self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600, path)
                if not stat.S_ISSOCK(os.stat(path).st_mode):
                    with open(path, "rb") as file:
                        kept += file.read()
        self.assertIn(b"TAILRACE_WRITE_KEY", kept)  # the reference
        for secret in (WRITE_KEY, "sandbox-token"):
            self.assertNotIn(secret.encode(), kept)

    def test_events_come_in_over_tls(self):
        scene = self.scene
        certificate, key = (os.path.join(scene.workspace, name) for name in ("certificate.pem", "key.pem"))
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out",
                        certificate, "-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
        scene.replace(WRITE_KEYS, "tls: {certificate: certificate.pem, key: key.pem}\n" + WRITE_KEYS)
        scene.serve("--apply")
        self.assertTrue(scene.server.url.startswith("https://"))
        body = json.dumps({"batch": [order("u1", "o1")], "writeKey": WRITE_KEY}).encode()
        request = urllib.request.Request(scene.server.url + "/v1/batch", data=body)
        with urllib.request.urlopen(request, context=ssl.create_default_context(cafile=certificate), timeout=30) as reply:
            self.assertEqual(reply.status, 200)
        self.assertEqual(scene.members('performed "Order Placed"'), ["u1"])
        with self.assertRaises(urllib.error.URLError):
            urllib.request.urlopen(request, timeout=30)  # nobody has signed it but itself
        with self.assertRaises(Exception):
            urllib.request.urlopen(scene.server.url.replace("https", "http") + "/healthz", timeout=30)

    def test_a_key_makes_no_more_requests_a_second_than_it_may(self):
        scene = self.scene
        scene.replace(WRITE_KEYS, WRITE_KEYS + "\n    requests_per_second: 2")
        scene.serve("--apply")
        body = json.dumps({"batch": [order("u1", "o1")]}).encode()
        answers = [scene.post("/v1/batch", body)[0] for _ in range(50)]
        self.assertEqual(set(answers[:2]), {200})
        self.assertIn(429, answers)
        # A key in the body counts the same.
        in_body = json.dumps({"batch": [order("u1", "o1")], "writeKey": WRITE_KEY}).encode()
        answered = {}
        for _ in range(50):
            request = urllib.request.Request(scene.server.url + "/v1/batch", data=in_body)
            try:
                with urllib.request.urlopen(request, timeout=30) as reply:
                    answered[reply.status] = None
            except urllib.error.HTTPError as error:
                answered[error.code] = error.headers["Retry-After"]
        self.assertEqual(answered[429], "1")

    def test_bombs_and_strangers_cost_little(self):
        scene = self.scene
        scene.serve("--apply")
        bomb = gzip.compress(b" " * (200 << 20))
        gzipped = {"Content-Encoding": "gzip"}
        self.assertEqual(scene.post("/v1/batch", bomb, headers=gzipped)[0], 413)
        self.assertEqual(scene.post("/v1/batch", bomb, key="stranger", headers=gzipped)[0], 401)
        # A header without end, and a body that was announced and never comes.
        host, port = scene.server.url.removeprefix("http://").split(":")
        for beginning in (b"POST /v1/batch HTTP/1.1\r\nX: " + b"a" * (64 << 10), b"POST /v1/batch HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{"):
            with socket.create_connection((host, int(port)), timeout=30) as connection:
                connection.sendall(beginning)
                self.assertRegex(connection.recv(1000), rb"^HTTP/1.1 (431|408) ")

    def test_requests_go_to_public_addresses_only_unless_a_destination_says_so(self):
        scene = self.scene
        self.assertIn("allow_private_addresses: true", scene.sandbox.log())
        scene.replace("allow_private_addresses: true", "allow_private_addresses: false")
        said = scene.run("plan", code=3).stderr
        self.assertIn("leads to this machine", said)
        self.assertIn("add `allow_private_addresses: true`", said)


if __name__ == "__main__":
    unittest.main()
