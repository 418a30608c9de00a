"""Real order histories, imported as they are, against facts that others computed of them: sizes and digests of segments at
an instant, and the RFM class of every customer, by ranks.

The facts speak of [T - D, T). The language's windows end with the instant asked for, so they are asked one millisecond
before T. Local times are read as UTC. Data that may not be copied into the repository lies in ../shared/data; where that
is missing, its tests are skipped and say so.
"""

import csv
import gzip
import hashlib
import json
import os
import subprocess
import tempfile
import unittest
from datetime import datetime, timedelta, timezone
from decimal import Decimal

from support import ENVIRONMENT, EXAMPLE, ROOT, TAILRACE, Program

SHARED = os.path.join(os.path.dirname(ROOT), "shared", "data")
WORKSPACE = "name: real-data\ntime_zone: UTC\n"


def needs(folder):
    path = os.path.join(SHARED, folder)
    reason = "" if os.path.isdir(path) else f"the data is not there: ../shared/data/{folder}"
    return unittest.skipIf(reason, reason)


def rows_of(*path):
    with gzip.open(os.path.join(*path), "rt", encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def load_expected(*path):
    with open(os.path.join(*path, "expected.json")) as file:
        return json.load(file)


def digest(ids):
    return hashlib.sha256("".join(f"{one}\n" for one in sorted(ids)).encode()).hexdigest()


def text(instant):
    return instant.isoformat(timespec="milliseconds") + "Z"


def just_before(day):
    return text(datetime.fromisoformat(day) - timedelta(milliseconds=1))


def track(person, event, number, timestamp, properties):
    """One line. `properties` are JSON texts, so that a decimal keeps its digits."""
    inside = ",".join(f'"{name}":{value}' for name, value in properties.items())
    return (f'{{"type":"track","event":"{event}","userId":"{person}","messageId":"{event}-{number}",'
            f'"timestamp":"{timestamp}","properties":{{{inside}}}}}\n')


def identify(person, timestamp, traits=None):
    return (f'{{"type":"identify","userId":"{person}","messageId":"identify-{person}","timestamp":"{timestamp}",'
            f'"traits":{json.dumps(traits or {})}}}\n')


RFM = ("recency", "frequency", "money")


def rfm_segments(customers, who):
    """`money 4` is who is in the fourth or fifth fifth by money: fifths are of (value, id as text), 5 is best, and where five
    does not divide them the lower ones get one more. Equal values rank by who is known first, so the customers have to be
    imported in falling order of their ids.
    """
    sizes = [customers // 5 + (fifth < customers % 5) for fifth in range(5)]
    ranks = {f"{attribute} {fifth}": f"rank <= {sum(sizes[fifth - 1:])} by {attribute} where {who}"
             for attribute in RFM for fifth in (2, 3, 4, 5)}
    return {"customers": who, **ranks}


class Store(unittest.TestCase):
    """A store with one data set in it, served. Derived classes say which lines, and which words and segments there are."""

    attributes = {}
    segments = {}
    traits = ""
    events = ()

    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory(prefix="tailrace-test-")
        folder = cls.scratch.name
        taxonomy = "events:\n" + "".join(f"  {name}: {{}}\n" for name in cls.events) + cls.traits
        attributes = "".join(f"{name}: {expression}\n" for name, expression in cls.attributes.items())
        segments = json.dumps([{"name": name, "owner": "tests", "purpose": "comparison", "who": who} for name, who in cls.segments.items()])
        os.mkdir(os.path.join(folder, "segments"))
        for name, content in {"tailrace.yaml": WORKSPACE, "taxonomy.yaml": taxonomy, "attributes.yaml": attributes,
                              "segments/all.yaml": segments}.items():
            with open(os.path.join(folder, name), "w") as file:
                file.write(content)
        path = os.path.join(folder, "events.jsonl")
        with open(path, "w") as file:
            file.writelines(cls.lines())
        cls.run_tailrace("apply")
        cls.run_tailrace("import", path, "--durability", "system")
        cls.server = Program(folder, "serve", "-w", folder, "--listen", "127.0.0.1:0")

    @classmethod
    def tearDownClass(cls):
        cls.server.kill()
        cls.scratch.cleanup()

    @classmethod
    def run_tailrace(cls, command, *arguments):
        line = [TAILRACE, command, "-w", cls.scratch.name, *arguments]
        done = subprocess.run(line, capture_output=True, text=True, env=ENVIRONMENT, timeout=120)
        if done.returncode != 0:
            raise AssertionError(f"{' '.join(line)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def members(self, expression, at):
        return self.run_tailrace("members", expression, "--at", at).split()

    def expect(self, segment, at, size, sha256):
        members = self.members(segment, at)
        self.assertEqual((len(members), digest(members)), (size, sha256), f"{segment} at {at}")

    def rfm_classes(self, at):
        """{customer: "543"}, by the segments of rfm_segments()."""
        classes = dict.fromkeys(self.members("customers", at), "")
        for attribute in RFM:
            fifth_of = dict.fromkeys(classes, 1)
            for fifth in (2, 3, 4, 5):
                for one in self.members(f"{attribute} {fifth}", at):
                    fifth_of[one] = fifth
            for one, fifth in fifth_of.items():
                classes[one] += str(fifth)
        return classes

    def expect_rfm(self, classes, facts, digest_name):
        self.assertEqual(len(classes), facts["customers"])
        self.assertEqual(len(set(classes.values())), facts["distinct_classes_present"])
        self.assertEqual(list(classes.values()).count("555"), facts["count_555"])
        self.assertEqual(list(classes.values()).count("111"), facts["count_111"])
        lines = "".join(f"{one}\t{classes[one]}\n" for one in sorted(classes))
        self.assertEqual(hashlib.sha256(lines.encode()).hexdigest(), facts[digest_name])


class OnlineRetail(Store):
    """Order lines with cancellations, each line an event. An order is a distinct invoice number among them."""

    folder = os.path.join(EXAMPLE, "data")
    events = ("Line",)
    attributes = {
        "recency": 'last("Line".seconds where purchase = true)',
        "frequency": 'distinct("Line".invoice where purchase = true)',
        "money": 'sum("Line".value where purchase = true)',
    }
    bought = 'performed "Line" where purchase = true'
    segments = {
        "S1": f"{bought} within 90d",
        "S2": "frequency >= 5",
        "S3": "money >= 1000.00",
        "S4": f"frequency >= 2 and not {bought} within 180d",
        "S5": "frequency = 1",
        "S6": 'first("Line" where purchase = true) within 90d',
        "S7": 'performed "Line" and sum("Line".value) <= 0',
        "S8": 'distinct("Line".invoice where purchase = true within 90d) >= 3',
        "S9": f"frequency >= 5 and not {bought} within 90d",
        **rfm_segments(3616, bought),
    }

    @classmethod
    def lines(cls):
        rows = [row for row in rows_of(cls.folder, "transactions_until_2011-09-30.csv.gz") if row["customer_id"]]
        for customer in sorted({row["customer_id"] for row in rows}, reverse=True):
            yield identify(customer, "2010-12-01T00:00:00Z")
        for number, row in enumerate(rows):
            price, quantity = Decimal(row["unit_price_gbp"]), int(row["quantity"])
            purchase = row["invoice_no"][0] not in "CA" and quantity > 0 and price > 0
            time = datetime.fromisoformat(row["invoice_datetime"])
            yield track(row["customer_id"], "Line", number, time.isoformat() + "Z", {
                "invoice": json.dumps(row["invoice_no"]), "value": format(price * quantity, "f"),
                "purchase": "true" if purchase else "false", "seconds": str(int(time.replace(tzinfo=timezone.utc).timestamp()))})

    def test_segments(self):
        expected = load_expected(self.folder)
        self.assertEqual(len(expected["segments"]), 9)
        for name, facts in expected["segments"].items():
            with self.subTest(name):
                self.expect(name[:2], just_before(expected["T"]), facts["size"], facts["sha256_of_sorted_ids"])

    def test_rfm_classes(self):
        expected = load_expected(self.folder)
        classes = self.rfm_classes(just_before(expected["T"]))
        self.expect_rfm(classes, expected["rfm"], "sha256_of_lines_customer_tab_class_sorted_by_customer")


@needs("cdnow-sample")
class Cdnow(Store):
    """Every purchase of a cohort over eighteen months, by day. A purchase day is a distinct date."""

    folder = os.path.join(SHARED, "cdnow-sample")
    events = ("Purchase",)
    attributes = {
        "recency": 'last("Purchase".seconds)',
        "frequency": 'distinct("Purchase".date)',
        "money": 'sum("Purchase".amount)',
    }
    segments = {
        "active_90d": 'performed "Purchase" within 90d',
        "loyal": "frequency >= 4",
        "big_spender": "money >= 200.00",
        "lapsed_repeat": 'frequency >= 2 and not performed "Purchase" within 180d',
        "one_time": "frequency = 1",
        **rfm_segments(2357, 'performed "Purchase"'),
    }

    @classmethod
    def lines(cls):
        rows = list(rows_of(cls.folder, "transactions.csv.gz"))
        for customer in sorted({row["sample_id"] for row in rows}, reverse=True):
            yield identify(customer, "1997-01-01T00:00:00Z")
        for number, row in enumerate(rows):
            day = datetime.fromisoformat(row["date"]).replace(tzinfo=timezone.utc)
            yield track(row["sample_id"], "Purchase", number, row["date"] + "T00:00:00Z", {
                "date": json.dumps(row["date"]), "amount": row["amount_usd"], "seconds": str(int(day.timestamp()))})

    def test_segments_at_two_instants(self):
        expected = load_expected(self.folder)["segments"]
        self.assertEqual(len(expected["segments"]), 5)
        at_t0, at_t1 = just_before(expected["T0"]), just_before(expected["T1"])
        for name, facts in expected["segments"].items():
            with self.subTest(name):
                segment = name.split(":")[0]
                self.expect(segment, at_t0, facts["size_T0"], facts["sha256_T0"])
                self.expect(segment, at_t1, facts["size_T1"], facts["sha256_T1"])
                before, after = set(self.members(segment, at_t0)), set(self.members(segment, at_t1))
                self.assertEqual((len(after - before), len(before - after)), (facts["entered"], facts["left"]))
                # The same by the entries and exits in between.
                for change in json.loads(self.run_tailrace("transitions", segment, "--from", at_t0, "--to", at_t1, "--format", "json")):
                    (before.add if change["change"] == "entered" else before.discard)(change["person"])
                self.assertEqual(before, after)

    def test_rfm_classes_at_two_instants(self):
        expected = load_expected(self.folder)
        for name in ("rfm_1997-10-01", "rfm_1998-07-01"):
            with self.subTest(name):
                facts = expected[name]
                classes = self.rfm_classes(just_before(facts["T_exclusive"]))
                self.expect_rfm(classes, facts, "sha256_of_lines_id_tab_class_sorted_by_id")


@needs("complete-journey")
class CompleteJourney(Store):
    """Receipt lines, campaigns sent, coupons redeemed, and a few traits of each household."""

    folder = os.path.join(SHARED, "complete-journey")
    events = ("Campaign Received", "Coupon Redeemed", "Line")
    traits = "traits:\n  income: string\n"
    end = "2019-01-01T00:00:00Z"

    @classmethod
    def lines(cls):
        for row in rows_of(cls.folder, "demographics.csv.gz"):
            yield identify(row["household_id"], "2017-01-01T00:00:00Z", {"income": row["income"]})
        start = {row["campaign_id"]: row["start_date"] for row in rows_of(cls.folder, "campaign_descriptions.csv.gz")}
        for number, row in enumerate(rows_of(cls.folder, "campaigns.csv.gz")):
            yield track(row["household_id"], "Campaign Received", number, start[row["campaign_id"]] + "T00:00:00Z",
                        {"campaign": json.dumps(row["campaign_id"])})
        for number, row in enumerate(rows_of(cls.folder, "coupon_redemptions.csv.gz")):
            yield track(row["household_id"], "Coupon Redeemed", number, row["redemption_date"] + "T00:00:00Z",
                        {"campaign": json.dumps(row["campaign_id"])})
        for number, row in enumerate(rows_of(cls.folder, "transactions_sample.csv.gz")):
            yield track(row["household_id"], "Line", number, row["transaction_timestamp"],
                        {"basket": json.dumps(row["basket_id"]), "value": row["sales_value"]})

    @staticmethod
    def received(campaign):
        return f'performed "Campaign Received" where campaign = "{campaign}"'

    @staticmethod
    def redeemed(campaign):
        return f'performed "Coupon Redeemed" where campaign = "{campaign}"'

    def test_segments(self):
        expected = load_expected(self.folder)
        h4, h6, h7 = 'performed "Coupon Redeemed"', 'sum("Line".value) >= 200.00', 'distinct("Line".basket) >= 20'
        incomes = "100-124K,125-149K,150-174K,175-199K,200-249K,250K+".split(",")
        uninvited = " or ".join(f"({self.redeemed(one)}) and not ({self.received(one)})" for one in expected["campaign_audience_sizes"])
        expressions = {
            "H1": self.received(18),
            "H2": f"({self.received(18)}) and not ({self.redeemed(18)})",
            "H3": 'distinct("Campaign Received".campaign) >= 5',
            "H4": h4,
            "H5": uninvited,
            "H6": h6,
            "H7": h7,
            "H8": f"{h6} and not {h4}",
            "H9": 'last("Line") before "2017-10-01T00:00:00Z"',
            "H10": "income in (%s) and %s" % (", ".join(json.dumps(one) for one in incomes), h7),
        }
        for name, facts in expected["segments"].items():
            with self.subTest(name):
                self.expect(expressions.pop(name.split(":")[0]), self.end, facts["size"], facts["sha256_of_sorted_ids"])
        self.assertEqual(expressions, {})

    def test_campaigns_who_got_them_who_redeemed_and_how_they_overlap(self):
        expected = load_expected(self.folder)
        largest = {}
        for campaign, size in expected["campaign_audience_sizes"].items():
            with self.subTest(campaign):
                largest[campaign] = set(self.members(self.received(campaign), self.end))
                self.assertEqual(len(largest[campaign]), size)
        for pair, size in expected["overlap_of_five_largest_audiences"].items():
            with self.subTest(pair):
                one, other = pair.split("&")
                self.assertEqual(len(self.members(f"({self.received(one)}) and ({self.received(other)})", self.end)), size)
                self.assertEqual(len(largest[one] & largest[other]), size)
        redeemers = {one: len(self.members(self.redeemed(one), self.end)) for one in expected["campaign_redeeming_households"]}
        self.assertEqual(redeemers, expected["campaign_redeeming_households"])


if __name__ == "__main__":
    unittest.main()
