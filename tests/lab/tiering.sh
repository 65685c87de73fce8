#!/usr/bin/env bash
# Tiering on two real nodes: what a program uses comes to the near node and what it does not use goes, by
# the kernel's own account.
# topologies: ddr-cxl
# boot: -t 600
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

hot=24 cold=128 near=48 # MiB

# program_start [hms run options..]: as hold_start, of the two populations.
program_start() {
  ranges=$work/ranges report=$work/report.json
  rm -f "$work/stdin" "$ranges"
  mkfifo "$work/stdin"
  HMS_LOG_LEVEL=info "$hms" run "$@" --quota node:0=${near}M "--report=$report" -- \
    "$lab/lab_populations" "$ranges" $hot $cold <"$work/stdin" >"$work/out" 2>"$work/err" &
  launcher=$!
  exec 9>"$work/stdin"
  await_ready
  pid=$(sed -n 's/^pid //p' "$ranges")
}
tiering() { "$hms" stat --json --no-verify "$pid" | jq -r ".processes[0].tiering.$1"; }
# While pages move, the auditor's two witnesses may differ: it is asked again until they agree.
look() { "$lab/lab_auditor" "$pid" "$ranges" >"$work/audit" 2>"$work/differ"; }
audit_in_motion() {
  local tries
  for ((tries = 0; tries < 30; tries++)); do
    look && break
    sleep 1
  done
  [ $tries -lt 30 ] || fail "the auditor: $(cat "$work/differ")"
  sed 's/^/  kernel: /' "$work/audit"
}
# Polls until nine tenths of the hot pages are near; the figures are the last.
hot_comes_near() {
  local tries
  for ((tries = 0; tries < 60; tries++)); do
    sleep 2
    look || continue
    [ $(($(pages_on 0 node0) * 10)) -lt $(($(hot_pages) * 9)) ] || return 0
  done
  return 1
}
hot_pages() { echo $(($(pages_on 0 node0) + $(pages_on 0 node1))); }
program_done() {
  hold_stop
  sed 's/^/  program: /' "$work/out" "$work/err"
  expect "$1: the program ends well, all objects intact (status $status)" [ "$status" = 0 ]
  expect "$1: the report has 0 misplaced pages ($(misplaced))" [ "$(misplaced)" = 0 ]
}

# Without tiering, near memory keeps what came first, and nothing moves.
program_start --rule 'node:0>node:1'
audit
expect "off: the hot objects are on node 1 ($(pages_on 0 node1) of $(hot_pages) pages)" \
  [ $(($(pages_on 0 node1) * 10)) -gt $(($(hot_pages) * 9)) ]
before=$(pages_on 0 node1)
sleep 5
audit >/dev/null
expect "off: they stay there" [ "$(pages_on 0 node1)" = "$before" ]
program_done off

# The engine exchanges it. An emulated processor: see hints.sh.
export HMS_TIERING_CPU=20 HMS_TIERING_GAP=2000
program_start --tiering auto
expect "auto: the hot objects come to node 0" hot_comes_near
audit_in_motion
"$hms" stat --no-verify "$pid" | sed 's/^/  stat: /'
expect "auto: pages on nodes 0 and 1 only" only_on 0 node0 node1
expect "auto: node 0 has no more than it is given ($(($(pages_on 0 node0) + $(pages_on 1 node0))) pages)" \
  [ $(($(pages_on 0 node0) + $(pages_on 1 node0))) -le $((near * 256)) ]
expect "auto: most that is cold is on node 1" [ "$(pages_on 1 node1)" -gt $(((cold - near) * 256)) ]
expect "auto: stat says the sampler ($(tiering sampler))" [ "$(tiering sampler)" != none ]
expect "auto: stat counts steps ($(tiering steps))" [ "$(tiering steps)" -gt 3 ]
expect "auto: stat counts what moved in ($(tiering promoted_bytes))" \
  [ "$(tiering promoted_bytes)" -ge $((hot * 700000)) ]
expect "auto: it still runs (state $(tiering state))" [ "$(tiering state)" = moving ]
program_done auto

oom_killer_was_quiet() { ! dmesg | grep -i 'out of memory\|oom-kill'; }
expect "the OOM killer had nothing to do" oom_killer_was_quiet
finish
