/*
 * JSON as clients and CPA send it: what is accepted prints as valid text, and
 * reading that back changes nothing but "-0", which has no sign as an integer.
 */
#include <stdint.h>
#include <stdlib.h>

#include "json_in.h"
#include "model/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LIMIT ((size_t)8 * 1024 * 1024)

/* Read what we printed, print it again. */
static void
again(struct str text, struct buf *out, struct arena *a)
{
	struct err e;
	json_t *v = json_in_parse(text, true, &e);

	if (v == NULL || !utf8_valid(text))
		abort();
	record_json(v, out, a);
	json_decref(v);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf once, twice, thrice;
	struct arena a;
	struct err e;
	json_t *v;

	v = json_in_parse((struct str){ (const char *)data, size }, true, &e);
	if (v == NULL) {
		if (e.text[0] == '\0')
			abort();
		return 0;
	}
	arena_init(&a, LIMIT);
	buf_init(&once, LIMIT);
	buf_init(&twice, LIMIT);
	buf_init(&thrice, LIMIT);
	record_json(v, &once, &a);
	json_decref(v);
	if (!once.failed) {
		again(buf_view(&once), &twice, &a);
		again(buf_view(&twice), &thrice, &a);
		if (!str_eq(buf_view(&twice), buf_view(&thrice)))
			abort();
	}
	buf_free(&once);
	buf_free(&twice);
	buf_free(&thrice);
	arena_free(&a);
	return 0;
}
