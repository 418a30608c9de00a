"""Who is who by rules, with the real program: what merges, what is refused, what the command tells, what a deletion leaves."""

import json
import unittest

from serve_test import identify
from support import Scene

RULES = """
identity:
  merge_on: [external_id, anonymous_id, email]
  people_max: {email: 2}
  block:
    email: ["test@test.com"]
"""


class Identity(unittest.TestCase):
    def setUp(self):
        self.scene = Scene()
        with open(f"{self.scene.workspace}/tailrace.yaml", "a", encoding="utf-8") as file:
            file.write(RULES)

    def tearDown(self):
        self.scene.close()

    def identity(self, *arguments):
        return json.loads(self.scene.run("identity", *arguments, "--format", "json").stdout)

    def test_rules_join_people_and_tell_why_others_stay_apart(self):
        scene = self.scene
        scene.serve("--apply")
        scene.send(*(identify(user, email="ada@example.com") for user in ("u1", "u2", "u3")))
        scene.send(identify("u4", email="test@test.com"), {"type": "identify", "userId": "null", "messageId": "n1", "traits": {}})
        rows = self.identity("u2", "--unmasked")
        self.assertEqual({row["value"] for row in rows if row["entry"] == "identifier"}, {"u1", "u2", "ada@example.com"})
        joined = [row for row in rows if row["entry"] == "joined"]
        self.assertEqual([row["value"] for row in joined], ["ada@example.com"])
        self.assertEqual({row["source"] for row in rows}, {"web"})
        self.assertIn("a***@example.com", scene.run("identity", "u2").stdout)
        self.assertNotIn("ada@", scene.run("identity", "u2").stdout)
        refused = [row["note"] for row in self.identity("u3") if row["entry"] == "refused"]
        self.assertEqual(refused, ["as many people became one through the value as may, 1 time"])
        counts = {(row["kind"], row["refused because"]): row["times"] for row in self.identity()}
        self.assertEqual(counts[("email", "the value is blocked")], 1)
        self.assertIn("its user id is blocked", scene.run("status").stdout)

        scene.send({"type": "delete", "userId": "u1", "messageId": "d1"})
        scene.server.stop()
        self.assertEqual([row["note"] for row in self.identity("u3") if row["entry"] == "refused"], ["somebody who was deleted since was in the way, 1 time"])
        self.assertIn("all is well", scene.run("verify").stdout)
        self.assertNotIn(b'"u1"', scene.log_bytes())


    def test_plan_tells_what_other_rules_and_another_golden_id_do(self):
        scene = self.scene
        scene.serve("--apply")
        scene.send(*(identify(user, email="ada@example.com", phone="+442079460018") for user in ("u1", "u2", "u3")))
        path = f"{scene.workspace}/tailrace.yaml"
        with open(path, encoding="utf-8") as file:
            text = file.read()
        with open(path, "w", encoding="utf-8") as file:
            file.write(text.replace("golden_id: external_id", "golden_id: email").replace("anonymous_id, email]", "anonymous_id, phone]").replace('["test@test.com"]', '["ada@*"]'))
        plan = scene.run("plan").stdout
        self.assertIn("golden_id external_id -> email: nobody enters or leaves by it", plan)
        self.assertIn("of 2 people will be named otherwise", plan)
        self.assertIn("1 person will be named like somebody else", plan)
        self.assertIn("merge_on without email: who became one by it stays one", plan)
        self.assertIn("merge_on phone: of records from now on; who is known stays apart until one of them states the value again. 1 value several people have, 2 in all", plan)
        self.assertIn("block email: 2 people have a value that will be nobody's", plan)


if __name__ == "__main__":
    unittest.main()
