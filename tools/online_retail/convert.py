#!/usr/bin/env python3
"""Turns the Online Retail data set (one row per order line) into Segment-style calls, one JSON object per line.

    tools/online_retail/convert.py examples/online-retail/data/transactions_until_2011-09-30.csv.gz events.jsonl.gz

The second argument may be left out (standard output) and may end in .gz. A summary goes to standard error.

What becomes what:
  * each invoice with at least one purchase row (its number starts with neither C nor A, quantity > 0, price > 0)
    becomes one `Order Placed`, with the purchase rows as `products`; revenue = total = the sum over those rows. Postage
    and other charges are rows of the invoice, and stay in it;
  * each cancellation (invoice number starts with C) becomes one `Order Refunded` with a positive `total`. The data does
    not say which order was cancelled, so `order_id` is the cancellation's own number;
  * each customer becomes one `identify`, dated at the first invoice, with the country of the last one;
  * rows without a customer are skipped and counted; so are a customer's rows at price zero, which change no sum.

So a customer's orders minus refunds is exactly the sum of quantity x price over all of the customer's rows.

Made up, because the data has none: the e-mail address, `<customer id>@example.com`. Derived: the category, see FAMILIES.
The shop's clock has no time zone; its local times are written as if they were UTC.

Money is never a float: sums are decimals, and are written with the digits they have.
"""

import csv
import gzip
import io
import json
import re
import sys
from collections import Counter
from decimal import Decimal

# The first family one of whose keywords stands in the description as a whole word, singular or plural, names the
# product's category. Order matters: cake cases are used up and bought again, a cake stand is not, and a t-light holder
# for Christmas is filed under candles.
FAMILIES = (
    ("lunch bags", ("LUNCH BAG", "LUNCH BOX", "SNACK BOX")),
    ("baking supplies", ("CAKE CASE", "BAKING", "COOKIE CUTTER", "JELLY MOULD", "ICING", "CAKE MOULD", "MUFFIN")),
    ("paper tableware", ("NAPKIN", "PAPER PLATE", "PAPER CUP", "DOILIE", "DOILEY", "DOILY")),
    ("candles", ("T-LIGHT", "CANDLE", "LANTERN", "INCENSE")),
    ("bags", ("BAG", "SHOPPER", "PURSE")),
    ("party", ("PARTY", "BUNTING", "BALLOON", "GARLAND", "CONFETTI")),
    ("christmas", ("CHRISTMAS", "ADVENT", "XMAS", "REINDEER", "SANTA", "SNOWMAN")),
    ("stationery", ("CARD", "PENCIL", "NOTEBOOK", "WRAP", "RIBBON", "TISSUE", "STICKER", "ERASER", "CHALK", "TAPE", "PEN")),
    ("tableware", ("MUG", "CUP", "TEA", "COFFEE", "SAUCER", "PLATE", "BOWL", "CUTLERY", "CAKESTAND", "CAKE STAND", "GLASS", "JUG", "EGG")),
    ("storage", ("TIN", "BOX", "JAR", "DRAWER", "BASKET", "STORAGE", "CABINET", "HOOK", "HANGER", "KNOB")),
    ("signs and frames", ("SIGN", "FRAME", "CLOCK", "MIRROR", "CHALKBOARD", "DOORMAT", "DOOR MAT")),
    ("textiles", ("CUSHION", "QUILT", "TOWEL", "APRON", "THROW", "CURTAIN", "HOT WATER BOTTLE", "HAND WARMER")),
    ("toys", ("PLASTERS", "TOY", "SKIPPING", "PLAYHOUSE", "CHILDREN", "CHILDRENS", "GAME", "JIGSAW", "FELTCRAFT", "DOLL", "SPACEBOY")),
    ("garden", ("GARDEN", "PLANT", "FLOWER", "BIRD", "WATERING", "PARASOL", "HERB")),
    ("jewellery", ("NECKLACE", "BRACELET", "EARRING", "RING", "BROOCH", "TRINKET")),
)
FAMILY_PATTERNS = tuple(
    (family, re.compile(r"(?<![A-Z])(?:%s)(?:E?S)?(?![A-Z])" % "|".join(map(re.escape, keywords)))) for family, keywords in FAMILIES)
# Charges that are rows of an invoice and no products: postage, manual entries, discounts, carriage, bank charges.
CHARGES = {"POST", "DOT", "M", "D", "C2", "BANK CHARGES", "CRUK"}

COUNTRIES = {
    "Australia": "AU", "Austria": "AT", "Bahrain": "BH", "Belgium": "BE", "Brazil": "BR", "Canada": "CA",
    "Cyprus": "CY", "Czech Republic": "CZ", "Denmark": "DK", "EIRE": "IE", "Finland": "FI", "France": "FR",
    "Germany": "DE", "Greece": "GR", "Hong Kong": "HK", "Iceland": "IS", "Israel": "IL", "Italy": "IT", "Japan": "JP",
    "Lebanon": "LB", "Lithuania": "LT", "Malta": "MT", "Netherlands": "NL", "Norway": "NO", "Poland": "PL",
    "Portugal": "PT", "RSA": "ZA", "Saudi Arabia": "SA", "Singapore": "SG", "Spain": "ES", "Sweden": "SE",
    "Switzerland": "CH", "USA": "US", "United Arab Emirates": "AE", "United Kingdom": "GB",
}  # "Channel Islands", "European Community" and "Unspecified" are no country of ISO 3166: they give no trait.

INPUT_COLUMNS = ["invoice_no", "stock_code", "description", "quantity", "invoice_datetime", "unit_price_gbp", "customer_id", "country"]


def category(stock_code, description):
    if stock_code in CHARGES:
        return "charges"
    for family, pattern in FAMILY_PATTERNS:
        if pattern.search(description):
            return family
    return "other"


def decimal_text(value):
    """The digits of a Decimal as a JSON number, without exponent and without zeros at the end."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def utc(local):
    return local.replace(" ", "T") + "Z"


class Invoice:
    """The rows of one invoice that count. The data never spreads an invoice over two customers (the test checks)."""

    def __init__(self, number, customer, time):
        self.number = number
        self.customer = customer
        self.time = time  # of the first row; a few invoices run into the next minute
        self.total = Decimal(0)
        self.products = []

    def add(self, stock_code, description, quantity, price, product_category):
        self.total += quantity * price
        self.products.append(
            '{"product_id":%s,"name":%s,"category":%s,"price":%s,"quantity":%d}'
            % (json.dumps(stock_code), json.dumps(description), json.dumps(product_category), decimal_text(price), quantity))


def convert(rows):
    """rows: dictionaries by column. Returns (lines in order of time, counts)."""
    orders, refunds, customers = {}, {}, {}
    counts = Counter()
    categories = {}
    for row in rows:
        counts["rows"] += 1
        customer, number, time = row["customer_id"], row["invoice_no"], row["invoice_datetime"]
        if not customer:
            counts["rows without customer, skipped"] += 1
            continue
        first, last, country = customers.get(customer, (time, time, row["country"]))
        customers[customer] = (min(first, time), max(last, time), row["country"] if time >= last else country)
        quantity, price = int(row["quantity"]), Decimal(row["unit_price_gbp"])
        if quantity * price == 0:
            counts["rows at price zero, left out"] += 1
            continue
        if number[0] == "C":
            invoices, sign = refunds, -1
        elif number[0] != "A" and quantity > 0 and price > 0:
            invoices, sign = orders, 1
        else:
            # There is none in this data; one in another copy would silently change a customer's sum.
            raise ValueError(f"row {counts['rows']}: neither purchase nor cancellation: {row}")
        if number not in invoices:
            invoices[number] = Invoice(number, customer, time)
        invoice = invoices[number]
        if invoice.customer != customer:
            raise ValueError(f"row {counts['rows']}: invoice {number} belongs to two customers")
        invoice.time = min(invoice.time, time)
        product = (row["stock_code"], row["description"])
        if product not in categories:
            categories[product] = category(*product)
        invoice.add(*product, sign * quantity, price, categories[product])

    lines = []
    for customer, (first, _, country) in customers.items():
        traits = {"email": f"{customer}@example.com"}
        if country in COUNTRIES:
            traits["country"] = COUNTRIES[country]
        lines.append((first, 0, customer, json.dumps(
            {"type": "identify", "messageId": f"identify-{customer}", "userId": customer, "timestamp": utc(first), "traits": traits},
            separators=(",", ":"))))
    for kind, event, invoices in ((1, "Order Placed", orders), (2, "Order Refunded", refunds)):
        for invoice in invoices.values():
            total = decimal_text(invoice.total)
            money = f'"revenue":{total},"total":{total}' if event == "Order Placed" else f'"total":{total}'
            lines.append((invoice.time, kind, invoice.number, (
                '{"type":"track","event":"%s","messageId":"invoice-%s","userId":"%s","timestamp":"%s",'
                '"properties":{"order_id":"%s",%s,"currency":"GBP","products":[%s]}}')
                % (event, invoice.number, invoice.customer, utc(invoice.time), invoice.number, money, ",".join(invoice.products))))
    lines.sort()
    counts["customers (identify)"] = len(customers)
    counts["orders (Order Placed)"] = len(orders)
    counts["refunds (Order Refunded)"] = len(refunds)
    return [line for _, _, _, line in lines], counts


def read_rows(path):
    with (gzip.open if path.endswith(".gz") else open)(path, "rt", encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        if reader.fieldnames != INPUT_COLUMNS:
            raise ValueError(f"{path}: expected the columns {','.join(INPUT_COLUMNS)}, found {reader.fieldnames}")
        yield from reader


def write_lines(lines, path):
    text = "\n".join(lines) + "\n"
    if path is None:
        sys.stdout.write(text)
    elif path.endswith(".gz"):
        # No file name and no time in the header: the same input gives the same bytes.
        with open(path, "wb") as raw, gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0, compresslevel=5) as out:
            with io.TextIOWrapper(out, encoding="utf-8") as file:
                file.write(text)
    else:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)


def main(arguments):
    if len(arguments) not in (1, 2) or arguments[0] in ("-h", "--help"):
        sys.stderr.write(__doc__)
        return 0 if arguments and arguments[0] in ("-h", "--help") else 2
    try:
        lines, counts = convert(read_rows(arguments[0]))
        write_lines(lines, arguments[1] if len(arguments) == 2 else None)
    except (OSError, ValueError, EOFError) as error:
        sys.stderr.write(f"convert.py: {error}\n")
        return 1
    for name, count in counts.items():
        sys.stderr.write(f"{count:>9,} {name}\n")
    sys.stderr.write(
        "The e-mail addresses (<customer id>@example.com) are derived, not real: the data set has no contact details.\n"
        "Times are the shop's local times, written as UTC. Data: UCI Online Retail, Daqing Chen (2015), CC BY 4.0.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
