/*
 * Event hash, times in and out, the model that counts, numbers as text.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#undef fail

#include "model/event.h"
#include "model/record.h"
#include "model/timestamp.h"

static void
check_hash(struct usage_event *ev, const char *hex)
{
	char have[2 * SHA256_BYTES + 1];

	event_hash(ev);
	hex_encode(ev->hash, SHA256_BYTES, have);
	assert_string_equal(have, hex);
}

/* The two worked examples of section 7. */
static void
hashes(void **state)
{
	struct usage_event ev = {
		.ts_text = STR("2026-04-25T00:00:00.123456789Z"),
		.request_id = STR("p001"),
		.endpoint = STR("POST /v1/responses"),
		.model = STR("gpt-5.1-codex"),
		.auth_index = STR("0123456789abcdef"),
		.has_source_hash = true,
		.input_tokens = 100,
		.output_tokens = 20,
		.reasoning_tokens = 5,
		.cached_tokens = 40,
		.latency_ms = { true, 1500 },
	};
	struct usage_event bare = {
		.ts_text = STR("2026-04-25T01:02:03Z"),
		.endpoint = STR("-"),
		.model = STR("-"),
	};
	static char id[5000];
	unsigned char first[SHA256_BYTES];

	(void)state;
	assert_int_equal(
	    hex_decode(STR("b4c9a289323b21a01c3e940f150eb9b8c542587f1abfd8f0e1c"
			   "c1ffc5e475514"),
		ev.source_hash, SHA256_BYTES),
	    0);
	check_hash(&ev,
	    "fa5c045dfc8d50b8441a8b3fe34c6d90154c31eb067c786c6a56051333b12962");
	check_hash(&bare,
	    "86c3d8ed8d5e39e2ceb26a23bf2569c19efd78c5de4a88d694fac196c975ed42");

	/* the larger of the two counters counts; what else does not */
	ev.cache_tokens = 40;
	ev.cached_tokens = 3;
	ev.total_tokens = 1;
	ev.cache_read_tokens = 2;
	ev.provider = STR("x");
	check_hash(&ev,
	    "fa5c045dfc8d50b8441a8b3fe34c6d90154c31eb067c786c6a56051333b12962");
	memcpy(first, ev.hash, sizeof first);
	ev.flags |= EVENT_FAILED;
	event_hash(&ev);
	assert_memory_not_equal(first, ev.hash, sizeof first);

	/* longer than any local room */
	memset(id, 'x', sizeof id);
	bare.request_id = (struct str){ id, sizeof id };
	event_hash(&bare);
	memcpy(first, bare.hash, sizeof first);
	id[sizeof id - 1] = 'y';
	event_hash(&bare);
	assert_memory_not_equal(first, bare.hash, sizeof first);
}

static void
times_out(void **state)
{
	static const struct {
		int64_t ms;
		int32_t ns;
		const char *text;
	} cases[] = {
		{ 0, 0, "1970-01-01T00:00:00Z" },
		{ -1, 500000, "1969-12-31T23:59:59.9995Z" },
		{ 1777075200123, 456789, "2026-04-25T00:00:00.123456789Z" },
		{ 1777075200100, 0, "2026-04-25T00:00:00.1Z" },
		{ 951782400000, 0, "2000-02-29T00:00:00Z" },
		{ 253402300800000, 0, "10000-01-01T00:00:00Z" },
		{ INT64_MAX, 999999, "292278994-08-17T07:12:55.807999999Z" },
		{ INT64_MIN, 0, "-292275055-05-16T16:47:04.192Z" },
	};
	char text[40];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(
		    event_time_text(cases[i].ms, cases[i].ns, text),
		    strlen(cases[i].text));
		assert_string_equal(text, cases[i].text);
	}
}

static void
times_in(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
		int32_t ns;
	} cases[] = {
		{ "2026-04-25T00:00:00Z", 1777075200000, 0 },
		{ "2026-04-25T08:30:00.5+08:00", 1777077000500, 0 },
		{ "2026-04-25T00:00:00.123456789Z", 1777075200123, 456789 },
		{ "2026-04-25T00:00:00.1234567899Z", 1777075200123, 456789 },
		{ "2026-04-25T1:02:03Z", 1777078923000, 0 },
		{ "2026-04-25 10:11:12,25", 1777111872250, 0 },
		{ "2026-04-25   10:11:12", 1777111872000, 0 },
		{ "2026-04-25T10:11:12", 1777111872000, 0 },
		{ "1969-12-31T23:59:59.9995Z", -1, 500000 },
		{ "2024-02-29T00:00:00Z", 1709164800000, 0 },
		{ "2026-04-25T00:00:00-24:00", 1777161600000, 0 },
		{ "0001-01-01T00:00:00Z", -62135596800000, 0 },
	};
	static const char *const none[] = { "", "2026-04-25",
		"2026-04-25T00:00Z", "2026-04-25t00:00:00Z",
		"2026-04-25T00:00:00z", "2026-04-25T00:00:60Z",
		"2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z",
		"2026-04-31T00:00:00Z", "2026-04-25T24:00:00Z",
		"2026-04-25T00:60:00Z", "2026-04-25T00:00:00+25:00",
		"2026-04-25T00:00:00.Z", "2026-04-25T00:00:00Zx",
		"2026-04-25 00:00:00Z", "26-04-25T00:00:00Z",
		"2026-4-25T00:00:00Z", "2026-04-25T00:0:00Z",
		"2026-04-25T00:00:00+0800", "today" };
	struct timestamp t;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		if (!timestamp_parse(str_of(cases[i].text), &t) ||
		    t.ms != cases[i].ms || t.ns != cases[i].ns)
			print_error("%s\n", cases[i].text);
		assert_true(timestamp_parse(str_of(cases[i].text), &t));
		assert_true(t.ms == cases[i].ms);
		assert_int_equal(t.ns, cases[i].ns);
	}
	for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
		if (timestamp_parse(str_of(none[i]), &t))
			print_error("accepted: %s\n", none[i]);
		assert_false(timestamp_parse(str_of(none[i]), &t));
	}
}

static void
models(void **state)
{
	static const struct {
		const char *model, *counts;
	} cases[] = {
		{ "gpt-5(high)", "gpt-5" },
		{ "gpt-5 (high)", "gpt-5 " },
		{ "g(XHigh)", "g" },
		{ "m(8192)", "m" },
		{ "m(+5)", "m" },
		{ "m(00012)", "m" },
		{ "m(-1)", "m" },
		{ "m(none)", "m" },
		{ "a(b)(low)", "a(b)" },
		{ "m(-2)", "m(-2)" },
		{ "m( high)", "m( high)" },
		{ "m(99999999999999999999)", "m(99999999999999999999)" },
		{ "m()", "m()" },
		{ "m(other)", "m(other)" },
		{ "(high)", "(high)" },
		{ "m(high", "m(high" },
		{ "high)", "high)" },
		{ "-", "-" },
		{ "", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct str s = analytics_model(str_of(cases[i].model));

		assert_true(str_eq(s, str_of(cases[i].counts)));
	}
}

static void
tokens(void **state)
{
	static const struct {
		uint32_t flags;
		int64_t input, cached, cache, read, creation;
		struct normalized_tokens t;
	} cases[] = {
		{ 0, 100, 40, 0, 40, 0, { 60, 100, 40, 0, 0 } },
		{ 0, 100, 70, 0, 40, 10, { 30, 100, 60, 10, 20 } },
		{ 0, 10, 0, 50, 0, 0, { 0, 10, 50, 0, 50 } },
		{ 0, -10, -5, -6, -7, -8, { 0, 0, 0, 0, 0 } },
		{ EVENT_CACHE_SEPARATE, 21, 400, 0, 400, 100,
		    { 21, 521, 400, 100, 0 } },
		{ EVENT_CACHE_SEPARATE, INT64_MAX, 0, 0, 1, 0,
		    { INT64_MAX, INT64_MIN, 1, 0, 0 } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct usage_event ev = { .flags = cases[i].flags,
			.input_tokens = cases[i].input,
			.cached_tokens = cases[i].cached,
			.cache_tokens = cases[i].cache,
			.cache_read_tokens = cases[i].read,
			.cache_creation_tokens = cases[i].creation };
		struct normalized_tokens t;

		event_normalized_tokens(&ev, &t);
		assert_true(t.uncached_input == cases[i].t.uncached_input);
		assert_true(t.total_input == cases[i].t.total_input);
		assert_true(t.cache_read == cases[i].t.cache_read);
		assert_true(t.cache_creation == cases[i].t.cache_creation);
		assert_true(t.compat_cached == cases[i].t.compat_cached);
	}
}

/* A key out of its place in keys.def would never be found. */
static void
every_key_is_found(void **state)
{
	(void)state;
	for (int i = 0; i < KEY__MAX; i++)
		assert_int_equal(key_find(key_name((enum key)i)), i);
	assert_int_equal(key_find(STR("")), KEY__MAX);
	assert_int_equal(key_find(STR("zz")), KEY__MAX);
	assert_int_equal(key_find(STR("Model")), KEY__MAX);
}

static void
values_as_text(void **state)
{
	static const struct {
		const char *json, *text;
	} cases[] = {
		{ "null", "" },
		{ "\" \\u3000 a b\\t\"", "a b" },
		{ "true", "true" },
		{ "0", "0" },
		{ "-0", "0" },
		{ "12.0", "12" },
		{ "9221120237041090560", "9221120237041090560" },
		{ "1e3", "1000" },
		{ "4.5", "4.5" },
		{ "-0.5", "-0.5" },
		{ "123456789.5", "123456789.5" },
		{ "1e-6", "0.000001" },
		{ "1.25e-9", "0.00000000125" },
		{ "1e21", "1000000000000000000000" },
		{ "12345678901234567890", "12345678901234567000" },
		{ "9223372036854775807", "9223372036854776000" },
		{ "[]", "[]" },
		{ "[1,2.5,null,true,\"x y\"]", "[1 2.5 <nil> true x y]" },
		{ "{\"b\":[1,\"x\",null],\"a\":1}", "map[a:1 b:[1 x <nil>]]" },
		{ "[100000,1000000,1234567.5,123456789,0.00001,0.0001,-0.0]",
		    "[100000 1e+06 1.2345675e+06 1.23456789e+08 1e-05 0.0001 "
		    "-0]" },
		{ "[1e100,-2.5e-10]", "[1e+100 -2.5e-10]" },
	};
	struct arena a;

	(void)state;
	arena_init(&a, 1024 * 1024);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const struct json_tree *v =
		    json_tree_parse(str_of(cases[i].json), &a, NULL);
		struct str s;

		assert_non_null(v);
		s = value_text(v, &a);
		if (!str_eq(s, str_of(cases[i].text)))
			print_error("%s: %.*s\n", cases[i].json, STR_ARG(s));
		assert_true(str_eq(s, str_of(cases[i].text)));
	}
	arena_free(&a);
}

static void
values_as_numbers(void **state)
{
	static const struct {
		const char *json;
		int64_t v;
	} cases[] = {
		{ "10.9", 10 },
		{ "-10.9", -10 },
		{ "\" 12 \"", 12 },
		{ "\"+5\"", 5 },
		{ "\"12.5\"", 0 },
		{ "\"x\"", 0 },
		{ "\"\"", 0 },
		{ "\"99999999999999999999\"", INT64_MAX },
		{ "\"-99999999999999999999\"", INT64_MIN },
		{ "1e30", INT64_MIN },
		{ "-1e30", INT64_MIN },
		{ "9007199254740993", 9007199254740992 },
		{ "true", 0 },
		{ "[1]", 0 },
		{ "null", 0 },
	};
	struct arena a;

	(void)state;
	arena_init(&a, 1024 * 1024);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_true(value_int(json_tree_parse(str_of(cases[i].json), &a,
				NULL)) == cases[i].v);
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hashes),
		cmocka_unit_test(times_out),
		cmocka_unit_test(times_in),
		cmocka_unit_test(models),
		cmocka_unit_test(tokens),
		cmocka_unit_test(every_key_is_found),
		cmocka_unit_test(values_as_text),
		cmocka_unit_test(values_as_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
