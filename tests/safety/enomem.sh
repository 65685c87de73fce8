#!/bin/bash
# enomem.sh LIBRARY INTERPOSER WORKER: ENOMEM at every call with which the library asks the kernel for
# memory, each in turn, from the very first one of the process: once alone, once with all that follow.
# The worker checks what it gets, takes NULL for an answer, and must end with status 0.
set -u
library=$(realpath "$1") interposer=$(realpath "$2") worker=$(realpath "$3")
unset HMS_CONF HMS_CONF_FILE
failures=0

# refuse N REST: the worker with call N refused. It stops itself after a minute.
refuse() {
  HMS_TEST_REFUSE=$1 HMS_TEST_REFUSE_REST=$2 LD_PRELOAD="$interposer $library" \
    "$worker" frugal >/dev/null 2>"$messages"
}

messages=$(mktemp)
trap 'rm -f "$messages"' EXIT
for conf in "" "tiers fast=64M,slow=1G; size>=4096:slow; fast>slow"; do
  export HMS_CONF=$conf HMS_LOG_LEVEL=error
  points=$({ HMS_TEST_REFUSE_COUNT=3 LD_PRELOAD="$interposer $library" "$worker" frugal >/dev/null; } 3>&1)
  if ! [ "${points:-0}" -ge 10 ]; then
    echo "only '${points:-}' calls were counted: the interposer sees nothing, so this test would show nothing"
    exit 1
  fi
  for ((point = 1; point <= points; point++)); do
    for rest in 0 1; do
      refuse $point $rest
      status=$?
      [ $status = 0 ] && continue
      failures=$((failures + 1))
      echo "FAIL: status $status with call $point of $points refused, rest=$rest, HMS_CONF='$conf'"
      head -n 5 "$messages"
    done
  done
  echo "${conf:-without rules}: $points calls, each refused alone and with all that follow"
done
exit $((failures > 0))
