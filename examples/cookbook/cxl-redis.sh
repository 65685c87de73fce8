#!/bin/bash
# Recipe: more memory for Redis from a CXL expander. usage: cxl-redis.sh
. "$(dirname "$0")/lib.sh"
needs hms jq redis-server redis-cli
export HMS_TOPOLOGY=tiers:dram=64M:bw=100G:lat=90,cxl=1G:bw=25G:lat=280
redis-cli() { command redis-cli -s "$work/redis.sock" "$@"; }
# [cxl-redis]
cat >redis.hms <<'RULES'
# Values to the expander, all that is small (keys, tables, buffers) to DRAM; each takes over for the other.
size>=1024 : cxl>dram
dram>cxl
RULES
hms run --config redis.hms --report=report.json -- redis-server --save '' --port 0 --unixsocket "$PWD/redis.sock" &
# [/cxl-redis]
for ((i = 0; i < 200; i++)); do redis-cli ping >/dev/null 2>&1 && break || sleep 0.1; done
redis-cli eval "for i = 1, 10000 do redis.call('SET', 'key:' .. i, string.rep('x', 4000)) end" 0 >/dev/null
[ "$(redis-cli get key:9999 | wc -c)" = 4001 ]
redis-cli shutdown nosave || true
wait %1 || true
holds '[.targets[] | select(.key == "tier:cxl")][0] | .allocated_bytes > 4e7 and .misplaced_pages == 0'
holds '[.targets[] | select(.key == "tier:dram")][0] | .allocated_bytes > 1e5'
