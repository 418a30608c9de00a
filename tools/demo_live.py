#!/usr/bin/env python3
"""The live part of `make demo`: waits for the audiences to fill, plays shoppers through the HTTP API, and watches one purchase.

    tools/demo_live.py TAILRACE WORKSPACE STORE API SANDBOX

The cart and view events are generated (the data set has orders only) and say so. Exits with 1 when something is not as
it should be.
"""

import base64
import hashlib
import json
import subprocess
import sys
import time
import urllib.request
from datetime import datetime, timedelta, timezone

TAILRACE, WORKSPACE, STORE, API, SANDBOX = sys.argv[1:6]
SHOPPERS = 120
PATIENCE_SECONDS = 60
problems = []


def heading(text):
    print(f"\n\033[1m{text}\033[0m", flush=True)


def tailrace(command, *arguments):
    line = [TAILRACE, command, "-w", WORKSPACE, "--data", STORE, *arguments]
    return subprocess.run(line, check=True, capture_output=True, text=True).stdout


def statuses():
    return {row["audience"]: row for row in json.loads(tailrace("status", "--format", "json"))}


def get(path):
    with urllib.request.urlopen(SANDBOX + path, timeout=10) as reply:
        return json.load(reply)


def send(*messages):
    request = urllib.request.Request(
        API + "/v1/batch",
        data=json.dumps({"batch": messages}).encode(),
        headers={"Content-Type": "application/json", "Authorization": "Basic " + base64.b64encode(b"demo-write-key:").decode()})
    with urllib.request.urlopen(request, timeout=10) as reply:
        assert reply.status == 200


def now_text(ago=timedelta()):
    return (datetime.now(timezone.utc) - ago).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def track(event, person, message_id, properties, ago=timedelta()):
    return {"type": "track", "event": event, "userId": person, "messageId": message_id, "timestamp": now_text(ago),
            "properties": {**properties, "generated": True}}


def hash_of(person):
    return hashlib.sha256(f"{person}@example.com".encode()).hexdigest()


def identifiers(platform, audience_id):
    return {row["value"] for row in get(f"/sandbox/audiences/{platform}/{audience_id}/members")["members"]}


def orders_at_meta():
    """The latest conversions that the platform was sent."""
    return [event["custom_data"].get("order_id") for event in get("/sandbox/meta/events")["events"]]


def platform_of(row):
    return {"Meta": "meta", "Google": "google"}[row["destination"]]


def wait_until(what, condition, pause=0.2):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(pause)
    problems.append(f"not within {PATIENCE_SECONDS} s: {what}")
    return False


def everything_delivered():
    return all(row["pending"] == 0 for row in audience_ids().values())


audiences = {}


def audience_ids():
    audiences.update(statuses())
    return audiences


def check_audiences():
    """What the platforms hold is what the segments say, identifier by identifier."""
    rows = statuses()
    held = {(a["platform"], a["name"]): a for a in get("/sandbox/audiences")["audiences"]}
    for name, row in rows.items():
        audience = held.get((platform_of(row), name))
        size = 0 if audience is None else audience["identifiers"]
        if size != row["members"]:
            problems.append(f'"{name}" has {row["members"]} members, and the platform holds {size}')
        if row["rejected"]:
            problems.append(f'"{name}": {row["rejected"]} rejected')
    purchasers = {hash_of(p) for p in tailrace("members", "Purchasers 30d").split()}
    for name in ("Purchasers 30d on Meta", "Purchasers 30d on Google"):
        audience = held.get((platform_of(rows[name]), name))
        if audience is None or identifiers(audience["platform"], audience["id"]) != purchasers:
            problems.append(f'"{name}" at the platform is not the segment')


heading("4. The audiences fill at the platforms")
wait_until("all audiences delivered", everything_delivered)

heading(f"5. Live: {SHOPPERS} customers who have not bought for a month look at products (generated events, over HTTP)")
recent = set(tailrace("members", "Purchasers 30d").split())
everybody = tailrace("members", 'performed "Order Placed"').split()
shoppers = [p for p in everybody if p not in recent][:SHOPPERS]
buyer = shoppers[0]
for begin in range(0, len(shoppers), 10):
    group = shoppers[begin:begin + 10]
    send(*[track("Product Viewed", p, f"view-1-{p}", {"product_id": "85123A"}) for p in group])
    send(*[track("Product Viewed", p, f"view-2-{p}", {"product_id": "71053"}) for p in group])
    time.sleep(0.05)
abandoned = shoppers[-1]
send(track("Cart Started", abandoned, f"cart-{abandoned}", {"cart_id": "c-1"}, ago=timedelta(hours=3)))
wait_until("live viewers delivered", lambda: everything_delivered() and statuses()["Product viewers on Meta"]["members"] >= len(shoppers))

held = {(a["platform"], a["name"]): a["id"] for a in get("/sandbox/audiences")["audiences"]}
RETARGETING = [("meta", held[("meta", "Product viewers on Meta")]), ("google", held[("google", "Product viewers on Google")])]
SUPPRESSION = [("meta", held[("meta", "Purchasers 30d on Meta")]), ("google", held[("google", "Purchasers 30d on Google")])]
mark = hash_of(buyer)
if not all(mark in identifiers(*audience) for audience in RETARGETING):
    problems.append("the buyer is not in the retargeting audiences before buying")

heading("6. One of them buys")
bought_at = time.monotonic()
send(track("Order Completed", buyer, f"order-live-{buyer}", {"order_id": "live-1", "revenue": 42.5, "currency": "GBP", "products": []}))
acknowledged = time.monotonic() - bought_at
seen = {}
told_after = None
deadline = bought_at + PATIENCE_SECONDS
while (len(seen) < 4 or told_after is None) and time.monotonic() < deadline:
    if told_after is None and "live-1" in orders_at_meta():
        told_after = time.monotonic() - bought_at
    for kind, group in (("left the retargeting audience", RETARGETING), ("entered the purchaser suppression", SUPPRESSION)):
        for platform, audience in group:
            inside = mark in identifiers(platform, audience)
            if (kind, platform) not in seen and inside == kind.startswith("entered"):
                seen[(kind, platform)] = time.monotonic() - bought_at
print(f"  the purchase was on disk and acknowledged after {acknowledged * 1000:.0f} ms")
for (kind, platform), seconds in sorted(seen.items(), key=lambda item: item[1]):
    print(f"  {platform}: the buyer {kind} after {seconds * 1000:.0f} ms")
if told_after is None:
    problems.append("Meta was not told of the purchase")
else:
    print(f"  meta: was told of the purchase, as a conversion, after {told_after * 1000:.0f} ms")
if len(seen) < 4:
    problems.append("the purchase did not move the buyer at every platform")
if any(seconds > 1 for seconds in [*seen.values(), told_after or 0]):
    problems.append("a move took longer than a second")

wait_until("everything delivered", everything_delivered)
# Platforms are asked for size and match rate a little after the last upload.
wait_until("match rates read back", lambda: all(r["match rate"] for r in statuses().values() if r["members"]), pause=1)
check_audiences()

heading("7. What stands where (p50 and p99: live event received -> the platform's acknowledgement, in ms)")
columns = ["audience", "segment", "members", "sent", "accepted", "match rate", "last sync", "p50 ms", "p99 ms"]
rows = [[("-" if row[c] is None else str(row[c])) for c in columns] for row in statuses().values()]
widths = [max(len(r[i]) for r in [columns, *rows]) for i in range(len(columns))]
for row in [columns, ["-" * w for w in widths], *rows]:
    print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())

events, = json.loads(tailrace("status", "--streams", "--format", "json"))
print(f"\nConversions of \"{events['events to']}\": {events['accepted']} accepted, p50 {events['p50 ms']} ms, p99 {events['p99 ms']} ms; "
      f"{events['never sent']} never sent, as Meta takes no event older than seven days.")
if events["rejected"] or events["dead letters"]:
    problems.append(f'"{events["events to"]}": {events["rejected"]} rejected, {events["dead letters"]} dead letters')

print("\nOrders and cancellations are real (UCI Online Retail); e-mail addresses are derived from customer ids at")
print("example.com, views and carts are generated, the platforms are the sandbox: its match rate is what it was set to know.")

if problems:
    print("\nNot as it should be:")
    for problem in problems:
        print("  -", problem)
    sys.exit(1)
