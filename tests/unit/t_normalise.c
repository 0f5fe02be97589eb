/*
 * The normaliser against what the reference stored for the same payloads
 * (tests/data/events.jsonl, events-expected.jsonl).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#undef fail

#include "json_in.h"
#include "model/normalise.h"
#include "test_model.h"

#define NOW_MS INT64_C(1800000000000)

static json_t *payloads, *expected;

/* Rows whose clock-dependent columns are compared by form only. */
static bool
is_volatile(const json_t *want, const char *column)
{
	const json_t *list = json_object_get(want, "volatile");

	for (size_t i = 0; i < json_array_size(list); i++)
		if (strcmp(json_string_value(json_array_get(list, i)),
			column) == 0)
			return true;
	return false;
}

static int
differs(const char *name, const char *column, const char *want, struct str have)
{
	if (str_eq(have, str_of(want)))
		return 0;
	print_error("%s: %s is \"%.*s\", want \"%s\"\n", name, column,
	    STR_ARG(have), want);
	return 1;
}

static int
compare_text(
    const char *name, const json_t *want, const char *column, struct str have)
{
	const json_t *v = json_object_get(json_object_get(want, "row"), column);

	if (is_volatile(want, column) || json_is_object(v))
		return 0;
	return differs(
	    name, column, json_is_string(v) ? json_string_value(v) : "", have);
}

static int
compare_int(const char *name, const json_t *want, const char *column, bool set,
    int64_t have)
{
	const json_t *v = json_object_get(json_object_get(want, "row"), column);
	bool want_set = json_is_integer(v);

	if (is_volatile(want, column))
		return 0;
	if (want_set == set && (!set || json_integer_value(v) == have))
		return 0;
	print_error("%s: %s is %lld, want %s%lld\n", name, column,
	    (long long)have, want_set ? "" : "NULL ",
	    (long long)json_integer_value(v));
	return 1;
}

static int
compare_hash(const char *name, const json_t *want, const char *column, bool set,
    const unsigned char *hash)
{
	char hex[65] = "";

	if (set)
		hex_encode(hash, 32, hex);
	return compare_text(name, want, column, str_of(hex));
}

/*
 * Masking is stricter than the reference's, so only emptiness is compared,
 * and that no whole secret is left.
 */
static int
compare_masked(
    const char *name, const json_t *want, const char *column, struct str have)
{
	const json_t *v = json_object_get(json_object_get(want, "row"), column);
	bool there = json_is_object(v) || json_string_length(v) > 0;

	if (there == (have.n > 0) && utf8_valid(have))
		return 0;
	print_error("%s: %s is \"%.*s\"\n", name, column, STR_ARG(have));
	return 1;
}

static int
compare_event(
    const char *name, const json_t *want, const struct usage_event *ev)
{
	const struct {
		const char *column;
		struct str text;
	} texts[] = {
		{ "request_id", ev->request_id },
		{ "timestamp", ev->ts_text },
		{ "provider", ev->provider },
		{ "executor_type", ev->executor_type },
		{ "model", ev->model },
		{ "requested_model", ev->requested_model },
		{ "resolved_model", ev->resolved_model },
		{ "endpoint", ev->endpoint },
		{ "method", ev->method },
		{ "path", ev->path },
		{ "auth_type", ev->auth_type },
		{ "auth_index", ev->auth_index },
		{ "account_snapshot", ev->account_snapshot },
		{ "auth_label_snapshot", ev->auth_label_snapshot },
		{ "auth_file_snapshot", ev->auth_file_snapshot },
		{ "auth_provider_snapshot", ev->auth_provider_snapshot },
		{ "auth_project_id_snapshot", ev->auth_project_id_snapshot },
		{ "client_ip", ev->client_ip },
		{ "x_forwarded_for", ev->x_forwarded_for },
		{ "user_agent", ev->user_agent },
		{ "reasoning_effort", ev->reasoning_effort },
		{ "service_tier", ev->service_tier },
		{ "request_service_tier", ev->request_service_tier },
		{ "response_service_tier", ev->response_service_tier },
		{ "cache_input_mode", (ev->flags & EVENT_CACHE_SEPARATE) != 0 ?
					  STR("separate_from_input") :
					  STR("included_in_input") },
	};
	struct normalized_tokens t;
	int bad = 0;

	event_normalized_tokens(ev, &t);
	const struct {
		const char *column;
		bool set;
		int64_t v;
	} numbers[] = {
		{ "timestamp_ms", true, ev->ts_ms },
		{ "input_tokens", true, ev->input_tokens },
		{ "output_tokens", true, ev->output_tokens },
		{ "reasoning_tokens", true, ev->reasoning_tokens },
		{ "cached_tokens", true, ev->cached_tokens },
		{ "cache_tokens", true, ev->cache_tokens },
		{ "cache_read_tokens", true, ev->cache_read_tokens },
		{ "cache_creation_tokens", true, ev->cache_creation_tokens },
		{ "total_tokens", true, ev->total_tokens },
		{ "normalized_uncached_input_tokens", true, t.uncached_input },
		{ "normalized_total_input_tokens", true, t.total_input },
		{ "normalized_cache_read_tokens", true, t.cache_read },
		{ "normalized_cache_creation_tokens", true, t.cache_creation },
		{ "latency_ms", ev->latency_ms.set, ev->latency_ms.v },
		{ "ttft_ms", ev->ttft_ms.set, ev->ttft_ms.v },
		{ "failed", true, (ev->flags & EVENT_FAILED) != 0 },
		{ "fail_status_code", ev->fail_status_code.set,
		    ev->fail_status_code.v },
		{ "auth_snapshot_at_ms", ev->auth_snapshot_at_ms > 0,
		    ev->auth_snapshot_at_ms },
	};

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		bad += compare_text(name, want, texts[i].column, texts[i].text);
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		bad += compare_int(name, want, numbers[i].column,
		    numbers[i].set, numbers[i].v);
	bad += compare_hash(name, want, "event_hash", true, ev->hash);
	bad += compare_hash(
	    name, want, "source_hash", ev->has_source_hash, ev->source_hash);
	bad += compare_hash(
	    name, want, "api_key_hash", ev->has_api_key_hash, ev->api_key_hash);
	bad += compare_masked(name, want, "source", ev->source);
	/* a summary only of failures: docs/deviations.md */
	if ((ev->flags & EVENT_FAILED) != 0)
		bad += compare_masked(
		    name, want, "fail_summary", ev->fail_summary);
	else if (ev->fail_summary.n > 0) {
		print_error("%s: a success has a failure summary\n", name);
		bad++;
	}
	return bad;
}

static const char *
outcome_text(enum payload_kind kind)
{
	switch (kind) {
	case PAYLOAD_EVENT:
		return "event";
	case PAYLOAD_DEAD:
		return "dead_letter";
	default:
		return "control";
	}
}

static void
rows_are_the_reference_s(void **state)
{
	struct arena a;
	int bad = 0, events = 0;

	(void)state;
	arena_init(&a, 64 * 1024 * 1024);
	for (size_t i = 0; i < json_array_size(payloads); i++) {
		const json_t *in = json_array_get(payloads, i),
			     *want = json_array_get(expected, i);
		const char *name =
		    json_string_value(json_object_get(in, "name"));
		const char *outcome =
		    json_string_value(json_object_get(want, "outcome"));
		struct usage_event ev;
		struct err e;
		enum payload_kind kind;

		arena_reset(&a);
		kind = normalise(json_in_text(json_object_get(in, "payload")),
		    NOW_MS, &a, &ev, &e);
		if (kind == PAYLOAD_EVENT) {
			events++;
			/* a duplicate is an event that came before */
			if (strcmp(outcome, "inserted") == 0)
				bad += compare_event(name, want, &ev);
			else if (strcmp(outcome, "duplicate") != 0) {
				print_error("%s: an event\n", name);
				bad++;
			}
		} else if (strcmp(outcome_text(kind), outcome) != 0) {
			print_error("%s: %s, want %s\n", name,
			    outcome_text(kind), outcome);
			bad++;
		}
	}
	arena_free(&a);
	assert_int_equal(events, 99);
	assert_int_equal(bad, 0);
}

static void
what_is_no_event_says_why(void **state)
{
	struct usage_event ev;
	struct arena a;
	struct err e;

	(void)state;
	arena_init(&a, 1024 * 1024);
	assert_int_equal(
	    normalise(STR("[1,2]"), NOW_MS, &a, &ev, &e), PAYLOAD_DEAD);
	assert_string_equal(e.text, "usage payload is not a JSON object");
	assert_int_equal(
	    normalise(STR("{\"a\":"), NOW_MS, &a, &ev, &e), PAYLOAD_DEAD);
	assert_string_equal(e.text, "unexpected EOF");
	assert_int_equal(
	    normalise(STR(" \n"), NOW_MS, &a, &ev, &e), PAYLOAD_BLANK);
	assert_int_equal(
	    normalise(STR("{\"refresh\":true}"), NOW_MS, &a, &ev, &e),
	    PAYLOAD_REFRESH);
	assert_int_equal(
	    normalise(STR("{\"support_refresh\":true}"), NOW_MS, &a, &ev, &e),
	    PAYLOAD_CONTROL);
	assert_int_equal(normalise(STR("{\"refresh\":true,\"x\":true}"), NOW_MS,
			     &a, &ev, &e),
	    PAYLOAD_EVENT);
	arena_free(&a);
}

static void
an_event_without_a_time_takes_the_given_one(void **state)
{
	struct usage_event ev;
	struct arena a;
	struct err e;

	(void)state;
	arena_init(&a, 1024 * 1024);
	assert_int_equal(
	    normalise(STR("{\"model\":\"m\"}"), NOW_MS, &a, &ev, &e),
	    PAYLOAD_EVENT);
	assert_false(ev.ts_given);
	assert_true(ev.ts_ms == NOW_MS);
	arena_free(&a);
}

/* An event must not be stored with half of its texts. */
static void
a_payload_that_does_not_fit_is_no_event(void **state)
{
	static char text[200000];
	struct usage_event ev;
	struct arena a;
	struct err e;
	size_t n;

	(void)state;
	memset(text, 'a', sizeof text);
	n = (size_t)sprintf(text, "{\"user_agent\":\"");
	text[n] = 'b';
	memcpy(text + sizeof text - 2, "\"}", 2);
	arena_init(&a, 64 * 1024);
	assert_int_equal(
	    normalise((struct str){ text, sizeof text }, NOW_MS, &a, &ev, &e),
	    PAYLOAD_DEAD);
	assert_int_equal(e.kind, ERR_TOO_LARGE);
	arena_free(&a);
}

static int
load(void **state)
{
	(void)state;
	payloads = load_lines("tests/data/events.jsonl");
	expected = load_lines("tests/data/events-expected.jsonl");
	return json_array_size(payloads) == 108 &&
		       json_array_size(expected) == 108 ?
		   0 :
		   -1;
}

static int
unload(void **state)
{
	(void)state;
	json_decref(payloads);
	json_decref(expected);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_are_the_reference_s),
		cmocka_unit_test(what_is_no_event_says_why),
		cmocka_unit_test(an_event_without_a_time_takes_the_given_one),
		cmocka_unit_test(a_payload_that_does_not_fit_is_no_event),
	};

	return cmocka_run_group_tests(tests, load, unload);
}
