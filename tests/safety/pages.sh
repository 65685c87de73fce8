# shellcheck shell=bash disable=SC2034 # failures is for the tests
# What the tests with counter pages share. To be sourced.
set -u
failures=0
fail() {
  echo "FAIL: $*"
  failures=$((failures + 1))
}
if ! [ -w /dev/shm ]; then
  echo "skipped: /dev/shm cannot be written to"
  exit 77
fi
unset HMS_STATS_DIR HMS_STATS_KEEP
