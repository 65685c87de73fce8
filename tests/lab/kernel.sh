#!/usr/bin/env bash
# topologies: ddr-cxl-hot
# kernels: 6.12 6.1
# What only newer kernels have (weighted interleave, PAGEMAP_SCAN), and that hms doctor and hms topology tell
# it as it is; the program that finds out (lab_calls) shares no code with libhms. Memory that no rule places
# follows the program's own policy, weighted interleave too.
# Sets kernel controls, so only ever in the guest (lib.sh refuses elsewhere).
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

# doctor_says NAME yes|no
doctor_says() {
  local found
  found=$("$hms" doctor --json | jq -r --arg name "$1" '.findings[] | select(.name == $name) | .found')
  [ "$([ "$found" = works ] && echo yes || echo no)" = "$2" ]
}
case $(uname -r) in
  6.1.*) new=no ;;
  *) new=yes ;;
esac
expect "weighted interleave: $new" [ "$("$lab/lab_calls" weighted)" = $new ]
expect "PAGEMAP_SCAN: $new" [ "$("$lab/lab_calls" scan)" = $new ]
expect "hms doctor says so of weighted interleave" doctor_says weighted-interleave $new
expect "hms doctor says so of PAGEMAP_SCAN" doctor_says pagemap-scan $new
[ $new = yes ] || finish

weights=/sys/kernel/mm/mempolicy/weighted_interleave
echo 3 >$weights/node0
echo 1 >$weights/node1
told=$("$hms" topology --json | jq -c '[.targets[] | select(.node != null and .node >= 0) | .interleave_weight]')
expect "hms topology tells the kernel's weights ($told)" [ "$told" = '[3,1]' ]

# three_to_one GROUP: pages on nodes 0 and 1, within 3 percent.
three_to_one() {
  local on_0 all
  on_0=$(pages_on "$1" node0)
  all=$((on_0 + $(pages_on "$1" node1)))
  between $((all * 72 / 100)) "$on_0" $((all * 78 / 100)) && [ "$all" -gt 10000 ]
}
launch_under=("$lab/lab_calls" weighted-run)
hold_start weighted --rule 'size>=1G:node:0' -- 100M:1M
audit
expect "memory without a rule follows the program's weighted interleave" three_to_one 0
hold_stop
hold_start placed --rule 'size>=65536:node:1' -- 100M:1M
audit
expect "a rule decides against it" only_on 0 node1
hold_stop
expect "the report has 0 misplaced pages ($(misplaced))" [ "$(misplaced)" = 0 ]
launch_under=()
hold_start by_us --rule 'size>=65536:node:0*3+node:1*1' -- 240M:1M
audit
expect "libhms interleaves 3 to 1 by itself" three_to_one 0
hold_stop
finish
