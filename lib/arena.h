/*
 * Memory that lives as long as a request or a batch: handed out in pieces,
 * given back at once, limited by a cap.
 */
#ifndef ARENA_H
#define ARENA_H

#include <stdbool.h>
#include <stddef.h>

#include "attr.h"
#include "str.h"

struct arena_block;

struct arena {
	struct arena_block *head; /* newest first */
	size_t used_bytes, limit_bytes;
	bool failed; /* something was refused since the last reset */
};

/* An empty arena; allocates nothing yet. */
void arena_init(struct arena *a, size_t limit_bytes) ATTR_NONNULL;

/*
 * Give n zeroed bytes, aligned for any type, that live until arena_reset(),
 * or NULL when the cap or the memory is spent.
 */
void *arena_alloc(struct arena *a, size_t n) ATTR_NONNULL ATTR_USE_RESULT;

/* n elements of size bytes; NULL also when the product overflows. */
void *arena_array(
    struct arena *a, size_t n, size_t size) ATTR_NONNULL ATTR_USE_RESULT;

/* A NUL-terminated copy, or NULL. */
char *arena_strdup(struct arena *a, struct str s) ATTR_NONNULL ATTR_USE_RESULT;

/* A formatted, NUL-terminated text, or NULL. */
char *arena_printf(struct arena *a, const char *fmt, ...) ATTR_PRINTF(2, 3);

/*
 * Take everything back.  One block of ordinary size is kept for the next
 * use; under AddressSanitizer it is poisoned, so that stale views are caught.
 */
void arena_reset(struct arena *a) ATTR_NONNULL;

/* Give all memory back to the system. */
void arena_free(struct arena *a) ATTR_NONNULL;

#endif
