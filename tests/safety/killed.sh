#!/bin/bash
# killed.sh LIBRARY WORKER HMS: SIGKILL in the middle of a program whose counters others have mapped.
# The page that stays behind can be read by nobody else, harms nobody, and goes with the next look.
# shellcheck source=pages.sh
. "$(dirname "$0")/pages.sh"
library=$(realpath "$1") worker=$(realpath "$2") hms=$(realpath "$3")
pages=/dev/shm/hms-$(id -u)
for ((round = 0; round < 10; round++)); do
  LD_PRELOAD=$library HMS_CONF='tiers fast=64M,slow=1G; size>=4096:slow; fast>slow' "$worker" until_killed &
  pid=$!
  for ((i = 0; i < 100; i++)); do
    compgen -G "$pages/$pid-*" >/dev/null && break
    sleep 0.05
  done
  page=$(compgen -G "$pages/$pid-*" | head -n 1)
  [ -n "$page" ] || { fail "process $pid has no page"; kill -9 $pid; continue; }
  [ "$(stat -c %a-%u "$page" "$pages" | tr '\n' ' ')" = "600-$(id -u) 700-$(id -u) " ] ||
    fail "modes and owners: $(stat -c '%a %u %n' "$page" "$pages")"
  # a look at it while it dies
  "$hms" stat $pid --json >/dev/null 2>&1 &
  look=$!
  kill -9 $pid
  wait $pid 2>/dev/null
  wait $look
  case $? in 0 | 1) ;; *) fail "hms stat ended with $? when its target was killed" ;; esac
  "$hms" stat $pid >/dev/null 2>&1
  [ $? = 1 ] || fail "hms stat of a killed process"
  "$hms" stat >/dev/null || fail "hms stat"
  [ ! -e "$page" ] || fail "$page stays for ever"
done
echo "$round processes killed with their counters mapped, $failures failures"
exit $((failures > 0))
