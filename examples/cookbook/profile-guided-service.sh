#!/bin/bash
# Recipe: a service whose hot data lies in the fast memory from its start. usage: profile-guided-service.sh LOOKUP
lookup=$(realpath "$1")
. "$(dirname "$0")/lib.sh"
needs hms jq
export HMS_TOPOLOGY=tiers:dram=8M:bw=100G:lat=90,cxl=1G:bw=25G:lat=280
cp "$lookup" lookup
# [profile-guided-service]
for _ in 1 2 3; do hms record --append -o lookup.profile -- ./lookup 2000; done
hms report --near 8M lookup.profile
hms run --profile lookup.profile --report=report.json -- ./lookup 200
# [/profile-guided-service]
# The index takes 2 MiB, the records 65.
holds '[.targets[] | select(.key == "tier:dram")][0] | .resident_bytes >= 2e6 and .misplaced_pages == 0'
holds '[.targets[] | select(.key == "tier:cxl")][0] | .resident_bytes > 5e7 and .misplaced_pages == 0'
