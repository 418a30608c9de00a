"""The sources that speak HTTP in somebody else's words, with signed requests: reporting webhooks and Track API of Customer.io,
webhooks of Shopify; and all of them together with the Segment-style API."""

import base64
import gzip
import hashlib
import hmac
import itertools
import json
import os
import random
import re
import subprocess
import tempfile
import time
import unittest
import urllib.error
import urllib.request

import clients_test
from serve_test import at, identify
from support import ROOT, Scene, eventually

SECRETS = {"signing_key": "a-signing-key", "track_key": "a-track-key", "shop_secret": "a-shop-secret"}
TAILRACE = """\
name: sources
consent: {unknown: deny}
write_keys:
  - {name: web, env: TAILRACE_WRITE_KEY}
sources:
  - name: customerio
    type: customerio_webhooks
    credentials: {signing_key: {file: signing_key}}
  - name: track
    type: customerio_track
    settings: {site_id: site}
    credentials: {api_key: {file: track_key}}
  - name: shop
    type: shopify
    settings: {shop_domain: example.myshopify.com}
    credentials: {webhook_secret: {file: shop_secret}}
"""
TAXONOMY = "use: [ecommerce, messages]\n"
LAKE = "name: lake\ntype: parquet_lake\nsettings: {location: .tailrace/lake}\n"
LAKE_SYNC = "name: Lake\ndestination: lake\ntables: all\n"
ATTRIBUTES = 'ltv: sum("Order Placed".total) - sum("Order Refunded".total)\n'


class SourcesScene(Scene):
    """A workspace with one source of each type."""

    def __init__(self):
        with tempfile.TemporaryDirectory() as folder:
            files = {**SECRETS, "tailrace.yaml": TAILRACE, "taxonomy.yaml": TAXONOMY, "attributes.yaml": ATTRIBUTES,
                     "destinations/lake.yaml": LAKE, "syncs/lake.yaml": LAKE_SYNC}
            for name, text in files.items():
                os.makedirs(os.path.dirname(os.path.join(folder, name)), exist_ok=True)
                with open(os.path.join(folder, name), "w") as file:
                    file.write(text)
            super().__init__(folder, with_sandbox=False)
        self.numbers = itertools.count()

    def request(self, method, path, body=b"", headers=()):
        request = urllib.request.Request(self.server.url + path, data=body, method=method, headers=dict(headers))
        try:
            with urllib.request.urlopen(request, timeout=30) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def cio_request(self, event, key=SECRETS["signing_key"], age=0, body=None):
        body = json.dumps(event).encode() if body is None else body
        sent = str(int(time.time()) - age)
        signature = hmac.new(key.encode(), f"v0:{sent}:".encode() + body, hashlib.sha256).hexdigest()
        return body, {"X-CIO-Timestamp": sent, "X-CIO-Signature": signature, "Content-Type": "application/json"}

    def cio(self, channel, metric, identifiers, event_id=None, ago=0, **data):
        event = {"event_id": event_id or f"cio-{next(self.numbers)}", "object_type": channel, "metric": metric, "timestamp": int(time.time()) - ago,
                 "data": {"identifiers": identifiers, "delivery_id": "d-1", "campaign_id": 7, **data}}
        return self.request("POST", "/sources/customerio", *self.cio_request(event))

    def shopify_request(self, topic, payload, secret=SECRETS["shop_secret"], shop="example.myshopify.com", event_id=None):
        body = json.dumps(payload).encode()
        signature = base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()
        return body, {"X-Shopify-Topic": topic, "X-Shopify-Hmac-Sha256": signature, "X-Shopify-Shop-Domain": shop,
                      "X-Shopify-Webhook-Id": f"w-{next(self.numbers)}", "X-Shopify-Event-Id": event_id or f"e-{next(self.numbers)}"}

    def shopify(self, topic, payload, **of):
        return self.request("POST", "/sources/shop", *self.shopify_request(topic, payload, **of))

    def track(self, method, path, body=None, key=SECRETS["track_key"]):
        authorization = base64.b64encode(f"site:{key}".encode()).decode()
        return self.request(method, path, b"" if body is None else json.dumps(body).encode(),
                            {"Authorization": f"Basic {authorization}", "Content-Type": "application/json"})


def order(number, customer=None, email=None, total="10.10", **more):
    return {"id": number, "created_at": at(days=2), "currency": "EUR", "total_price": total, "subtotal_price": total,
            **({"customer": {"id": customer}} if customer else {}), **({"email": email} if email else {}),
            "line_items": [{"product_id": 1, "title": "Mug", "price": total, "quantity": 1}], **more}


def refund(number, order_number, amount):
    return {"id": number, "order_id": order_number, "created_at": at(days=1),
            "transactions": [{"kind": "refund", "status": "success", "amount": amount, "currency": "EUR"}]}


class Sources(unittest.TestCase):
    def setUp(self):
        self.scene = SourcesScene()
        self.addCleanup(self.scene.close)
        self.scene.serve("--apply")

    def taken(self, answer, status=200):
        self.assertEqual(answer[0], status, answer)
        return answer[1]

    def records(self):
        with urllib.request.urlopen(self.scene.server.url + "/metrics", timeout=30) as reply:
            return next(line for line in reply.read().decode().splitlines() if line.startswith("tailrace_messages_total"))

    def test_what_became_of_a_message_is_what_a_person_did(self):
        scene = self.scene
        kim = {"id": "u-17", "email": "kim@example.com", "cio_id": "a3"}
        self.taken(scene.cio("email", "delivered", kim, ago=60))
        self.taken(scene.cio("email", "opened", kim, prefetched=True, ago=50))
        self.taken(scene.cio("email", "clicked", kim, event_id="click", href="https://example.com/x", link_id=3, ago=40, holdout="control"))
        self.taken(scene.cio("email", "clicked", kim, event_id="click", href="https://example.com/x", link_id=3, ago=40, holdout="control"))
        for expression in ('performed "Email Delivered" within 1h', 'not performed "Email Opened"', 'performed "Email Opened by Machine" once',
                           'performed "Email Link Clicked" where campaign_id = "7" and delivery_id = "d-1" and link_url = "https://example.com/x" '
                           'and link_id = "3" and holdout = "control" exactly 1 times'):
            self.assertEqual(scene.members(expression), ["u-17"], expression)
        self.assertIn(" 1 duplicate", scene.run("status").stdout)

    def test_engagement_by_campaign_is_asked_of_the_lake(self):
        """With the question as docs/warehouse.md has it."""
        scene = self.scene
        for campaign, people in ((7, 4), (8, 2)):
            for person in range(people):
                told = {"delivery_id": f"d-{campaign}-{person}", "campaign_id": campaign}
                who = {"id": f"u-{person}"}
                self.taken(scene.cio("email", "delivered", who, ago=60, **told))
                self.taken(scene.cio("email", "opened", who, prefetched=True, ago=50, **told))  # by a program
                if person < 2:
                    self.taken(scene.cio("email", "opened", who, ago=40, **told))
                    self.taken(scene.cio("email", "opened", who, ago=39, **told))  # twice
                if person < 1:
                    self.taken(scene.cio("email", "clicked", who, href="https://example.com/x", ago=30, **told))
        with open(os.path.join(ROOT, "docs", "warehouse.md")) as file:
            question = next(each for each in re.findall(r"```sql\n(.*?)```", file.read(), re.DOTALL) if "campaign_id" in each)
        rows = json.loads(scene.run("query", question, "--format", "json").stdout)
        self.assertEqual([[int(value) for value in row.values()] for row in rows], [[7, 4, 2, 1], [8, 2, 2, 1]])

    def test_whoever_unsubscribes_has_withdrawn_consent_from_then_on(self):
        scene = self.scene
        scene.send(identify("u-17", email="kim@example.com", consent={"email": True, "ads": True}) | {"timestamp": at(days=3)})
        self.assertEqual(scene.members("consent.email and consent.ads"), ["u-17"])
        self.taken(scene.cio("email", "unsubscribed", {"id": "u-17"}, ago=3600))
        self.assertEqual(scene.members("consent.email"), [])
        self.assertEqual(scene.members("consent.ads"), ["u-17"])
        self.assertEqual(scene.members("consent.email", "--at", at(days=1)), ["u-17"])
        self.assertEqual(scene.members('performed "Unsubscribed"'), ["u-17"])
        # Also where the taxonomy keeps the event back, and whoever is known by their e-mail alone.
        scene.write("workspace/taxonomy.yaml", "use: [ecommerce]\n")
        scene.run("apply")
        scene.send(identify("u-18", email="lea@example.com", consent={"email": True}) | {"timestamp": at(days=3)})
        self.taken(scene.cio("email", "unsubscribed", {"id": None, "email": "lea@example.com"}))
        self.assertEqual(scene.members("consent.email"), [])
        self.taken(scene.track("PUT", "/api/v1/customers/u-18", {"unsubscribed": False}))
        self.assertEqual(scene.members("consent.email"), ["u-18"])
        self.taken(scene.track("POST", "/api/v1/customers/u-18/suppress", {}))
        self.assertEqual(scene.members("consent.email"), [])

    def test_strangers_are_refused_and_nothing_of_theirs_is_taken(self):
        scene = self.scene
        before = self.records()
        event = {"event_id": "e", "object_type": "email", "metric": "opened", "timestamp": int(time.time()), "data": {"customer_id": "u-17"}}
        for wrong in ({"key": "another"}, {"age": 301}, {"age": -301}, {"age": 10 ** 9}):
            self.assertIn("signature", self.taken(scene.request("POST", "/sources/customerio", *scene.cio_request(event, **wrong)), 401), wrong)
        body, headers = scene.cio_request(event)
        self.taken(scene.request("POST", "/sources/customerio", body.replace(b"u-17", b"u-18"), headers), 401)
        self.taken(scene.request("POST", "/sources/customerio", body), 401)
        self.taken(scene.request("POST", "/sources/shop", body, headers), 401)  # signed, but for another source
        self.taken(scene.shopify("orders/create", order(1, customer=7), secret="another"), 401)
        self.taken(scene.shopify("orders/create", order(1, customer=7), shop="another.myshopify.com"), 401)
        self.assertEqual(json.loads(self.taken(scene.track("PUT", "/api/v1/customers/u-17", {}, key="another"), 401)),
                         {"meta": {"error": "unknown site id or API key"}})
        self.taken(scene.request("PUT", "/api/v1/customers/u-17", b"{}"), 401)
        self.taken(scene.request("POST", "/sources/nobody", body, headers), 404)
        # A write key is no secret of a source, and a secret no write key.
        self.taken(scene.post("/sources/customerio", event), 401)
        self.taken(scene.post("/v1/track", {"userId": "u", "event": "x"}, key=SECRETS["track_key"]), 401)
        self.assertEqual(self.records(), before)
        for secret in SECRETS.values():
            self.assertNotIn(secret, scene.server.log())
            self.assertNotIn(secret.encode(), scene.log_bytes())

    def test_what_cannot_be_read_is_refused_by_itself(self):
        scene = self.scene
        for body in (b"", b"[]", b"{", b"\xff", b"{}", b'{"event_id":"e","object_type":"email","metric":"sent","timestamp":"x","data":{}}'):
            self.taken(scene.request("POST", "/sources/customerio", *scene.cio_request(None, body=body)), 400)
        self.taken(scene.request("POST", "/sources/customerio", *scene.cio_request(None, body=b" " * (600 << 10))), 413)
        self.taken(scene.shopify("orders/create", {}), 400)
        self.taken(scene.shopify("products/update", {"id": 1}))
        large = json.dumps({"name": "x", "data": {"a": "a" * (5 << 20)}}).encode()
        try:
            self.taken(scene.request("POST", "/api/v1/customers/u-1/events", large), 413)
        except urllib.error.URLError as cut:  # the answer may cross with what is still being sent
            self.assertIsInstance(cut.reason, (BrokenPipeError, ConnectionResetError))
        self.taken(scene.track("PUT", "/api/v1/customers/u-1/nothing", {}), 404)
        answer = json.loads(self.taken(scene.track("POST", "/api/v2/batch", {"batch": [
            {"type": "person", "action": "identify", "identifiers": {"id": "u-1"}, "attributes": {"email": "ada@example.com"}},
            {"type": "person", "action": "event", "identifiers": {"id": "u-1"}},
            {"type": "person", "action": "event", "identifiers": {"id": "u-1"}, "name": "Product Viewed", "timestamp": "soon"},
            {"type": "person", "action": "event", "identifiers": {"id": "u-1"}, "name": "Product Viewed", "attributes": {"product_id": "p"}}]}), 207))
        self.assertEqual([error["batch_index"] for error in answer["errors"]], [1, 2])
        self.assertEqual(scene.members('performed "Product Viewed" once'), ["u-1"])

    def test_the_bytes_that_were_signed_are_the_ones_on_the_wire(self):
        scene = self.scene
        event = {"event_id": "e", "object_type": "sms", "metric": "delivered", "timestamp": int(time.time()), "data": {"customer_id": "u-17"}}
        body, headers = scene.cio_request(None, body=gzip.compress(json.dumps(event).encode()))
        self.taken(scene.request("POST", "/sources/customerio", body, {**headers, "Content-Encoding": "gzip"}))
        self.assertEqual(scene.members('performed "SMS Delivered"'), ["u-17"])
        body, headers = scene.cio_request(None, body=b"not gzip")
        self.taken(scene.request("POST", "/sources/customerio", body, {**headers, "Content-Encoding": "gzip"}), 400)

    def test_orders_and_refunds_make_an_exact_value_in_whatever_order_they_come(self):
        scene = self.scene
        self.taken(scene.shopify("refunds/create", refund(1, 820982911946154508, "0.20")))
        self.taken(scene.shopify("orders/create", order(820982911946154508, customer=7, email="kim@example.com", total="0.30"), event_id="placed"))
        self.taken(scene.shopify("orders/create", order(820982911946154508, customer=7, email="kim@example.com", total="0.30"), event_id="placed"))
        self.taken(scene.shopify("orders/create", order(2, customer=7, total="10.10")))
        self.taken(scene.shopify("refunds/create", refund(2, 2, "0.10")))
        self.taken(scene.shopify("orders/cancelled", order(2, customer=7, cancelled_at=at(hours=1), cancel_reason="customer")))
        self.assertEqual(scene.members("ltv = 10.10"), ["7"])
        for expression in ('count("Order Placed") = 2', 'count("Order Refunded") = 2', 'performed "Order Cancelled" where reason = "customer"',
                           'performed "Order Placed" where order_id = "820982911946154508" and currency = "EUR" between 1d and 3d ago',
                           'performed "Order Placed" where any products (name = "Mug" and price = 0.30)'):
            self.assertEqual(scene.members(expression), ["7"], expression)
        self.assertIn("1 people", scene.run("status").stdout)

    def test_a_guest_who_signs_up_keeps_their_orders(self):
        scene = self.scene
        self.taken(scene.shopify("orders/create", order(1, email="kim@example.com")))
        self.taken(scene.shopify("orders/create", order(2, email="Kim@Example.com")))
        self.taken(scene.shopify("refunds/create", refund(1, 2, "10.10")))
        # Whoever has no user id is named outwards by an anonymous id: here that of the first order.
        self.assertEqual(scene.members('count("Order Placed") = 2 and ltv = 10.10'), ["shopify-order:1"])
        self.taken(scene.track("PUT", "/api/v1/customers/kim%40example.com", {"id": "u-17"}))
        self.assertEqual(scene.members('count("Order Placed") = 2 and ltv = 10.10'), ["u-17"])
        self.taken(scene.cio("email", "opened", {"email": "kim@example.com"}))
        self.assertEqual(scene.members('performed "Email Opened" and performed "Order Placed"'), ["u-17"])

    def test_a_redacted_customer_is_gone_from_the_log(self):
        scene = self.scene
        self.taken(scene.shopify("orders/create", order(1, email="kim@example.com")))
        self.taken(scene.shopify("orders/create", order(2, customer=7, email="kim@example.com")))
        self.taken(scene.shopify("orders/create", order(3, customer=8, email="lea@example.com")))
        self.taken(scene.shopify("customers/redact", {"shop_id": 1, "customer": {"id": 7, "email": "kim@example.com", "phone": None}}))
        self.assertEqual(scene.members('performed "Order Placed"'), ["8"])
        eventually(lambda: b"kim@example.com" not in scene.log_bytes(), "redacted")

    def test_a_secret_that_is_missing_is_said_before_anything_starts(self):
        scene = self.scene
        self.assertEqual(scene.server.stop(), 0)
        os.remove(os.path.join(scene.workspace, "track_key"))
        with self.assertRaisesRegex(AssertionError, 'source "track", api_key'):
            scene.serve("--apply")

    def test_one_person_by_every_door(self):
        """Segment, Track API, webhooks and shop tell of the same people, interleaved at random, with merges across them: what comes of it is
        what each said, whatever the order."""
        scene = self.scene
        for seed in (1, 2, 3):
            shuffled = random.Random(seed)
            name, shop_id, number = f"p{seed}", 1000 + seed, seed * 10
            email = f"{name}@example.com"
            # Each by its own name of the person; then what says that they are one.
            tell = [lambda: scene.post("/v1/track", {"anonymousId": f"visitor-{name}", "event": "Product Viewed", "properties": {"product_id": "p"}}),
                    lambda: scene.track("POST", "/api/v1/events", {"name": "Product Viewed", "anonymous_id": f"visitor-{name}", "data": {"product_id": "q"}}),
                    lambda: scene.shopify("orders/create", order(number, customer=shop_id, total="30.03")),
                    lambda: scene.shopify("refunds/create", refund(number, number, "0.03")),
                    lambda: scene.cio("email", "clicked", {"id": name}),
                    lambda: scene.cio("sms", "delivered", {"cio_id": f"a{name}"}),
                    lambda: scene.cio("email", "opened", {"email": email}),
                    lambda: scene.track("POST", f"/api/v1/customers/{email}/events", {"name": "Cart Started", "data": {"cart_id": "c"}}),
                    lambda: scene.post("/v1/identify", {"userId": name, "traits": {"plan": "pro"}}),
                    lambda: scene.post("/v1/identify", {"userId": name, "anonymousId": f"visitor-{name}"})]
            join = [lambda: scene.track("POST", "/api/v1/merge_customers", {"primary": {"id": name}, "secondary": {"email": email}}),
                    lambda: scene.track("POST", "/api/v2/entity", {"type": "person", "action": "merge", "primary": {"id": name}, "secondary": {"cio_id": f"a{name}"}}),
                    lambda: scene.post("/v1/alias", {"userId": name, "previousId": str(shop_id)})]
            calls = tell + join
            shuffled.shuffle(calls)
            for call in calls:
                self.taken(call())
            everything = ('count("Product Viewed") = 2 and ltv = 30 and count("Order Placed") = 1 and count("Order Refunded") = 1 and performed "Email Link Clicked" once '
                          'and performed "SMS Delivered" once and performed "Email Opened" once and performed "Cart Started" once and plan = "pro"')
            self.assertEqual(len(scene.members(everything)), seed, f"seed {seed}\n" + scene.run("explain", name, everything, code=None).stdout)
            for known_as in (name, email, f"visitor-{name}", f"cio_a{name}", str(shop_id), f"shopify-order:{number}"):
                self.assertIn("yes", scene.run("explain", known_as, everything).stdout, known_as)
        self.assertIn("3 people", scene.run("status").stdout)
        # After a restart, too.
        self.assertEqual(scene.server.stop(), 0)
        scene.serve()
        self.assertEqual(len(scene.members(everything)), 3)
        self.taken(scene.track("DELETE", "/api/v1/customers/p2"))
        self.assertEqual(len(scene.members(everything)), 2)
        eventually(lambda: not any(name in scene.log_bytes() for name in (b"p2@example.com", b"visitor-p2", b"shopify-order:20")), "the log forgets them")


@unittest.skipIf(clients_test.why_not(), clients_test.why_not())
class CustomerioNode(unittest.TestCase):
    def test_the_unmodified_client_works(self):
        clients_test.install()
        scene = SourcesScene()
        self.addCleanup(scene.close)
        certificate, key = (os.path.join(scene.workspace, name) for name in ("certificate.pem", "key.pem"))
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out",
                        certificate, "-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
        with open(os.path.join(scene.workspace, "tailrace.yaml"), "a") as file:
            file.write("tls: {certificate: certificate.pem, key: key.pem}\n")
        host, port = scene.serve("--apply").url.removeprefix("https://").split(":")
        done = subprocess.run(["node", "customerio_track.mjs", host, port, "site", SECRETS["track_key"]], cwd=clients_test.CLIENTS, capture_output=True,
                              text=True, timeout=120)
        self.assertEqual((done.returncode, done.stdout.splitlines()), (0, ["400 `timestamp` is no time in seconds since 1970", "401 unknown site id or API key"]),
                         done.stdout + done.stderr)
        for expression in ('country = "GB" and plan = "pro"', 'performed "Product Viewed" once where price = 19.99',
                           'performed "Order Placed" where revenue = 20.5 between 2d and 4d ago and count("Order Placed") = 1',
                           'performed "Page Viewed" where name = "/pricing"', 'performed "Device Created or Updated" where platform = "ios" and token = "device/token 1"',
                           'performed "Device Deleted"', 'performed "Cart Started" once'):
            self.assertEqual(scene.members(expression), ["track/ada+1"], expression)
        for known_as in ("track-visitor", "lead@example.com", "ada.track@example.com"):
            self.assertIn("yes", scene.run("explain", known_as, 'performed "Order Placed"').stdout, known_as)
        self.assertEqual(scene.run("explain", "track-cat", code=4).stdout, "")
        status = scene.run("status").stdout
        self.assertIn(" 1 duplicate", status)
        self.assertIn("reporting webhooks", status)  # of the push that names nobody


if __name__ == "__main__":
    unittest.main()
