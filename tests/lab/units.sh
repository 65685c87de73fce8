#!/usr/bin/env bash
# Units of tiering between a near and a far node: where pages are born, and where moves take them.
# topologies: ddr-cxl
# boot: -t 600
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

# lab_units checks each page with move_pages itself.
expect "between node 0 and node 1" "$lab/lab_units" 0 1
oom_killer_was_quiet() { ! dmesg | grep -i 'out of memory\|oom-kill'; }
expect "the OOM killer had nothing to do" oom_killer_was_quiet
finish
