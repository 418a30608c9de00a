"""How far a sync goes before it is live: dry runs, test segments, and single passes, with the real program against the sandbox."""

import collections
import http.server
import json
import os
import stat
import subprocess
import threading
import unittest
import urllib.parse

from serve_test import identify, order
from support import ENVIRONMENT, TAILRACE, Scene, eventually, hash_of

NAME = "Purchasers 30d on Meta"


class Modes(unittest.TestCase):
    def setUp(self):
        self.scene = Scene()
        self.syncs = os.path.join(self.scene.workspace, "syncs", "suppression.yaml")
        with open(self.syncs) as file:
            self.text = file.read()

    def tearDown(self):
        self.scene.close()

    def put(self, *lines):
        """Lines into the sync."""
        with open(self.syncs, "w") as file:
            file.write(self.text.replace(f"- name: {NAME}\n", f"- name: {NAME}\n" + "".join(f"  {line}\n" for line in lines)))

    def buy(self, *people):
        for person in people:
            self.scene.send(identify(person, email=f"{person}@example.com"), order(person, f"o-{person}"))

    def members(self):
        return self.scene.platform_members("meta", NAME)

    def requests(self):
        return sum(1 for a in self.scene.platform_audiences() if a[1] == NAME)

    def packs(self):
        """What the lake has been given."""
        manifests = os.path.join(self.scene.workspace, ".tailrace", "lake", "_manifests")
        return sorted(os.listdir(manifests)) if os.path.isdir(manifests) else []

    def test_a_dry_run_is_counted_and_sends_nothing(self):
        self.put("mode: dry_run")
        self.scene.serve("--apply")
        self.buy("u1", "u2")
        self.scene.send(identify("u3", phone="12"), order("u3", "o-u3"))
        eventually(lambda: self.scene.statuses()[NAME]["members"] == 3, "three bought")
        status = self.scene.statuses()[NAME]
        self.assertEqual(status["mode"], "dry_run")
        self.assertEqual(status["state"], "dry run: 3 would be added, 0 removed; nothing is sent")
        done = self.scene.run("sync", NAME, "--once", code=1)
        self.assertIn("2  add: would be sent", done.stdout)
        self.assertIn("1  add: not sent, no usable identifier", done.stdout)
        self.assertEqual(self.requests(), 0)
        self.assertEqual(self.scene.statuses()[NAME]["sent"], 0)

    def test_in_mode_test_only_the_test_segment_reaches_the_platform(self):
        with open(os.path.join(self.scene.workspace, "segments", "staff.yaml"), "w") as file:
            file.write("name: Staff\nowner: qa\npurpose: tests\nwho: performed \"Order Placed\" where order_id = \"o-u1\"\n")
        self.put("mode: test", "test_segment: Staff")
        self.scene.serve("--apply")
        self.buy("u1", "u2")
        eventually(lambda: self.members() == {hash_of("u1@example.com")}, lambda: self.scene.run("status").stdout)
        self.assertEqual(self.scene.statuses()[NAME]["members"], 1)

    def test_one_pass_without_serve_sends_so_many_and_nothing_of_other_syncs(self):
        self.scene.serve("--apply")
        self.assertEqual(self.scene.server.stop(), 0)
        lines = []
        for i in range(5):
            lines.append({"type": "identify", "userId": f"p{i}", "messageId": f"i{i}", "traits": {"email": f"p{i}@example.com"}})
            lines.append({"type": "track", "userId": f"p{i}", "messageId": f"t{i}", "event": "Order Placed",
                          "properties": {"order_id": f"o{i}", "revenue": 5, "currency": "GBP"}})
        self.scene.run("import", self.scene.write("people.jsonl", "".join(json.dumps(line) + "\n" for line in lines)))
        packs = self.packs()
        done = self.scene.run("sync", NAME, "--once", "--limit", "3")
        self.assertEqual(self.packs(), packs)
        self.assertIn("3  add: accepted", done.stdout)
        self.assertIn("2 more wait", done.stdout)
        self.assertEqual(len(self.members()), 3)
        others = [a for (_, name), a in self.scene.platform_audiences().items() if name != NAME]
        self.assertTrue(all(a["size"] in (0, None) for a in others), others)
        rows = json.loads(self.scene.run("sync", NAME, "--once", "--format", "json").stdout)
        self.assertEqual([row["outcome"] for row in rows], ["accepted"] * 2)
        self.assertIn("nothing was to be sent", self.scene.run("sync", NAME, "--once").stdout)
        self.assertIn("no sync", self.scene.run("sync", "No such", "--once", code=4).stderr)

    def test_a_pass_says_when_the_platform_refuses(self):
        self.scene.serve("--apply")
        self.assertEqual(self.scene.server.stop(), 0)
        self.scene.control("/sandbox/faults", {"kind": "fail", "platform": "meta", "status": 401, "count": 50})
        self.scene.run("import", self.scene.write("people.jsonl", json.dumps(
            {"type": "track", "userId": "p", "messageId": "t", "event": "Order Placed",
             "properties": {"order_id": "o", "revenue": 5, "currency": "GBP"}}) + "\n" + json.dumps(
            {"type": "identify", "userId": "p", "messageId": "i", "traits": {"email": "p@example.com"}}) + "\n"))
        done = self.scene.run("sync", NAME, "--once", code=5)
        self.assertIn("stopped", done.stdout)

    def test_the_match_rate_is_three_figures_and_a_gain(self):
        self.scene.serve("--apply")
        self.buy("u1", "u2")
        self.scene.send(identify("u3", phone="+442079460018"), order("u3", "o-u3"))
        eventually(lambda: len(self.members()) == 2, lambda: self.scene.run("status").stdout)
        text = self.scene.run("match", NAME).stdout
        self.assertIn("3 in the audience", text)
        self.assertIn("2 with an identifier that can be uploaded (66.7 %)", text)
        self.assertIn("2 accepted by the platform, of 2 members", text)
        self.assertIn("With phone the sync would reach 1 more people", text)
        rows = {row["identifier"]: row for row in json.loads(self.scene.run("match", NAME, "--format", "json").stdout)}
        self.assertEqual((rows["email"]["used"], rows["email"]["people"]), ("yes", 2))

    def test_a_credential_by_command(self):
        script = self.scene.write("workspace/token", "#!/bin/sh\necho ' '$1-token\n")
        os.chmod(script, stat.S_IRWXU)
        self.scene.replace("{env: TAILRACE_SANDBOX_TOKEN}", "{command: [./token, sandbox]}")
        self.scene.serve("--apply")
        self.buy("u1")
        eventually(lambda: self.members() == {hash_of("u1@example.com")}, lambda: self.scene.run("status").stdout)
        self.assertNotIn("sandbox-token", self.scene.server.log())
        self.assertNotIn(b"sandbox-token", self.scene.log_bytes())

    def test_a_credential_is_changed_without_a_restart(self):
        token = self.scene.write("workspace/token", "not-the-token\n")
        self.scene.replace("{env: TAILRACE_SANDBOX_TOKEN}", "{file: token}")
        self.scene.serve("--apply")
        self.buy("u1")
        eventually(lambda: self.scene.statuses()[NAME]["state"].startswith("stopped"), "the platform refuses it")
        with open(token, "w") as file:
            file.write("sandbox-token\n")
        eventually(lambda: self.members() == {hash_of("u1@example.com")}, lambda: self.scene.run("status").stdout, seconds=90)
        self.assertIn("its credentials have changed", self.scene.server.log())
        self.assertNotIn("sandbox-token", self.scene.server.log())

    def test_the_end_of_a_credential_is_told(self):
        self.scene.replace("access_token: {env: TAILRACE_SANDBOX_TOKEN}", "access_token: {env: TAILRACE_SANDBOX_TOKEN, ends: 2026-01-01}")
        self.scene.serve("--apply")
        eventually(lambda: "its credentials end on 2026-01-01" in self.scene.server.log(), self.scene.server.log)
        self.assertIn("`access_token` of \"Meta\" ended on 2026-01-01", self.scene.run("status").stdout)

    def check_live(self):
        return subprocess.run([TAILRACE, "check", "-w", self.scene.workspace, "--live"], capture_output=True, text=True,
                              env=ENVIRONMENT, timeout=120)

    def test_platforms_are_asked_before_the_first_upload(self):
        done = self.check_live()
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("ok         permissions: the credentials may do what is needed", done.stdout)
        self.assertIn("Lake", done.stdout)
        self.assertEqual(self.scene.platform_audiences(), {})
        self.scene.control("/sandbox/faults", {"kind": "auth", "platform": "meta", "count": 50})
        done = self.check_live()
        self.assertEqual(done.returncode, 3, done.stdout)
        self.assertIn("PROBLEM", done.stdout)
        self.assertNotIn("sandbox-token", done.stdout + done.stderr)


class Receiver(http.server.BaseHTTPRequestHandler):
    """Somebody's own tool: keeps lists of hashed e-mails and phones, and refuses one address."""

    protocol_version = "HTTP/1.1"
    lists = collections.defaultdict(set)
    authorizations = set()
    refused = None

    def do_POST(self):
        self.authorizations.add(self.headers["Authorization"])
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        members = self.lists[urllib.parse.unquote(self.path.split("/")[2])]
        errors = []
        for index, member in enumerate(body["members"]):
            if member["email"] == self.refused:
                errors.append({"index": index, "code": "BLOCKED"})
            elif body["op"] == "add":
                members.add(member["email"])
            else:
                members.discard(member["email"])
        answer = json.dumps({"errors": errors}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


class DescribedInYaml(unittest.TestCase):
    """A destination that the workspace alone describes."""

    def setUp(self):
        self.receiver = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
        threading.Thread(target=self.receiver.serve_forever, daemon=True).start()
        self.addCleanup(self.receiver.server_close)
        self.addCleanup(self.receiver.shutdown)
        Receiver.lists.clear()
        self.scene = Scene()
        self.addCleanup(self.scene.close)

    def test_people_enter_and_leave_and_a_refused_one_is_told(self):
        Receiver.refused = hash_of("u3@example.com")
        self.scene.write("workspace/destinations/tool.yaml", f"""name: Tool
type: http
settings:
  base_url: http://127.0.0.1:{self.receiver.server_port}
  headers: |
    Authorization: Bearer {{{{credentials.access_token}}}}
  add_path: /lists/{{{{audience}}}}/members
  add_body: '{{"op":"add","members":[{{{{records}}}}]}}'
  remove_path: /lists/{{{{audience}}}}/members
  remove_body: '{{"op":"remove","members":[{{{{records}}}}]}}'
  record: '{{"email":{{{{email}}}},"id":{{{{person}}}}}}'
  rejects: errors
  batch_records_max: "50"
credentials:
  access_token: {{env: TAILRACE_SANDBOX_TOKEN}}
allow_private_addresses: true
""")
        self.scene.write("workspace/syncs/tool.yaml", """name: Buyers in the tool
destination: Tool
segment: Purchasers 30d
effect: suppress
identifiers: [email]
""")
        self.scene.serve("--apply")
        for person in ("u1", "u2", "u3"):
            self.scene.send(identify(person, email=f"{person}@example.com"), order(person, f"o-{person}"))
        wanted = {hash_of("u1@example.com"), hash_of("u2@example.com")}
        eventually(lambda: Receiver.lists["Buyers in the tool"] == wanted, lambda: f"{Receiver.lists} {self.scene.run('status').stdout}")
        eventually(lambda: self.scene.statuses()["Buyers in the tool"]["rejected"] == 1, lambda: self.scene.run("status").stdout)
        self.assertEqual(Receiver.authorizations, {"Bearer sandbox-token"})
        self.assertIn("BLOCKED", self.scene.run("dlq", "show").stdout)
        self.scene.send({"type": "delete", "userId": "u1", "messageId": "d1"})
        wanted = {hash_of("u2@example.com")}
        eventually(lambda: Receiver.lists["Buyers in the tool"] == wanted, lambda: f"{Receiver.lists} {self.scene.run('status').stdout}")


if __name__ == "__main__":
    unittest.main()
