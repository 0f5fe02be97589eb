#include "buf.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_BYTES ((size_t)256) /* size of the first allocation */
#define KEPT_BYTES                                                 \
	((size_t)1024 * 1024) /* more is given back by buf_clear() \
			       */

void
buf_init(struct buf *b, size_t limit_bytes)
{
	*b = (struct buf){ .limit_bytes = limit_bytes };
}

/* Make room for n more bytes and the NUL.  Returns false after failing. */
static bool
grow(struct buf *b, size_t n)
{
	size_t need, size;
	char *p;

	if (b->failed)
		return false;
	if (n > b->limit_bytes - b->n || b->n + n == SIZE_MAX) {
		b->failed = true;
		return false;
	}
	need = b->n + n + 1;
	if (need <= b->size_bytes)
		return true;
	size = b->size_bytes < FIRST_BYTES ? FIRST_BYTES : b->size_bytes;
	while (size < need)
		size = size > SIZE_MAX / 2 ? need : size * 2;
	/* the cap binds the content; the NUL comes on top */
	if (size - 1 > b->limit_bytes)
		size = b->limit_bytes + 1;
	if ((p = realloc(b->p, size)) == NULL) {
		b->failed = true;
		return false;
	}
	b->p = p;
	b->size_bytes = size;
	return true;
}

void
buf_add(struct buf *b, const void *p, size_t n)
{
	if (n == 0 || !grow(b, n))
		return;
	memcpy(b->p + b->n, p, n);
	b->n += n;
	b->p[b->n] = '\0';
}

void
buf_str(struct buf *b, struct str s)
{
	buf_add(b, s.p, s.n);
}

void
buf_z(struct buf *b, const char *z)
{
	buf_str(b, str_of(z));
}

void
buf_char(struct buf *b, char c)
{
	buf_add(b, &c, 1);
}

void
buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0) {
		b->failed = true;
		return;
	}
	if (n == 0 || !grow(b, (size_t)n))
		return;
	va_start(ap, fmt);
	n = vsnprintf(b->p + b->n, (size_t)n + 1, fmt, ap);
	va_end(ap);
	if (n < 0) {
		b->p[b->n] = '\0';
		b->failed = true;
		return;
	}
	b->n += (size_t)n;
}

char *
buf_reserve(struct buf *b, size_t n)
{
	return grow(b, n) ? b->p + b->n : NULL;
}

void
buf_commit(struct buf *b, size_t n)
{
	if (b->p == NULL)
		return;
	b->n += n;
	b->p[b->n] = '\0';
}

struct str
buf_view(const struct buf *b)
{
	return (struct str){ b->p, b->n };
}

const char *
buf_text(const struct buf *b)
{
	return b->p == NULL ? "" : b->p;
}

void
buf_clear(struct buf *b)
{
	if (b->size_bytes > KEPT_BYTES) {
		buf_free(b);
		return;
	}
	b->n = 0;
	b->failed = false;
	if (b->p != NULL)
		b->p[0] = '\0';
}

void
buf_consume(struct buf *b, size_t n)
{
	if (n >= b->n)
		n = b->n;
	if (n == 0)
		return;
	b->n -= n;
	memmove(b->p, b->p + n, b->n);
	b->p[b->n] = '\0';
}

void
buf_free(struct buf *b)
{
	free(b->p);
	b->p = NULL;
	b->n = b->size_bytes = 0;
	b->failed = false;
}

void
buf_wipe(struct buf *b)
{
	if (b->p != NULL)
		explicit_bzero(b->p, b->size_bytes);
	buf_free(b);
}
