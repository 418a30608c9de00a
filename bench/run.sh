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
printf '%-68s %16s  %s\n' "figure" "measured" "mark"
row() { # what, mark, sed expression that prints the figure
  printf '%-68s %16s  %s\n' "$1" "$(sed -n "$3" "$out" | head -n 1)" "$2"
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
per_cpu='s/^  \([0-9]*\) events per second of server CPU.*/\1/p'
at_half='/^ at half/,/^  acknowledged/'
half_acknowledged='s/^  acknowledged.*, p99 \([0-9.]*\) ms; on disk.*/\1/p'
half_applied='s/^  acknowledged.* on disk.*, p99 <= \([0-9.]*\) ms;.*/\1/p'
for segments in 0 7 100; do
  for messages in 100 1; do
    [ "$messages" = 1 ] && mark=80,000 || mark=750,000
    run="/^http, $segments segments, $messages events/,/^http, /"
    row "HTTP, $messages a request, $segments segments: events per server-CPU second" ">= $mark" "$run$per_cpu"
    row "  at half load: acknowledged, p99, ms" "< 20" "$run{$at_half$half_acknowledged}"
    [ "$segments" = 0 ] || row "  at half load: on disk to change of a segment, p99, ms" "< 5" "$run{$at_half$half_applied}"
  done
done
echo "load average while this ran: $(cut -d ' ' -f 1-3 /proc/loadavg)"
