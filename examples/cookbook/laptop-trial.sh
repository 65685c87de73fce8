#!/bin/bash
# Recipe: a trial on a machine with one memory. usage: laptop-trial.sh
. "$(dirname "$0")/lib.sh"
needs hms jq sort
unset HMS_TOPOLOGY
seq 300000 >numbers
# [laptop-trial]
hms doctor
hms run --tiers fast=8M,slow=1G --rule 'fast>slow' --report=report.json -- sort -R -S 64M numbers -o shuffled
# [/laptop-trial]
[ "$(sort -n shuffled | md5sum)" = "$(md5sum <numbers)" ]
holds '.emulated and ([.targets[] | select(.key == "tier:fast")][0] | .charged_peak_bytes <= 8388608)'
holds '[.targets[] | select(.key == "tier:slow")][0].allocated_bytes > 1e6'
