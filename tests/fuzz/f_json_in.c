/*
 * JSON as clients and CPA send it.  Both readers accept the same texts and
 * read the same from them; what is printed of it is valid, and reading that
 * back changes nothing.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/test_tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LIMIT ((size_t)16 * 1024 * 1024)

/* Print, or nothing when it is nested deeper than the writer goes. */
static void
print(const struct json_tree *v, struct buf *out, struct arena *a)
{
	struct json_out o;

	json_out_init(&o, out, NULL, NULL);
	json_tree_write(v, &o, a);
	if (o.failed)
		buf_clear(out);
}

static void
check_printed(const struct json_tree *v, struct arena *a)
{
	struct buf once, twice;

	buf_init(&once, LIMIT);
	buf_init(&twice, LIMIT);
	print(v, &once, a);
	if (once.n > 0) {
		if (!utf8_valid(buf_view(&once)) ||
		    (v = json_tree_parse(buf_view(&once), a, NULL)) == NULL)
			abort();
		print(v, &twice, a);
		if (!str_eq(buf_view(&once), buf_view(&twice)))
			abort();
	}
	buf_free(&once);
	buf_free(&twice);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = { (const char *)data, size };
	const struct json_tree *v;
	struct err e = { .kind = ERR_NONE }, ours = e;
	struct arena a;
	json_t *j;

	arena_init(&a, LIMIT);
	v = json_tree_parse(text, &a, &ours);
	j = json_in_parse(text, true, &e);
	if ((v == NULL && ours.text[0] == '\0') ||
	    (j == NULL && e.text[0] == '\0'))
		abort();
	/* jansson knows no NUL in keys, and takes a bare one for white space */
	if (!str_contains(text, STR("\\u0000")) &&
	    (size == 0 || memchr(data, 0, size) == NULL)) {
		if ((v == NULL) != (j == NULL) && !a.failed)
			abort();
		if (v != NULL && j != NULL && !same_value(v, j, &a))
			abort();
	}
	json_decref(j);
	if (v != NULL)
		check_printed(v, &a);
	arena_free(&a);
	return 0;
}
