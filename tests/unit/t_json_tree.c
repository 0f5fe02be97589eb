/*
 * The payloads' own JSON reader: by hand, and against jansson over damaged
 * payloads.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#undef fail

#include "json_in.h"
#include "json_tree.h"
#include "test_model.h"
#include "test_tree.h"

static struct arena arena;

static const struct json_tree *
parse(const char *z, struct err *e)
{
	arena_reset(&arena);
	return json_tree_parse(str_of(z), &arena, e);
}

static void
texts(void **state)
{
	static const struct {
		const char *json, *text;
	} cases[] = {
		{ "\"\"", "" },
		{ " \"a b\" ", "a b" },
		{ "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t" },
		{ "\"\\u0041\\u00e9\\u20AC\"", "A\xc3\xa9\xe2\x82\xac" },
		{ "\"\\ud83d\\ude00\"", "\xf0\x9f\x98\x80" },
		{ "\"x\\ud800y\"", "x\xef\xbf\xbdy" },
		{ "\"\\udc00\"", "\xef\xbf\xbd" },
		{ "\"\\ud800\\u0041\"", "\xef\xbf\xbd"
					"A" },
		{ "\"\\ud800\\ud83d\\ude00\"", "\xef\xbf\xbd\xf0\x9f\x98\x80" },
		{ "\"a\xff\xc3\"", "a\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\"\xc3\xa9\\n\xe2\x28\"", "\xc3\xa9\n\xef\xbf\xbd(" },
		{ "\"\x7f\"", "\x7f" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const struct json_tree *v = parse(cases[i].json, NULL);

		assert_non_null(v);
		assert_true(str_eq(json_tree_text(v), str_of(cases[i].text)));
	}
	assert_int_equal(json_tree_text(parse("\"a\\u0000b\"", NULL)).n, 3);
}

static void
numbers(void **state)
{
	static const struct {
		const char *json;
		double v;
	} cases[] = {
		{ "0", 0 },
		{ "42", 42 },
		{ "-7", -7 },
		{ "999999999999999", 999999999999999.0 },
		{ "9007199254740993", 9007199254740992.0 },
		{ "12345678901234567890", 12345678901234567890.0 },
		{ "1.5e3", 1500 },
		{ "1E-7", 1e-7 },
		{ "0.1", 0.1 },
		{ "1e-400", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const struct json_tree *v = parse(cases[i].json, NULL);

		assert_non_null(v);
		assert_int_equal(v->type, TREE_NUMBER);
		assert_true(fabs(v->number - cases[i].v) <= 0);
	}
	assert_true(signbit(parse("-0", NULL)->number));
}

static void
what_is_no_json(void **state)
{
	static const char *const cases[] = { "", " ", "{", "[", "\"", "\"\\",
		"{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,", "{a:1}",
		"{\"a\":1,}", "[1,]", "[,1]", "[1 2]", "01", "-", "1.", ".5",
		"1e", "+1", "NaN", "1e999", "tru", "nul", "True", "\"\\q\"",
		"\"\\u12g4\"", "\"\n\"", "\xef\xbb\xbf{}", "{} x", "1 2",
		"// c\n1", "'a'" };
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		err_clear(&e);
		if (parse(cases[i], &e) != NULL)
			print_error("accepted: %s\n", cases[i]);
		assert_null(parse(cases[i], &e));
		assert_int_equal(e.kind, ERR_INPUT);
		assert_true(e.text[0] != '\0');
	}
}

static void
depth_and_room_have_an_end(void **state)
{
	static char deep[2 * (JSON_TREE_DEPTH + 1) + 1];
	struct arena small;
	struct err e;

	(void)state;
	memset(deep, '[', JSON_TREE_DEPTH);
	memset(deep + JSON_TREE_DEPTH, ']', JSON_TREE_DEPTH);
	assert_non_null(parse(deep, &e));
	memset(deep, '[', JSON_TREE_DEPTH + 1);
	memset(deep + JSON_TREE_DEPTH + 1, ']', JSON_TREE_DEPTH + 1);
	assert_null(parse(deep, &e));
	assert_int_equal(e.kind, ERR_INPUT);
	arena_init(&small, 100);
	assert_null(json_tree_parse(STR("[1,2,3,4]"), &small, &e));
	assert_int_equal(e.kind, ERR_TOO_LARGE);
	arena_free(&small);
}

static void
members(void **state)
{
	const struct json_tree *v =
	    parse("{\"b\":1,\"a\":2,\"b\":{\"d\":[true,null,\"<\"],\"c\":-0.0},"
		  "\"A\":false}",
		NULL);
	struct json_out o;
	struct buf b;

	(void)state;
	assert_non_null(v);
	assert_int_equal(json_tree_get(v, STR("b"))->type, TREE_OBJECT);
	assert_int_equal(json_tree_get(v, STR("A"))->type, TREE_FALSE);
	assert_null(json_tree_get(v, STR("c")));
	assert_null(json_tree_get(NULL, STR("c")));
	assert_null(json_tree_get(json_tree_get(v, STR("a")), STR("c")));
	buf_init(&b, 1000);
	json_out_init(&o, &b, NULL, NULL);
	json_tree_write(v, &o, &arena);
	assert_string_equal(buf_text(&b),
	    "{\"A\":false,\"a\":2,\"b\":{\"c\":-0,"
	    "\"d\":[true,null,\"\\u003c\"]}}");
	buf_free(&b);
}

/* ---- against jansson ------------------------------------------------------
 */

static unsigned
next(unsigned *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

static void
jansson_reads_the_same(void **state)
{
	static const char bytes[] = "\"\\{}[]:,0-9e.u\x01 \x80\xff\xc3\xa9";
	json_t *list = load_lines("tests/data/events.jsonl");
	unsigned seed = 3, accepted = 0, refused = 0;
	char text[4096];

	(void)state;
	assert_non_null(list);
	for (int round = 0; round < 30000; round++) {
		struct str item = json_in_text(json_object_get(
		    json_array_get(list, next(&seed) % json_array_size(list)),
		    "payload"));
		size_t n = item.n < sizeof text ? item.n : sizeof text;
		const struct json_tree *v;
		struct err e;
		json_t *j;

		memcpy(text, item.p, n);
		for (unsigned i = next(&seed) % 3; i > 0; i--)
			text[next(&seed) % n] =
			    bytes[next(&seed) % (sizeof bytes - 1)];
		arena_reset(&arena);
		v = json_tree_parse((struct str){ text, n }, &arena, NULL);
		j = json_in_parse((struct str){ text, n }, true, &e);
		if ((v == NULL) != (j == NULL) ||
		    (v != NULL && !same_value(v, j, &arena))) {
			print_error("%.*s\n", (int)n, text);
			assert_true(false);
		}
		accepted += v != NULL;
		refused += v == NULL;
		json_decref(j);
	}
	json_decref(list);
	assert_true(accepted > 5000 && refused > 5000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts),
		cmocka_unit_test(numbers),
		cmocka_unit_test(what_is_no_json),
		cmocka_unit_test(depth_and_room_have_an_end),
		cmocka_unit_test(members),
		cmocka_unit_test(jansson_reads_the_same),
	};
	int rc;

	arena_init(&arena, 16 * 1024 * 1024);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	arena_free(&arena);
	return rc;
}
