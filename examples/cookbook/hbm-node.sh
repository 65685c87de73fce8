#!/bin/bash
# Recipe: a node with high-bandwidth memory and DDR. usage: hbm-node.sh TRIAD
triad=$(realpath "$1")
. "$(dirname "$0")/lib.sh"
needs hms jq
export HMS_TOPOLOGY=tiers:hbm=16M:bw=400G:lat=120,ddr=1G:bw=100G:lat=90
cp "$triad" triad
# [hbm-node]
hms find --from cpu:0 --by bandwidth
hms run --rule 'size>=1M:bandwidth' --report=report.json -- ./triad 1000000
# [/hbm-node]
# Three arrays of 8 MB do not fit into 16 MiB: two are in the fast memory, the third behind it.
holds '[.targets[] | select(.key == "tier:hbm")][0] | .charged_peak_bytes > 15e6 and .misplaced_pages == 0'
holds '[.targets[] | select(.key == "tier:ddr")][0].charged_peak_bytes > 7e6'
