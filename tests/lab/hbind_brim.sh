#!/usr/bin/env bash
# hbind on a node filled to the brim: by ourselves, by another process, by reserved huge pages.
# Node 2 is the small one (HBM), node 3 has the most room.
# topologies: hbm-ddr-cxl
# boot: -t 600
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

first=2
next=3
reserve=/sys/devices/system/node/node$first/hugepages/hugepages-2048kB/nr_hugepages

# lab_hbind_brim checks each page with move_pages itself; killed by the OOM killer it ends with 137.
scenario() {
  echo "-- $1"
  expect "$1" "$lab/lab_hbind_brim" $first $next "$2"
}

scenario "filled by ourselves" alone
scenario "filled by another process" other
scenario "filled while a strict bind populates" race
echo $(($(node_free_mib $first) / 2 - 24)) >$reserve
scenario "filled with huge pages, a little left" full
echo 100000 >$reserve # takes what there is
scenario "filled with huge pages to the last" full
echo 0 >$reserve
scenario "free again" alone
oom_killer_was_quiet() { ! dmesg | grep -i 'out of memory\|oom-kill'; }
expect "the OOM killer had nothing to do" oom_killer_was_quiet
finish
