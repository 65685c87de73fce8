# shellcheck shell=bash
# What the recipes share when they are run as tests on any machine: named memories in the place of real ones, and checks.
set -eu
unset HMS_CONF HMS_CONF_FILE HMS_STATS_DIR
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"
# skip unless the programs of a recipe are here
needs() {
  local program
  for program; do
    command -v "$program" >/dev/null || {
      echo "skipped: no $program here"
      exit 77
    }
  done
}
# holds FILTER: is true for the report of the recipe
holds() { jq -e "$1" report.json >/dev/null || { echo "FAIL: not so in the report: $1" && cat report.json && exit 1; }; }
