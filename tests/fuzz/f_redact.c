/*
 * Any bytes as the text of a failure and as a payload that is kept: what comes
 * out is text, bounded, without keys of known makers, and stays as it is when
 * it is redacted again.  The first byte of an input chooses where in the rest
 * a key is put, of which nothing may be seen.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "json_tree.h"
#include "model/normalise.h"
#include "tests/lib/test_key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SUMMARY_MAX (4096 + 3)
#define PLANTED "sk-planted0planted"
#define PLANTED_PART "planted0"

static void
check(struct str s, size_t most)
{
	if (s.n > most || !utf8_valid(s) || has_key(s) ||
	    str_contains(s, STR(PLANTED_PART)))
		abort();
}

static bool
is_json(struct str s, struct arena *a)
{
	const struct json_tree *v = json_tree_parse(s, a, NULL);

	return v != NULL && (v->type == TREE_OBJECT || v->type == TREE_LIST);
}

static void
redact_all(struct str text, struct arena *a)
{
	static const size_t limits[] = { 64, 4096, 65536 };
	struct str s = redact_summary(text, a), kept;

	check(s, SUMMARY_MAX);
	if (!str_eq(redact_summary(s, a), s))
		abort();
	for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
		kept = redact_payload(text, limits[i], a);
		check(kept, limits[i]);
	}
	/* 64 KiB hold all of it: JSON stays JSON */
	if (kept.n < 65536 && is_json(str_trim(text), a) && !is_json(kept, a))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const size_t n = sizeof PLANTED - 1;
	struct arena a;
	size_t at;
	char *p;

	if (size == 0 || size > 65536 ||
	    str_contains(
		(struct str){ (const char *)data, size }, STR(PLANTED_PART)))
		return 0;
	arena_init(&a, (size_t)64 * 1024 * 1024);
	redact_all((struct str){ (const char *)data + 1, size - 1 }, &a);
	arena_reset(&a);
	at = data[0] * (size - 1) / 255;
	/* malloc, not the arena: the sanitizer is to see each overrun */
	if ((p = malloc(size - 1 + n)) == NULL)
		abort();
	memcpy(p, data + 1, at);
	memcpy(p + at, PLANTED, n);
	memcpy(p + at + n, data + 1 + at, size - 1 - at);
	redact_all((struct str){ p, size - 1 + n }, &a);
	free(p);
	arena_free(&a);
	return 0;
}
