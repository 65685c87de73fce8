#!/usr/bin/env bash
# Rules of `hms run` against the kernel's own account of the pages, on a machine with several nodes.
# topologies: hbm-ddr-cxl 2s-2cxl hmat-holes ddr-cxl ddr-cxl-hot ddr1
# boot: -t 900
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

# The node that is filled and limited, the one that takes the rest, and for two sizes of blocks at once: a
# list, of which the first has room, and a node.
case $LAB_TOPOLOGY in
  ddr1) first=0 next=0 ;;
  ddr-cxl*) first=1 next=0 large='node:1>node:0' large_on=node1 small=0 ;;
  *) first=2 next=0 large='node:3>node:1' large_on=node3 small=2 ;;
esac
nodes=$(find /sys/devices/system/node -maxdepth 1 -name 'node[0-9]*' | wc -l)

# After each program: its status, and the library's own report, which must agree with the kernel.
hold_done() {
  hold_stop
  expect "$1: the program ends well (status $status)" [ "$status" = 0 ]
  expect "$1: the report has 0 misplaced pages ($(misplaced))" [ "$(misplaced)" = 0 ]
  expect "$1: the report verified pages ($(verified))" [ "$(verified)" -gt 0 ]
}

# The first node is filled over its brim; the rest goes to the next, nothing anywhere else.
ordered() {
  local room over
  room=$(node_free_mib $first)
  over=$((room + 150))
  hold_start ordered --rule "size>=65536:node:$first>node:$next" -- "${over}M:1M"
  audit
  expect "ordered: all ${over} MiB were given" [ "$(group_end 0)" = full ]
  expect "ordered: pages on nodes $first and $next only" only_on 0 node$first node$next
  expect "ordered: node $first is nearly full before node $next is used" \
    [ "$(pages_on 0 node$first)" -ge $((room * 256 * 85 / 100)) ]
  expect "ordered: the remainder is on node $next" [ "$(pages_on 0 node$next)" -gt 0 ]
  hold_done ordered
}

# spread NAME RULE MIB A B: pages on the next and the first node in proportion A to B, within 3 percent.
spread() {
  local name=$1 rule=$2 mib=$3 a=$4 b=$5 on_next want
  hold_start "$name" --rule "$rule" -- "${mib}M:1M"
  audit
  on_next=$(pages_on 0 node$next)
  want=$(((on_next + $(pages_on 0 node$first)) * a / (a + b)))
  expect "$name: pages on nodes $next and $first only" only_on 0 node$next node$first
  expect "$name: $on_next pages on node $next, $want expected" \
    between $((want * 97 / 100)) "$on_next" $((want * 103 / 100))
  hold_done "$name"
}

# A strict placement gives what the node has, then NULL: no page elsewhere, and no kill.
strict() {
  local room
  room=$(node_free_mib $first)
  hold_start strict --rule "size>=65536:node:$first!" -- "$((room + 100))M:1M"
  audit
  expect "strict: malloc says NULL in the end" [ "$(group_end 0)" = null ]
  expect "strict: it gave most of the node's $room MiB first" \
    [ "$(group_bytes 0)" -ge $((room * 1048576 * 70 / 100)) ]
  expect "strict: pages on node $first only" only_on 0 node$first
  hold_done strict
}

# A quota holds to the page; what exceeds it goes to the next target of the list.
quota() {
  hold_start quota --quota node:$first=64M --rule "size>=4096:node:$first>node:$next" -- 100M:64K 60M:8K
  audit
  local on_first=$(($(pages_on 0 node$first) + $(pages_on 1 node$first)))
  expect "quota: $on_first pages on node $first, at most 16384" [ "$on_first" -le 16384 ]
  expect "quota: most of it is used" [ "$on_first" -ge 13000 ]
  expect "quota: group 0 on nodes $first and $next only" only_on 0 node$first node$next
  expect "quota: group 1 on nodes $first and $next only" only_on 1 node$first node$next
  hold_done quota
}

# Small and large blocks on different nodes at the same time.
by_size() {
  hold_start by_size --rule "size>=4096:$large" --rule "size<4096:node:$small" -- 40M:16K 20M:512
  audit
  expect "by size: large blocks on $large_on only" only_on 0 $large_on
  expect "by size: small blocks on node $small only" only_on 1 node$small
  hold_done by_size
}

# One node: what a strict placement and a quota give, and two emulated tiers, is all there is.
one_node() {
  strict
  hold_start quota --quota node:0=64M --rule 'size>=4096:node:0!' -- 100M:64K
  audit
  expect "quota: malloc says NULL" [ "$(group_end 0)" = null ]
  expect "quota: $(pages_on 0 node0) pages, at most 16384" between 13000 "$(pages_on 0 node0)" 16384
  hold_done quota
  hold_start tiers --tiers fast=64M,slow=512M --rule 'size>=4096:fast>slow' -- 150M:64K
  audit
  expect "tiers: all was given" [ "$(group_end 0)" = full ]
  expect "tiers: pages on the only node" only_on 0 node0
  hold_done tiers
}

# best ORDER and worst ORDER: the targets that `hms find` names from the processors of socket 0.
best() { "$hms" find --from cpu:0 --by "$1" --json | jq -r '.targets[0].key'; }
worst() { "$hms" find --from cpu:0 --by "$1" --json | jq -r '.targets[-1].key'; }

topology_agrees() {
  "$hms" topology
  "$hms" topology --json >"$work/topology.json"
  expect "topology: $nodes targets" \
    [ "$(jq '[.targets[] | select(.key | startswith("node:"))] | length' "$work/topology.json")" = "$nodes" ]
  [ "$nodes" -gt 1 ] || return
  "$hms" find --from cpu:0 --by bandwidth
  "$hms" find --from cpu:0 --by latency
  case $LAB_TOPOLOGY in
    hbm-ddr-cxl | hmat-holes) expect "find: the HBM has the most bandwidth" [ "$(best bandwidth)" = node:2 ] ;;
    *) expect "find: the own DRAM has the most bandwidth" [ "$(best bandwidth)" = node:0 ] ;;
  esac
  expect "find: the own DRAM has the least latency" [ "$(best latency)" = node:0 ]
  case $LAB_TOPOLOGY in
    # Where HMAT has a hole, nothing is known, and what is not known comes last (docs/topology.md), nearest first.
    hmat-holes)
      local order
      order=$("$hms" find --from cpu:0 --by latency --json | jq -r '[.targets[].key] | join(" ")')
      expect "find: targets of unknown latency come last ($order)" [ "$order" = 'node:0 node:3 node:2 node:1' ]
      ;;
    hbm-ddr-cxl | 2s-2cxl)
      expect "find: the other socket's far memory is slowest ($(worst latency))" [ "$(worst latency)" = node:3 ]
      ;;
  esac
}

doctor_agrees() {
  "$hms" doctor
  local found
  found=$("$hms" doctor --json | jq -r '.findings[] | select(.name == "nodes") | .status')
  expect "doctor: the nodes are fine ($found)" [ "$found" = "$([ "$nodes" = 1 ] && echo warn || echo ok)" ]
}

topology_agrees
doctor_agrees
if [ "$nodes" = 1 ]; then
  one_node
  finish
fi
ordered
spread interleave "size>=65536:node:$next*3+node:$first*1" 240 3 1
spread interleave_equal "size>=65536:node:$next+node:$first" 200 1 1
spread ratio "size>=65536:node:$next:4,node:$first:1" 250 4 1
strict
quota
by_size
finish
