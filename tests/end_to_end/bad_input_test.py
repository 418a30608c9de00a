"""Input that no platform should get, with the real program against the sandbox: each is counted and shown with its reason and its person,
nothing wrong is sent, and the rest goes."""

import json
import os
import unittest
import urllib.request

from serve_test import identify, order
from streams_test import META, StreamTest, purchase
from support import Scene, eventually, hash_of

NAME = "Purchasers 30d on Meta"


class Events(StreamTest):
    """Of conversions. An event too old, a negative value, a currency that does not exist and consent that is missing: streams_test.py."""

    def refusals(self):
        """{reason: (count, person)} of what is never sent."""
        lines = self.scene.run("status").stdout.splitlines()
        found = {}
        for line, after in zip(lines, lines[1:]):
            if after.strip().startswith("the last: of "):
                count, rest = line.split(maxsplit=1)
                found[rest.split(": ", 1)[1]] = (int(count.replace(",", "")), after.split("of ", 1)[1].split(",")[0])
        return found

    def test_five_megabytes_of_properties_are_refused_where_they_come_in_and_stop_nothing(self):
        huge = purchase("u1", "huge", blob="x" * 5_000_000)
        self.assertEqual(self.scene.post("/v1/track", huge)[0], 413)
        # As a line of an import beside others.
        self.assertEqual(self.scene.server.stop(), 0)
        lines = [purchase("u1", "good", currency="GBP"), huge]
        self.scene.run("import", self.scene.write("orders.jsonl", "".join(json.dumps(line) + "\n" for line in lines)))
        self.scene.serve()
        self.scene.send(purchase("u1", "after"))
        self.wait_for(2)
        self.assertEqual(self.order_ids(), ["after", "good"])
        self.assertIn("1", self.scene.run("dlq", "list", "--sync", "quarantine").stdout)

    def test_an_identifier_in_the_wrong_field_is_never_sent_and_says_whose_it_is(self):
        self.scene.send(purchase("u1", "swapped", email="+44 20 7946 0018", phone="ada@example.com"), purchase("u2", "good", email="bob@example.com"))
        self.wait_for(2)
        # The person is known by an id, so the order goes, without what is no e-mail and no phone.
        people = {event["custom_data"]["order_id"]: event["user_data"] for event in self.events("meta")}
        self.assertNotIn("em", people["swapped"])
        self.assertNotIn("ph", people["swapped"])
        self.assertEqual(people["good"]["em"], [hash_of("bob@example.com")])
        self.assertNotIn("7946", json.dumps(people))

    def test_a_pixel_without_permission_stops_its_sync_alone_and_says_what_is_needed(self):
        self.apply(META, META.replace("Purchases to Meta", "Carts to Meta").replace("[Order Placed]", "[Product Added]"),
                   "{name: Purchases to TikTok, destination: TikTok events, events: [Order Placed], consent: ads, currency: GBP}")
        self.fault("fail", status=403, count=1000)
        self.scene.send(purchase("u1", "m-1"))
        self.wait_for(1, "tiktok")
        state = eventually(lambda: self.status()["state"].startswith("stopped") and self.status()["state"], lambda: self.scene.run("status").stdout)
        self.assertIn("lacks a permission", state)
        self.assertEqual(self.status()["dead letters"], 0)
        # Nothing is lost: with the permission it goes on.
        self.scene.control("/sandbox/reset", {})
        self.scene.run("resume", "Purchases to Meta")
        self.assertEqual(self.wait_for(1), (1, 0))

    def test_each_reason_is_shown_with_its_person(self):
        self.scene.send(purchase("u1", "old", ago={"days": 8}), purchase("u2", "negative", revenue=-1), purchase("u3", "currency", currency="XQQ"),
                        purchase("u4", "good"))
        self.wait_for(1)
        found = eventually(lambda: len(self.refusals()) >= 3 and self.refusals(), lambda: self.scene.run("status").stdout)
        self.assertEqual(found["value: negative value"], (1, "u2"))
        self.assertEqual(found["currency: no currency of ISO 4217"], (1, "u3"))
        self.assertEqual([who for reason, who in found.items() if "older than 7d" in reason], [(1, "u1")])


class Audiences(unittest.TestCase):
    def setUp(self):
        self.scene = Scene()
        self.scene.replace(f"- name: {NAME}\n", f"- name: {NAME}\n  consent: ads\n")
        self.scene.serve("--apply")

    def tearDown(self):
        self.scene.close()

    def members(self):
        return self.scene.platform_members("meta", NAME)

    def buy(self, person, **traits):
        self.scene.send(identify(person, **traits), order(person, f"o-{person}"))

    def test_a_person_without_a_usable_identifier_is_shown_and_the_others_go(self):
        self.buy("u1", email="ada at example.com", phone="12")
        self.buy("u2", email="bob@example.com")
        eventually(lambda: self.members() == {hash_of("bob@example.com")}, lambda: self.scene.run("status").stdout)
        letter, = eventually(lambda: json.loads(self.scene.run("dlq", "show", "--sync", NAME, "--format", "json").stdout), "shown")
        self.assertEqual((letter["person"], letter["what"]), ("u1", "addition"))
        self.assertIn("e-mail", letter["reason"])
        # Before anything is uploaded the reasons are counted.
        self.assertIn("e-mail", self.scene.run("match", NAME).stdout.split("cannot be uploaded", 1)[-1])
        self.buy("u1", email="ada@example.com")
        eventually(lambda: len(self.members()) == 2, "mended")

    def test_an_e_mail_where_a_phone_belongs_is_not_sent(self):
        self.buy("u1", email="+44 20 7946 0018", phone="ada@example.com")
        self.buy("u2", email="bob@example.com")
        eventually(lambda: self.members() == {hash_of("bob@example.com")}, lambda: self.scene.run("status").stdout)

    def test_consent_withdrawn_while_a_request_is_under_way_takes_the_person_out_again(self):
        # The platform takes the addition and does not answer for a while.
        self.scene.control("/sandbox/faults", {"kind": "stall", "platform": "meta", "path": "/users", "delay_ms": 3000, "count": 1})
        self.buy("u1", email="ada@example.com")
        eventually(lambda: self.members() == {hash_of("ada@example.com")}, "the addition is at the platform")
        self.scene.send(identify("u1", consent={"ads": False}))
        eventually(lambda: self.scene.members("Purchasers 30d") == ["u1"], "they are in the segment all the same")
        eventually(lambda: self.members() == set(), lambda: self.scene.run("status").stdout)
        self.assertIn("consent", self.scene.run("explain", "u1", "--sync", NAME).stdout)

    def test_an_audience_deleted_at_the_platform_stops_its_sync_and_says_so_and_the_others_go_on(self):
        self.buy("u1", email="ada@example.com")
        eventually(lambda: len(self.members()) == 1, "added")
        audience = next(a["id"] for (platform, name), a in self.scene.platform_audiences().items() if (platform, name) == ("meta", NAME))
        url = f"{self.scene.sandbox.url}/meta/v26.0/{audience}?access_token=sandbox-token"
        urllib.request.urlopen(urllib.request.Request(url, method="DELETE"), timeout=30).close()
        self.buy("u2", email="bob@example.com")
        state = eventually(lambda: self.scene.statuses()[NAME]["state"].startswith("stopped") and self.scene.statuses()[NAME]["state"],
                           lambda: self.scene.run("status").stdout)
        self.assertTrue("does not exist" in state or "gone" in state, state)
        others = [row for name, row in self.scene.statuses().items() if name != NAME]
        self.assertTrue(others and all(not row["state"].startswith("stopped") for row in others), others)


if __name__ == "__main__":
    unittest.main()
