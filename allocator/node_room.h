// How much of a node may still be committed without pages landing elsewhere.
//
// The kernel serves a preferred node only down to its low watermark and then spills silently, so a
// list "A > B" has to know when A is full before the kernel does. MemFree alone is not enough: what
// we charged but the program has not touched yet is still free. The estimate is therefore
//
//   room = min(MemFree, MemFree when first read - charged since) - watermarks - 1 %
//
// exact while this process is the only user of the node, and pessimistic when others come. sysfs is
// read again after a few MiB of charges or some milliseconds, never on a cache hit.
#pragma once

#include <cstdint>

namespace hms::alloc {

// False when `bytes` more would take the node below its margin. Nodes that cannot be read have
// room.
bool take_node_room(int node, uint64_t bytes);
// Bytes that take_node_room() would still grant; no limit for nodes that cannot be read.
uint64_t node_room_left(int node);
void give_node_room(int node, uint64_t bytes);
// True when less than an eighth of what the process found free is left. The kernel may then have no
// huge page there any more, and takes a whole one from another node rather than small ones from the
// preferred node (mm/mempolicy.c, vma_alloc_folio): the caller asks for small pages instead.
bool node_is_tight(int node);

}  // namespace hms::alloc
