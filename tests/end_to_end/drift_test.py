"""Audiences that change at their platform, with the real program against the sandbox."""

import json
import unittest
import urllib.parse
import urllib.request

from serve_test import identify, order
from support import Scene, eventually, hash_of


class Drift(unittest.TestCase):
    """The audience changes at its platform: it is deleted there, renamed, or loses members."""

    NAME = "Purchasers 30d on Meta"

    def setUp(self):
        self.scene = Scene()
        self.scene.replace(f"- name: {self.NAME}\n", f"- name: {self.NAME}\n  drift: reassert\n")
        self.scene.serve("--apply")

    def tearDown(self):
        self.scene.close()

    def audience_id(self):
        return self.scene.platform_audiences()[("meta", self.NAME)]["id"]

    def members(self):
        return self.scene.platform_members("meta", self.NAME)

    def at_platform(self, method, path="", **parameters):
        url = f"{self.scene.sandbox.url}/meta/v26.0/{self.audience_id()}{path}?" + urllib.parse.urlencode({"access_token": "sandbox-token", **parameters})
        with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=30) as reply:
            return json.load(reply)

    def buy(self, person):
        self.scene.send(identify(person, email=f"{person}@example.com"), order(person, f"o-{person}"))
        return hash_of(f"{person}@example.com")

    def state(self):
        return self.scene.statuses()[self.NAME]["state"]

    def test_an_audience_deleted_at_its_platform_is_made_anew_and_filled(self):
        known = {self.buy("u1"), self.buy("u2")}
        eventually(lambda: self.members() == known, "filled")
        first = self.audience_id()
        eventually(lambda: self.state() == "idle", self.state, seconds=90)  # it was looked at, and is as it should be
        self.at_platform("DELETE")
        self.assertNotIn(("meta", self.NAME), self.scene.platform_audiences())
        # The next change finds that there is no such audience.
        known.add(self.buy("u3"))
        eventually(lambda: ("meta", self.NAME) in self.scene.platform_audiences() and self.members() == known,
                   lambda: self.scene.run("status").stdout, seconds=120)
        self.assertNotEqual(self.audience_id(), first)

    def test_a_name_changed_at_its_platform_is_given_back(self):
        self.buy("u1")
        eventually(lambda: self.members(), "filled")
        eventually(lambda: self.state() == "idle", self.state, seconds=90)
        audience = self.audience_id()
        self.at_platform("POST", name="Somebody else's")
        self.assertNotIn(("meta", self.NAME), self.scene.platform_audiences())
        self.buy("u2")
        again = eventually(lambda: self.scene.platform_audiences().get(("meta", self.NAME)), self.state, seconds=150)
        self.assertEqual(again["id"], audience)
        self.assertIn("drifted: its name is now", self.scene.server.log())

    def test_members_that_a_platform_lost_are_added_again_on_request(self):
        known = {self.buy("u1"), self.buy("u2"), self.buy("u3")}
        eventually(lambda: self.members() == known, "filled")
        self.scene.control("/sandbox/faults", {"kind": "drift", "platform": "meta", "audience": self.audience_id(), "count": 2})
        self.assertEqual(len(self.members() & known), 1)
        self.assertIn("3 people are added again", self.scene.run("reupload", self.NAME).stdout)
        eventually(lambda: self.members() >= known, self.state)
        self.assertEqual(len(self.members() - known), 2)  # strangers stay: nobody can name them
        self.assertIn("no sync", self.scene.run("reupload", "No such", code=4).stderr)
        # The ledger keeps the question while nothing runs.
        self.assertEqual(self.scene.server.stop(), 0)
        self.scene.control("/sandbox/faults", {"kind": "drift", "platform": "meta", "audience": self.audience_id(), "count": 5})
        self.assertIn("when `tailrace serve` runs", self.scene.run("reupload", self.NAME).stdout)
        self.scene.serve()
        eventually(lambda: self.members() >= known, self.state)

    def test_whoever_was_added_by_hand_is_removed_on_request(self):
        known = {self.buy("u1"), self.buy("u2")}
        self.scene.send(identify("u3", email="u3@example.com"))  # known, and no purchaser
        eventually(lambda: self.members() == known, "filled")
        by_hand = {hash_of("u3@example.com"), hash_of("nobody.here@example.com")}
        self.at_platform("POST", "/users", payload=json.dumps({"schema": ["EMAIL"], "data": [[each] for each in by_hand]}))
        self.assertEqual(self.members(), known | by_hand)
        self.scene.run("reupload", self.NAME)
        said = self.scene.run("reupload", self.NAME, "--remove-others").stdout
        self.assertIn("2 people are added again", said)
        self.assertIn("this platform cannot be asked to let go of them", said)
        eventually(lambda: hash_of("u3@example.com") not in self.members(), self.state)
        self.assertEqual(self.members(), known | {hash_of("nobody.here@example.com")})


if __name__ == "__main__":
    unittest.main()
