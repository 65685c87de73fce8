#!/bin/bash
# rules.sh LIBRARY WORKER HMS: rules that change while threads allocate. The worker checks what is in
# each block; what is refused changes nothing; in the end counters and kernel agree.
# shellcheck source=pages.sh
. "$(dirname "$0")/pages.sh"
library=$(realpath "$1") worker=$(realpath "$2") hms=$(realpath "$3")
LD_PRELOAD=$library HMS_CONF='tiers fast=64M,slow=1G; fast>slow' "$worker" until_killed &
pid=$!
for ((i = 0; i < 100; i++)); do
  "$hms" stat $pid --no-verify >/dev/null 2>&1 && break
  sleep 0.05
done
allocated() {
  "$hms" stat $pid --no-verify --json | jq ".targets[] | select(.key == \"$1\") | .allocated_bytes"
}
rules() { "$hms" ctl $pid rules "$@" || fail "hms ctl $*"; }
# grows TARGET: what is allocated there goes up while the program runs on.
grows() {
  local before i
  before=$(allocated "$1")
  for ((i = 0; i < 200; i++)); do
    [ "$(allocated "$1")" -gt $((before + 20000000)) ] && return
    sleep 0.05
  done
  fail "$2: nothing new on $1"
}
for ((round = 0; round < 5; round++)); do
  rules --rule 'size>=4096:slow' --rule fast --quota slow=512M
  rules --rule 'thread=*:slow*3+fast'
  rules --rule 'object=safety_*:slow' --rule fast
  rules --none
done
rules --rule slow
grows tier:slow 'all to slow'
rules --rule fast
before=$(allocated tier:slow)
grows tier:fast 'all to fast'
rules --none
grows default 'no rules'
# Threads that only hit go on with the old answer for some thousand requests at most.
[ $(($(allocated tier:slow) - before)) -le 20000000 ] || fail "slow still grows after its rule went"
if out=$("$hms" ctl $pid rules --rule 'slow>nowhere' 2>&1); then fail "an unknown target was taken"; fi
case $out in *"'nowhere'"*) ;; *) fail "the refusal does not name what is wrong: $out" ;; esac
"$hms" check $pid || fail "hms check"
[ -e /proc/$pid ] || fail "the worker has ended"
kill -9 $pid
wait $pid 2>/dev/null
"$hms" stat >/dev/null
compgen -G "/dev/shm/hms-$(id -u)/$pid-*" && fail "files stay for ever"
echo "rules changed 24 times under load, $failures failures"
exit $((failures > 0))
