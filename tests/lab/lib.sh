# shellcheck shell=bash disable=SC2034 # status and the like are for the tests
# What the placement tests share. To be sourced inside the guest; $HMS_BUILD is the build to test.
set -uo pipefail

# Never on a real machine: the tests fill nodes to the brim.
case ${LAB_TOPOLOGY:-}/$(cat /proc/sys/kernel/hostname) in
  ?*/lab-*) ;;
  *)
    echo "${0##*/}: runs only inside an emulated machine; use tests/lab/run-suite" >&2
    exit 2
    ;;
esac
: "${HMS_BUILD:?is set by tests/lab/run-suite}"
hms=$HMS_BUILD/cli/hms
lab=$HMS_BUILD/tests/lab
work=$(mktemp -d) || exit 2
failures=0

fail() {
  echo "FAIL: $*"
  failures=$((failures + 1))
}
pass() { echo "ok: $*"; }
# expect WHAT COMMAND..: the command succeeds.
expect() {
  local what=$1
  shift
  if "$@"; then pass "$what"; else fail "$what"; fi
}
# The test's last words.
finish() {
  echo "$((failures)) failures on $LAB_TOPOLOGY"
  [ "$failures" = 0 ]
  exit
}

# Until the program says in $ranges that it is ready, has ended, or has had four minutes.
await_ready() {
  local waited=0
  until grep -qs '^ready' "$ranges"; do
    kill -0 "$launcher" 2>/dev/null || break
    waited=$((waited + 1))
    [ $waited -lt 2400 ] || break
    sleep 0.1
  done
}

# hold_start NAME [hms run options..] -- GROUP..: starts lab_hold under `hms run`, waits until it holds
# its memory. Sets pid. hold_stop ends it and sets status. launch_under: words before `hms`.
launch_under=()
hold_start() {
  local name=$1 options=()
  shift
  while [ "$1" != -- ]; do
    options+=("$1")
    shift
  done
  shift
  ranges=$work/$name.ranges
  report=$work/$name.json
  rm -f "$work/stdin"
  mkfifo "$work/stdin"
  ${launch_under[@]+"${launch_under[@]}"} "$hms" run "${options[@]}" "--report=$report" -- "$lab/lab_hold" "$ranges" "$@" <"$work/stdin" &
  launcher=$!
  exec 9>"$work/stdin"
  pid=''
  await_ready
  if grep -qs '^ready' "$ranges"; then
    pid=$(sed -n 's/^pid //p' "$ranges")
  else
    fail "$name: the program did not get ready"
  fi
}
hold_stop() {
  exec 9>&-
  wait "$launcher"
  status=$?
}
# Bytes that a group of lab_hold got, and whether malloc said NULL in the end ("null") or not ("full").
group_bytes() { awk -v g="$1" '$1 == "group" && $2 == g {print $3}' "$ranges"; }
group_end() { awk -v g="$1" '$1 == "group" && $2 == g {print $4}' "$ranges"; }

# audit: asks the kernel once; pages_on GROUP nodeN|absent|hidden|scan tells what it said.
audit() {
  "$lab/lab_auditor" "$pid" "$ranges" >"$work/audit" || fail "the auditor cannot examine $pid"
  sed 's/^/  kernel: /' "$work/audit"
}
pages_on() {
  awk -v g="$1" -v w="$2" '$1 == "group" && $2 == g {
    for (i = 3; i < NF; i += 2) if ($i == w) n = $(i + 1) } END { print n + 0 }' "$work/audit"
}
# only_on GROUP nodeA [nodeB..]: no page of the group elsewhere, none hidden.
only_on() {
  awk -v g="$1" -v names=" ${*:2} " '$1 == "group" && $2 == g {
    for (i = 3; i < NF; i += 2)
      if ($i != "absent" && $i != "scan" && $(i + 1) > 0 && index(names, " " $i " ") == 0) bad = 1
    seen = 1 } END { exit bad || !seen }' "$work/audit"
}
# between LOW VALUE HIGH
between() { [ "$1" -le "$2" ] && [ "$2" -le "$3" ]; }
# The report's own count of misplaced pages, over all targets.
misplaced() { jq '[.targets[].misplaced_pages] | add // 0' "$report"; }
verified() { jq '[.targets[].verified_pages] | add // 0' "$report"; }
node_free_mib() { awk '/MemFree/ {print int($4 / 1024)}' "/sys/devices/system/node/node$1/meminfo"; }
