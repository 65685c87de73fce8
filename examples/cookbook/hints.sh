#!/bin/bash
# Recipe: a program that knows which of its memory is hot. usage: hints.sh HINTED
hinted=$(realpath "$1")
. "$(dirname "$0")/lib.sh"
needs hms jq
export HMS_TOPOLOGY=tiers:dram=8M:bw=100G:lat=90,cxl=1G:bw=25G:lat=280
cp "$hinted" store
exec 3>&1 >said
# [hints]
hms run --tiering auto --report=report.json -- ./store
./store # without tiering: all of it is on the default placement
# [/hints]
exec >&3
cat said
grep -q 'the index is on tier:dram, records are on tier:cxl' said
grep -q 'the index is on default, records are on default' said
# The records take 32 MiB, the index 1.
holds '[.targets[] | select(.key == "tier:cxl")][0] | .resident_bytes > 3e7 and .misplaced_pages == 0'
holds '[.targets[] | select(.key == "tier:dram")][0] | .resident_bytes >= 1e6 and .misplaced_pages == 0'
