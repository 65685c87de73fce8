// mark PHASE [-- COMMAND..]: tells the counting emulator (heat_plugin.c) that a phase begins, 1 to
// 511, or with 0 that none is counted; then runs the command, if any, in its place.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench/tiering/marker.h"

int main(int count, char** words) {
  char* end = NULL;
  unsigned long phase = count > 1 ? strtoul(words[1], &end, 10) : MARKER_PHASES;
  if (count < 2 || end == words[1] || *end || phase >= MARKER_PHASES || count == 3) {
    fprintf(stderr, "usage: mark PHASE [-- COMMAND..], with PHASE from 0 to 511\n");
    return 2;
  }
  if (!marker_map()) {
    perror("mark: mmap");
    return 1;
  }
  marker_set((unsigned)phase);
  if (count == 2) return 0;
  execvp(words[3], words + 3);
  perror(words[3]);
  return 127;
}
