#!/usr/bin/env bash
# topologies: ddr-cxl-hot
# boot: -t 900
# short: no
# What an administrator may do to a machine while programs run: nodes filled by others and by huge pages,
# cpusets and memory limits changed, the clock set, NUMA balancing, demotion and DAMON switched on, a node
# taken off line. The worker checks every block that it
# has and ends at the first wrong byte; hms check compares its counters with the kernel.
# Sets kernel controls, so only ever in the guest (lib.sh refuses elsewhere).
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

library=$HMS_BUILD/libhms_malloc.so
worker=$HMS_BUILD/tests/safety/safety_faults

worker_start() { # RULES
  local i
  HMS_CONF=$1 LD_PRELOAD=$library "$worker" until_killed &
  pid=$!
  for ((i = 0; i < 600; i++)); do
    "$hms" stat $pid --no-verify >/dev/null 2>&1 && return
    sleep 0.1
  done
  fail "the worker did not get going"
}
# The worker lives, allocates on, and its counters are true.
worker_fine() {
  sleep 3
  expect "$1: the worker goes on" [ -e /proc/$pid/exe ]
  expect "$1: counters agree with the kernel" "$hms" check $pid
}
worker_stop() {
  kill -9 $pid
  wait $pid 2>/dev/null
}
pages_of_worker() { "$lab/lab_auditor" $pid | awk -v n="node$1" '{for (i = 3; i < NF; i += 2) if ($i == n) s += $(i + 1)} END {print s + 0}'; }

clock_jumps() {
  worker_start 'size>=4096:node:1>node:0; node:0'
  date -s '2001-02-03 04:05:06' >/dev/null
  worker_fine 'the clock goes back'
  date -s '2037-02-03 04:05:06' >/dev/null
  worker_fine 'the clock goes on'
  worker_stop
}

cpusets() {
  mkdir -p "$work/cg"
  if ! mount -t cgroup2 none "$work/cg"; then
    fail "no cgroups in this guest"
    return
  fi
  echo '+cpuset +memory' >"$work/cg/cgroup.subtree_control"
  mkdir "$work/cg/test"
  worker_start 'size>=4096:node:1>node:0; node:0'
  echo $pid >"$work/cg/test/cgroup.procs"
  echo 0 >"$work/cg/test/cpuset.mems"
  worker_fine 'a cpuset without node 1'
  expect "a cpuset without node 1: the kernel took its pages away ($(pages_of_worker 1))" [ "$(pages_of_worker 1)" -lt 100 ]
  echo 0-1 >"$work/cg/test/cpuset.mems"
  worker_fine 'node 1 comes back'
  echo 160M >"$work/cg/test/memory.max"
  worker_fine 'a memory limit comes'
  echo max >"$work/cg/test/memory.max"
  worker_fine 'and goes'
  worker_stop
}

filled_by_others() {
  hold_start others --rule 'size>=65536:node:1!' -- "$(($(node_free_mib 1) + 50))M:1M"
  worker_start 'size>=4096:node:1>node:0; node:0'
  worker_fine 'node 1 is full of others'
  expect "node 1 is full of others: the worker is on node 0 ($(pages_of_worker 0))" [ "$(pages_of_worker 0)" -gt 1000 ]
  worker_stop
  hold_stop
}

filled_by_huge_pages() {
  local reserve=/sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages
  worker_start 'size>=4096:node:1>node:0; node:0'
  sleep 1
  echo 100000 >$reserve # takes what there is
  expect "huge pages fill node 1 ($(cat $reserve) of them, $(node_free_mib 1) MiB free)" [ "$(node_free_mib 1)" -lt 100 ]
  worker_fine 'node 1 is full of huge pages'
  worker_stop
  worker_start 'size>=4096:node:1>node:0; node:0'
  worker_fine 'started while node 1 is full of huge pages'
  expect "full of huge pages: the worker is on node 0 ($(pages_of_worker 0))" [ "$(pages_of_worker 0)" -gt 1000 ]
  worker_stop
  echo 0 >$reserve
}

# The kernel moves pages by itself: towards threads (1), up from slow tiers (2), down under pressure.
balancing() {
  local mode moved worker_pid
  worker_start 'size>=4096:node:1>node:0; node:0'
  for mode in 1 2 3; do
    echo $mode >/proc/sys/kernel/numa_balancing
    worker_fine "NUMA balancing mode $mode"
  done
  echo 1 >/sys/kernel/mm/numa/demotion_enabled
  worker_pid=$pid
  hold_start pressure --rule 'size>=65536:node:0' -- "$(($(node_free_mib 0) - 20))M:1M"
  pid=$worker_pid
  worker_fine 'demotion, and node 0 nearly full'
  hold_stop
  expect "demotion: no byte of the other program changed (status $status)" [ "$status" = 0 ]
  moved=$(awk '/^pgdemote|^numa_pages_migrated|^pgpromote_success/ {s += $2} END {print s + 0}' /proc/vmstat)
  expect "the kernel moved pages by itself ($moved)" [ "$moved" -gt 0 ]
  echo 0 >/sys/kernel/mm/numa/demotion_enabled
  echo 0 >/proc/sys/kernel/numa_balancing
  worker_stop
}

# DAMON watches the worker and asks for its cold memory to go. Not in Debian's 6.1 kernel.
damon() {
  local admin=/sys/kernel/mm/damon/admin kdamond=/sys/kernel/mm/damon/admin/kdamonds/0
  if [ ! -d $admin ]; then
    echo "skipped: this kernel ($(uname -r)) has no DAMON"
    return
  fi
  worker_start 'size>=4096:node:1>node:0; node:0'
  echo 1 >$admin/kdamonds/nr_kdamonds
  echo 1 >$kdamond/contexts/nr_contexts
  echo vaddr >$kdamond/contexts/0/operations
  echo 1 >$kdamond/contexts/0/targets/nr_targets
  echo $pid >$kdamond/contexts/0/targets/0/pid_target
  echo 1 >$kdamond/contexts/0/schemes/nr_schemes
  echo cold >$kdamond/contexts/0/schemes/0/action
  echo 1000 >$kdamond/contexts/0/schemes/0/access_pattern/sz/min
  echo 100000000000 >$kdamond/contexts/0/schemes/0/access_pattern/sz/max
  echo 100 >$kdamond/contexts/0/schemes/0/access_pattern/nr_accesses/max
  echo 1000 >$kdamond/contexts/0/schemes/0/access_pattern/age/max
  echo on >$kdamond/state
  expect "DAMON watches the worker" grep -q on $kdamond/state
  worker_fine 'DAMON watches it and calls its memory cold'
  echo update_schemes_stats >$kdamond/state
  expect "DAMON tried regions ($(cat $kdamond/contexts/0/schemes/0/stats/nr_tried))" \
    [ "$(cat $kdamond/contexts/0/schemes/0/stats/nr_tried)" -gt 0 ]
  echo off >$kdamond/state
  worker_fine 'DAMON is off again'
  worker_stop
}

off_line() {
  local block offline=0
  worker_start 'size>=4096:node:1>node:0; node:0'
  sleep 2
  expect "before: the worker is on node 1 ($(pages_of_worker 1))" [ "$(pages_of_worker 1)" -gt 1000 ]
  for block in /sys/devices/system/node/node1/memory[0-9]*; do
    if echo offline >"$block/state" 2>/dev/null; then offline=$((offline + 1)); fi
  done
  expect "blocks of node 1 went off line ($offline)" [ $offline -gt 0 ]
  worker_fine 'node 1 is off line'
  expect "node 1 is off line: no pages there ($(pages_of_worker 1))" [ "$(pages_of_worker 1)" = 0 ]
  worker_stop
  worker_start 'size>=4096:node:1>node:0; node:0'
  worker_fine 'started while node 1 is off line'
  worker_stop
}

clock_jumps
cpusets
filled_by_others
filled_by_huge_pages
balancing
damon
off_line
finish
