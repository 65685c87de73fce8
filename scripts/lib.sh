# shellcheck shell=bash
# What the scripts share: messages, package installation, builds, a tally of checks. To be sourced.
set -uo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
jobs=${HMS_JOBS:-$(nproc)}
export LC_ALL=C

arrow='==>'
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then arrow=$'\033[1m==>\033[0m'; fi
say() { printf '%s %s\n' "$arrow" "$*"; }
die() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

# Runs a command as root: directly, or through sudo.
as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    die "needs root for: $* (run it as root, or install sudo)"
  fi
}

# Installs the packages named in the given files (a name a line, '#' starts a comment). Asks nothing
# of the network when all are there.
install_packages() {
  local name missing=()
  while read -r name; do
    [ "$(dpkg-query -W -f='${Status}' "$name" 2>/dev/null)" = 'install ok installed' ] ||
      missing+=("$name")
  done < <(sed 's/#.*//; s/[[:space:]]*$//; /^$/d' "$@")
  if [ "${#missing[@]}" = 0 ]; then
    say "packages: all installed"
    return
  fi
  command -v apt-get >/dev/null ||
    die "needs the Debian packages ${missing[*]}, and there is no apt-get to install them"
  local log
  log=$(mktemp) || die "cannot write a temporary file"
  say "packages: installing ${missing[*]}"
  {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q update &&
      as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -q install -y --no-install-recommends "${missing[@]}"
  } >"$log" 2>&1 </dev/null || {
    tail -n 30 "$log" >&2
    rm -f "$log"
    die "cannot install the packages; the end of apt-get's output is above"
  }
  rm -f "$log"
}

# build PRESET [OPTION..]: configures and builds build/PRESET; quiet, unless it fails. Options
# starting with -D go to the configuration, others to the build.
build() {
  local preset=$1 option configure=() targets=() log
  shift
  for option; do
    case $option in -D*) configure+=("$option") ;; *) targets+=("$option") ;; esac
  done
  mkdir -p "$top/build" || die "cannot write to $top/build"
  log=$top/build/$preset.log
  say "building $preset (log: build/$preset.log)"
  local start=$SECONDS
  (cd "$top" && cmake --preset "$preset" ${configure[@]+"${configure[@]}"} &&
    cmake --build --preset "$preset" -j "$jobs" ${targets[@]+--target "${targets[@]}"}) >"$log" 2>&1 || {
    grep -nE -A5 'error|Error' "$log" | head -n 60 >&2
    tail -n 15 "$log" >&2
    printf '%s: the %s build failed; its log is %s\n' "${0##*/}" "$preset" "$log" >&2
    return 1
  }
  say "built $preset in $((SECONDS - start)) s"
}

# The lines of a log that tell why something failed; in a long one they are far from its end.
show_failures() {
  grep -nE -A3 ': Failure$|\*\*\*Failed|: [A-Za-z]*Sanitizer|CHECK failed|^ *(not ok|FAIL)|error:' "$1" | head -n 60
  echo ...
  tail -n 5 "$1"
}

check_log() { printf '%s' "$top/build/check-${1//[^A-Za-z0-9._-]/_}.log"; }

# A tally of named checks. check NAME COMMAND..: status 0 passes, 77 is a skip (the reason is the last
# line of the output), all else fails.
tally_passed=() tally_failed=() tally_skipped=()
check() {
  local name=$1 start=$SECONDS status log
  shift
  mkdir -p "$top/build"
  log=$(check_log "$name")
  "$@" >"$log" 2>&1 </dev/null
  status=$?
  case $status in
    0)
      tally_passed+=("$name")
      printf 'PASS  %-28s %4d s\n' "$name" $((SECONDS - start))
      ;;
    77)
      tally_skipped+=("$name: $(tail -n 1 "$log")")
      printf 'SKIP  %-28s %s\n' "$name" "$(tail -n 1 "$log")"
      ;;
    *)
      tally_failed+=("$name")
      printf 'FAIL  %-28s %4d s, status %d; log: %s\n' "$name" $((SECONDS - start)) "$status" "$log"
      ;;
  esac
}

# Prints the tally; fails if a check failed or none ran.
summary() {
  local entry
  printf '\n%s: %d passed, %d failed, %d skipped\n' "$1" "${#tally_passed[@]}" \
    "${#tally_failed[@]}" "${#tally_skipped[@]}"
  for entry in ${tally_skipped[@]+"${tally_skipped[@]}"}; do printf '  skipped: %s\n' "$entry"; done
  # The reasons last: a record of a long run often keeps only its end.
  for entry in ${tally_failed[@]+"${tally_failed[@]}"}; do
    printf '  failed:  %s\n' "$entry"
    show_failures "$(check_log "$entry")" | sed 's/^/      /'
  done
  [ "${#tally_failed[@]}" = 0 ] && [ "${#tally_passed[@]}" -gt 0 ]
}
