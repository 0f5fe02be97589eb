#include "arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_POISON 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_POISON 1
#endif
#endif

#ifdef ARENA_POISON
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

#define BLOCK_BYTES ((size_t)16384) /* what a block has room for ordinarily */

struct arena_block {
	struct arena_block *next;
	size_t size, fill;
	_Alignas(max_align_t) unsigned char data[];
};

void
arena_init(struct arena *a, size_t limit_bytes)
{
	*a = (struct arena){ .limit_bytes = limit_bytes };
}

static struct arena_block *
add_block(struct arena *a, size_t n)
{
	size_t size = n > BLOCK_BYTES ? n : BLOCK_BYTES;
	struct arena_block *b;

	if (size > SIZE_MAX - sizeof *b ||
	    (b = malloc(sizeof *b + size)) == NULL)
		return NULL;
	*b = (struct arena_block){ .next = a->head, .size = size };
	ASAN_POISON_MEMORY_REGION(b->data, size);
	a->head = b;
	return b;
}

static void
free_block(struct arena_block *b)
{
	ASAN_UNPOISON_MEMORY_REGION(b->data, b->size);
	free(b);
}

void *
arena_alloc(struct arena *a, size_t n)
{
	const size_t align = _Alignof(max_align_t);
	struct arena_block *b = a->head;
	size_t taken;
	void *p;

	if (n > SIZE_MAX - align)
		goto refuse;
	/* an empty piece has an address of its own, too */
	taken = n == 0 ? align : (n + align - 1) & ~(align - 1);
	if (taken > a->limit_bytes - a->used_bytes)
		goto refuse;
	if ((b == NULL || b->size - b->fill < taken) &&
	    (b = add_block(a, taken)) == NULL)
		goto refuse;
	p = b->data + b->fill;
	b->fill += taken;
	a->used_bytes += taken;
	ASAN_UNPOISON_MEMORY_REGION(p, n);
	return memset(p, 0, n);
refuse:
	a->failed = true;
	return NULL;
}

void *
arena_array(struct arena *a, size_t n, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes)) {
		a->failed = true;
		return NULL;
	}
	return arena_alloc(a, bytes);
}

char *
arena_strdup(struct arena *a, struct str s)
{
	char *p;

	if (s.n == SIZE_MAX || (p = arena_alloc(a, s.n + 1)) == NULL)
		return NULL;
	if (s.n > 0)
		memcpy(p, s.p, s.n);
	return p;
}

char *
arena_printf(struct arena *a, const char *fmt, ...)
{
	char *p = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0 || (p = arena_alloc(a, (size_t)n + 1)) == NULL)
		return NULL;
	va_start(ap, fmt);
	n = vsnprintf(p, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return n < 0 ? NULL : p;
}

void
arena_reset(struct arena *a)
{
	struct arena_block *kept = NULL, *b, *next;

	for (b = a->head; b != NULL; b = next) {
		next = b->next;
		if (kept == NULL && b->size == BLOCK_BYTES)
			kept = b;
		else
			free_block(b);
	}
	if (kept != NULL) {
		kept->next = NULL;
		kept->fill = 0;
		ASAN_POISON_MEMORY_REGION(kept->data, kept->size);
	}
	a->head = kept;
	a->used_bytes = 0;
	a->failed = false;
}

void
arena_free(struct arena *a)
{
	struct arena_block *b, *next;

	for (b = a->head; b != NULL; b = next) {
		next = b->next;
		free_block(b);
	}
	a->head = NULL;
	a->used_bytes = 0;
}
