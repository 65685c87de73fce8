#!/usr/bin/env bash
# job.sh POLICY FAST_MIB WORKLOAD..: in the guest, runs one workload on processor 1 under a placement policy, with so much
# of node 0 left for it, and tells the counting emulator when. The rest of the guest has the other processors (isolcpus).
# WORKLOAD: kernel NAME BYTES ACCESSES | redis KEYS REQUESTS | memcached KEYS REQUESTS | sqlite FILE_LOAD FILE_RUN
# Policy "record" writes the profile that policies "hms-profile.." place by: $PROFILE.
# On standard output: lines "WORD NUMBER" of what moved and how large the program is.
set -euo pipefail

# It takes a node's memory away and sets kernel controls: never on a real machine.
case ${LAB_TOPOLOGY:-}/$(cat /proc/sys/kernel/hostname) in
  ?*/lab-*) ;;
  *)
    echo "${0##*/}: runs only inside an emulated machine; use bench/tiering/guest/run" >&2
    exit 2
    ;;
esac
tools=$HMS_BUILD/bench/tiering hms=$HMS_BUILD/cli/hms policy=$1 fast_mib=$2
shift 2

# What feeds the program, and the files that it reads, are not to take near memory.
aside() { numactl -m 1 "$@"; }
# What an allocation may take of node 0 before it goes to node 1, in pages: free beyond the low watermark and beyond what
# a zone keeps for those that need it.
usable() {
  awk '
    /^Node/ {node = $2; zone = $4}
    node != "0," {next}
    $1 == "pages" && $2 == "free" {free = $3}
    $1 == "low" {low = $2}
    $1 == "protection:" {gsub(/[(),]/, ""); left = free - low - $5; sum += left > 0 ? left : 0}
    END {print sum}' /proc/zoneinfo
}
moved() { awk '$1 == "pgmigrate_success" || $1 ~ /^pgpromote_success|^pgdemote/ {print $1, $2}' /proc/vmstat; }
# Huge pages reserved are nobody's: what remains of node 0 is the fast memory. The kernel keeps 35 MiB of a node of this size,
# more than what is fast; on nodes of usual sizes it is one part in some hundreds, so here it is told to keep less.
squeeze() {
  local file reserve=/sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages
  echo 4096 >/proc/sys/vm/min_free_kbytes
  echo 0 >/proc/sys/vm/watermark_boost_factor
  sync
  echo 3 >/proc/sys/vm/drop_caches
  # Programs and libraries are read from files into the far node, now: the kernel would not give up near memory for data.
  for file in bash awk taskset numactl jq cat redis-server memcached sqlite3 "$hms" "$HMS_BUILD/libhms_malloc.so" "$tools"/bench_*; do
    file=$(command -v "$file") || continue
    { echo "$file" && ldd "$file" 2>/dev/null | grep -o ' /[^ ]*'; } | aside xargs cat >/dev/null
  done
  echo $((($(usable) / 256 - fast_mib) / 2)) >$reserve
  moved | sed 's/^/squeezed_/' # to find huge pages
  echo "near_left_kib $(($(usable) * 4))"
}

before=()
case $policy in
  all-fast) before=(numactl -m 0) ;;
  record) before=("$hms" record --quiet -o "$PROFILE" --) ;;
  first-touch | kernel | hms-*) ;;
  interleave) before=(numactl "--interleave=0,1") ;;
  *)
    echo "job.sh: no policy '$policy'" >&2
    exit 2
    ;;
esac
case $policy in
  kernel)
    echo 1 >/sys/kernel/mm/numa/demotion_enabled
    echo 2 >/proc/sys/kernel/numa_balancing
    ;;
  hms-first-touch) before=("$hms" run --rule 'node:0>node:1' --) ;;
  hms-tiering) before=("$hms" run --tiering auto --) ;;
  hms-profile) before=("$hms" run --profile "$PROFILE" --) ;;
  hms-both) before=("$hms" run --profile "$PROFILE" --tiering auto --) ;;
esac
# Looking costs an emulated processor twenty times what it costs a real one, and it accesses memory twenty times less often:
# by the clock, what the engine does is dear and what it gains is little. Both are set right (0.5 %, 100 ns).
export HMS_TIERING_CPU=20 HMS_TIERING_GAP=2000
case $policy in all-fast | record) ;; *) squeeze ;; esac

on_cpu() { taskset -c 1 ${before[@]+"${before[@]}"} "$@"; }
mark() { "$tools/bench_mark" "$1"; }
# await FILE PID: until the file is there; the program must live.
await() {
  until [ -e "$1" ]; do
    kill -0 "$2" || { tail -n 5 log >&2; return 1; }
    sleep 0.2
  done
}
# The thread of libhms goes to the rest of the guest: what it accesses is not the program's. Of `hms record` the program is
# a child.
hms_thread_aside() {
  local task
  for task in /proc/[0-9]*/task/*; do
    case $(cat "$task/comm" 2>/dev/null) in
      hms-tiering | hms-record) taskset -cp 0 "${task##*/}" >/dev/null ;;
    esac
  done
}
stat_of() {
  awk '$1 == "VmRSS:" {print "rss_kib", $2}' "/proc/$1/status"
  awk '{for (i = 2; i <= NF; ++i) if ($i ~ /^N0=/) n += substr($i, 4)} END {print "near_kib", n * 4}' "/proc/$1/numa_maps"
  awk '/MemFree/ {print "near_free_kib", $4}' /sys/devices/system/node/node0/meminfo
  case $policy in
    hms-tiering | hms-both)
      # Its messages, and its counters: estimates are of the moment, when the program has just become idle.
      grep -s libhms log >&2 || true
      "$hms" stat --no-verify "$1" >&2
      "$hms" stat --json --no-verify "$1" | jq -r '.processes[0].tiering | to_entries[] | select(.value | type == "number") |
        "hms_\(.key) \(.value)"'
      ;;
  esac
}
# measured PROGRAM COMMAND..: what is counted.
measured() {
  local pid
  pid=$(pgrep -n -x "$1")
  shift
  hms_thread_aside
  moved | sed 's/^/before_/'
  SECONDS=0
  mark 1
  aside "$@"
  mark 0
  echo "seconds $SECONDS"
  stat_of "$pid"
}
# serve NAME KEYS REQUESTS COMMAND..
serve() {
  local name=$1 keys=$2 requests=$3 seed=1
  shift 3
  [ "$policy" != record ] || seed=2
  on_cpu "$@" >log 2>&1 &
  local pid=$!
  await s $pid
  hms_thread_aside
  aside "$tools/bench_tiering_load" "$name" s fill --keys "$keys"
  measured "$1" "$tools/bench_tiering_load" "$name" s ask --keys "$keys" --requests "$requests" --seed $seed
  pkill -TERM -x "$1"
  wait $pid || true
}

cd "$(mktemp -d)"
case $1 in
  kernel)
    on_cpu "$tools/bench_tiering_record" "$2" --native --mark --bytes "$3" --accesses "$4" &
    pid=$!
    while kill -0 $pid 2>/dev/null; do
      hms_thread_aside
      sleep 1
    done
    wait $pid
    ;;
  redis) serve "$@" redis-server --port 0 --unixsocket "$PWD/s" --save '' --appendonly no ;;
  memcached) serve "$@" memcached -u root -s "$PWD/s" -t 1 -m 1024 ;;
  sqlite)
    mkfifo sql
    on_cpu sqlite3 :memory: <sql >/dev/null 2>log &
    pid=$!
    exec 3>sql
    # A new file of output tells how far it is, without another process.
    { aside cat "$2" && printf '.output filled\n.output /dev/null\n'; } >&3
    await filled $pid
    measured sqlite3 sh -c "{ cat '$3' && echo '.output asked'; } >&3; until [ -e asked ]; do kill -0 $pid || exit 1; sleep 0.1; done"
    exec 3>&-
    wait $pid
    ;;
esac
moved
