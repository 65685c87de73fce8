#!/bin/bash
# tiering.sh LIBRARY HMS HOT_AND_COLD: real programs under `hms run --tiering`. What they say is what they say
# without; what the engine does is seen from outside; what cannot be is told once.
set -u
library=$(realpath "$1") hms=$2 program=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0
check() {
  local what=$1
  shift
  if "$@"; then echo "ok: $what"; else echo "FAIL: $what" && failures=$((failures + 1)); fi
}
unset HMS_CONF HMS_CONF_FILE HMS_TOPOLOGY HMS_TIERING HMS_NEAR_FAR HMS_PROFILE HMS_RECORD
export HOME=$work HMS_LIBRARY=$library
tiers=fast=8M,slow=1G

# A program that takes some seconds, in memory larger than the near tier.
seq 1 400000 | awk '{ print ($1 * 7919) % 1000003, $1 }' >"$work/in"
sort -S 64M -n "$work/in" >"$work/plain"
"$hms" run --tiering auto --tiers $tiers -- sort -S 64M -n "$work/in" >"$work/tiered"
check "sort ends with 0" [ $? = 0 ]
check "sort says the same" cmp "$work/plain" "$work/tiered"
words='@a = map { "x" x ($_ % 900) } 1 .. 60000; %h = map { $_ => $a[$_] } 0 .. 20000; print scalar(@a) . " " . length(join("", @a)) . " " . keys(%h) . "\n"'
perl -e "$words" >"$work/plain"
"$hms" run --tiering auto --tiers $tiers -- perl -e "$words" >"$work/tiered"
check "perl says the same" cmp "$work/plain" "$work/tiered"

# From outside, while it runs. Nothing else on the machine is looked at: the number is of our own child.
"$hms" run --tiering auto --tiers near=12M,far=1G -- "$program" 600000 2>"$work/err" &
pid=$!
field() { "$hms" stat --json --no-verify $pid 2>/dev/null | jq -r ".processes[0].tiering.$1"; }
steps_come() {
  local tries steps
  for ((tries = 0; tries < 600; tries++)); do
    steps=$(field steps)
    [ "${steps:-null}" != null ] && [ "$steps" -ge 3 ] && return 0
    sleep 0.1
  done
  return 1
}
check "stat counts steps" steps_come
check "stat names the sides ($(field near), $(field far))" [ "$(field near) $(field far)" = "tier:near tier:far" ]
check "stat names the sampler ($(field sampler))" [ -n "$(field sampler)" ]
"$hms" stat --no-verify $pid >"$work/stat"
check "the table says so, too" grep -q "^tiering tier:near > tier:far, sampler .*, [0-9]* steps" "$work/stat"
check "two threads" [ "$(find /proc/$pid/task -mindepth 1 -maxdepth 1 | wc -l)" = 2 ]
kill $pid
wait $pid
status=$?
check "SIGTERM ends it ($status)" [ $status = 143 ]
check "nothing was said" [ ! -s "$work/err" ]

# A program that is small beside near memory is left as it is, and only that is said.
HMS_TIERING_AFTER=1G "$hms" run --tiering auto --tiers near=12M,far=1G -- "$program" 600000 2>"$work/err" &
pid=$!
said=
for ((tries = 0; tries < 600 && ${#said} < 5; tries++)); do
  said=$(field state)
  sleep 0.1
done
check "a small program waits ($said)" [ "$said" = waiting ]
check "... and says for what ($(field why))" [ "$(field why)" = "the program has less than 1 GiB" ]
placed() { "$hms" stat --json --no-verify $pid | jq '[.processes[0].targets[] | select(.key | startswith("tier:")) | .allocated_bytes] | add // 0'; }
check "... nothing is in a tier ($(placed))" [ "$(placed)" = 0 ]
"$hms" stat --no-verify $pid >"$work/stat"
check "the table says so, too" grep -q "^tiering tier:near > tier:far waits: the program has less than 1 GiB" "$work/stat"
kill $pid
wait $pid
HMS_TIERING=auto HMS_TIERING_AFTER=some HMS_CONF="tiers $tiers" LD_PRELOAD=$library "$program" 300 2>"$work/err"
check "a wrong HMS_TIERING_AFTER is named once" \
  [ "$(grep -c "HMS_TIERING_AFTER: .*'some'.*going on with a sixteenth of near memory" "$work/err")" = 1 ]

# What cannot be.
"$hms" run --tiering nonsense -- true 2>"$work/err"
check "--tiering nonsense is refused with 2" [ $? = 2 ]
check "... and named" grep -q "^hms run: --tiering: 'nonsense' is neither" "$work/err"
"$hms" run --tiering 'fast>nowhere' --tiers $tiers -- true 2>"$work/err"
check "an unknown memory is refused with 2" [ $? = 2 ]
check "... and named" grep -q "'nowhere'" "$work/err"
HMS_TIERING=nonsense HMS_CONF="tiers $tiers" LD_PRELOAD=$library "$program" 300 2>"$work/err"
check "a program goes on with HMS_TIERING=nonsense" [ $? = 0 ]
check "... which is named once" [ "$(grep -c "HMS_TIERING: 'nonsense'.*going on without" "$work/err")" = 1 ]
HMS_TIERING=auto HMS_TOPOLOGY=tiers:only=1G LD_PRELOAD=$library "$program" 300 2>"$work/err"
check "one memory is nothing to speak of" [ ! -s "$work/err" ]
HMS_TIERING=auto HMS_LOG_LEVEL=info HMS_TOPOLOGY=tiers:only=1G LD_PRELOAD=$library "$program" 300 2>"$work/err"
check "... but with HMS_LOG_LEVEL=info" grep -q "HMS_TIERING: there is nothing to tier: 'tier:only'" "$work/err"
"$hms" run --tiering auto --topology tiers:only=1G -- true 2>"$work/err"
check "... and hms run has a hint" grep -q "^hms run: --tiering: there is nothing to tier.*running without" "$work/err"
"$hms" run --tiering auto --tiers $tiers --rule 'fast>slow' -- true 2>"$work/err"
check "a rule for everything has a hint" grep -q "nothing is left to be tiered" "$work/err"
HMS_RECORD=1 HMS_TIERING=auto HMS_CONF="tiers $tiers" LD_PRELOAD=$library "$program" 300 2>"$work/err"
check "recording comes before tiering, and says so" grep -q "HMS_TIERING has no effect" "$work/err"
HMS_TIERING=auto HMS_TIERING_CPU=much HMS_CONF="tiers $tiers" LD_PRELOAD=$library "$program" 300 2>"$work/err"
check "a wrong HMS_TIERING_CPU is named" grep -q "HMS_TIERING_CPU=much" "$work/err"
HMS_TIERING=auto HMS_TIERING_GAP=0 HMS_CONF="tiers $tiers" LD_PRELOAD=$library "$program" 300 2>"$work/err"
check "a wrong HMS_TIERING_GAP is named, and what is used instead" \
  grep -q "HMS_TIERING_GAP=0: a number of nanoseconds from 1 to .*going on with 100" "$work/err"
HMS_TIERING=auto HMS_TIERING_WEAVE=4:0 HMS_CONF="tiers $tiers" LD_PRELOAD=$library "$program" 300 2>"$work/err"
check "a wrong HMS_TIERING_WEAVE is named, and what is used instead" \
  grep -q "HMS_TIERING_WEAVE: '4:0' is neither auto, off nor NEAR:FAR.*going on with auto" "$work/err"
HMS_TIERING=auto HMS_TIERING_WEAVE=2.5:1 HMS_CONF="tiers $tiers" LD_PRELOAD=$library "$program" 300 2>"$work/err"
check "a right one is not" [ ! -s "$work/err" ]
HMS_TIERING=auto "$hms" run --tiering off --tiers $tiers --rule 'fast>slow' -- \
  bash -c 'find "/proc/$$/task" -mindepth 1 -maxdepth 1 | wc -l' >"$work/out"
check "--tiering off has no thread" [ "$(cat "$work/out")" = 1 ]
echo "$failures failures"
[ "$failures" = 0 ]
