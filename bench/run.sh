#!/bin/sh
# Runs all benchmarks and prints one table with their marks.   bench/run.sh BUILD-FOLDER [events] [http seconds]
# A program that fails or does not end in time is named, the others go on, and the exit code is 1.
set -u
build=$1
events=${2:-10000000}
people=$((events / 100))
# Also what a program that was ended leaves behind.
TMPDIR=$(mktemp -d)
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT
trap 'exit 1' INT TERM
out=$TMPDIR/out
failed=$TMPDIR/failed
ends=$(($(date +%s) + 595)) # ten minutes for all; the small ones come first
bench() { # program, arguments
  echo "running ${1##*/}" >&2
  left=$((ends - $(date +%s)))
  [ "$left" -gt 0 ] && timeout -k 5 "$left" "$@" && return
  echo "${1##*/} failed, or was not done within the ten minutes" >>"$failed"
}
{
  bench "$(dirname "$0")/http.sh" "$build" "${3:-10}"
  bench "$build/seven_bench" --events "$((events / 10))" --people "$((people / 10))"
  [ -x "$build/timers_bench" ] && bench "$build/timers_bench" --benchmark_filter='schedule_and_fire<TimerQueue>/10000000' 2>&1
  [ -x "$build/parts_bench" ] && bench "$build/parts_bench" --benchmark_filter='directory_find/|_again/|two_members' 2>&1
  [ -x "$build/identifiers_bench" ] && bench "$build/identifiers_bench" --benchmark_filter='email/' 2>&1
  bench "$build/apply_bench" --events "$events" --people "$people"
  bench "$build/apply_bench" --catalogue 1 --segments 10000 --events "$((events / 20))" --people "$((people / 20))" |
    sed 's/^apply:/large workspace:/'
  bench "$build/warehouse_bench" --events "$((events / 20))" --people "$((people / 10))"
  bench "$build/store_bench" --events "$events" --people "$people"
} | tee "$out"
echo
printf '%-68s %16s  %s\n' "figure, $events events in memory and in the store" "measured" "mark"
row() { # what, mark, sed expression that prints the figure
  printf '%-68s %16s  %s\n' "$1" "$(sed -n "$3" "$out" | head -n 1)" "$2"
}
by_both() { printf 's/^%s: \\([0-9.]*\\) s by the clock, \\([0-9.]*\\) s of.*/\\1, CPU \\2/p' "$1"; }
row "events/s applied, 100 segments, one core (CPU time)" ">= 1,000,000" 's/^apply: \([0-9]*\) events\/s of CPU.*/\1/p'
large='s/^large workspace: '
row "events/s applied, 10,000 segments about one value each (CPU time)" ">= 200,000" "$large"'\([0-9]*\) events\/s of CPU.*/\1/p'
row "  entries and exits an event" "" "$large"'.*exits (\([0-9.]*\) an event).*/\1/p'
row "members of the seven known segments" "" 's/^members of the seven known segments: //p'
row "back-fill without a where, s" "" "$(by_both 'new segment without[^:]*')"
row "back-fill with a where and a sum, s" "" "$(by_both 'new segment with a[^:]*')"
row "restart from a snapshot to full service, s" "< 5" "$(by_both 'restart[^:]*')"
row "backtest of 30 days, s" "" "$(by_both 'backtest of 30 days')"
row "backtest of 180 days, s" "" "$(by_both 'backtest of 180 days')"
row "snapshot written, s" "" "$(by_both 'snapshot written')"
row "snapshot, MiB" "" 's/^snapshot: \([0-9]*\) MiB of state.*/\1/p'
second='s/^second snapshot: \([0-9]*\) MiB of state, \([0-9.]*\) MiB written, with \([0-9.]*\) MiB'
row "second snapshot, a twentieth more events: MiB written" "" "$second.*/\2/p"
row "second snapshot: MiB of memory to write it" "" "$second.*/\3/p"
row "memory, bytes per event" "" 's/^memory: \([0-9]*\) bytes.*/\1/p'
row "seven segments made live together, a tenth of the events, ms" "" 's/.*"live","segment":"all","ms":\([0-9.]*\).*/\1/p'
row "the seven kept fresh, batches of 1,000: p50, ms" "" 's/.*"fresh".*"p50_ms":\([0-9.]*\).*/\1/p'
row "the seven kept fresh: events/s (CPU time)" "" 's/.*"fresh".*"events_per_cpu_s":\([0-9]*\).*/\1/p'
row "events to Parquet, all tables, per second (CPU time)" ">= 500,000" 's/^to Parquet: \([0-9]*\) events\/s of CPU.*/\1/p'
row "  beside DuckDB's COPY of the same rows from CSV: ratio" "" 's/^to Parquet: .*; ratio \([0-9.]*\)$/\1/p'
row "  memory beside the store's, MiB" "" 's/^to Parquet: \([0-9]*\) MiB of memory at most.*/\1/p'
row "rows to PostgreSQL beside psql's \\copy: ratio" ">= 0.8" 's/^to PostgreSQL: .*; ratio \([0-9.]*\)$/\1/p'
row "window ends scheduled and fired, 10 M pending, per second" "" 's/^schedule_and_fire.*items_per_second=\([^ ]*\).*/\1/p'
row "look-ups among 10 M identifiers, per second" "" 's/^directory_find\/10000000.*items_per_second=\([^ ]*\).*/\1/p'
row "de-duplication among 10 M messages, per second" "" 's/^deduplication_again\/10000000.*items_per_second=\([^ ]*\).*/\1/p'
row "two members of an order's properties read, per second" "" 's/^properties_two_members.*items_per_second=\([^ ]*\).*/\1/p'
row "e-mails normalised and hashed for Meta, per second" ">= 1,000,000" 's/^email\/meta.*items_per_second=\([^ ]*\).*/\1/p'
row "  for TikTok" ">= 1,000,000" 's/^email\/tiktok.*items_per_second=\([^ ]*\).*/\1/p'
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
if [ -s "$failed" ]; then
  cat "$failed"
  exit 1
fi
