#!/bin/bash
# Recipe: one noisy neighbour with a quota. usage: noisy-neighbour.sh TRIAD
triad=$(realpath "$1")
. "$(dirname "$0")/lib.sh"
needs hms jq
export HMS_TOPOLOGY=tiers:fast=256M:bw=100G:lat=90,slow=1G:bw=25G:lat=280
cp "$triad" batch-job
# [noisy-neighbour]
hms run --rule 'fast>slow' --quota fast=16M --report=report.json -- ./batch-job 2000000
# [/noisy-neighbour]
holds '[.targets[] | select(.key == "tier:fast")][0] | .quota_bytes == 16777216 and .charged_peak_bytes <= 16777216'
holds '[.targets[] | select(.key == "tier:slow")][0].charged_peak_bytes > 3e7'
