"""Events and memberships at analytics and messaging tools, with the real program against the sandbox."""

import json
import tempfile
import unittest

from support import Scene, eventually

# destination type -> settings; URLs are of the sandbox.
EVENTS = {
    "ga4_events": {"base_url": "{sandbox}/ga4", "measurement_id": "G-ABC1234567"},
    "mixpanel_events": {"base_url": "{sandbox}/mixpanel"},
    "amplitude_events": {"base_url": "{sandbox}/amplitude"},
    "posthog_events": {"base_url": "{sandbox}/posthog"},
    "segment_events": {"base_url": "{sandbox}/segment"},
    "customerio_events": {"base_url": "{sandbox}/customerio"},
    "braze_events": {"base_url": "{sandbox}/braze"},
    "klaviyo_events": {"base_url": "{sandbox}/klaviyo"},
    "webhook_events": {"url": "{sandbox}/webhook/events"},
    "slack": {},
}
AUDIENCES = {
    "mixpanel_audiences": {"base_url": "{sandbox}/mixpanel"},
    "amplitude_cohorts": {"base_url": "{sandbox}/amplitude", "app_id": "5", "owner": "owner@example.com", "seed_user_id": "seed"},
    "amplitude_audiences": {"base_url": "{sandbox}/amplitude"},
    "posthog_audiences": {"base_url": "{sandbox}/posthog"},
    "segment_audiences": {"base_url": "{sandbox}/segment"},
    "customerio_segments": {"base_url": "{sandbox}/customerio", "app_base_url": "{sandbox}/customerio/app"},
    "braze_audiences": {"base_url": "{sandbox}/braze"},
    "klaviyo_audiences": {"base_url": "{sandbox}/klaviyo"},
}
CREDENTIALS = {
    "ga4": ["api_secret"], "mixpanel": ["project_token"], "amplitude": ["api_key"], "posthog": ["project_api_key"],
    "segment": ["write_key"], "customerio": ["site_id", "api_key"], "braze": ["api_key"], "klaviyo": ["api_key"],
    "amplitude_cohorts": ["api_key", "secret_key"], "customerio_segments": ["site_id", "api_key", "app_api_key"],
}
PLATFORMS = [name.removesuffix("_events") for name in EVENTS]

WORKSPACE = """
name: analytics
golden_id: external_id
consent: {unknown: grant}
write_keys: [{name: web, env: TAILRACE_WRITE_KEY}]
"""
TAXONOMY = """
unknown_events: admit
"""


def order(number, person, event="Order Completed", **more):
    return {"type": "track", "event": event, "messageId": f"m-{number}-{event.replace(' ', '-')}", "userId": person,
            "properties": {"order_id": f"o-{number}", "revenue": 30.5, "currency": "EUR", "email": f"{person}@example.com",
                           "products": [{"product_id": "sku1", "name": "Mug", "price": 15.25, "quantity": 2}], **more}}


class Analytics(unittest.TestCase):
    def setUp(self):
        with tempfile.TemporaryDirectory() as empty:
            self.scene = Scene(workspace=empty)
        self.scene.write("workspace/tailrace.yaml", WORKSPACE)
        self.scene.write("workspace/taxonomy.yaml", TAXONOMY)
        self.hook = self.scene.write("hook", f"{self.scene.sandbox.url}/slack/services/T0/B0/x")
        self.secret = self.scene.write("secret", "whsec_YW4gZXhhbXBsZSBzZWNyZXQgb2YgMzIgYnl0ZXMhISE=")
        self.scene.write("workspace/segments/vip.yaml", 'name: vip\nwho: performed "Order Completed" at least 2 times within 30d\n')

    def tearDown(self):
        self.scene.close()

    def credentials(self, kind):
        if kind == "slack":
            return f"  url: {{file: {self.hook}}}\n"
        if kind == "webhook_events":
            return f"  secret: {{file: {self.secret}}}\n"
        names = CREDENTIALS.get(kind) or CREDENTIALS[kind.split("_")[0]]
        return "".join(f"  {name}: {{env: TAILRACE_SANDBOX_TOKEN}}\n" for name in names)

    def destination(self, kind, settings):
        lines = "".join(f'  {name}: "{value.format(sandbox=self.scene.sandbox.url)}"\n' for name, value in settings.items())
        self.scene.write(f"workspace/destinations/{kind}.yaml",
                         f"name: {kind}\ntype: {kind}\nallow_private_addresses: true\n" + (f"settings:\n{lines}" if lines else "") +
                         f"credentials:\n{self.credentials(kind)}")

    def stream_syncs(self, more=""):
        text = ""
        for kind, settings in EVENTS.items():
            self.destination(kind, settings)
            text += f"- name: {kind}\n  destination: {kind}\n  events: all\n  start: beginning\n{more}"
        self.scene.write("workspace/syncs/events.yaml", text)

    def kept(self, platform):
        return self.scene.control(f"/sandbox/{platform}/events")

    def counts(self):
        return {platform: self.kept(platform)["count"] for platform in PLATFORMS if platform != "slack"}

    def all_have(self, number):
        return eventually(lambda: all(count == number for count in self.counts().values()),
                          lambda: f"{self.counts()}\n{self.scene.run('status').stdout}", seconds=60)

    def test_events_arrive_once_at_every_tool(self):
        self.stream_syncs()
        self.scene.serve("--apply")
        self.scene.send(order(1, "ada"), order(1, "ada", "Order Refunded", total=30.5), order(2, "bob", "Email Opened"))
        self.all_have(3)
        eventually(lambda: sum(e["text"].count("\n") + 1 for e in self.kept("slack")["events"]) == 3, "three lines")
        names = {platform: {self.name_of(platform, e) for e in self.kept(platform)["events"]} for platform in PLATFORMS[:-2]}
        self.assertEqual(names, {
            "ga4": {"purchase", "refund", "Email_Opened"},
            "mixpanel": {"Order Completed", "Order Refunded", "Email Opened"},
            "amplitude": {"Order Completed", "Order Refunded", "Email Opened"},
            "posthog": {"Order Completed", "Order Refunded", "Email Opened"},
            "segment": {"Order Completed", "Order Refunded", "Email Opened"},
            "customerio": {"Order Completed", "Order Refunded", "Email Opened"},
            "braze": {"ecommerce.order_placed", "ecommerce.order_refunded", "Email Opened"},
            "klaviyo": {"Placed Order", "Refunded Order", "Email Opened"},
        })
        for platform in PLATFORMS:
            self.assertEqual(self.kept(platform).get("dropped", {}), {}, platform)
        revenue = sorted(e.get("revenue", 0) for e in self.kept("amplitude")["events"])
        self.assertEqual(revenue, [-30.5, 0, 30.5])
        log = self.scene.server.log()
        for secret in ("sandbox-token", "whsec_", "/services/T0", "@example.com"):
            self.assertNotIn(secret, log)

    @staticmethod
    def name_of(platform, event):
        if platform == "klaviyo":
            return event["metric"]["data"]["attributes"]["name"]
        return event.get("event") or event.get("event_type") or event["name"]

    def test_what_was_done_and_not_answered_counts_once_or_is_held_back(self):
        self.stream_syncs()
        self.scene.serve("--apply")
        # Each acts on the first request it is sent, and hangs up before it answers.
        for platform in PLATFORMS:
            self.scene.control("/sandbox/faults", {"platform": platform, "kind": "hang_up_after", "count": 1})
        self.scene.send(order(1, "ada"), order(1, "ada", "Order Refunded"))
        keyed = [p for p in PLATFORMS if p not in ("ga4", "braze", "slack")]
        eventually(lambda: all(self.kept(p)["count"] == 2 for p in keyed), lambda: str(self.counts()), seconds=60)
        for sync in ("ga4_events", "braze_events", "slack"):
            eventually(lambda: self.status(sync)["dead letters"] > 0, lambda: self.scene.run("status").stdout, seconds=60)
        eventually(lambda: all(self.status(f"{p}_events")["accepted"] == 2 for p in keyed), lambda: self.scene.run("status").stdout)

    def status(self, sync):
        rows = json.loads(self.scene.run("status", "--streams", "--format", "json").stdout)
        return next(row for row in rows if row["events to"] == sync)

    def test_a_user_who_is_throttled_holds_nobody_up(self):
        self.stream_syncs()
        self.scene.control("/sandbox/limits", {"amplitude_user_events_per_second": 3})
        self.scene.serve("--apply")
        self.scene.send(*[order(n, "noisy") for n in range(8)], *[order(100 + n, f"calm-{n}") for n in range(4)])

        def calm():
            return {e["user_id"] for e in self.kept("amplitude")["events"] if e["user_id"] != "noisy"}
        eventually(lambda: len(calm()) == 4, lambda: self.scene.run("status").stdout, seconds=20)

    def test_members_are_properties_cohorts_and_segments(self):
        text = ""
        for kind, settings in AUDIENCES.items():
            self.destination(kind, settings)
            text += f"- name: VIP {kind}\n  segment: vip\n  destination: {kind}\n  effect: target\n  identifiers: [external_id]\n"
        self.scene.write("workspace/syncs/audiences.yaml", text)
        self.scene.serve("--apply")
        self.scene.send(order(1, "ada"), order(2, "ada"), order(3, "bob"), order(4, "eve"), order(5, "eve"))

        def members(kind):
            platform = kind.split("_")[0]
            named = [a for a in self.scene.control("/sandbox/audiences")["audiences"] if a["platform"] == platform]
            # A property has the sync's name, a cohort or a segment one of the tool's.
            audience = next((a for a in named if a["id"] == f"VIP {kind}"), None) or \
                next((a for a in named if not a["id"].startswith("VIP ")), None)
            if audience is None:
                return None
            listed = self.scene.control(f"/sandbox/audiences/{platform}/{audience['id'].replace(' ', '%20')}/members")["members"]
            return {member["value"] for member in listed} - {"seed"}

        def everywhere(people):
            return eventually(lambda: all(members(kind) == people for kind in AUDIENCES),
                              lambda: f"{ {kind: members(kind) for kind in AUDIENCES} }\n{self.scene.run('status').stdout}", seconds=60)
        everywhere({"ada", "eve"})
        self.scene.send({"type": "delete", "userId": "eve", "messageId": "d-1"})
        everywhere({"ada"})

    def test_attributes_are_told_with_membership_and_again_when_they_change(self):
        tools = {**{kind: AUDIENCES[kind] for kind in AUDIENCES if kind not in ("amplitude_cohorts", "customerio_segments")},
                 "customerio_people": {"base_url": "{sandbox}/customerio"}}
        self.scene.write("workspace/attributes.yaml", 'ltv: sum("Order Completed".revenue)\nlast_order: last("Order Completed")\n')
        text = ""
        for kind, settings in tools.items():
            self.destination(kind, settings)
            text += (f"- name: VIP {kind}\n  segment: vip\n  destination: {kind}\n  effect: target\n  identifiers: [external_id]\n"
                     "  attributes: {ltv: Lifetime value, last_order: last_order, plan: plan}\n")
        self.scene.write("workspace/syncs/audiences.yaml", text)
        self.scene.serve("--apply")
        self.scene.send({"type": "identify", "userId": "ada", "messageId": "i-1", "traits": {"plan": "pro"}},
                        order(1, "ada"), order(2, "ada"), order(3, "bob"))

        def told(kind):
            profiles = self.kept(kind.split("_")[0]).get("profiles", {})
            return {who: (p.get("Lifetime value"), p.get("plan"), p.get(f"VIP {kind}")) for who, p in profiles.items()}

        def everywhere(people):
            return eventually(lambda: all(told(kind) == people for kind in tools),
                              lambda: f"{ {kind: told(kind) for kind in tools} }\n{self.scene.run('status').stdout}", seconds=60)
        everywhere({"ada": (61, "pro", True)})
        self.assertIsInstance(self.kept("customerio")["profiles"]["ada"]["last_order"], int)
        self.assertRegex(self.kept("mixpanel")["profiles"]["ada"]["last_order"], r"^20\d\d-")
        self.scene.send(order(4, "ada"))
        everywhere({"ada": (91.5, "pro", True)})
        self.scene.send({"type": "identify", "userId": "ada", "messageId": "i-2", "traits": {"plan": "team"}})
        everywhere({"ada": (91.5, "team", True)})
        asked = self.scene.run("preview", "--sync", "VIP mixpanel_audiences", "--add", self.scene.write("who", "ada\n")).stdout
        self.assertIn('"Lifetime value":91.5', asked)


if __name__ == "__main__":
    unittest.main()
