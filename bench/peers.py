#!/usr/bin/env python3
"""Seven segments in Tailrace, in plain C++, in DuckDB and in ClickHouse: one run, the same data, one table.

  bench/peers.py BUILD-FOLDER [--events 1000000] [--people 10000] [--tail 100000] [--batch 1000] [--batches 100]
                 [--seconds 20] [--runs 5] [--json FILE] [--without duckdb,clickhouse]

From nothing: a workspace with a segment becomes live over a history that is there (compiled, back-filled,
everybody evaluated), or the segment is asked for once; the others run its query. The two properties that are
asked for are `indexed`, as the others have columns of them; without that, records are read again. Between two
steps of becoming live a server applies what has come in. Kept fresh: batches are
appended, and all seven are up to date after each. The peers come from npm, at the versions below, into
BUILD-FOLDER/peers, where they stay; data and databases go to a temporary folder, which goes. A peer that cannot
be installed is left out, with a word. Every part has a time limit. All answers are compared.

Sizes: 1 million events of 10,000 people take a minute. 10 million of 100,000 take five and 6 GB of memory; the seven
sets are then those of bench/workload.h. From 50 million on Tailrace's records stand in a temporary file, some 250 bytes
each, of which the system keeps in memory what it can.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
PACKAGES = {"duckdb": ("@duckdb/node-api", "1.5.6-r.1"), "clickhouse": ("chdb", "3.4.0")}
NAMES = {"tailrace": "Tailrace", "reference": "plain C++", "duckdb": "DuckDB", "clickhouse": "ClickHouse"}
SEGMENTS = [f"s{i}" for i in range(1, 8)]
EVENTS_IN_MEMORY_MAX = 50_000_000
INSTALL_SECONDS_MAX = 300


def say(text):
    print(text, file=sys.stderr, flush=True)


def install(peer, folder):
    """True when the peer's package is in folder/node_modules at its version. The ordinary client, as it is set up."""
    package, version = PACKAGES[peer]
    try:
        with open(os.path.join(folder, "node_modules", package, "package.json"), encoding="utf-8") as file:
            if json.load(file)["version"] == version:
                return True
    except (OSError, ValueError, KeyError):
        pass
    if shutil.which("node") is None or shutil.which("npm") is None:
        say(f"{NAMES[peer]}: left out, node and npm are not installed")
        return False
    os.makedirs(folder, exist_ok=True)
    manifest = os.path.join(folder, "package.json")
    if not os.path.exists(manifest):
        with open(manifest, "w", encoding="utf-8") as file:
            file.write('{"private": true}\n')
    say(f"{NAMES[peer]}: installing {package} {version} into {folder}")
    try:
        run = subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--save-exact", f"{package}@{version}"], cwd=folder,
                             capture_output=True, text=True, timeout=INSTALL_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        say(f"{NAMES[peer]}: left out, it could not be installed in {INSTALL_SECONDS_MAX} s")
        return False
    if run.returncode != 0:
        reason = (run.stderr.strip().splitlines() or ["no reason given"])[-1]
        say(f"{NAMES[peer]}: left out, it could not be installed: {reason}")
    return run.returncode == 0


def figures(name, command, seconds_max, environment=None):
    """The JSON lines a program prints, or None, with a word, when it fails or takes too long."""
    say(f"{NAMES[name]}: running")
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=seconds_max, env=environment)
    except subprocess.TimeoutExpired:
        say(f"{NAMES[name]}: left out, not done after {seconds_max} s")
        return None
    if run.returncode != 0:
        say(f"{NAMES[name]}: left out: {run.stderr.strip()[-500:]}")
        return None
    return [json.loads(line) for line in run.stdout.splitlines() if line.startswith("{")]


def row(lines, what, value):
    """A figure by segment; and 'all': of all at once where that was measured, else the sum."""
    found = {line["segment"]: line for line in lines if line["what"] == what}
    if not found:
        return None
    result = {segment: found[segment][value] for segment in SEGMENTS}
    result["all"] = found["all"][value] if "all" in found else sum(result.values())
    if value not in ("cpu_ms", "step_ms") and "cpu_ms" in next(iter(found.values())):
        cpu = row(lines, what, "cpu_ms")
        result["cpu"] = cpu["all"] if value != "cold_ms" else None
    return result


def collect(results):
    """[(label, row)] of what was measured from nothing, and [(label, figures)] of what was kept fresh."""
    scratch, fresh = [], []
    for name, lines in results.items():
        forms = {"tailrace": [("live", "ms", "Tailrace, a segment becomes live"),
                              ("live", "step_ms", "  longest step of that"),
                              ("asked", "ms", "Tailrace, asked for its members"),
                              ("live_log", "ms", "  live, no property indexed"),
                              ("asked_log", "ms", "  asked, no property indexed")],
                 "reference": [("scratch", "ms", "plain C++, one thread")]}.get(
                     name, [("scratch", "cold_ms", f"{NAMES[name]}, first query"),
                            ("scratch", "ms", f"{NAMES[name]}, again (median)")])
        for what, value, label in forms:
            figure = row(lines, what, value)
            if figure:
                scratch.append((label, figure))
        fresh += [(NAMES[name], line) for line in lines if line["what"] == "fresh"]
    return scratch, fresh


def table(results, settings):
    scratch, fresh = collect(results)
    out = [f"Seven segments over {settings.events:,} events of {settings.people:,} people; milliseconds, smaller is better", ""]
    out.append(f"{'from nothing':<34}" + "".join(f"{s:>8}" for s in SEGMENTS) + f"{'all':>9}{'CPU':>9}{'all : ours':>12}{'CPU : ours':>12}")
    ours = next((figure for label, figure in scratch if label.startswith("Tailrace")), None)
    for label, figure in scratch:
        cpu = figure.get("cpu")
        out.append(f"{label:<34}" + "".join(f"{figure[s]:8.2f}" for s in SEGMENTS) + f"{figure['all']:9.2f}"
                   + (f"{cpu:9.2f}" if cpu is not None else f"{'':>9}")
                   + (f"{figure['all'] / ours['all']:11.2f}x" if ours and "step" not in label else "")
                   + (f"{cpu / ours['cpu']:11.2f}x" if ours and cpu is not None else ""))
    out += ["", f"{f'kept fresh, batches of {settings.batch:,}':<34}{'p50 ms':>10}{'max ms':>10}{'events/s':>14}"
            f"{'per CPU s':>14}{'p50 : ours':>12}{'ours : events/s':>17}"]
    ours = next((figure for label, figure in fresh if label == "Tailrace"), None)
    for label, figure in fresh:
        out.append(f"{label:<34}{figure['p50_ms']:10.2f}{figure['max_ms']:10.2f}{figure['events_per_s']:14,.0f}"
                   f"{figure['events_per_cpu_s']:14,.0f}"
                   + (f"{figure['p50_ms'] / ours['p50_ms']:11.2f}x{ours['events_per_s'] / figure['events_per_s']:16.2f}x"
                      if ours else ""))
    out += ["", "Tailrace reads encoded records, drops duplicates, checks the taxonomy, resolves identities, and says who entered",
            "and left; the others are given numbered people and batches parsed beforehand, and say who is in."]
    return "\n".join(out)


def compare(results):
    """Whether all found the same members; says where not."""
    sets = {name: {line["segment"]: (line["members"], line["sum"]) for line in lines if line["what"] == "members"}
            for name, lines in results.items()}
    same = True
    for segment in SEGMENTS:
        found = {members.get(segment) for members in sets.values()}
        if len(found) > 1:
            same = False
            say(f"{segment} differs: " + ", ".join(f"{NAMES[name]} {members.get(segment)}" for name, members in sets.items()))
    return same


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    for name, otherwise in [("events", 1_000_000), ("people", 10_000), ("tail", 100_000), ("batch", 1000), ("batches", 100),
                            ("seconds", 20), ("runs", 5)]:
        parser.add_argument(f"--{name}", type=int, default=otherwise)
    parser.add_argument("--json")
    parser.add_argument("--without", default="")
    settings = parser.parse_args()
    settings.tail = min(settings.tail, settings.events // 2)
    without = set(filter(None, settings.without.split(",")))
    build = os.path.abspath(settings.build)
    seconds_max = 120 + settings.events // 20_000
    sizes = [argument for name in ("events", "people", "tail", "batch", "batches", "runs")
             for argument in (f"--{name}", str(getattr(settings, name)))]
    results = {}

    def note(name, lines):
        if lines is not None:
            results[name] = lines

    with tempfile.TemporaryDirectory(prefix="tailrace-peers-") as folder:
        for name, program in [("tailrace", "seven_bench"), ("reference", "reference_bench")]:
            if name not in without:
                in_file = name == "tailrace" and settings.events > EVENTS_IN_MEMORY_MAX
                command = [os.path.join(build, program), *sizes, *(["--records-in-file", "1"] if in_file else [])]
                note(name, figures(name, command, seconds_max))
        peers = [peer for peer in PACKAGES if peer not in without and install(peer, os.path.join(build, "peers"))]
        if peers:
            subprocess.run([os.path.join(build, "shop_csv"), folder, *sizes], check=True, timeout=seconds_max)
        environment = {**os.environ, "NODE_PATH": os.path.join(build, "peers", "node_modules")}
        for peer in peers:
            place = os.path.join(folder, peer)
            os.mkdir(place)
            note(peer, figures(peer, ["node", os.path.join(HERE, "peers", f"{peer}.js"), os.path.join(folder, "events.csv"),
                                      os.path.join(folder, "people.csv"), place,
                                      *(str(getattr(settings, name)) for name in ("tail", "batch", "batches", "seconds", "runs"))],
                               seconds_max, environment))
            shutil.rmtree(place)
    print(table(results, settings))
    same = compare(results)
    versions = [f"{NAMES[name]} {line['version'].lstrip('v')}" for name, lines in results.items() for line in lines
                if line["what"] == "version"]
    print(". ".join([f"Members: {'the same in all' if same else 'NOT the same'}", *versions]))
    if settings.json:
        with open(settings.json, "w", encoding="utf-8") as file:
            json.dump({"settings": vars(settings), "results": results}, file, indent=1)
            file.write("\n")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
