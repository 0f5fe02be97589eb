/*
 * An answer cut into elements: arriving in any pieces it gives the same
 * elements as arriving at once, also when what is done is dropped on the way.
 * The first two bytes of an input choose the pieces.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "json_split.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ELEMENTS_MAX 4096

struct result {
	enum json_split_result end;
	size_t n;
	struct str elements[ELEMENTS_MAX];
};

static void
split(struct json_split *s, struct str all, struct result *r)
{
	struct str element;

	while ((r->end = json_split_next(s, all, &element)) ==
	       JSON_SPLIT_ELEMENT) {
		if (element.n == 0 || element.p < all.p ||
		    element.p + element.n > all.p + all.n)
			abort();
		if (r->n < ELEMENTS_MAX)
			r->elements[r->n++] = element;
	}
	if (element.n != 0)
		abort();
}

/* Pieces of 0 to 15 or, rarely, to 255 bytes; seed is never 0. */
static void
split_in_pieces(struct str all, uint32_t seed, bool drop, struct result *r)
{
	struct json_split s;
	size_t from = 0, known = 0;

	json_split_init(&s);
	for (;;) {
		split(&s, (struct str){ all.p + from, known - from }, r);
		if (r->end != JSON_SPLIT_MORE || known == all.n)
			return;
		if (drop) {
			from += s.pos;
			s.pos = 0;
		}
		seed ^= seed << 13;
		seed ^= seed >> 17;
		seed ^= seed << 5;
		known += seed & 0x700 ? seed & 15 : seed & 255;
		if (known > all.n)
			known = all.n;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct result whole, pieces;
	struct json_split s;
	struct str all;

	if (size < 2)
		return 0;
	all = (struct str){ (const char *)data + 2, size - 2 };
	whole.n = pieces.n = 0;
	json_split_init(&s);
	split(&s, all, &whole);
	split_in_pieces(
	    all, data[0] * 256u + data[1] + 1, data[0] & 1, &pieces);
	if (whole.n != pieces.n || whole.end != pieces.end)
		abort();
	for (size_t i = 0; i < whole.n; i++)
		if (whole.elements[i].p != pieces.elements[i].p ||
		    whole.elements[i].n != pieces.elements[i].n)
			abort();
	return 0;
}
