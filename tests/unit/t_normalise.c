/*
 * The normaliser against what the reference stored for the same payloads
 * (tests/data/events.jsonl, events-expected.jsonl).
 */
#include <string.h>

#include "json_in.h"
#include "model/metadata.h"
#include "model/normalise.h"
#include "test_event.h"
#include "test_model.h"

#define NOW_MS INT64_C(1800000000000)

static json_t *payloads, *expected;
static unsigned deviations_seen;

/*
 * Where we keep less than the reference did, on purpose (docs/deviations.md).
 * raw_json and fail_body are not kept at all, fail_summary only of failures.
 */
static const struct {
	const char *name, *column, *have, *why;
} deviations[] = {
	{ "source missing falls back to api_key", "source", "m:****",
	    "a client's key in clear" },
	{ "source mask cuts inside a utf-8 character", "source",
	    "\xc3\xa9***@x.io", "half a character" },
	{ "key mask cuts inside utf-8 characters", "source",
	    "m:\xe6\x97\xa5...\xe8\xaa\x9e", "half characters" },
	{ "genuine: xai cc", "source", "m:xai-...6789",
	    "an upstream key in clear" },
	{ "failure summary authorization in json form", "fail_summary",
	    "{\"Authorization\":\"[redacted]\",\"authorization\": "
	    "\"[redacted]\"} Authorization=[redacted] Bearer [redacted]",
	    "short credentials and other schemes than Bearer" },
	{ "set-cookie response header leaks into fail_summary", "fail_summary",
	    "x\n{\"Set-Cookie\":\"[redacted]\",\"X-Api-Key\":\"[redacted]\"}",
	    "cookie and key in lists of header values" },
	{ "genuine: cc 429", "fail_summary",
	    "{\"error\": {\"message\": \"Rate limit reached for key "
	    "[redacted] user b***@example.com\", \"type\": "
	    "\"rate_limit_exceeded\", \"code\": \"rate_limit_exceeded\"}}\n"
	    "{\"Content-Length\":[\"159\"],\"Content-Type\":"
	    "[\"application/json\"],\"Date\":[\"Tue, 24 Nov 2026 03:18:05 "
	    "GMT\"],\"Retry-After\":[\"20\"],\"Server\":[\"BaseHTTP/0.6 "
	    "Python/3.11.7\",\"fakeup/1.0\"],\"Set-Cookie\":\"[redacted]\","
	    "\"X-Ratelimit-Limit-Requests\":[\"1000\"],"
	    "\"X-Ratelimit-Limit-Tokens\":[\"50000\"],"
	    "\"X-Ratelimit-Remaining-Requests\":[\"999\"],"
	    "\"X-Ratelimit-Remaining-Tokens\":[\"49000\"],"
	    "\"X-Request-Id\":[\"up-req-1\"]}",
	    "a cookie in a list of header values" },
	{ "genuine: cc 500", "fail_summary",
	    "upstream exploded\n"
	    "{\"Content-Length\":[\"17\"],\"Content-Type\":"
	    "[\"application/json\"],\"Date\":[\"Tue, 24 Nov 2026 03:18:06 "
	    "GMT\"],\"Server\":[\"BaseHTTP/0.6 "
	    "Python/3.11.7\",\"fakeup/1.0\"],\"Set-Cookie\":\"[redacted]\","
	    "\"X-Ratelimit-Limit-Requests\":[\"1000\"],"
	    "\"X-Ratelimit-Limit-Tokens\":[\"50000\"],"
	    "\"X-Ratelimit-Remaining-Requests\":[\"999\"],"
	    "\"X-Ratelimit-Remaining-Tokens\":[\"49000\"],"
	    "\"X-Request-Id\":[\"up-req-1\"]}",
	    "a cookie in a list of header values" },
};

#define DEVIATIONS (sizeof deviations / sizeof *deviations)

/* What of a payload's row differs on purpose, or NULL. */
static json_t *
deviations_of(const char *name)
{
	json_t *ours = NULL;

	for (size_t i = 0; i < DEVIATIONS; i++)
		if (strcmp(deviations[i].name, name) == 0) {
			if (ours == NULL)
				ours = json_object();
			json_object_set_new(ours, deviations[i].column,
			    json_string(deviations[i].have));
			deviations_seen++;
		}
	return ours;
}

static int
compare(const char *name, const json_t *want, const struct usage_event *ev)
{
	json_t *ours = deviations_of(name);
	struct wanted w = { name, json_object_get(want, "row"), ours,
		json_object_get(want, "volatile"), json_object() };
	int bad = compare_event(&w, ev) + count_missed(&w);

	bad += differs(name, "analytics_model",
	    json_in_text(json_object_get(want, "analytics_model")),
	    analytics_model(
		ev->requested_model.n > 0 ? ev->requested_model : ev->model));
	json_decref(w.seen);
	json_decref(ours);
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
				bad += compare(name, want, &ev);
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
	assert_int_equal(deviations_seen, DEVIATIONS);
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
	assert_string_equal(e.text, "unexpected end of JSON input");
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
	n = (size_t)sprintf(text, "{\"request_id\":\"");
	text[n] = 'b';
	memcpy(text + sizeof text - 2, "\"}", 2);
	arena_init(&a, 64 * 1024);
	assert_int_equal(
	    normalise((struct str){ text, sizeof text }, NOW_MS, &a, &ev, &e),
	    PAYLOAD_DEAD);
	assert_int_equal(e.kind, ERR_TOO_LARGE);
	arena_free(&a);
}

/* What holds for every event, whatever it was made from. */
static void
check_sound(const struct usage_event *ev)
{
	const struct str texts[] = { ev->request_id, ev->model,
		ev->requested_model, ev->resolved_model, ev->provider,
		ev->executor_type, ev->endpoint, ev->method, ev->path,
		ev->auth_type, ev->auth_index, ev->source, ev->client_ip,
		ev->x_forwarded_for, ev->user_agent, ev->fail_summary,
		ev->response_metadata_json, ev->ts_text };
	struct header_columns h;
	struct usage_event again = *ev;
	struct arena a;
	json_t *v;

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		assert_true(utf8_valid(texts[i]));
	assert_true(ev->model.n > 0 && ev->endpoint.n > 0);
	assert_true(ev->ts_ns >= 0 && ev->ts_ns < 1000000);
	assert_true(ev->fail_summary.n <= 4096 + 3);
	assert_true(ev->client_ip.n <= 64 && ev->user_agent.n <= 1024 &&
		    ev->x_forwarded_for.n <= 2048);
	event_hash(&again);
	assert_memory_equal(again.hash, ev->hash, sizeof ev->hash);
	if (ev->response_metadata_json.n == 0)
		return;
	v = json_loadb(ev->response_metadata_json.p,
	    ev->response_metadata_json.n, JSON_ALLOW_NUL, NULL);
	assert_non_null(v);
	json_decref(v);
	arena_init(&a, 1024 * 1024);
	event_header_columns(ev->response_metadata_json, &a, &h);
	arena_free(&a);
}

static unsigned
next(unsigned *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

/* Payloads with bytes changed, cut out, doubled: never anything unsound. */
static void
damaged_payloads_are_sound(void **state)
{
	static const char bytes[] = "\"\\{}[]:,0-9e.ntf \x80\xff@=";
	struct usage_event ev;
	unsigned seed = 7, events = 0;
	struct arena a;
	struct err e;
	char text[8192];

	(void)state;
	arena_init(&a, 16 * 1024 * 1024);
	for (int round = 0; round < 20000; round++) {
		struct str item = json_in_text(json_object_get(
		    json_array_get(
			payloads, next(&seed) % json_array_size(payloads)),
		    "payload"));
		size_t n = item.n < sizeof text ? item.n : sizeof text;

		memcpy(text, item.p, n);
		for (unsigned i = next(&seed) % 4 + 1; i > 0 && n > 2; i--) {
			size_t at = next(&seed) % n;

			switch (next(&seed) % 3) {
			case 0:
				text[at] =
				    bytes[next(&seed) % (sizeof bytes - 1)];
				break;
			case 1:
				memmove(text + at, text + at + 1, n - at - 1);
				n--;
				break;
			default:
				text[at] = text[next(&seed) % n];
				break;
			}
		}
		arena_reset(&a);
		if (normalise((struct str){ text, n }, NOW_MS, &a, &ev, &e) ==
		    PAYLOAD_EVENT) {
			check_sound(&ev);
			events++;
		}
		assert_true(utf8_valid(
		    redact_payload((struct str){ text, n }, 4096, &a)));
	}
	arena_free(&a);
	assert_true(events > 5000);
}

/* A reason is kept and logged: nothing of the payload may stand in it. */
static void
a_reason_quotes_nothing(void **state)
{
	static const char *const items[] = { "sk-secret0123456789",
		"{\"api_key\":sk-secret0123456789}",
		"{\"a\":\"sk-secret0123456789",
		"{\"sk-secret0123456789\":\"\\q\"}",
		"{\"a\":1}sk-secret0123456789" };
	struct usage_event ev;
	struct arena a;
	struct err e;

	(void)state;
	arena_init(&a, 1024 * 1024);
	for (size_t i = 0; i < sizeof items / sizeof *items; i++) {
		assert_int_equal(
		    normalise(str_of(items[i]), NOW_MS, &a, &ev, &e),
		    PAYLOAD_DEAD);
		assert_null(strstr(e.text, "secret"));
	}
	arena_free(&a);
}

/* Which labels may be shown, and how much of a key. */
static void
labels_that_are_keys_are_masked(void **state)
{
	static const struct {
		const char *payload, *source;
	} cases[] = {
		/* the client's key itself, however it looks */
		{ "{\"source\":\"abc\",\"api_key\":\"abc\"}", "m:****" },
		{ "{\"source\":\"P@ss.word-1\",\"api_key\":\"P@ss.word-1\"}",
		    "m:****" },
		{ "{\"source\":\"a/b c.json\",\"api_key\":\"a/b c.json\"}",
		    "m:****" },
		{ "{\"api_key\":\"0123456789abcdef\"}", "m:0123...cdef" },
		/* the label of a credential that is a key */
		{ "{\"source\":\"Zm9v/YmFy+w==\",\"auth_type\":\"apikey\"}",
		    "m:****" },
		{ "{\"source\":\"key-in-a-config-1\",\"auth_type\":\"apikey\"}",
		    "m:key-...ig-1" },
		{ "{\"source\":\"me@example.com\",\"auth_type\":\"apikey\"}",
		    "me***@example.com" },
		{ "{\"source\":\"acc.json\",\"auth_type\":\"apikey\"}",
		    "acc.json" },
		{ "{\"source\":\"my-project-1\",\"auth_type\":\"apikey\","
		  "\"provider\":\"vertex\"}",
		    "my-project-1" },
		/* labels of accounts */
		{ "{\"source\":\"user@example.com\"}", "use***@example.com" },
		{ "{\"source\":\"me@b@c.d\"}", "me***@b@c.d" },
		{ "{\"source\":\"my-project-1\"}", "my-project-1" },
		{ "{\"source\":\"sk-1\"}", "m:****" },
		{ "{\"source\":\"xai-0123456789abcdef\"}", "m:xai-...cdef" },
		{ "{\"source\":\"m:sk-c...6789\",\"auth_type\":\"apikey\"}",
		    "m:sk-c...6789" },
	};
	struct usage_event ev;
	struct arena a;
	struct err e;

	(void)state;
	arena_init(&a, 1024 * 1024);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(
		    normalise(str_of(cases[i].payload), NOW_MS, &a, &ev, &e),
		    PAYLOAD_EVENT);
		assert_int_equal(differs(cases[i].payload, "source",
				     str_of(cases[i].source), ev.source),
		    0);
	}
	arena_free(&a);
}

/* One secret in all the places where secrets are: none of it is kept. */
static void
no_secret_survives(void **state)
{
	static const char payload[] =
	    "{\"timestamp\":\"2026-04-25T00:00:00Z\",\"api_key\":\"Hunter2\","
	    "\"source\":\"Hunter2\",\"authorization\":\"Bearer Hunter2\","
	    "\"failed\":true,\"fail\":{\"status_code\":401,\"body\":"
	    "\"{\\\"headers\\\":{\\\"Authorization\\\":[\\\"Basic Hunter2\\\"],"
	    "\\\"cookie\\\":\\\"s=Hunter2\\\"},\\\"access_token\\\":"
	    "\\\"Hunter2\\\"} "
	    "https://u:Hunter2@h/?key=Hunter2\\nAuthorization: Digest "
	    "r=\\\"Hunter2\\\"\\nbearer Hunter2\"},"
	    "\"response_headers\":{\"Set-Cookie\":[\"a=1; b=2\",\"Hunter2\"],"
	    "\"X-Api-Key\":\"Hunter2\",\"Authorization\":[\"Hunter2\"],"
	    "\"X-Client-Secret\":[\"Hunter2\"],"
	    "\"Server\":[\"api_key=Hunter2\"]}}";
	struct usage_event ev;
	struct arena a;
	struct err e;

	(void)state;
	arena_init(&a, 1024 * 1024);
	assert_int_equal(
	    normalise(STR(payload), NOW_MS, &a, &ev, &e), PAYLOAD_EVENT);
	const struct str texts[] = { ev.source, ev.fail_summary,
		ev.response_metadata_json,
		redact_payload(STR(payload), 65536, &a),
		/* no JSON any more: as text */
		redact_payload(
		    (struct str){ payload, sizeof payload - 2 }, 65536, &a) };
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		if (str_contains(texts[i], STR("Hunter2")))
			print_error("%.*s\n", STR_ARG(texts[i]));
		assert_true(texts[i].n > 0);
		assert_false(str_contains(texts[i], STR("Hunter2")));
	}
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
		cmocka_unit_test(damaged_payloads_are_sound),
		cmocka_unit_test(a_reason_quotes_nothing),
		cmocka_unit_test(labels_that_are_keys_are_masked),
		cmocka_unit_test(no_secret_survives),
	};

	return cmocka_run_group_tests(tests, load, unload);
}
