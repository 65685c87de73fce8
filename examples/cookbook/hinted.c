// A store in small that says what it knows: an index that every request goes through, an archive
// that is seldom read, and lines of text that are freed at once. It runs with and without tiering.
#include <hms/hms.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { kEntries = 1 << 17, kRecords = 1 << 14, kRecordBytes = 2000 };

int main(void) {
  // [hinted]
  const hms_placement *hot, *cold, *brief;
  if (hms_placement_hinted(HMS_HEAT_HOT, HMS_LIFE_LONG, &hot) != HMS_OK ||
      hms_placement_hinted(HMS_HEAT_COLD, HMS_LIFE_LONG, &cold) != HMS_OK ||
      hms_placement_hinted(HMS_HEAT_UNKNOWN, HMS_LIFE_SHORT, &brief) != HMS_OK) {
    fprintf(stderr, "%s\n", hms_last_error());
    return 1;
  }
  char** index = hms_calloc(kEntries, sizeof *index, hot);
  // [/hinted]
  if (index == NULL) return 1;
  for (uint32_t i = 0; i < kRecords; ++i) {
    char* line = hms_malloc(kRecordBytes, brief);
    char* record = hms_malloc(kRecordBytes, cold);
    if (line == NULL || record == NULL) return 1;
    memset(line, (int)i, kRecordBytes);
    memcpy(record, line, kRecordBytes);
    hms_free(line);
    index[i * 2654435761u % kEntries] = record;
  }
  uint64_t found = 0;
  for (uint32_t i = 0; i < 10000000; ++i) found += index[i * 2246822519u % kEntries] != NULL;
  printf("%llu found; the index is on %s, records are on %s\n", (unsigned long long)found,
         hms_target_of(index), hms_target_of(index[0]));
  return 0;
}
