#!/bin/sh
# Events per second over loopback HTTP, fully durable, into the real `tailrace serve` with 100 segments.
#   bench/http.sh BUILD-FOLDER [seconds] [connections]
set -eu
build=$1
seconds=${2:-10}
connections=${3:-32}
folder=$(mktemp -d)
server=
clean() {
  [ -n "$server" ] && kill "$server" 2>/dev/null && wait "$server" 2>/dev/null
  rm -rf "$folder"
}
trap clean EXIT INT TERM
"$build/http_load" "$folder"
TAILRACE_WRITE_KEY=bench "$build/tailrace" serve -w "$folder/workspace" --apply --listen 127.0.0.1:0 >"$folder/out" 2>"$folder/err" &
server=$!
port=
: >>"$folder/out"
tries=0
while [ -z "$port" ]; do
  port=$(sed -n 's/^tailrace serves .*:\([0-9]*\)$/\1/p' "$folder/out")
  tries=$((tries + 1))
  [ "$tries" -gt 200 ] && { cat "$folder/err" >&2; exit 1; }
  sleep 0.1
done
ticks() { awk '{print $14 + $15}' "/proc/$server/stat"; }
before=$(ticks)
wrk -t 1 -c "$connections" -d "${seconds}s" -s "$folder/batches.lua" "http://127.0.0.1:$port" | tee "$folder/wrk" | grep '^sent'
after=$(ticks)
curl -s "http://127.0.0.1:$port/metrics" | sed -n 's/^tailrace_queued_bytes /http: bytes committed and still to be applied at the end: /p'
sed -n 's/^sent \([0-9]*\) requests in \([0-9.]*\) s, \([0-9]*\) errors.*/\1 \2 \3/p' "$folder/wrk" |
  awk -v ticks="$((after - before))" -v rate="$(getconf CLK_TCK)" '{
    events = ($1 - $3) * 50; cpu = ticks / rate
    printf "http: %.0f events/s by the clock, durable; %.0f events per second of server CPU; the server used %.2f cores\n", events / $2, events / cpu, cpu / $2
  }'
