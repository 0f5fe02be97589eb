/* Walking through JSON by brackets and quotes. */
#include "test_cmocka.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "json_scan.h"

static const char *const names[] = { "PART", "END", "CUT", "BAD" };

/*
 * Memory as large as the text and no byte more, so that a sanitizer sees a
 * read beyond it.
 */
static struct str
exactly(struct str text)
{
	char *p = malloc(text.n == 0 ? 1 : text.n);

	assert_non_null(p);
	memcpy(p, text.p, text.n);
	return (struct str){ p, text.n };
}

static void
release(struct str text)
{
	free((void *)(uintptr_t)text.p);
}

/* Parts with "|" behind each, the result, and what is left behind the end. */
static void
assert_walk(struct str text, bool object, const char *want)
{
	struct str copy = exactly(text), key, value;
	enum json_scan_result rc;
	struct json_scan s;
	char out[4096];
	size_t n = 0;

	json_scan_init(&s, copy);
	for (;;) {
		rc = object ? json_scan_member(&s, &key, &value) :
			      json_scan_element(&s, &value);
		if (rc != JSON_SCAN_PART)
			break;
		if (object)
			n += (size_t)snprintf(
			    out + n, sizeof out - n, "%.*s:", STR_ARG(key));
		n += (size_t)snprintf(
		    out + n, sizeof out - n, "%.*s|", STR_ARG(value));
	}
	n += (size_t)snprintf(out + n, sizeof out - n, "%s", names[rc]);
	if (rc == JSON_SCAN_END)
		snprintf(
		    out + n, sizeof out - n, "%.*s", (int)(s.end - s.p), s.p);
	assert_string_equal(out, want);
	release(copy);
}

#define LIST(text, want) assert_walk(STR(text), false, want)
#define OBJECT(text, want) assert_walk(STR(text), true, want)

static void
elements(void **state)
{
	(void)state;
	LIST("[]", "END");
	LIST("[ \t\r\n]", "END");
	LIST("[1]", "1|END");
	LIST("[1,true,null,\"a\"]", "1|true|null|\"a\"|END");
	LIST("[ {\"a\":1} ,\n{\"b\" : [2, 3]}\t] x",
	    "{\"a\":1}|{\"b\" : [2, 3]}|END x");
	LIST("[[1,[2]],{\"a\":{\"b\":{}}},[],{}]",
	    "[1,[2]]|{\"a\":{\"b\":{}}}|[]|{}|END");
	LIST("[-1.5e+3 ,0]", "-1.5e+3|0|END");
}

static void
members(void **state)
{
	(void)state;
	OBJECT("{}", "END");
	OBJECT("{ }", "END");
	OBJECT("{\"a\":1,\"b\":[2],\"a\":{}}rest",
	    "\"a\":1|\"b\":[2]|\"a\":{}|ENDrest");
	OBJECT("{ \"a\" :\n1 , \"\":\"\" }", "\"a\":1|\"\":\"\"|END");
	OBJECT(
	    "{\"\\\"}\":\"}\\\\\",\"b\":2}", "\"\\\"}\":\"}\\\\\"|\"b\":2|END");
}

static void
texts_hide_everything(void **state)
{
	(void)state;
	LIST("[\"a,b]c[d{e}f\",2]", "\"a,b]c[d{e}f\"|2|END");
	LIST("[\"\\\"\",\"\\\\\",\"\\\\\\\"]\"]",
	    "\"\\\"\"|\"\\\\\"|\"\\\\\\\"]\"|END");
	LIST("[{\"a]\":\"}\"},[\"]\"],1]", "{\"a]\":\"}\"}|[\"]\"]|1|END");
}

static void
what_is_cut(void **state)
{
	static const char whole[] = "{\"a\":[1,{\"b\":\"c\\\"d\"}],\"e\":2}";
	struct str value;

	(void)state;
	LIST("", "CUT");
	LIST("[", "CUT");
	LIST("[ ", "CUT");
	LIST("[1", "1|CUT");
	LIST("[1,", "1|CUT");
	LIST("[1 ", "1|CUT");
	LIST("[\"a", "CUT");
	LIST("[\"a\\", "CUT");
	LIST("[\"a\\\"", "CUT");
	LIST("[1,[2,3]", "1|[2,3]|CUT");
	LIST("[1,[2,3", "1|CUT");
	LIST("[{\"a\":\"]}", "CUT");
	OBJECT("{", "CUT");
	OBJECT("{\"a", "CUT");
	OBJECT("{\"a\"", "CUT");
	OBJECT("{\"a\" ", "CUT");
	OBJECT("{\"a\":", "CUT");
	OBJECT("{\"a\":[", "CUT");
	OBJECT("{\"a\":1,", "\"a\":1|CUT");
	for (size_t n = 0; n < sizeof whole - 1; n++) {
		struct str cut = exactly((struct str){ whole, n });

		assert_int_equal(json_scan_value(cut, &value), JSON_SCAN_CUT);
		release(cut);
	}
	assert_int_equal(
	    json_scan_value(str_of(whole), &value), JSON_SCAN_PART);
	assert_true(str_eq(value, str_of(whole)));
}

static void
what_is_no_list_or_object(void **state)
{
	(void)state;
	LIST("[1 2]", "1|BAD");
	LIST("[,1]", "BAD");
	LIST("[1,]", "1|BAD");
	LIST("[1,,2]", "1|BAD");
	LIST("[1}", "1|BAD");
	LIST("[1:2]", "1|BAD");
	LIST("[tru\"x\"]", "tru|BAD");
	OBJECT("{1:2}", "BAD");
	OBJECT("{\"a\" 1}", "BAD");
	OBJECT("{\"a\",1}", "BAD");
	OBJECT("{\"a\":}", "BAD");
	OBJECT("{\"a\":1 \"b\":2}", "\"a\":1|BAD");
	OBJECT("{\"a\":1,}", "\"a\":1|BAD");
	OBJECT("{\"a\":1]", "\"a\":1|BAD");
	OBJECT("{{}:1}", "BAD");
}

/* What stands between brackets and commas is nobody's business here. */
static void
parts_are_not_judged(void **state)
{
	(void)state;
	LIST("[tru,{oops},[1}]", "tru|{oops}|[1}|END");
	LIST("[\x01,\xff\xfe]", "\x01|\xff\xfe|END");
	OBJECT("{\"\xff\":nul}", "\"\xff\":nul|END");
}

static void
single_values(void **state)
{
	static const struct {
		const char *text, *value;
		enum json_scan_result rc;
	} cases[] = {
		{ " 12 ", "12", JSON_SCAN_PART },
		{ "null", "null", JSON_SCAN_PART },
		{ "\n\"a b\"c", "\"a b\"", JSON_SCAN_PART },
		{ "{\"a\":1}}", "{\"a\":1}", JSON_SCAN_PART },
		{ "[1][2]", "[1]", JSON_SCAN_PART },
		{ "a{", "a", JSON_SCAN_PART },
		{ "", "", JSON_SCAN_CUT },
		{ " \t", "", JSON_SCAN_CUT },
		{ ",", "", JSON_SCAN_BAD },
		{ "]", "", JSON_SCAN_BAD },
		{ ":1", "", JSON_SCAN_BAD },
	};
	struct str value;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct str text = exactly(str_of(cases[i].text));

		assert_int_equal(
		    json_scan_value(text, &value), (int)cases[i].rc);
		assert_true(str_eq(value, str_of(cases[i].value)));
		release(text);
	}
	assert_int_equal(
	    json_scan_value((struct str){ NULL, 0 }, &value), JSON_SCAN_CUT);
	assert_int_equal(value.n, 0);
}

/* Nesting costs no stack, and a large text is passed over once. */
static void
large_and_deep(void **state)
{
	const size_t half = (size_t)16 << 20;
	int64_t began_ms = clock_mono_ms();
	char *text = malloc(2 * half);
	struct str value;

	(void)state;
	assert_non_null(text);
	memset(text, '[', half);
	memset(text + half, ']', half);
	assert_int_equal(
	    json_scan_value((struct str){ text, 2 * half }, &value),
	    JSON_SCAN_PART);
	assert_int_equal(value.n, 2 * half);
	assert_int_equal(
	    json_scan_value((struct str){ text, 2 * half - 1 }, &value),
	    JSON_SCAN_CUT);
	assert_true(clock_mono_ms() - began_ms < 60000);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(elements),
		cmocka_unit_test(members),
		cmocka_unit_test(texts_hide_everything),
		cmocka_unit_test(what_is_cut),
		cmocka_unit_test(what_is_no_list_or_object),
		cmocka_unit_test(parts_are_not_judged),
		cmocka_unit_test(single_values),
		cmocka_unit_test(large_and_deep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
