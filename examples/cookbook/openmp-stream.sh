#!/bin/bash
# Recipe: OpenMP memory spaces for STREAM. usage: openmp-stream.sh STREAM
stream=$(realpath "$1")
. "$(dirname "$0")/lib.sh"
needs hms jq
export HMS_TOPOLOGY=tiers:hbm=96M:bw=400G:lat=120,ddr=1G:bw=100G:lat=90
cp "$stream" stream
# [openmp-stream]
hms run --omp --report=report.json -- ./stream
hms run --omp --space omp_high_bw_mem_space=ddr -- ./stream # what if it were not in HBM?
# [/openmp-stream]
holds '[.targets[] | select(.key == "tier:hbm")][0] | .charged_peak_bytes > 1e6 and .misplaced_pages == 0'
