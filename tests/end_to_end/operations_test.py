"""Backup, restore, verify and the orderly stop, with the real program."""

import base64
import json
import os
import shutil
import socket
import stat
import subprocess
import time
import unittest
import urllib.request

from serve_test import identify, order, view
from support import ENVIRONMENT, TAILRACE, WRITE_KEY, Scene, eventually, hash_of


def files_below(folder):
    return [os.path.join(directory, name) for directory, _, names in os.walk(folder) for name in names]


def contents(path):
    with open(path, "rb") as file:
        return file.read()


def bytes_below(folder):
    return b"".join(contents(path) for path in files_below(folder))


class Operations(unittest.TestCase):
    def setUp(self):
        self.scene = Scene()
        self.backup = os.path.join(self.scene.folder, "backup")

    def tearDown(self):
        self.scene.close()

    def restore(self, *arguments, backup=None, code=0):
        """Into a fresh store, which the scene uses from then on."""
        self.scene.store = os.path.join(self.scene.folder, f"store-{time.monotonic_ns()}")
        return self.scene.run("restore", backup or self.backup, *arguments, code=code)

    def audience(self):
        return self.scene.platform_members("meta", "Purchasers 30d on Meta")

    def test_a_store_is_backed_up_while_it_serves_and_goes_on_from_the_copy(self):
        scene = self.scene
        scene.serve("--apply")
        scene.send(identify("u1", email="ada@example.com"), order("u1", "o1"))
        eventually(lambda: self.audience() == {hash_of("ada@example.com")}, "added")
        self.assertIn("records in", scene.run("backup", self.backup).stdout)
        scene.send(identify("u2", email="eve@example.com"))  # after the backup: not in it
        self.assertIn("all is well", scene.run("verify").stdout)
        scene.server.kill()
        shutil.rmtree(scene.store)

        checked = subprocess.run([TAILRACE, "verify", "--backup", self.backup], capture_output=True, text=True)
        self.assertIn("as it was written", checked.stdout, checked.stderr)
        self.assertIn("as of 20", self.restore().stdout)
        verified = scene.run("verify").stdout
        self.assertIn("the ledger is sound", verified)
        self.assertIn("all is well", verified)
        self.assertEqual(scene.members("Purchasers 30d"), ["u1"])
        self.assertEqual(scene.members('email = "eve@example.com"'), [])
        scene.serve()
        # The ledger knows what stands at the platform: nothing is sent again, and a deletion takes it away.
        eventually(lambda: scene.statuses()["Purchasers 30d on Meta"]["pending"] == 0, "delivered")
        self.assertEqual(scene.statuses()["Purchasers 30d on Meta"]["sent"], 1)
        scene.send({"type": "delete", "userId": "u1", "messageId": "d1"})
        eventually(lambda: self.audience() == set(), "gone")

    def test_a_backup_without_serve_and_again_copies_little(self):
        scene = self.scene
        scene.run("apply")
        first = scene.run("backup", self.backup).stdout
        again = scene.run("backup", self.backup).stdout
        self.assertNotIn(" 0 files with", first)
        log_files = [p for p in files_below(self.backup) if "/log/" in p]
        self.assertEqual(len(log_files), 1)
        self.assertIn("records in", again)
        for path in files_below(self.backup):
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600, path)
        self.assertIn("is not empty", scene.run("restore", self.backup, code=5).stderr)
        home = scene.write("home/letter", "dear")
        self.assertIn("holds something that is no backup", scene.run("backup", os.path.dirname(home), code=5).stderr)

    def test_a_deletion_is_gone_from_the_next_backup_and_from_older_ones_when_they_are_restored(self):
        scene = self.scene
        scene.serve("--apply")
        scene.send(identify("u1", email="ada@example.com"), order("u1", "o1"),
                   identify("u2", email="eve@example.com"), order("u2", "o2"))
        both = {hash_of("ada@example.com"), hash_of("eve@example.com")}
        eventually(lambda: self.audience() == both, "added")
        scene.run("backup", self.backup)
        old = os.path.join(scene.folder, "old")
        shutil.copytree(self.backup, old)
        self.assertIn(b"ada@example.com", bytes_below(old))
        people = scene.run("explain", "u2", "Purchasers 30d", "--format", "json").stdout

        scene.send({"type": "delete", "userId": "u1", "messageId": "d1"})
        eventually(lambda: self.audience() == {hash_of("eve@example.com")}, "gone from the audience")
        scene.run("backup", self.backup)  # the pending deletion is carried out first
        self.assertNotIn(b"ada@example.com", bytes_below(self.backup))
        deletions = os.path.join(self.backup, "deletions")
        self.assertNotIn(b"ada", contents(deletions))
        scene.server.kill()

        restored = self.restore("--deletions", deletions, backup=old)
        self.assertIn("people deleted since then were removed", restored.stdout)
        self.assertNotIn(b"ada@example.com", bytes_below(os.path.join(scene.store, "log")))
        self.assertEqual(scene.members("Purchasers 30d"), ["u2"])
        self.assertEqual(scene.run("explain", "u2", "Purchasers 30d", "--format", "json").stdout, people)
        self.assertIn("all is well", scene.run("verify").stdout)
        # The platform was told already; the older ledger does not know, and tells it again.
        scene.serve()
        eventually(lambda: scene.statuses()["Purchasers 30d on Meta"]["pending"] == 0, "delivered")
        self.assertEqual(self.audience(), {hash_of("eve@example.com")})

    def test_verify_names_what_is_wrong_and_how_to_mend_it(self):
        scene = self.scene
        scene.run("apply")
        path = scene.write("events.jsonl", "".join(json.dumps(order(f"u{i}", f"o{i}")) + "\n" for i in range(50)))
        scene.run("import", path)
        self.assertIn("the state in the snapshot is what the log gives", scene.run("verify").stdout)

        def damaged(name, at):
            file = os.path.join(scene.store, name)
            kept = contents(file)
            with open(file, "r+b") as out:
                out.seek(at if at >= 0 else len(kept) + at)
                out.write(bytes([kept[at] ^ 1]))
            try:
                return scene.run("verify", code=1).stderr
            finally:
                with open(file, "wb") as out:
                    out.write(kept)

        snapshot = damaged("snapshot", -9)
        self.assertIn("snapshot is damaged: its checksum is wrong", snapshot)
        self.assertIn("mend: remove the file", snapshot)
        log = damaged("log/00000000000000000000.log", 300)
        self.assertIn("at offset", log)
        self.assertIn("restore the store from a backup", log)
        tables = [name for name in os.listdir(os.path.join(scene.store, "ledger")) if name.endswith(".sst")]
        for table in tables[:1]:
            self.assertIn("ledger", damaged("ledger/" + table, 20))
        self.assertIn("all is well", scene.run("verify").stdout)

    def test_verify_finds_a_snapshot_that_is_whole_but_of_another_log(self):
        scene = self.scene
        scene.run("apply")
        path = scene.write("events.jsonl", json.dumps(order("u1", "o1")) + "\n")
        scene.run("import", path)
        ours = scene.store
        scene.store = os.path.join(scene.folder, "other")
        scene.run("apply")
        path = scene.write("events.jsonl", json.dumps(order("u2", "o1")) + "\n")
        scene.run("import", path)
        for folder, act in ((ours, os.remove), (scene.store, lambda file: shutil.copy(file, ours))):
            for name in os.listdir(folder):
                if name.startswith("snapshot"):
                    act(os.path.join(folder, name))
        scene.store = ours
        said = scene.run("verify", code=1).stderr
        self.assertIn("is not what the log gives; these differ:", said)
        self.assertIn("people", said)

    def test_sigterm_answers_what_came_in_and_awaits_what_went_out(self):
        scene = self.scene
        scene.serve("--apply")
        scene.send(identify("u1", email="ada@example.com"))
        scene.control("/sandbox/faults", {"platform": "meta", "kind": "stall", "delay_ms": 1500, "count": 1, "path": "/users"})
        scene.send(order("u1", "o1"))
        body = json.dumps({"batch": [order("u2", "o2")]}).encode()
        host, port = scene.server.url.removeprefix("http://").split(":")
        request = socket.create_connection((host, int(port)))
        self.addCleanup(request.close)
        key = base64.b64encode(WRITE_KEY.encode() + b":")
        request.sendall(b"POST /v1/batch HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nAuthorization: Basic %s\r\n\r\n" % (len(body), key)
                        + body[:20])
        eventually(lambda: not scene.control("/sandbox/faults")["faults"], "the platform has the request")
        scene.server.process.terminate()
        time.sleep(0.3)
        with self.assertRaises(OSError):
            socket.create_connection((host, int(port)), timeout=5)
        request.sendall(body[20:])
        self.assertIn(b"200 OK", request.recv(1000))
        self.assertEqual(scene.server.process.wait(timeout=30), 0)
        self.assertIn("nothing is lost", scene.server.log())
        self.assertTrue(os.path.exists(os.path.join(scene.store, "snapshot")))
        self.assertEqual(scene.members("Purchasers 30d"), ["u1", "u2"])
        row = scene.statuses()["Purchasers 30d on Meta"]
        self.assertEqual((row["sent"], row["accepted"]), (1, 1))  # its answer was waited for

    def test_sigterm_does_not_wait_for_a_platform_that_never_answers(self):
        scene = self.scene
        scene.serve("--apply")
        scene.control("/sandbox/faults", {"platform": "meta", "kind": "stall", "delay_ms": 600_000, "path": "/users"})
        scene.send(identify("u1", email="ada@example.com"), order("u1", "o1"))
        eventually(lambda: not scene.control("/sandbox/faults")["faults"], "the platform has the request")
        self.assertEqual(scene.server.stop(), 0)  # within 30 s; the platform would take 600

    def test_sigterm_while_commands_run_ends_them(self):
        scene = self.scene
        scene.run("apply")
        path = scene.write("events.jsonl", "".join(json.dumps(order(f"u{i}", f"o{i}")) + "\n" for i in range(200_000)))
        scene.serve()
        line = [TAILRACE, "import", "-w", scene.workspace, "--data", scene.store, path]
        running = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=ENVIRONMENT)
        eventually(lambda: events(scene) > 0, "it has begun")
        self.assertEqual(scene.server.stop(), 0)
        running.communicate(timeout=30)
        scene.run("import", path)
        self.assertEqual(len(scene.members('performed "Order Placed"')), 200_000)


def events(scene):
    with urllib.request.urlopen(scene.server.url + "/metrics") as reply:
        lines = reply.read().decode().splitlines()
    return int(next(line for line in lines if line.startswith("tailrace_events_total ")).split()[1])


if __name__ == "__main__":
    unittest.main()
