// A service in small: a catalogue of records that are seldom read, and an index that every request
// goes through. usage: lookup MILLISECONDS
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { kRecords = 1 << 16, kRecordBytes = 1000, kSlots = kRecords * 2 };

struct slot {
  uint64_t key;
  char* record;
};

static uint64_t mix(uint64_t x) {
  x *= 0x9e3779b97f4a7c15u;
  return x ^ x >> 29;
}

static struct slot* make_index(void) { return calloc(kSlots, sizeof(struct slot)); }

static char* make_record(uint64_t key) {
  char* record = malloc(kRecordBytes);
  if (record != NULL) memset(record, (int)(key & 0xff), kRecordBytes);
  return record;
}

static struct slot* find(struct slot* index, uint64_t key) {
  struct slot* at = &index[mix(key) % kSlots];
  while (at->record != NULL && at->key != key) at = at == &index[kSlots - 1] ? index : at + 1;
  return at;
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

int main(int argc, char** argv) {
  struct slot* index = make_index();
  if (index == NULL) return 1;
  for (uint64_t key = 1; key <= kRecords; ++key) {
    char* record = make_record(key);
    if (record == NULL) return 1;
    *find(index, key) = (struct slot){key, record};
  }
  const double end = now() + (argc > 1 ? atof(argv[1]) : 1000) / 1000;
  uint64_t asked = 0, there = 0;
  for (; asked % 4096 != 0 || now() < end; ++asked) {
    // Half of the requests are for what is not there; one in a thousand reads its record.
    const struct slot* found = find(index, mix(asked) % (2 * kRecords) + 1);
    if (found->record == NULL) continue;
    there += asked % 1000 != 0 || found->record[0] == (char)(found->key & 0xff);
  }
  printf("%.0f requests, %.0f found\n", (double)asked, (double)there);
  return 0;
}
