#!/usr/bin/env bash
# Rules of `hms run` against the kernel's own account of the pages, on a machine with several nodes.
# topologies: hbm-ddr-cxl 2s-2cxl
# boot: -t 600
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

# After each program: its status, and the library's own report, which must agree with the kernel.
hold_done() {
  hold_stop
  expect "$1: the program ends well (status $status)" [ "$status" = 0 ]
  expect "$1: the report has 0 misplaced pages ($(misplaced))" [ "$(misplaced)" = 0 ]
  expect "$1: the report verified pages ($(verified))" [ "$(verified)" -gt 0 ]
}

# Node 2 is filled over its brim; the rest goes to node 0, nothing anywhere else.
ordered() {
  local room over
  room=$(node_free_mib 2)
  over=$((room + 150))
  hold_start ordered --rule 'size>=65536:node:2>node:0' -- "${over}M:1M"
  audit
  expect "ordered: all ${over} MiB were given" [ "$(group_end 0)" = full ]
  expect "ordered: pages on nodes 2 and 0 only" only_on 0 node2 node0
  expect "ordered: node 2 is nearly full before node 0 is used" \
    [ "$(pages_on 0 node2)" -ge $((room * 256 * 85 / 100)) ]
  expect "ordered: the remainder is on node 0" [ "$(pages_on 0 node0)" -gt 0 ]
  hold_done ordered
}

# spread NAME RULE MIB A B: pages on node 0 and node 2 in proportion A to B, within 3 percent.
spread() {
  local name=$1 rule=$2 mib=$3 a=$4 b=$5 on0 want
  hold_start "$name" --rule "$rule" -- "${mib}M:1M"
  audit
  on0=$(pages_on 0 node0)
  want=$(((on0 + $(pages_on 0 node2)) * a / (a + b)))
  expect "$name: pages on nodes 0 and 2 only" only_on 0 node0 node2
  expect "$name: $on0 pages on node 0, $want expected" \
    between $((want * 97 / 100)) "$on0" $((want * 103 / 100))
  hold_done "$name"
}

# A strict placement gives what the node has, then NULL: no page elsewhere, and no kill.
strict() {
  local room
  room=$(node_free_mib 2)
  hold_start strict --rule 'size>=65536:node:2!' -- "$((room + 100))M:1M"
  audit
  expect "strict: malloc says NULL in the end" [ "$(group_end 0)" = null ]
  expect "strict: it gave most of the node's $room MiB first" \
    [ "$(group_bytes 0)" -ge $((room * 1048576 * 70 / 100)) ]
  expect "strict: pages on node 2 only" only_on 0 node2
  hold_done strict
}

# A quota holds to the page; what exceeds it goes to the next target of the list.
quota() {
  hold_start quota --quota node:2=64M --rule 'size>=4096:node:2>node:0' -- 100M:64K 60M:8K
  audit
  local on2=$(($(pages_on 0 node2) + $(pages_on 1 node2)))
  expect "quota: $on2 pages on node 2, at most 16384" [ "$on2" -le 16384 ]
  expect "quota: most of it is used" [ "$on2" -ge 13000 ]
  expect "quota: group 0 on nodes 2 and 0 only" only_on 0 node2 node0
  expect "quota: group 1 on nodes 2 and 0 only" only_on 1 node2 node0
  hold_done quota
}

# Small and large blocks on different nodes at the same time.
by_size() {
  hold_start by_size --rule 'size>=4096:node:3>node:1' --rule 'size<4096:node:2' -- 40M:16K 20M:512
  audit
  expect "by size: large blocks on node 3 only" only_on 0 node3
  expect "by size: small blocks on node 2 only" only_on 1 node2
  hold_done by_size
}

topology_agrees() {
  "$hms" topology
  "$hms" topology --json >"$work/topology.json"
  expect "topology: four targets" \
    [ "$(jq '[.targets[] | select(.key | startswith("node:"))] | length' "$work/topology.json")" = 4 ]
  local best worst
  "$hms" find --from cpu:0 --by bandwidth
  best=$("$hms" find --from cpu:0 --by bandwidth --json | jq -r '.targets[0].key')
  worst=$("$hms" find --from cpu:0 --by latency --json | jq -r '.targets[-1].key')
  case $LAB_TOPOLOGY in
    hbm-ddr-cxl) expect "find: the HBM has the most bandwidth ($best)" [ "$best" = node:2 ] ;;
    2s-2cxl) expect "find: the own DRAM has the most bandwidth ($best)" [ "$best" = node:0 ] ;;
  esac
  expect "find: the other socket's far memory is slowest ($worst)" [ "$worst" = node:3 ]
}

doctor_agrees() {
  "$hms" doctor
  local found
  found=$("$hms" doctor --json | jq -r '.findings[] | select(.name == "nodes") | .status')
  expect "doctor: four nodes are fine ($found)" [ "$found" = ok ]
}

topology_agrees
doctor_agrees
ordered
spread interleave 'size>=65536:node:0*3+node:2*1' 240 3 1
spread interleave_equal 'size>=65536:node:0+node:2' 200 1 1
spread ratio 'size>=65536:node:0:4,node:2:1' 250 4 1
strict
quota
by_size
finish
