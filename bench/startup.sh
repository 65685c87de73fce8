#!/bin/bash
# startup.sh LIBRARY [ROUNDS]: what a preloaded /bin/true costs: without a library, with libjemalloc,
# with libhms_malloc, and with libhms_malloc and two tiers. Interleaved, so that a disturbance meets
# all alike; median and spread of ROUNDS (default 200). Exit status 1 if libhms_malloc takes more than
# HMS_STARTUP_LIMIT_US (default 500) microseconds longer than libjemalloc.
set -eu
library=$(realpath "$1")
rounds=${2:-200}
limit=${HMS_STARTUP_LIMIT_US:-500}
peer=$(ldconfig -p | awk '$1 == "libjemalloc.so.2" {print $NF; exit}')
[ -n "$peer" ] || { echo "startup.sh: libjemalloc.so.2 is not installed (apt-get install libjemalloc2)" >&2; exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/launch.c" <<'END'
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
enum { kKinds = 4, kMaxRounds = 10000, kWarmUp = 20 };
static double sample[kKinds][kMaxRounds];
static int by_value(const void* a, const void* b) {
  const double d = *(const double*)a - *(const double*)b;
  return (d > 0) - (d < 0);
}
static double run(char** environment) {
  char* const argv[] = {"true", NULL};
  struct timespec a, b;
  pid_t child;
  int status = 1;
  clock_gettime(CLOCK_MONOTONIC, &a);
  if (posix_spawn(&child, "/bin/true", NULL, NULL, argv, environment) != 0) exit(2);
  waitpid(child, &status, 0);
  clock_gettime(CLOCK_MONOTONIC, &b);
  if (status != 0) exit(2);
  return (b.tv_sec - a.tv_sec) * 1e6 + (b.tv_nsec - a.tv_nsec) / 1e3;
}
int main(int argc, char** argv) {
  (void)argc;
  static char peer[4096], ours[4096];
  const int rounds = atoi(argv[3]) < kMaxRounds ? atoi(argv[3]) : kMaxRounds;
  snprintf(peer, sizeof(peer), "LD_PRELOAD=%s", argv[1]);
  snprintf(ours, sizeof(ours), "LD_PRELOAD=%s", argv[2]);
  char* environments[kKinds][3] = {
      {NULL}, {peer, NULL}, {ours, NULL},
      {ours, "HMS_CONF=tiers fast=64M,slow=1G; size>=4096:slow; fast>slow", NULL}};
  const char* const names[kKinds] = {"no library", "libjemalloc", "libhms_malloc", "libhms_malloc, two tiers"};
  for (int r = -kWarmUp; r < rounds; r++) {
    for (int k = 0; k < kKinds; k++) {
      const double t = run(environments[k]);
      if (r >= 0) sample[k][r] = t;
    }
  }
  double median[kKinds];
  for (int k = 0; k < kKinds; k++) {
    qsort(sample[k], rounds, sizeof(double), by_value);
    median[k] = sample[k][rounds / 2];
    printf("%-26s median %7.0f us   10%% %7.0f   90%% %7.0f\n", names[k], median[k],
           sample[k][rounds / 10], sample[k][rounds * 9 / 10]);
  }
  const double more = median[2] - median[1];
  printf("libhms_malloc - libjemalloc: %+.0f us (limit %s)\n", more, argv[4]);
  return more > atof(argv[4]);
}
END
${CC:-cc} -O2 -o "$work/launch" "$work/launch.c"
echo "startup.sh: $rounds rounds of four ways to start /bin/true" >&2
"$work/launch" "$peer" "$library" "$rounds" "$limit"
