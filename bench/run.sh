#!/bin/sh
# Runs all benchmarks and prints one table with their marks.   bench/run.sh BUILD-FOLDER
set -eu
build=$1
out=$(mktemp)
trap 'rm -f "$out"' EXIT
{
  "$build/apply_bench"
  "$build/store_bench"
  "$(dirname "$0")/http.sh" "$build"
} | tee "$out"
echo
printf '%-62s %16s  %s\n' "figure" "measured" "mark"
row() { # what, mark, sed expression that prints the figure
  printf '%-62s %16s  %s\n' "$1" "$(sed -n "$3" "$out" | head -n 1)" "$2"
}
row "events/s applied, 100 segments, one core (CPU time)" ">= 1,000,000" 's/^apply: \([0-9]*\) events\/s of CPU.*/\1/p'
row "back-fill without a where, s" "" 's/^new segment without[^:]*: \([0-9.]*\) s by.*/\1/p'
row "back-fill with a where and a sum, s" "" 's/^new segment with a[^:]*: \([0-9.]*\) s by.*/\1/p'
row "restart from a snapshot to full service, s" "< 5" 's/^restart[^:]*: \([0-9.]*\) s by.*/\1/p'
row "backtest of 30 days, s" "" 's/^backtest of 30 days: \([0-9.]*\) s by.*/\1/p'
row "backtest of 180 days, s" "" 's/^backtest of 180 days: \([0-9.]*\) s by.*/\1/p'
row "snapshot written, s" "" 's/^snapshot written: \([0-9.]*\) s by.*/\1/p'
row "snapshot, MiB" "" 's/^snapshot: \([0-9]*\) MiB/\1/p'
row "memory, bytes per event" "" 's/^memory: \([0-9]*\) bytes.*/\1/p'
row "events/s over HTTP, durable, by the clock" ">= 150,000" 's/^http: \([0-9]*\) events\/s.*/\1/p'
row "events over HTTP per second of server CPU" "" 's/^http:.*durable; \([0-9]*\) events.*/\1/p'
echo "load average while this ran: $(cut -d ' ' -f 1-3 /proc/loadavg)"
