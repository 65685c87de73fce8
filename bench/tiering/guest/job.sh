#!/usr/bin/env bash
# job.sh POLICY FAST_MIB WORKLOAD..: in the guest, runs one workload on processor 1 under a placement policy, with so much
# of node 0 left for it, and tells the counting emulator when. The rest of the guest has the other processors (isolcpus).
# WORKLOAD: kernel NAME BYTES ACCESSES | redis FILE_LOAD FILE_RUN | sqlite FILE_LOAD FILE_RUN
set -euo pipefail

# It takes a node's memory away and sets kernel controls: never on a real machine.
case ${LAB_TOPOLOGY:-}/$(cat /proc/sys/kernel/hostname) in
  ?*/lab-*) ;;
  *)
    echo "${0##*/}: runs only inside an emulated machine; use bench/tiering/guest/run" >&2
    exit 2
    ;;
esac
tools=$HMS_BUILD/bench/tiering policy=$1 fast_mib=$2
shift 2

# Huge pages reserved are nobody's: what remains of node 0, beyond what the kernel keeps free itself, is the fast memory.
squeeze() {
  local free kept reserve=/sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages
  sync
  echo 3 >/proc/sys/vm/drop_caches
  free=$(awk '/MemFree/ {print int($4 / 1024)}' /sys/devices/system/node/node0/meminfo)
  kept=$(awk '/^Node/ {node = $2} node == "0," && $1 == "high" {pages += $2} END {print int(pages / 256)}' /proc/zoneinfo)
  echo $(((free - kept - fast_mib) / 2)) >$reserve
}

before=()
case $policy in
  all-fast) before=(numactl -m 0) ;;
  first-touch) squeeze ;;
  interleave)
    squeeze
    before=(numactl "--interleave=0,1")
    ;;
  kernel)
    squeeze
    echo 1 >/sys/kernel/mm/numa/demotion_enabled
    echo 2 >/proc/sys/kernel/numa_balancing
    ;;
  *)
    echo "job.sh: no policy '$policy'" >&2
    exit 2
    ;;
esac
on_cpu() { taskset -c 1 ${before[@]+"${before[@]}"} "$@"; }
# redis-cli gives up after 30 s without a reply unless told otherwise; emulation has such seconds.
feed() {
  redis-cli -s "$PWD/s" --pipe --pipe-timeout 0 <"$1" >reply 2>&1 || {
    tail -n 3 reply >&2
    return 1
  }
}
mark() { taskset -c 1 "$tools/bench_mark" "$1"; }

case $1 in
  kernel) on_cpu "$tools/bench_tiering_record" "$2" --native --mark --bytes "$3" --accesses "$4" ;;
  redis)
    cd "$(mktemp -d)"
    on_cpu redis-server --port 0 --unixsocket "$PWD/s" --save '' --appendonly no >log 2>&1 &
    until [ -S s ]; do sleep 0.2; done
    feed "$2"
    mark 1
    feed "$3"
    mark 0
    redis-cli -s "$PWD/s" shutdown nosave || true
    wait
    ;;
  sqlite)
    { cat "$2" && echo ".system taskset -c 1 $tools/bench_mark 1" && cat "$3" && echo ".system taskset -c 1 $tools/bench_mark 0"; } |
      on_cpu sqlite3 :memory: >/dev/null
    ;;
esac
grep -E 'pgpromote_success|pgdemote|pgmigrate_success|numa_pte_updates' /proc/vmstat
