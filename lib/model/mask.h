/*
 * What is shown of labels and of what clients say about themselves:
 * contract/collector.md sections 6.4 and 6.8.
 */
#ifndef MODEL_MASK_H
#define MODEL_MASK_H

#include "arena.h"
#include "str.h"

/* A key: nothing of a short one, a little of both ends of a long one. In a. */
struct str mask_key(struct str key, struct arena *a);

/*
 * Text of a client (address, agent): controls and invisible characters become
 * blanks, runs of blanks one, at most max_bytes with "..." at the end.  In a.
 */
struct str clean_text(struct str s, size_t max_bytes, struct arena *a);

/* At most max_bytes, cut between characters. */
struct str cut_text(struct str s, size_t max_bytes);

#endif
