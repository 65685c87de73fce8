#!/usr/bin/env bash
# What streams is woven over both nodes in proportion to their bandwidths, by the kernel's own account, and what is
# used in random order stays near. Only where bandwidths are known and used: else nothing is woven.
# topologies: ddr-cxl
# boot: -t 600
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

stream=96 hot=8 slices='1 2 3 4 5 6' # MiB; lab_streams says what its groups are

# program_start [hms run options..]
program_start() {
  ranges=$work/ranges report=$work/report.json
  rm -f "$work/stdin" "$ranges"
  mkfifo "$work/stdin"
  # Looking costs an emulated processor twenty times what it costs a real one.
  HMS_TIERING_CPU=20 HMS_LOG_LEVEL=info "$hms" run "$@" "--report=$report" -- \
    "$lab/lab_streams" "$ranges" $stream $hot <"$work/stdin" >"$work/out" 2>"$work/err" &
  launcher=$!
  exec 9>"$work/stdin"
  await_ready
  pid=$(sed -n 's/^pid //p' "$ranges")
}
program_done() {
  hold_stop
  sed 's/^/  program: /' "$work/out" "$work/err"
  expect "$1: the program ends well, every byte is right (status $status)" [ "$status" = 0 ]
  expect "$1: the report has 0 misplaced pages ($(misplaced))" [ "$(misplaced)" = 0 ]
}
# While pages move, the auditor's two witnesses may differ: it is asked again until they agree.
look() { "$lab/lab_auditor" "$pid" "$ranges" >"$work/audit" 2>"$work/differ"; }
near_share() { # GROUP: per cent of its pages on node 0
  echo $(($(pages_on "$1" node0) * 100 / ($(pages_on "$1" node0) + $(pages_on "$1" node1))))
}
# each_slice LOW HIGH: of every sixth of the stream between so many per cent are near. It has eight units or nine.
each_slice() {
  local slice
  for slice in $slices; do between "$1" "$(near_share "$slice")" "$2" || return 1; done
}
stream_share() {
  local slice sum=0
  for slice in $slices; do sum=$((sum + $(near_share "$slice"))); done
  echo $((sum / 6))
}
# woven LOW HIGH: polls until each sixth is; the figures are the last.
woven() {
  local tries
  for ((tries = 0; tries < 50; tries++)); do
    sleep 2
    look || continue
    ! each_slice "$1" "$2" || return 0
  done
  return 1
}
shown() { sed 's/^/  kernel: /' "$work/audit"; }

# Declared: near memory has three times the bandwidth. All would fit there.
tiers=near=128M:bw=300M:on=0,far=1G:bw=100M:on=1
program_start --tiering auto --tiers $tiers
audit >/dev/null
expect "auto: at first all of the stream is on node 0 ($(stream_share) %)" [ "$(stream_share)" -gt 95 ]
expect "auto: three quarters of each sixth of the stream stay on node 0" woven 60 88
shown
expect "auto: as many of the whole ($(stream_share) %)" between 70 "$(stream_share)" 80
expect "auto: what is hot is on node 0 ($(near_share 0) %)" [ "$(near_share 0)" -ge 95 ]
expect "auto: pages on nodes 0 and 1 only" only_on 1 node0 node1
before=$(awk '{$1 = ""} 1' "$work/audit")
sleep 15
look || look || fail "the auditor: $(cat "$work/differ")"
expect "auto: that is how it stays" [ "$(awk '{$1 = ""} 1' "$work/audit")" = "$before" ]
"$hms" stat --no-verify "$pid" | sed 's/^/  stat: /'
program_done auto

# Weights by hand, and room for half of what they ask for: the hot objects, which came last, have it first.
export HMS_TIERING_WEAVE=3:1
program_start --tiering 'node:0>node:1' --quota node:0=48M
hot_and_woven() { woven 20 56 && [ "$(near_share 0)" -ge 90 ]; }
expect "room: what is hot comes to node 0, and of each sixth of the stream what then has room" hot_and_woven
shown
expect "room: what is hot is there ($(near_share 0) %)" [ "$(near_share 0)" -ge 90 ]
expect "room: node 0 is used ($(stream_share) % of the stream)" between 32 "$(stream_share)" 46
"$hms" stat --no-verify "$pid" | sed 's/^/  stat: /'
program_done room
unset HMS_TIERING_WEAVE

# The machine says what its nodes deliver, a thousand times what an emulated processor asks for.
program_start --tiering auto --quota node:0=128M
sleep 30
look || look || fail "the auditor: $(cat "$work/differ")"
shown
expect "little traffic: all of the stream is on node 0 ($(stream_share) %)" [ "$(stream_share)" -gt 95 ]
program_done "little traffic"
finish
