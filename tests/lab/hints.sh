#!/usr/bin/env bash
# Hints and pins between two real nodes, by the kernel's own account: hot blocks are born on the near node and
# cold ones on the far one, wrong hints are recovered from, and what is pinned stays where it is.
# topologies: ddr-cxl
# boot: -t 600
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

near=38 # MiB, a little more than what is hot: room is kept for births. lab_hints says what its groups are
ranges=$work/ranges report=$work/report.json
mkfifo "$work/stdin"
# Looking costs an emulated processor twenty times what it costs a real one, and it accesses memory twenty times less
# often: by the clock, what the engine does is dear and what it gains is little. Both are set right (0.5 %, 100 ns).
HMS_TIERING_CPU=20 HMS_TIERING_GAP=2000 HMS_LOG_LEVEL=info "$hms" run --tiering auto --quota node:0=${near}M "--report=$report" -- \
  "$lab/lab_hints" "$ranges" <"$work/stdin" >"$work/out" 2>"$work/err" &
launcher=$!
exec 9>"$work/stdin"
await_ready
pid=$(sed -n 's/^pid //p' "$ranges")

# mostly GROUP NODE: nine tenths of the pages of the group.
mostly() {
  local all=$(($(pages_on "$1" node0) + $(pages_on "$1" node1)))
  [ "$all" -gt 0 ] && [ $(($(pages_on "$1" "$2") * 10)) -ge $((all * 9)) ]
}
# While pages move, the auditor's two witnesses may differ: it is asked again until they agree.
look() { "$lab/lab_auditor" "$pid" "$ranges" >"$work/audit" 2>"$work/differ"; }
# Until the kernel has the used group 4 near; the figures are the last.
wrong_hint_is_recovered() {
  local tries
  for ((tries = 0; tries < 60; tries++)); do
    sleep 2
    look || continue
    ! mostly 4 node0 || return 0
  done
  return 1
}

audit
for group in 0 1 2; do
  expect "hot is born near: group $group ($(pages_on $group node0) pages on node 0, $(pages_on $group node1) on 1)" \
    mostly $group node0
done
for group in 3 4 5; do
  expect "cold is born far: group $group ($(pages_on $group node1) pages on node 1, $(pages_on $group node0) on 0)" \
    mostly $group node1
done
near_pinned=$(pages_on 1 node0) far_pinned=$(pages_on 5 node1)

echo >&9
expect "what was said to be cold and is used comes near" wrong_hint_is_recovered
look || look || fail "the auditor: $(cat "$work/differ")"
sed 's/^/  kernel: /' "$work/audit"
"$hms" stat --no-verify "$pid" | sed 's/^/  stat: /'
hints_shown() { "$hms" stat --json --no-verify "$pid" | jq -r '.processes[0].tiering.contexts[].object' | grep '^hint'; }
expect "stat names hints" hints_shown
expect "what was said to be hot, and is, stays near" mostly 0 node0
expect "what was said to be hot and is not used made room ($(pages_on 2 node1) pages on node 1)" \
  [ "$(pages_on 2 node1)" -ge 512 ]
expect "what is cold stays far" mostly 3 node1
expect "what is pinned near stays, unused ($(pages_on 1 node0) pages)" [ "$(pages_on 1 node0)" = "$near_pinned" ]
expect "what is pinned far stays, used ($(pages_on 5 node1) pages)" [ "$(pages_on 5 node1)" = "$far_pinned" ]
hold_stop
sed 's/^/  program: /' "$work/out" "$work/err"
expect "the program ends well, all objects intact (status $status)" [ "$status" = 0 ]
expect "the report has 0 misplaced pages ($(misplaced))" [ "$(misplaced)" = 0 ]
finish
