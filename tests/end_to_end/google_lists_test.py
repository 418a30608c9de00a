"""Google's lists of advertising ids and of user ids, with the real program against the sandbox."""

import json
import os
import subprocess
import unittest
import urllib.request

from serve_test import identify, order
from support import ENVIRONMENT, TAILRACE, Scene, eventually

IPHONE = "AECE52E7-03EE-455A-B3C4-E57283966239"
PIXEL = "97987bca-ae59-4c7d-94ba-ee4f19ab8c21"
SYNCS = """
- {name: Buyers by id, segment: Purchasers 30d, destination: Google, effect: suppress, settings: {list_type: user_id}}
- {name: Buyers on iOS, segment: Purchasers 30d, destination: Google, effect: suppress,
   settings: {list_type: mobile_id, key_space: IOS, app_id: "476943146"}}
- {name: Buyers on Android, segment: Purchasers 30d, destination: Google, effect: suppress,
   settings: {list_type: mobile_id, key_space: ANDROID, app_id: com.example.shop}}
"""


class GoogleLists(unittest.TestCase):
    def setUp(self):
        self.scene = Scene()
        self.path = os.path.join(self.scene.workspace, "syncs", "lists.yaml")
        self.write(SYNCS)

    def tearDown(self):
        self.scene.close()

    def write(self, text):
        with open(self.path, "w") as file:
            file.write(text)

    def lists(self):
        return [self.scene.platform_members("google", f"Buyers {name}") for name in ("by id", "on iOS", "on Android")]

    def state(self):
        return self.scene.run("status").stdout

    def google(self, path, body=None):
        request = urllib.request.Request(f"{self.scene.sandbox.url}/google/v1/{path}", None if body is None else json.dumps(body).encode(),
                                         {"Authorization": "Bearer sandbox-token", "Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as reply:
            return json.load(reply)

    def test_people_enter_and_leave_by_what_each_list_holds(self):
        self.scene.serve("--apply")
        self.scene.send(identify("u1", idfa=IPHONE.lower()), identify("u2", aaid=PIXEL.upper()), order("u1", "o-1"), order("u2", "o-2"))
        eventually(lambda: self.lists() == [{"u1", "u2"}, {IPHONE}, {PIXEL}], lambda: f"{self.lists()}\n{self.state()}")
        self.scene.send({"type": "delete", "userId": "u1", "messageId": "d-1"})
        eventually(lambda: self.lists() == [{"u2"}, set(), {PIXEL}], lambda: f"{self.lists()}\n{self.state()}")

    def test_others_leave_a_list_of_user_ids_by_name(self):
        self.scene.serve("--apply")
        self.scene.send(order("u1", "o-1"), identify("u3"))
        eventually(lambda: self.lists()[0] == {"u1"}, self.state)
        lists = self.google("accountTypes/GOOGLE_ADS/accounts/1234567890/userLists?pageSize=1000")["userLists"]
        mine = next(each for each in lists if each["displayName"] == "Buyers by id")
        self.assertEqual(mine["ingestedUserListInfo"]["uploadKeyTypes"], ["USER_ID"])
        self.google("audienceMembers:ingest", {
            "destinations": [{"operatingAccount": {"accountType": "GOOGLE_ADS", "accountId": "1234567890"}, "productDestinationId": mine["id"]}],
            "audienceMembers": [{"userIdData": {"userId": "u3"}}]})
        self.assertEqual(self.lists()[0], {"u1", "u3"})
        self.scene.run("reupload", "Buyers by id", "--remove-others")
        eventually(lambda: self.lists()[0] == {"u1"}, self.state)

    def test_a_list_of_another_kind_is_not_taken_for_its_own(self):
        self.google("accountTypes/GOOGLE_ADS/accounts/1234567890/userLists", {
            "displayName": "Buyers by id", "ingestedUserListInfo": {"uploadKeyTypes": ["CONTACT_ID"]}})
        self.scene.serve("--apply")
        self.scene.send(order("u1", "o-1"))
        eventually(lambda: "it is of CONTACT_ID, not of USER_ID" in self.scene.statuses()["Buyers by id"]["state"], self.state)
        self.assertEqual(self.lists()[0], set())

    def test_check_says_what_to_write(self):
        self.write(SYNCS.replace("list_type: user_id}}", "list_type: user_id}, identifiers: [email]}"))
        said = subprocess.run([TAILRACE, "check", "-w", self.scene.workspace], capture_output=True, text=True, env=ENVIRONMENT)
        self.assertNotEqual(said.returncode, 0)
        self.assertIn("a list of e-mails and phones is of `list_type: contact`", said.stdout + said.stderr)


if __name__ == "__main__":
    unittest.main()
