/* Reading JSON: what is repaired, what is refused and how, the getters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#undef fail /* lib/err.h has one of its own */

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "json_in.h"

/*
 * Parse a copy that is exactly as long as the text, so that a sanitizer sees
 * a read beyond it.
 */
static json_t *
parse(struct str text, bool whole, struct err *e)
{
	char *copy = malloc(text.n == 0 ? 1 : text.n);
	json_t *v;

	assert_non_null(copy);
	memcpy(copy, text.p, text.n);
	v = json_in_parse((struct str){ copy, text.n }, whole, e);
	free(copy);
	return v;
}

static json_t *
good(struct str text)
{
	struct err e = { .kind = ERR_NONE };
	json_t *v = parse(text, true, &e);

	if (v == NULL)
		print_error("%.*s: %s\n", STR_ARG(text), e.text);
	assert_non_null(v);
	return v;
}

/* The text parses to the text `want`. */
static void
assert_text(struct str text, struct str want)
{
	json_t *v = good(text);
	struct str s = json_in_text(v);

	assert_true(json_is_string(v));
	assert_int_equal(s.n, want.n);
	assert_memory_equal(s.p, want.p, want.n);
	json_decref(v);
}

static void
assert_refused(struct str text, bool whole, const char *want)
{
	struct err e = { .kind = ERR_NONE };
	json_t *v = parse(text, whole, &e);

	if (v != NULL || strcmp(e.text, want) != 0)
		print_error("%.*s: %s\n", STR_ARG(text), e.text);
	assert_null(v);
	assert_int_equal(e.kind, ERR_INPUT);
	assert_string_equal(e.text, want);
}

static void
any_value(void **state)
{
	json_t *v;

	(void)state;
	json_decref(v = good(STR(" {\"a\": [1, 2.5, true, null]} \r\n")));
	v = good(STR("true"));
	assert_true(json_is_true(v));
	v = good(STR("null"));
	assert_true(json_is_null(v));
	v = good(STR("12"));
	assert_int_equal(json_integer_value(v), 12);
	json_decref(v);
	assert_text(STR("\"a\""), STR("a"));
	/* no error asked for, none written */
	assert_null(parse(STR("{"), true, NULL));
	assert_null(parse(STR(""), true, NULL));
}

static void
what_follows(void **state)
{
	json_t *v;

	(void)state;
	v = parse(STR("{\"a\":1} rest \xff"), false, NULL);
	assert_int_equal(json_integer_value(json_in_get(v, "a")), 1);
	json_decref(v);
	v = parse(STR("null trailing"), false, NULL);
	assert_true(json_is_null(v));
	assert_refused(STR("{\"a\":1} rest"), true,
	    "end of file expected (line 1, column 12)");
	assert_refused(
	    STR("1 2"), true, "end of file expected (line 1, column 3)");
}

static void
ends_too_early(void **state)
{
	static const char *const cut[] = { "{", "[", "[1", "[1,", "{\"a\"",
		"{\"a\":", "{\"a\":1", "{\"a\":1,", "\"abc", "\"abc\\",
		"\"abc\\u", "\"abc\\u12", "\"abc\\u123", "[\"abc\\ud83d",
		"[\"abc\\ud83d\\u", "t", "[tru", "fals", "{\"a\":nul", "-",
		"[-", "1.", "[1e", "1e+", "[[[[" };

	(void)state;
	for (size_t i = 0; i < sizeof cut / sizeof cut[0]; i++) {
		assert_refused(str_of(cut[i]), true, "unexpected EOF");
		assert_refused(str_of(cut[i]), false, "unexpected EOF");
	}
	assert_refused(STR(""), true, "EOF");
	assert_refused(STR(""), false, "EOF");
	assert_refused(STR(" \t\r\n"), true, "EOF");
	assert_null(json_in_parse((struct str){ NULL, 0 }, true, NULL));
}

static void
is_wrong(void **state)
{
	static const char *const bad[] = { "{]", "[1,]", "{\"a\":1,}", "{a:1}",
		"{'a':1}", "[1 2]", "NaN", "[Infinity]", "01", "[+1]", ".5",
		"\"a\nb\"", "\"\\q\"", "\"\\u12g4\"", "// c\n1", "tru e",
		"\xef\xbb\xbf{}", "[1]]", "x", "[x", "{\"a\":1 \"b\":2}",
		"\\ud800", "1e999", "[-1e999]", "\xff" };

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct err e = { .kind = ERR_NONE };

		if (parse(str_of(bad[i]), true, &e) != NULL)
			print_error("%s was taken\n", bad[i]);
		assert_int_equal(e.kind, ERR_INPUT);
		if (strstr(e.text, "(line ") == NULL)
			print_error("%s: %s\n", bad[i], e.text);
		assert_non_null(strstr(e.text, "(line "));
	}
	assert_refused(
	    STR("{\n  \"a\": x\n}"), true, "invalid token (line 2, column 8)");
}

/* Whatever stands there might be a password without its quotes. */
static void
errors_repeat_nothing(void **state)
{
	static const char *const bad[] = { "{\"key\": hunter2}",
		"{\"key\": \"hunter2", "{\"key\" hunter2", "{hunter2: 1}",
		"[1 \"hunter2\"]", "{\"key\": \"hunter2\\q\"}",
		"{\"key\": \"hunter2\n\"}", "hunter2", "{} hunter2",
		"{\"key\": \"hunter2\\ud800\\x\"}", "{\"hunter2\": 1e999}",
		"{\"key\":\"a\" \"hunter2\"" };

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct err e = { .kind = ERR_NONE };

		assert_null(parse(str_of(bad[i]), true, &e));
		assert_int_equal(e.kind, ERR_INPUT);
		assert_null(strstr(e.text, "hunter"));
	}
}

static void
nesting(void **state)
{
	char text[2 * (JSON_DEPTH_MAX + 1)];
	size_t n = JSON_DEPTH_MAX;

	(void)state;
	memset(text, '[', n);
	memset(text + n, ']', n);
	json_decref(good((struct str){ text, 2 * n }));
	memset(text, '[', n + 1);
	memset(text + n + 1, ']', n + 1);
	assert_refused((struct str){ text, 2 * n + 2 }, true,
	    "JSON nested deeper than 2048 levels");
}

#define FFFD "\xef\xbf\xbd"

static void
invalid_bytes_are_replaced(void **state)
{
	(void)state;
	assert_text(STR("\"a\xff"
			"b\""),
	    STR("a" FFFD "b"));
	assert_text(STR("\"\xff\xfe\""), STR(FFFD FFFD));
	/* each byte of a broken character for itself */
	assert_text(STR("\"\xe2\x82\""), STR(FFFD FFFD));
	assert_text(STR("\"\xe2\x82(\""), STR(FFFD FFFD "("));
	assert_text(STR("\"\xc0\xaf\""), STR(FFFD FFFD));
	assert_text(STR("\"\xed\xa0\x80\""), STR(FFFD FFFD FFFD));
	assert_text(STR("\"\xf4\x90\x80\x80\""), STR(FFFD FFFD FFFD FFFD));
	/* good ones beside them stay */
	assert_text(STR("\"\xc3\xa9\xff\xf0\x9f\x8e\x89\""),
	    STR("\xc3\xa9" FFFD "\xf0\x9f\x8e\x89"));
	/* a backslash before a bad byte is still a bad escape */
	assert_null(parse(STR("\"\\\xff\""), true, NULL));
}

static void
lone_surrogates_are_replaced(void **state)
{
	(void)state;
	assert_text(STR("\"\\ud83c\\udf89\""), STR("\xf0\x9f\x8e\x89"));
	assert_text(STR("\"\\uD83C\\uDF89\""), STR("\xf0\x9f\x8e\x89"));
	assert_text(STR("\"a\\ud800b\""), STR("a" FFFD "b"));
	assert_text(STR("\"\\udc00\""), STR(FFFD));
	assert_text(STR("\"\\ud800\\n\""), STR(FFFD "\n"));
	assert_text(STR("\"\\ud800\\u0041\""), STR(FFFD "A"));
	assert_text(STR("\"\\udc00\\ud800\""), STR(FFFD FFFD));
	/* the second high one begins a pair */
	assert_text(
	    STR("\"\\ud800\\ud83c\\udf89\""), STR(FFFD "\xf0\x9f\x8e\x89"));
	/* no escape at all: a backslash and the letters */
	assert_text(STR("\"\\\\ud800\""), STR("\\ud800"));
	assert_text(STR("\"\\\\\\ud800\""), STR("\\" FFFD));
	assert_text(STR("\"\xff\\\\ud800\""), STR(FFFD "\\ud800"));
}

static void
nul(void **state)
{
	json_t *v;

	(void)state;
	assert_text(STR("\"a\\u0000b\""), STR("a\0b"));
	/* jansson has no NUL in keys; in values beside them it stays */
	v = good(STR("{\"k\\u0000\\u0000\" : \"v\\u0000\", \"\\u0000\":1}"));
	assert_int_equal(json_object_size(v), 2);
	assert_int_equal(json_in_text(json_in_get(v, "k" FFFD FFFD)).n, 2);
	assert_int_equal(json_integer_value(json_in_get(v, FFFD)), 1);
	json_decref(v);
	/* a quote inside of the key does not end it */
	v = good(STR("{\"k\\u0000\\\"\":1}"));
	assert_int_equal(json_integer_value(json_in_get(v, "k" FFFD "\"")), 1);
	json_decref(v);
	/* raw, it is a control character */
	assert_null(parse(STR("\"a\0b\""), true, NULL));
	assert_null(parse(STR("[1]\0"), true, NULL));
}

static void
assert_number(const char *text, double want)
{
	json_t *v = good(str_of(text));

	assert_true(json_is_real(v));
	assert_true(fabs(json_real_value(v) - want) <= 0);
	json_decref(v);
}

static void
numbers(void **state)
{
	json_t *v;

	(void)state;
	v = good(STR("[9223372036854775807,-9223372036854775808,-0]"));
	assert_true(json_integer_value(json_array_get(v, 0)) == INT64_MAX);
	assert_true(json_integer_value(json_array_get(v, 1)) == INT64_MIN);
	assert_true(json_is_integer(json_array_get(v, 2)));
	json_decref(v);
	assert_number("9223372036854775808", 9223372036854775808.0);
	assert_number("-9223372036854775809", -9223372036854775808.0);
	assert_number("100000000000000000000000000", 1e26);
	assert_number("1e5", 1e5);
	assert_number("1e-999", 0);
	assert_number("1.00000000000000000000000000000", 1);
	assert_number("1e0000000000000000000000000001", 10);

	/* the others in the text keep every digit */
	v = good(STR("{\"a\":9007199254740993,\"b\":[-36893488147419103232],"
		     "\"c\":\"99999999999999999999\",\"d\":0.5}"));
	assert_true(
	    json_integer_value(json_in_get(v, "a")) == 9007199254740993);
	assert_true(json_real_value(json_array_get(json_in_get(v, "b"), 0)) <=
		    -36893488147419103232.0);
	assert_string_equal(
	    json_string_value(json_in_get(v, "c")), "99999999999999999999");
	assert_true(json_is_real(json_in_get(v, "d")));
	json_decref(v);
}

static void
all_repairs_at_once(void **state)
{
	json_t *v = good(STR("{\"a\xff\":\"\\ud800\", \"n\\u0000\":"
			     "99999999999999999999, \"z\":[\"\xc3\"]}"));

	(void)state;
	assert_int_equal(json_object_size(v), 3);
	assert_string_equal(json_string_value(json_in_get(v, "a" FFFD)), FFFD);
	assert_true(json_is_real(json_in_get(v, "n" FFFD)));
	json_decref(v);
	/* what cannot be repaired is still said */
	assert_refused(
	    STR("[\"\xff\", 99999999999999999999"), true, "unexpected EOF");
	assert_null(parse(STR("[\"\xff\", x]"), true, NULL));
}

/* Many NULs in one long text: is it a key?  Asked once, or this takes hours. */
static void
repairs_are_linear(void **state)
{
	struct buf b;
	json_t *v;

	(void)state;
	buf_init(&b, SIZE_MAX / 2);
	buf_z(&b, "[\"\xff");
	for (int i = 0; i < 500000; i++)
		buf_z(&b, "\\u0000");
	buf_z(&b, "\"]");
	v = json_in_parse(buf_view(&b), true, NULL);
	assert_int_equal(json_in_text(json_array_get(v, 0)).n, 500003);
	json_decref(v);
	buf_free(&b);
}

static void
keys_without_case(void **state)
{
	json_t *v = good(STR("{\"Alpha\":1,\"beta\":null,\"ALPHA\":2,"
			     "\"gamma\":3,\"GAMMA\":null,\"k\":4}"));

	(void)state;
	assert_int_equal(json_integer_value(json_in_get(v, "alpha")), 2);
	assert_null(json_in_get(v, "beta"));
	assert_null(json_in_get(v, "gamma")); /* the last one is null */
	assert_null(json_in_get(v, "delta"));
	assert_null(json_in_get(v, "alph"));
	/* KELVIN SIGN is no k here */
	assert_null(json_in_get(v, "\xe2\x84\xaa"));
	assert_null(json_in_get(NULL, "alpha"));
	assert_null(json_in_get(json_in_get(v, "alpha"), "alpha"));
	assert_int_equal(json_in_text(json_in_get(v, "k")).n, 0);
	assert_null(json_in_text(NULL).p);
	json_decref(v);
}

static void
assert_says(int rc, const struct err *e, const char *want)
{
	assert_int_equal(rc, -1);
	assert_int_equal(e->kind, ERR_INPUT);
	assert_string_equal(e->text, want);
}

static void
typed_members(void **state)
{
	json_t *v = good(
	    STR("{\"s\":\"t\\u0000\",\"i\":-5,\"d\":2.5,\"w\":3.0,\"t\":true,"
		"\"f\":false,\"o\":{\"x\":1},\"n\":null,\"l\":[1],"
		"\"big\":1e300,\"huge\":9007199254740994.0}"));
	const json_t *o = NULL;
	struct str s = STR("kept");
	int64_t i = 77;
	double d = 77;
	bool b = true;
	struct err e;

	(void)state;
	/* absent or null: as it was */
	assert_int_equal(json_in_str(v, "no", "p.no", &s, &e), 0);
	assert_int_equal(json_in_str(v, "n", "p.n", &s, &e), 0);
	assert_true(str_eq(s, STR("kept")));
	assert_int_equal(json_in_i64(v, "n", "p.n", &i, &e), 0);
	assert_int_equal(json_in_double(v, "n", "p.n", &d, &e), 0);
	assert_int_equal(json_in_bool(v, "n", "p.n", &b, &e), 0);
	assert_int_equal(json_in_object(v, "n", "p.n", &o, &e), 0);
	assert_true(i == 77 && d > 76 && b && o == NULL);

	assert_int_equal(json_in_str(v, "S", "p.s", &s, &e), 0);
	assert_true(str_eq(s, STR("t\0")));
	assert_int_equal(json_in_i64(v, "i", "p.i", &i, &e), 0);
	assert_int_equal(i, -5);
	assert_int_equal(json_in_i64(v, "w", "p.w", &i, &e), 0);
	assert_int_equal(i, 3);
	assert_int_equal(json_in_double(v, "d", "p.d", &d, &e), 0);
	assert_true(d > 2.4 && d < 2.6);
	assert_int_equal(json_in_double(v, "i", "p.i", &d, &e), 0);
	assert_true(d < -4.9 && d > -5.1);
	assert_int_equal(json_in_bool(v, "f", "p.f", &b, &e), 0);
	assert_false(b);
	assert_int_equal(json_in_bool(v, "t", "p.t", &b, &e), 0);
	assert_true(b);
	assert_int_equal(json_in_object(v, "o", "p.o", &o, &e), 0);
	assert_int_equal(json_object_size(o), 1);

	s = STR("kept");
	assert_says(json_in_str(v, "i", "p.i", &s, &e), &e,
	    "p.i must be a text, not a number");
	assert_says(json_in_i64(v, "s", "p.s", &i, &e), &e,
	    "p.s must be a whole number, not a text");
	assert_says(json_in_i64(v, "d", "p.d", &i, &e), &e,
	    "p.d must be a whole number");
	assert_says(json_in_i64(v, "big", "p.big", &i, &e), &e,
	    "p.big must be a whole number");
	assert_says(json_in_i64(v, "huge", "p.huge", &i, &e), &e,
	    "p.huge must be a whole number");
	assert_says(json_in_i64(v, "t", "p.t", &i, &e), &e,
	    "p.t must be a whole number, not true or false");
	assert_says(json_in_double(v, "l", "p.l", &d, &e), &e,
	    "p.l must be a number, not a list");
	assert_says(json_in_bool(v, "i", "p.i", &b, &e), &e,
	    "p.i must be true or false, not a number");
	assert_says(json_in_object(v, "l", "p.l", &o, &e), &e,
	    "p.l must be an object, not a list");
	assert_true(str_eq(s, STR("kept")) && i == 3 && b);
	json_decref(v);
}

static void
lists_of_texts(void **state)
{
	json_t *v = good(STR("{\"l\":[\"a\",\"\",\"b\\u0000\"],\"e\":[],"
			     "\"m\":[\"a\",1],\"s\":\"a\",\"n\":null}"));
	struct str *list = NULL;
	struct arena a, none;
	bool present = true;
	size_t n = 9;
	struct err e;

	(void)state;
	arena_init(&a, 1000);
	arena_init(&none, 0);
	assert_int_equal(
	    json_in_strings(v, "n", "p.n", &a, &list, &n, &present, &e), 0);
	assert_true(!present && list == NULL && n == 9);
	assert_int_equal(
	    json_in_strings(v, "e", "p.e", &a, &list, &n, &present, &e), 0);
	assert_true(present && n == 0);
	assert_int_equal(
	    json_in_strings(v, "l", "p.l", &a, &list, &n, &present, &e), 0);
	assert_int_equal(n, 3);
	assert_true(str_eq(list[0], STR("a")));
	assert_int_equal(list[1].n, 0);
	assert_true(str_eq(list[2], STR("b\0")));
	assert_says(json_in_strings(v, "m", "p.m", &a, &list, &n, &present, &e),
	    &e, "p.m[1] must be a text, not a number");
	assert_says(json_in_strings(v, "s", "p.s", &a, &list, &n, &present, &e),
	    &e, "p.s must be a list of texts, not a text");
	assert_int_equal(
	    json_in_strings(v, "l", "p.l", &none, &list, &n, &present, &e), -1);
	assert_int_equal(e.kind, ERR_TOO_LARGE);
	arena_free(&a);
	arena_free(&none);
	json_decref(v);
}

/* ---- memory that runs out ---- */

static long left; /* allocations until the first that fails; -1: never */
static long alive;

static void *
failing_malloc(size_t n)
{
	void *p;

	if (left == 0) {
		errno = ENOMEM;
		return NULL;
	}
	if (left > 0)
		left--;
	if ((p = malloc(n)) != NULL)
		alive++;
	return p;
}

static void
counting_free(void *p)
{
	if (p != NULL)
		alive--;
	free(p);
}

/*
 * The n-th allocation fails, for n = 1, 2, ... until none does.  No token is
 * longer than the 15 bytes that jansson has room for from the beginning:
 * where it cannot make more room it ends the program.
 */
static void
allocations_fail(void **state)
{
	struct str text = STR("{\"a\":[1,2.5,\"x\",{\"b\":null}],"
			      "\"c\":\"\\ud800\",\"d\":true}");
	json_malloc_t old_malloc;
	json_free_t old_free;
	json_t *v = NULL;
	long n;

	(void)state;
	json_get_alloc_funcs(&old_malloc, &old_free);
	json_set_alloc_funcs(failing_malloc, counting_free);
	for (n = 0; v == NULL; n++) {
		struct err e = { .kind = ERR_NONE };

		left = n;
		v = json_in_parse(text, true, &e);
		left = -1;
		if (v == NULL) {
			/* no fault of the text, which may be tried again */
			assert_int_equal(e.kind, ERR_UNAVAILABLE);
			assert_string_equal(e.text, "out of memory");
			assert_int_equal(alive, 0);
		}
	}
	json_decref(v);
	json_set_alloc_funcs(old_malloc, old_free);
	assert_int_equal(alive, 0);
	assert_true(n > 20);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_value),
		cmocka_unit_test(what_follows),
		cmocka_unit_test(ends_too_early),
		cmocka_unit_test(is_wrong),
		cmocka_unit_test(errors_repeat_nothing),
		cmocka_unit_test(nesting),
		cmocka_unit_test(invalid_bytes_are_replaced),
		cmocka_unit_test(lone_surrogates_are_replaced),
		cmocka_unit_test(nul),
		cmocka_unit_test(numbers),
		cmocka_unit_test(all_repairs_at_once),
		cmocka_unit_test(repairs_are_linear),
		cmocka_unit_test(keys_without_case),
		cmocka_unit_test(typed_members),
		cmocka_unit_test(lists_of_texts),
		cmocka_unit_test(allocations_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
