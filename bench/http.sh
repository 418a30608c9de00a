#!/bin/sh
# What events over loopback HTTP cost the real `tailrace serve`, acknowledged after fsync, by thread and by the work
# behind it: workspaces of 100 segments, of the seven named, and of none. First as fast as they go, then at half of
# the rate at which they were applied, for the latencies.
#   bench/http.sh BUILD-FOLDER [seconds] [connections] ["SEGMENTS..."] ["MESSAGES..."]
set -eu
build=$1
seconds=${2:-10}
connections=${3:-32}
segment_counts=${4:-100 7 0}
batch_sizes=${5:-100 1}
folder=
server=
stop() {
  [ -n "$server" ] && kill "$server" 2>/dev/null && wait "$server" 2>/dev/null
  server=
  [ -n "$folder" ] && rm -rf "$folder"
  folder=
  return 0
}
trap stop EXIT
trap 'exit 1' INT TERM
start() { # segments
  folder=$(mktemp -d)
  "$build/http_load" workspace "$folder/workspace" "$1"
  : >"$folder/out"
  TAILRACE_WRITE_KEY=bench "$build/tailrace" serve -w "$folder/workspace" --apply --listen 127.0.0.1:0 \
    >"$folder/out" 2>"$folder/err" &
  server=$!
  port=
  tries=0
  while [ -z "$port" ]; do
    port=$(sed -n 's/^tailrace serves .*:\([0-9]*\)$/\1/p' "$folder/out")
    tries=$((tries + 1))
    [ "$tries" -gt 200 ] && { cat "$folder/err" >&2; exit 1; }
    sleep 0.1
  done
}
load() { "$build/http_load" run "$port" "$server" --messages "$messages" --connections "$connections" --seconds "$seconds" "$@"; }
for segments in $segment_counts; do
  for messages in $batch_sizes; do
    start "$segments"
    echo "http, $segments segments, $messages events a request:"
    load | tee "$folder/full" | grep -v '^  rate:'
    echo " at half of that rate:"
    load --rate "$(($(sed -n 's/^  rate: //p' "$folder/full") / 2))" | tee "$folder/half" | grep -v '^  rate:'
    stop
  done
done
