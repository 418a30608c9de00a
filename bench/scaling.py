#!/usr/bin/env python3
"""How cost grows: with events, people, segments, window length and one person's share; and the cold time with events.

  bench/scaling.py BUILD-FOLDER OUT-FOLDER [--only events,people,segments,catalogue,windows,hot,cold] [--repeat 1] [--plot]
                   [--largest N]

Runs apply_bench and seven_bench at several sizes, writes OUT-FOLDER/scaling.csv (a line a run) and a picture for
each question, OUT-FOLDER/*.svg. --plot: draws again what the table has, without measuring; --only: measures these
and keeps the other lines; --largest: no run of more events. Costs are CPU time, medians of --repeat runs. About a
quarter of an hour on a quiet machine, 6 GB of memory.
"""

import argparse
import csv
import json
import math
import os
import re
import statistics
import subprocess
import sys

RUN_SECONDS_MAX = 400
FIELDS = ["question", "size", "events", "people", "segments", "window_percent", "hot_events", "catalogue",
          "ns_per_event", "last_tenth_ns", "entries_per_event", "mib", "cold_ms"]
STANDARD = {"events": 1_000_000, "people": 10_000, "segments": 100, "window_percent": 100, "hot_events": 0}


def apply_sizes():
    """question -> the sizes of its runs, where they differ from the standard ones."""
    return {
        # The shop grows: a hundred events a person.
        "events": [{"events": n, "people": n // 100} for n in (10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000,
                                                               10_000_000)],
        # The same events, of more people.
        "people": [{"people": n} for n in (100, 300, 1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000)],
        "segments": [{"segments": n, "events": 50_000, "people": 1_000}
                     for n in (7, 30, 100, 300, 1_000, 3_000, 10_000)],
        # A large workspace: beyond a hundred, each segment is about one of many values.
        "catalogue": [{"segments": n, "events": 50_000, "people": 1_000, "catalogue": 1}
                      for n in (100, 300, 1_000, 3_000, 10_000)],
        "windows": [{"window_percent": n} for n in (1, 3, 10, 30, 100, 200, 400)],
        "hot": [{"hot_events": n} for n in (1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000)],
    }


VARIED = {"events": "events", "people": "people", "segments": "segments", "catalogue": "segments",
          "windows": "window_percent", "hot": "hot_events"}
COLD_EVENTS = (10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000, 10_000_000)


def run(command):
    """What a program prints; ends this one with its message when it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        print(f"{' '.join(command)}: not done after {RUN_SECONDS_MAX} s; left out", file=sys.stderr)
        return None
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def measure_apply(build, question, size, repeat):
    arguments = [text for name, value in size.items() for text in (f"--{name.replace('_', '-')}", str(value))]
    whole, tail, entries, mib = [], [], 0.0, 0.0
    for _ in range(repeat):
        out = run([os.path.join(build, "apply_bench"), *arguments])
        if out is None:
            return None
        whole.append(1e9 / float(re.search(r"apply: (\d+) events/s of CPU", out)[1]))
        tail.append(1e9 / float(re.search(r"last tenth, (\d+) events/s", out)[1]))
        found = re.search(r"(\d+) events, (\d+) entries and exits.* (\d+) MiB", out)
        entries, mib = int(found[2]) / int(found[1]), int(found[3])
    return {"question": question, "size": size[VARIED[question]], **size, "ns_per_event": round(statistics.median(whole)),
            "last_tenth_ns": round(statistics.median(tail)), "entries_per_event": round(entries, 3), "mib": mib}


def measure_cold(build, events, repeat):
    size = {**STANDARD, "events": events, "people": max(100, events // 100), "segments": 7}
    out = run([os.path.join(build, "seven_bench"), "--events", str(events), "--people", str(size["people"]), "--batches", "1",
               "--tail", "1000", "--runs", str(2 * repeat + 1)])
    rows = []
    for line in (json.loads(text) for text in (out or "").splitlines()):
        if line["what"] == "live":
            rows.append({"question": f"cold {line['segment']}", "size": events, **size, "cold_ms": round(line["cpu_ms"], 3)})
    return rows


# Pictures. Sizes in user units; both axes are logarithmic.

WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 76, 172, 46, 58
COLOURS = ["#0b6bcb", "#c2410c", "#15803d", "#7e22ce", "#a16207", "#be185d", "#475569", "#0f766e"]


def short(number):
    for limit, unit in ((1e6, " M"), (1e3, " k")):
        if number >= limit:
            return f"{number / limit:g}{unit}"
    return f"{number:g}"


def nice_ticks(low, high):
    """1, (2, 5,) 10, ... within [low, high]."""
    steps = (1, 2, 5) if high / low < 200 else (1,)
    exponents = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)
    return [step * 10.0**e for e in exponents for step in steps if low * 0.999 <= step * 10.0**e <= high * 1.001]


def escape(text):
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def plot(path, title, x_label, y_label, lines, proportional_from=None):
    """lines: {label: [(x, y)]}, all above zero. proportional_from: a dashed line through the first line's point there, that
    grows as x does."""
    lines = {label: sorted(points) for label, points in lines.items() if points}
    if not lines:
        return
    xs = [x for points in lines.values() for x, _ in points]
    ys = [y for points in lines.values() for _, y in points]
    x_low, x_high = min(xs), max(max(xs), min(xs) * 1.01)
    y_low, y_high = min(ys) / 1.5, max(ys) * 1.5
    if y_high / y_low < 10:  # a flat line shall look flat
        middle = math.sqrt(y_low * y_high)
        y_low, y_high = middle / math.sqrt(10), middle * math.sqrt(10)

    def x_at(x):
        return LEFT + (WIDTH - LEFT - RIGHT) * math.log(x / x_low) / math.log(x_high / x_low)

    def y_at(y):
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * math.log(y / y_low) / math.log(y_high / y_low)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
           'font-family="Helvetica, Arial, sans-serif" font-size="12" fill="#1f2937">',
           f"<title>{escape(title)}</title>",
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
           f'<text x="{LEFT}" y="24" font-size="15" font-weight="bold">{escape(title)}</text>']
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    for tick in nice_ticks(y_low, y_high):
        y = y_at(tick)
        out.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}" stroke="#e5e7eb"/>')
        out.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{short(tick)}</text>')
    for tick in nice_ticks(x_low, x_high):
        x = x_at(tick)
        out.append(f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{bottom}" stroke="#f3f4f6"/>')
        out.append(f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{short(tick)}</text>')
    out.append(f'<path d="M{LEFT} {TOP}V{bottom}H{right}" fill="none" stroke="#6b7280"/>')
    out.append(f'<text x="{(LEFT + right) / 2:.1f}" y="{HEIGHT - 16}" text-anchor="middle">{escape(x_label)}</text>')
    middle = (TOP + bottom) / 2
    out.append(f'<text x="18" y="{middle:.1f}" text-anchor="middle" transform="rotate(-90 18 {middle:.1f})">{escape(y_label)}</text>')
    anchor = next(((x, y) for x, y in next(iter(lines.values())) if x == proportional_from), None)
    if anchor:
        first = max(x_low, anchor[0] * y_low / anchor[1])
        last = min(x_high, anchor[0] * y_high / anchor[1])
        (x1, y1), (x2, y2) = ((x_at(x), y_at(x * anchor[1] / anchor[0])) for x in (first, last))
        out.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#9ca3af" stroke-dasharray="4 4"/>')
        out.append(f'<text x="{LEFT + 10}" y="{TOP + 12}" fill="#6b7280">dashed: in proportion</text>')
    ends = []  # where each line's label stands, none on another
    for i, (label, points) in enumerate(lines.items()):
        colour = COLOURS[i % len(COLOURS)]
        places = " ".join(f"{x_at(x):.1f},{y_at(y):.1f}" for x, y in points)
        out.append(f'<polyline points="{places}" fill="none" stroke="{colour}" stroke-width="2"/>')
        out += [f'<circle cx="{x_at(x):.1f}" cy="{y_at(y):.1f}" r="3" fill="{colour}"><title>{short(x)}: {y:,.4g}</title></circle>'
                for x, y in points]
        ends.append([y_at(points[-1][1]), label, colour])
    ends.sort()
    for i in range(1, len(ends)):
        ends[i][0] = max(ends[i][0], ends[i - 1][0] + 15)
    for i in reversed(range(len(ends))):
        ends[i][0] = min(ends[i][0], bottom - 15 * (len(ends) - 1 - i))
    out += [f'<text x="{right + 10}" y="{y + 4:.1f}" fill="{colour}">{escape(label)}</text>' for y, label, colour in ends]
    out.append("</svg>")
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(out) + "\n")


def draw(rows, folder):
    def points(question, field, scale=1.0):
        return [(float(row["size"]), float(row[field]) * scale) for row in rows
                if row["question"] == question and row[field] and float(row[field]) > 0]

    cost = "microseconds of CPU per event"
    for question, title, x_label in [
            ("events", "Cost of an event as the shop grows", "events, a hundred a person (100 segments, 180 days)"),
            ("people", "Cost of an event by people", "people (1 million events, 100 segments)"),
            ("segments", "Cost of an event by segments", "segments (50,000 events, 1,000 people)"),
            ("windows", "Cost of an event by the length of windows", "length of all windows, % (1 million events, 100 segments)"),
            ("hot", "Cost of an event when one person has many", "events of one person, of 1 million (100 segments)")]:
        lines = {"all events": points(question, "ns_per_event", 1e-3), "the last tenth": points(question, "last_tenth_ns", 1e-3)}
        if question == "segments":
            lines["about one value each"] = points("catalogue", "ns_per_event", 1e-3)
        plot(os.path.join(folder, f"{question}.svg"), title, x_label, cost, lines,
             300 if question == "segments" else None)
    plot(os.path.join(folder, "entries.svg"), "Entries and exits an event causes", "length of all windows, %",
         "entries and exits per event", {"of 100 segments": points("windows", "entries_per_event")})
    plot(os.path.join(folder, "cold.svg"), "A new segment becomes live", "events in the history, a hundred a person",
         "milliseconds of CPU", {name: points(f"cold {name}", "cold_ms") for name in
                                 ["all", *(f"s{i}" for i in range(1, 8))]}, 1_000_000)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("out")
    parser.add_argument("--only", default=",".join([*VARIED, "cold"]))
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--largest", type=int, default=10_000_000)
    parser.add_argument("--plot", action="store_true")
    settings = parser.parse_args()
    wanted = set(settings.only.split(","))
    os.makedirs(settings.out, exist_ok=True)
    table = os.path.join(settings.out, "scaling.csv")
    rows = []
    if os.path.exists(table):
        with open(table, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))

    def keep():
        with open(table, "w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, FIELDS, lineterminator="\n", restval="")
            writer.writeheader()
            writer.writerows(rows)

    if not settings.plot:
        rows = [row for row in rows if row["question"].split(" ")[0] not in wanted]
        for question, sizes in apply_sizes().items():
            sizes = [{**STANDARD, **size} for size in sizes]
            for size in sizes if question in wanted else []:
                if size["events"] > settings.largest:
                    continue
                found = measure_apply(settings.build, question, size, settings.repeat)
                if found:
                    rows.append(found)
                    print(f"{question:<10}{found['size']:>12,}{found['ns_per_event']:>10,} ns an event, the last tenth "
                          f"{found['last_tenth_ns']:,}; {found['entries_per_event']} entries and exits", flush=True)
        for events in COLD_EVENTS if "cold" in wanted else []:
            if events > settings.largest:
                continue
            found = measure_cold(settings.build, events, settings.repeat)
            rows += found
            print(f"{'cold':<10}{events:>12,}  " + "  ".join(f"{r['question'][5:]} {r['cold_ms']:g} ms" for r in found), flush=True)
        keep()
        with open(table, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    draw(rows, settings.out)


if __name__ == "__main__":
    main()
