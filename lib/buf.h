/*
 * A growing run of bytes with a cap.  Writing past the cap, or out of
 * memory, sets `failed` and drops the rest; check it once at the end.
 */
#ifndef BUF_H
#define BUF_H

#include <stdbool.h>
#include <stddef.h>

#include "attr.h"
#include "str.h"

struct buf {
	char *p; /* NULL while empty; always followed by a NUL otherwise */
	size_t n, size_bytes, limit_bytes;
	bool failed;
};

/* An empty buffer that may hold limit_bytes; allocates nothing yet. */
void buf_init(struct buf *b, size_t limit_bytes) ATTR_NONNULL;

void buf_add(struct buf *b, const void *p, size_t n);
void buf_str(struct buf *b, struct str s);
void buf_z(struct buf *b, const char *z);
void buf_char(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...) ATTR_PRINTF(2, 3);

/*
 * Room for at least n more bytes at the end, to be filled directly and
 * then made part of the buffer with buf_commit(); NULL on failure.
 */
char *buf_reserve(struct buf *b, size_t n);
void buf_commit(struct buf *b, size_t n);

/* The content as a view, valid until the next change. */
struct str buf_view(const struct buf *b);

/* NUL-terminated content, "" while empty. */
const char *buf_text(const struct buf *b);

/* Forget the content, keep the memory (unless it is above 1 MiB). */
void buf_clear(struct buf *b) ATTR_NONNULL;

/* Drop n bytes from the front. */
void buf_consume(struct buf *b, size_t n) ATTR_NONNULL;

/* Give the memory back; the buffer can be used again.  buf_wipe() zeroes it
 * first. */
void buf_free(struct buf *b) ATTR_NONNULL;
void buf_wipe(struct buf *b) ATTR_NONNULL;

#endif
