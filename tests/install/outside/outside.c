/* A C program outside the project: asks for the machine's memories and allocates on one. */
#include <hms/hms.h>
#include <stdio.h>
#include <string.h>

int main(void) {
  hms_topology* topology = NULL;
  if (hms_topology_load("sysfs", &topology) != HMS_OK) {
    fprintf(stderr, "load: %s\n", hms_last_error());
    return 1;
  }
  hms_id ids[16];
  size_t count = 16;
  hms_query_spec query = {.size = sizeof query, .order = HMS_BY_CAPACITY};
  const hms_placement* placement = NULL;
  if (hms_find(topology, &query, ids, &count) != HMS_OK || count == 0 ||
      hms_placement_of(topology, ids, 1, 0, &placement) != HMS_OK) {
    fprintf(stderr, "find: %s\n", hms_last_error());
    return 1;
  }
  char* block = hms_malloc(100000, placement);
  if (!block) return 1;
  memset(block, 1, 100000);
  printf("version %d, %zu bytes on %s\n", hms_version(), hms_usable_size(block),
         hms_target_of(block));
  hms_free(block);
  hms_topology_free(topology);
  return hms_version() == HMS_VERSION_MAJOR * 10000 + HMS_VERSION_MINOR * 100 + HMS_VERSION_PATCH
             ? 0
             : 1;
}
