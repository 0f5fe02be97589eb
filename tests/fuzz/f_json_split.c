/*
 * An answer cut into elements: arriving in two pieces it gives the same
 * elements as arriving at once.
 */
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

	while (r->n < ELEMENTS_MAX && (r->end = json_split_next(s, all,
					   &element)) == JSON_SPLIT_ELEMENT) {
		if (element.n == 0 || element.p < all.p ||
		    element.p + element.n > all.p + all.n)
			abort();
		r->elements[r->n++] = element;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct result whole, pieces;
	struct json_split s;
	struct str all;
	size_t first;

	if (size == 0)
		return 0;
	all = (struct str){ (const char *)data + 1, size - 1 };
	first = all.n == 0 ? 0 : data[0] * all.n / 256;
	whole.n = pieces.n = 0;
	json_split_init(&s);
	split(&s, all, &whole);
	json_split_init(&s);
	split(&s, (struct str){ all.p, first }, &pieces);
	if (pieces.end == JSON_SPLIT_MORE)
		split(&s, all, &pieces);
	if (whole.n == ELEMENTS_MAX || pieces.n == ELEMENTS_MAX)
		return 0;
	if (whole.n != pieces.n || whole.end != pieces.end)
		abort();
	for (size_t i = 0; i < whole.n; i++)
		if (!str_eq(whole.elements[i], pieces.elements[i]))
			abort();
	return 0;
}
