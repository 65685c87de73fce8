// What both back ends over real nodes share: room of a node, policy of a span, moving of pages.
#pragma once

#include "runtime/hbind/backend.h"
#include "runtime/support/os.h"

namespace hms::hbind {

// The status for a -errno of a mempolicy call.
hms_status status_of(int negative_errno);

// Bytes that the kernel would still give out on a node without going to another one. With
// `reclaimable`, also what it could free by dropping cached files. 0 if the node does not say.
uint64_t node_room(int node, bool reclaimable);

// Lets future pages of the span come from one node (or, several: any of them) if it has room, else
// from wherever the kernel finds some. Never MPOL_BIND: on a full node that is answered by the OOM
// killer, even when other nodes are free.
int prefer(PageSpan span, const os::NodeMask& nodes, bool several);
// Back to the policy of the thread that touches the page.
int clear_policy(PageSpan span);

// Fills batch->node for the pages in it; -errno if the kernel refuses the question.
int locate(Batch* batch);
// Moves pages to a node; done[i] where page i is there afterwards, or nowhere, by asking again.
// HMS_ENOMEM: no more room on the node.
hms_status move_to_node(const Batch& batch, int node, bool* done);

}  // namespace hms::hbind
