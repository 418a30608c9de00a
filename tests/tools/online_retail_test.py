#!/usr/bin/env python3
"""The converter of the Online Retail data against expected.json, which was computed independently of it."""

import csv
import gzip
import hashlib
import importlib.util
import io
import json
import os
import subprocess
import sys
import tempfile
import unittest
from collections import defaultdict
from datetime import datetime, timedelta
from decimal import Decimal

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DATA = os.path.join(ROOT, "examples", "online-retail", "data")
INPUT = os.path.join(DATA, "transactions_until_2011-09-30.csv.gz")
SCRIPT = os.path.join(ROOT, "tools", "online_retail", "convert.py")

spec = importlib.util.spec_from_file_location("convert", SCRIPT)
convert = importlib.util.module_from_spec(spec)
spec.loader.exec_module(convert)

T = datetime(2011, 10, 1)
DAYS_90 = T - timedelta(days=90)
DAYS_180 = T - timedelta(days=180)


def parse(text):
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ")


def rows(text):
    return csv.DictReader(io.StringIO(",".join(convert.INPUT_COLUMNS) + "\n" + text))


def events_of(text):
    lines, counts = convert.convert(rows(text))
    return [json.loads(line, parse_float=Decimal) for line in lines], counts


class WholeDataSet(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with open(os.path.join(DATA, "expected.json")) as file:
            cls.expected = json.load(file)
        cls.lines, cls.counts = convert.convert(convert.read_rows(INPUT))
        cls.events = [json.loads(line, parse_float=Decimal) for line in cls.lines]
        cls.orders, cls.net = defaultdict(list), defaultdict(Decimal)
        for event in cls.events:
            properties = event.get("properties", {})
            if event.get("event") == "Order Placed":
                cls.orders[event["userId"]].append((parse(event["timestamp"]), properties["revenue"]))
                cls.net[event["userId"]] += properties["revenue"]
            elif event.get("event") == "Order Refunded":
                cls.net[event["userId"]] -= properties["total"]

    def expect_segment(self, prefix, members):
        name = next(name for name in self.expected["segments"] if name.startswith(prefix + "_"))
        facts = self.expected["segments"][name]
        digest = hashlib.sha256("".join(f"{member}\n" for member in sorted(members)).encode()).hexdigest()
        self.assertEqual((len(members), digest), (facts["size"], facts["sha256_of_sorted_ids"]), name)

    def orders_where(self, condition):
        return {customer for customer, orders in self.orders.items() if condition(orders)}

    def test_counts_are_those_of_the_data_set(self):
        facts = self.expected["facts"]
        self.assertEqual(self.counts["rows"], facts["rows"])
        self.assertEqual(self.counts["rows without customer, skipped"], facts["rows_without_customer"])
        self.assertEqual(self.counts["customers (identify)"], facts["distinct_customers"])
        self.assertEqual(self.counts["orders (Order Placed)"], self.expected["rfm"]["purchase_invoices"])
        self.assertEqual(len(self.orders), self.expected["rfm"]["customers"])

    def test_the_sum_of_all_orders_is_exact(self):
        total = sum(revenue for orders in self.orders.values() for _, revenue in orders)
        self.assertEqual(total, Decimal(self.expected["rfm"]["gross_total_gbp"]))

    def test_orders_minus_refunds_is_the_sum_over_all_rows_of_each_customer(self):
        by_rows = defaultdict(Decimal)
        for row in convert.read_rows(INPUT):
            if row["customer_id"]:
                by_rows[row["customer_id"]] += int(row["quantity"]) * Decimal(row["unit_price_gbp"])
        self.assertEqual({customer: self.net[customer] for customer in by_rows}, by_rows)

    def test_products_add_up_to_the_total_of_their_event(self):
        for event in self.events:
            if event["type"] == "track":
                products = event["properties"]["products"]
                self.assertEqual(sum(p["price"] * p["quantity"] for p in products), event["properties"]["total"], event["messageId"])

    def test_segments_have_the_expected_members(self):
        count_90d = lambda orders: sum(DAYS_90 <= time < T for time, _ in orders)
        first, last = (lambda orders: min(orders)[0]), (lambda orders: max(orders)[0])
        self.expect_segment("S1", self.orders_where(lambda o: count_90d(o) >= 1))
        self.expect_segment("S2", self.orders_where(lambda o: len(o) >= 5))
        self.expect_segment("S3", self.orders_where(lambda o: sum(revenue for _, revenue in o) >= 1000))
        self.expect_segment("S4", self.orders_where(lambda o: len(o) >= 2 and last(o) < DAYS_180))
        self.expect_segment("S5", self.orders_where(lambda o: len(o) == 1))
        self.expect_segment("S6", self.orders_where(lambda o: DAYS_90 <= first(o) < T))
        self.expect_segment("S8", self.orders_where(lambda o: count_90d(o) >= 3))
        self.expect_segment("S9", self.orders_where(lambda o: len(o) >= 5 and last(o) < DAYS_90))
        customers = {event["userId"] for event in self.events}
        self.expect_segment("S7", {customer for customer in customers if self.net[customer] <= 0})

    def test_message_ids_are_unique(self):
        ids = [event["messageId"] for event in self.events]
        self.assertEqual(len(ids), len(set(ids)))

    def test_events_come_in_order_of_time_and_a_customer_is_known_before_the_first_order(self):
        times = [event["timestamp"] for event in self.events]
        self.assertEqual(times, sorted(times))
        identified = set()
        for event in self.events:
            if event["type"] == "identify":
                identified.add(event["userId"])
            self.assertIn(event["userId"], identified)


class SmallInputs(unittest.TestCase):
    def test_a_cancellation_becomes_a_refund_with_positive_total(self):
        events, _ = events_of("C1,85123A,CREAM LANTERN,-3,2011-01-01 10:00:00,2.55,12345,France\n")
        self.assertEqual([event["type"] for event in events], ["identify", "track"])
        self.assertEqual(events[1]["event"], "Order Refunded")
        self.assertEqual(events[1]["properties"]["total"], Decimal("7.65"))
        self.assertEqual(events[1]["properties"]["products"][0]["quantity"], 3)

    def test_a_total_that_no_float_can_hold_is_written_exactly(self):
        lines, _ = convert.convert(rows("1,A,THING,1,2011-01-01 10:00:00,0.1,12345,France\n1,B,THING,1,2011-01-01 10:00:00,0.2,12345,France\n"))
        self.assertIn('"revenue":0.3,"total":0.3', lines[1])

    def test_free_rows_and_rows_without_customer_make_no_order(self):
        events, counts = events_of("1,A,THING,1,2011-01-01 10:00:00,0,12345,France\n2,A,THING,1,2011-01-01 10:00:00,5,,France\n")
        self.assertEqual([event["type"] for event in events], ["identify"])
        self.assertEqual(counts["rows at price zero, left out"], 1)
        self.assertEqual(counts["rows without customer, skipped"], 1)

    def test_a_country_that_is_none_gives_no_trait(self):
        events, _ = events_of("1,A,THING,1,2011-01-01 10:00:00,5,12345,European Community\n")
        self.assertEqual(events[0]["traits"], {"email": "12345@example.com"})

    def test_an_invoice_of_two_customers_is_refused(self):
        with self.assertRaisesRegex(ValueError, "two customers"):
            events_of("1,A,THING,1,2011-01-01 10:00:00,5,12345,France\n1,A,THING,1,2011-01-01 10:00:00,5,12346,France\n")

    def test_a_row_that_is_neither_purchase_nor_cancellation_is_refused_not_dropped(self):
        with self.assertRaisesRegex(ValueError, "neither purchase nor cancellation"):
            events_of("1,A,THING,-1,2011-01-01 10:00:00,5,12345,France\n")

    def test_families_match_whole_words(self):
        self.assertEqual(convert.category("1", "72 RETROSPOT CAKE CASES"), "baking supplies")
        self.assertEqual(convert.category("1", "REGENCY CAKESTAND 3 TIER"), "tableware")
        self.assertEqual(convert.category("1", "CREAM CUPID HEARTS COAT HANGER"), "storage")  # CUPID is no CUP
        self.assertEqual(convert.category("POST", "POSTAGE"), "charges")


class CommandLine(unittest.TestCase):
    def run_script(self, *arguments):
        return subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True, text=True)

    def test_says_that_addresses_are_not_real_and_writes_the_same_bytes_twice(self):
        with tempfile.TemporaryDirectory() as folder:
            source = os.path.join(folder, "in.csv")
            with open(source, "w") as file:
                file.write(",".join(convert.INPUT_COLUMNS) + "\n1,A,THING,1,2011-01-01 10:00:00,5,12345,France\n")
            outputs = []
            for name in ("a.jsonl.gz", "b.jsonl.gz"):
                done = self.run_script(source, os.path.join(folder, name))
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertIn("derived, not real", done.stderr)
                with open(os.path.join(folder, name), "rb") as file:
                    outputs.append(file.read())
            self.assertEqual(outputs[0], outputs[1])
            self.assertEqual(len(gzip.decompress(outputs[0]).splitlines()), 2)

    def test_a_file_with_other_columns_is_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            source = os.path.join(folder, "in.csv")
            with open(source, "w") as file:
                file.write("a,b\n1,2\n")
            done = self.run_script(source)
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertIn("expected the columns", done.stderr)

    def test_a_missing_file_is_named(self):
        done = self.run_script("/nonexistent/input.csv")
        self.assertEqual(done.returncode, 1)
        self.assertIn("/nonexistent/input.csv", done.stderr)


if __name__ == "__main__":
    unittest.main()
