/* Cutting an array that arrives in pieces into its elements. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "clock.h"
#include "json_split.h"

static const char *const names[] = { "ELEMENT", "MORE", "END", "BAD" };

/*
 * Elements with "|" behind each, then the result that ended it; the text is
 * known `step` bytes at a time.  Memory beyond what is known is not ours, so
 * that a sanitizer sees a read beyond it.
 */
static const char *
split(struct str text, size_t step, bool drop)
{
	static char out[4096];
	enum json_split_result r = JSON_SPLIT_MORE;
	size_t n = 0, known = 0, dropped = 0;
	struct json_split s;
	struct str element;

	json_split_init(&s);
	for (;;) {
		size_t size = known - dropped;
		char *view = malloc(size == 0 ? 1 : size);

		assert_non_null(view);
		memcpy(view, text.p + dropped, size);
		while ((r = json_split_next(&s, (struct str){ view, size },
			    &element)) == JSON_SPLIT_ELEMENT)
			n += (size_t)snprintf(
			    out + n, sizeof out - n, "%.*s|", STR_ARG(element));
		assert_int_equal(element.n, 0);
		free(view);
		if (r != JSON_SPLIT_MORE || known == text.n)
			break;
		if (drop) {
			dropped += s.pos;
			s.pos = 0;
		}
		known = known + step > text.n ? text.n : known + step;
	}
	snprintf(out + n, sizeof out - n, "%s", names[r]);
	return out;
}

/* The same whatever the pieces are, with or without dropping what is done. */
static void
assert_split(struct str text, const char *want)
{
	for (size_t step = 1; step <= text.n + 1; step++) {
		assert_string_equal(split(text, step, false), want);
		assert_string_equal(split(text, step, true), want);
	}
}

static void
elements(void **state)
{
	(void)state;
	assert_split(STR("[]"), "END");
	assert_split(STR(" \r\n\t[ \t]\n"), "END");
	assert_split(STR("[1]"), "1|END");
	assert_split(STR("[1,true,null,\"a\"]"), "1|true|null|\"a\"|END");
	assert_split(STR("[ {\"a\":1} ,\n{\"b\" : [2, 3]}\t]"),
	    "{\"a\":1}|{\"b\" : [2, 3]}|END");
	assert_split(STR("[[1,[2]],{\"a\":{\"b\":{}}}]"),
	    "[1,[2]]|{\"a\":{\"b\":{}}}|END");
	assert_split(STR("[[],{},[[]]]"), "[]|{}|[[]]|END");
}

static void
strings_hide_everything(void **state)
{
	(void)state;
	assert_split(STR("[\"a,b]c[d{e}f\",2]"), "\"a,b]c[d{e}f\"|2|END");
	assert_split(STR("[\"\\\"\",\"\\\\\",\"\\\\\\\"]\"]"),
	    "\"\\\"\"|\"\\\\\"|\"\\\\\\\"]\"|END");
	assert_split(STR("[{\"a]\":\"}\"},1]"), "{\"a]\":\"}\"}|1|END");
	assert_split(STR("[\"\\u005d\",1]"), "\"\\u005d\"|1|END");
	/* a backslash outside of a string escapes nothing */
	assert_split(STR("[\\\"a\",1]"), "\\\"a\"|1|END");
}

static void
cut_answers_keep_what_was_whole(void **state)
{
	(void)state;
	assert_split(STR(""), "MORE");
	assert_split(STR(" \n"), "MORE");
	assert_split(STR("["), "MORE");
	assert_split(STR("[1"), "MORE");
	assert_split(STR("[1,"), "1|MORE");
	assert_split(STR("[{\"a\":1},{\"b\":"), "{\"a\":1}|MORE");
	assert_split(STR("[1,2,\"abc"), "1|2|MORE");
	assert_split(STR("[1,2,\"abc\\"), "1|2|MORE");
	assert_split(STR("[1,[2,3]"), "1|MORE");
}

static void
bad_elements_spoil_only_themselves(void **state)
{
	(void)state;
	assert_split(STR("[{\"a\":1},{oops},3]"), "{\"a\":1}|{oops}|3|END");
	assert_split(
	    STR("[1 2,tru,\x01,\xff\xfe,3]"), "1 2|tru|\x01|\xff\xfe|3|END");
	/* closed too often, closed by the wrong bracket */
	assert_split(STR("[{\"a\":1}},2]"), "{\"a\":1}}|2|END");
	assert_split(STR("[}}},2]"), "}}}|2|END");
	assert_split(STR("[{\"a\":1],2]"), "{\"a\":1]|2|END");
	/* nothing is no element */
	assert_split(STR("[,]"), "END");
	assert_split(STR("[1,,2, ,]"), "1|2|END");
}

static void
not_an_array(void **state)
{
	(void)state;
	assert_split(STR("{\"a\":[1]}"), "BAD");
	assert_split(STR("  x"), "BAD");
	assert_split(STR("\"[1]\""), "BAD");
	assert_split(STR("\xef\xbb\xbf[1]"), "BAD");
	assert_split(STR("]"), "BAD");
	assert_split(STR("nothing"), "BAD");
	assert_split(STR("nul "), "BAD");
	assert_split(STR("\0[1]"), "BAD");
}

static void
null_is_an_empty_queue(void **state)
{
	(void)state;
	assert_split(STR("null"), "END");
	assert_split(STR(" null\n"), "END");
	assert_split(STR("nul"), "MORE");
	assert_split(STR("n"), "MORE");
}

static void
results_repeat(void **state)
{
	struct json_split s;
	struct str element;

	(void)state;
	json_split_init(&s);
	for (int i = 0; i < 3; i++)
		assert_int_equal(
		    json_split_next(&s, STR("{}"), &element), JSON_SPLIT_BAD);
	json_split_init(&s);
	for (int i = 0; i < 3; i++)
		assert_int_equal(
		    json_split_next(&s, STR("[1"), &element), JSON_SPLIT_MORE);
	assert_int_equal(
	    json_split_next(&s, STR("[12] x]"), &element), JSON_SPLIT_ELEMENT);
	assert_true(str_eq(element, STR("12")));
	for (int i = 0; i < 3; i++)
		assert_int_equal(json_split_next(&s, STR("[12] x]"), &element),
		    JSON_SPLIT_END);
}

/*
 * One element of 32 MiB in pieces of 1 KiB: looked at once it takes a
 * fraction of a second, looked at anew with each piece hours.
 */
static void
each_byte_is_looked_at_once(void **state)
{
	const size_t size = (size_t)32 << 20;
	int64_t began = clock_mono_ms();
	char *text = malloc(size);
	struct json_split s;
	struct str element;

	(void)state;
	assert_non_null(text);
	memset(text, 'x', size);
	memcpy(text, "[\"", 2);
	memcpy(text + size - 2, "\"]", 2);
	json_split_init(&s);
	for (size_t known = 1024; known < size; known += 1024)
		assert_int_equal(
		    json_split_next(&s, (struct str){ text, known }, &element),
		    JSON_SPLIT_MORE);
	assert_int_equal(
	    json_split_next(&s, (struct str){ text, size }, &element),
	    JSON_SPLIT_ELEMENT);
	assert_int_equal(element.n, size - 2);
	assert_true(clock_mono_ms() - began < 60000);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(elements),
		cmocka_unit_test(strings_hide_everything),
		cmocka_unit_test(cut_answers_keep_what_was_whole),
		cmocka_unit_test(bad_elements_spoil_only_themselves),
		cmocka_unit_test(not_an_array),
		cmocka_unit_test(null_is_an_empty_queue),
		cmocka_unit_test(results_repeat),
		cmocka_unit_test(each_byte_is_looked_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
