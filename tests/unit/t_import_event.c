/*
 * One record of an import: contract/database.md sections 12.2 and 12.3.
 */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/import_event.h"
#include "model/metadata.h"
#include "test_cmocka.h"
#include "test_key.h"

#define NOW_MS INT64_C(1800000000000)
#define LIMIT ((size_t)64 * 1024 * 1024)

static struct arena arena;
static struct usage_event ev; /* the last one read */

static int
setup(void **state)
{
	(void)state;
	arena_init(&arena, LIMIT);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

/* Read a record from memory that is gone when its event is looked at. */
static void
record(const char *json)
{
	char *copy = strdup(json);
	struct err e;

	assert_non_null(copy);
	arena_reset(&arena);
	if (import_record(str_of(copy), NOW_MS, &arena, &ev, &e) != 0)
		FAIL("%s: %s\n", json, e.text);
	memset(copy, '#', strlen(json));
	free(copy);
}

/* An exported event with these members. */
static void
exported(const char *members)
{
	char json[16384];

	snprintf(json, sizeof json, "{\"event_hash\":\"h\"%s%s}",
	    *members == '\0' ? "" : ",", members);
	record(json);
}

static void
assert_str(struct str have, const char *want)
{
	if (!str_eq(have, str_of(want)))
		FAIL("\"%.*s\", want \"%s\"\n", STR_ARG(have), want);
}

static void
assert_digest(const unsigned char hash[SHA256_BYTES], const char *of)
{
	unsigned char want[SHA256_BYTES];

	sha256(of, strlen(of), want);
	assert_memory_equal(hash, want, SHA256_BYTES);
}

static void
refused(const char *json, enum err_kind kind)
{
	struct err e;

	arena_reset(&arena);
	assert_int_equal(
	    import_record(str_of(json), NOW_MS, &arena, &ev, &e), -1);
	assert_int_equal(e.kind, (int)kind);
	assert_true(e.text[0] != '\0');
}

/* ---- what it is ---------------------------------------------------------- */

static void
no_events(void **state)
{
	(void)state;
	refused("", ERR_INPUT);
	refused("  ", ERR_INPUT);
	refused("null", ERR_INPUT);
	refused("5", ERR_INPUT);
	refused("\"x\"", ERR_INPUT);
	refused("[{\"event_hash\":\"h\"}]", ERR_INPUT);
	refused("{\"event_hash\":\"h\"", ERR_INPUT);
	refused("{\"event_hash\":\"h\"} {}", ERR_INPUT);
	refused("{bad}", ERR_INPUT);
}

/* Without a hash it is what CPA's queue has. */
static void
payloads(void **state)
{
	(void)state;
	record(" {\"model\":\"m\",\"timestamp\":7,\"client_ip\":\"1.2.3.4\"} ");
	assert_str(ev.model, "m");
	assert_str(ev.resolved_model, "m");
	assert_str(ev.client_ip, "1.2.3.4");
	assert_int_equal(ev.ts_ms, 7000); /* below 10^10: seconds */
	assert_false(ev.undated);
	assert_false(ev.hash_given);
	record("{}");
	assert_str(ev.model, "-");
	assert_int_equal(ev.ts_ms, NOW_MS);
	assert_false(ev.undated);
	/* the first key that is there counts, even when it is null */
	record("{\"event_hash\":null,\"eventHash\":\"h\",\"timestamp\":7}");
	assert_int_equal(ev.ts_ms, 7000);
	assert_int_equal(ev.flags & EVENT_HASH_TEXT, 0);
	record("{\"event_hash\":\" \",\"timestamp\":7}");
	assert_int_equal(ev.flags & EVENT_HASH_TEXT, 0);
}

/* ---- hash ---------------------------------------------------------------- */

static void
hashes(void **state)
{
	char line[512], hex[65], given[65];
	unsigned char own[SHA256_BYTES];

	(void)state;
	/* as its fields give it: not kept a second time */
	sha256("r|2023-11-14T22:13:20.5Z|POST /x|m|ai||1|2|3|5|true|9",
	    strlen("r|2023-11-14T22:13:20.5Z|POST /x|m|ai||1|2|3|5|true|9"),
	    own);
	hex_encode(own, sizeof own, hex);
	snprintf(line, sizeof line,
	    "{\"event_hash\":\"%s\",\"request_id\":\"r\",\"timestamp_ms\":"
	    "1700000000500,\"timestamp\":\"2023-11-14T22:13:20.5Z\","
	    "\"endpoint\":\"POST /x\",\"model\":\"m\",\"auth_index\":\"ai\","
	    "\"input_tokens\":1,\"output_tokens\":2,\"reasoning_tokens\":3,"
	    "\"cached_tokens\":4,\"cache_tokens\":5,\"failed\":true,"
	    "\"latency_ms\":9}",
	    hex);
	record(line);
	assert_false(ev.hash_given);
	assert_memory_equal(ev.hash, own, sizeof own);
	assert_str(event_hash_text(&ev, given), hex);
	/* another one is trusted */
	for (size_t i = 0; i < 64; i++)
		given[i] = "0123456789abcdef"[i % 16];
	given[64] = '\0';
	snprintf(line, sizeof line, "{\"eventHash\":\"%s\"}", given);
	record(line);
	assert_true(ev.hash_given);
	assert_int_equal(ev.flags & EVENT_HASH_TEXT, 0);
	assert_str(event_hash_text(&ev, hex), given);
}

static void
hashes_that_are_any_text(void **state)
{
	static const struct {
		const char *json, *text;
	} cases[] = {
		{ "{\"event_hash\":\"h1\"}", "h1" },
		{ "{\"event_hash\":\"  h 1\\n\"}", "h 1" },
		{ "{\"event_hash\":5}", "5" },
		{ "{\"event_hash\":true}", "true" },
		{ "{\"eventHash\":\"\\u00e9\"}", "\xc3\xa9" },
		/* one digit too few */
		{ "{\"event_hash\":\"0123456789abcdef0123456789abcdef"
		  "0123456789abcdef0123456789abcde\"}",
		    "0123456789abcdef0123456789abcdef"
		    "0123456789abcdef0123456789abcde" },
	};
	char hex[65];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		record(cases[i].json);
		assert_int_equal(ev.flags & EVENT_HASH_TEXT, EVENT_HASH_TEXT);
		assert_str(ev.hash_text, cases[i].text);
		assert_str(event_hash_text(&ev, hex), cases[i].text);
		assert_digest(ev.hash, cases[i].text);
		assert_false(ev.hash_given);
	}
}

/* ---- time ---------------------------------------------------------------- */

static void
times(void **state)
{
	static const struct {
		const char *members;
		int64_t ms;
		int ns;
		const char *text;
		bool given, undated;
	} cases[] = {
		/* both: rebuilt from the number when that gives the text */
		{ "\"timestamp_ms\":1700000000123,"
		  "\"timestamp\":\"2023-11-14T22:13:20.123456789Z\"",
		    1700000000123, 456789, "2023-11-14T22:13:20.123456789Z",
		    false, false },
		{ "\"timestampMs\":\"1700000000123\","
		  "\"timestamp\":\" 2023-11-14T22:13:20.123Z \"",
		    1700000000123, 0, "2023-11-14T22:13:20.123Z", false,
		    false },
		/* another zone, another moment, no time at all: as given */
		{ "\"timestamp_ms\":1700000000123,"
		  "\"timestamp\":\"2023-11-14T23:13:20.123+01:00\"",
		    1700000000123, 0, "2023-11-14T23:13:20.123+01:00", true,
		    false },
		{ "\"timestamp_ms\":5,\"timestamp\":\"2023-11-14T22:13:20Z\"",
		    5, 0, "2023-11-14T22:13:20Z", true, false },
		{ "\"timestamp_ms\":5,\"timestamp\":\"yesterday\"", 5, 0,
		    "yesterday", true, false },
		/* one missing: as in a payload */
		{ "\"timestamp\":\"2023-11-14T22:13:20.1Z\"", 1700000000100, 0,
		    "2023-11-14T22:13:20.1Z", false, false },
		{ "\"timestamp_ms\":0,\"timestamp\":\"2023-11-14 22:13:20\"",
		    1700000000000, 0, "2023-11-14T22:13:20Z", false, false },
		{ "\"timestamp_ms\":-1,\"timestamp\":1700000000", 1700000000000,
		    0, "2023-11-14T22:13:20Z", false, false },
		{ "\"time\":\"2023-11-14T22:13:20Z\"", 1700000000000, 0,
		    "2023-11-14T22:13:20Z", false, false },
		{ "\"created_at\":1700000000000", 1700000000000, 0,
		    "2023-11-14T22:13:20Z", false, false },
		{ "\"createdAt\":1700000000000", 1700000000000, 0,
		    "2023-11-14T22:13:20Z", false, false },
		{ "\"timestamp_ms\":1700000000123", 1700000000123, 0,
		    "2023-11-14T22:13:20.123Z", false, false },
		/* none */
		{ "\"model\":\"m\"", NOW_MS, 0, "2027-01-15T08:00:00Z", false,
		    true },
		{ "\"timestamp\":\"yesterday\"", NOW_MS, 0,
		    "2027-01-15T08:00:00Z", false, true },
		{ "\"timestamp\":null,\"time\":1700000000", NOW_MS, 0,
		    "2027-01-15T08:00:00Z", false, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		exported(cases[i].members);
		if (ev.ts_ms != cases[i].ms || ev.ts_ns != cases[i].ns ||
		    ev.ts_text_given != cases[i].given ||
		    ev.undated != cases[i].undated)
			FAIL("%s: %lld %d %d %d\n", cases[i].members,
			    (long long)ev.ts_ms, (int)ev.ts_ns,
			    ev.ts_text_given, ev.undated);
		assert_str(ev.ts_text, cases[i].text);
	}
}

static void
when_it_was_stored(void **state)
{
	(void)state;
	exported("\"created_at_ms\":1700000000001");
	assert_int_equal(ev.created_ms, 1700000000001);
	exported("\"createdAtMs\":\"7\"");
	assert_int_equal(ev.created_ms, 7);
	/* 0 and less: the time of the import, which the store puts in */
	exported("\"created_at_ms\":-1");
	assert_true(ev.created_ms <= 0);
	exported("");
	assert_int_equal(ev.created_ms, 0);
}

/* ---- texts --------------------------------------------------------------- */

#define AT(field) offsetof(struct usage_event, field)

static const struct {
	const char *snake, *camel; /* NULL: one spelling */
	size_t at;
} texts[] = {
	{ "request_id", "requestId", AT(request_id) },
	{ "provider", NULL, AT(provider) },
	{ "executor_type", "executorType", AT(executor_type) },
	{ "model", NULL, AT(model) },
	{ "requested_model", "requestedModel", AT(requested_model) },
	{ "resolved_model", "resolvedModel", AT(resolved_model) },
	{ "endpoint", NULL, AT(endpoint) },
	{ "method", NULL, AT(method) },
	{ "path", NULL, AT(path) },
	{ "auth_type", "authType", AT(auth_type) },
	{ "auth_index", "authIndex", AT(auth_index) },
	{ "source", NULL, AT(source) },
	{ "account_snapshot", "accountSnapshot", AT(account_snapshot) },
	{ "auth_label_snapshot", "authLabelSnapshot", AT(auth_label_snapshot) },
	{ "auth_file_snapshot", "authFileSnapshot", AT(auth_file_snapshot) },
	{ "auth_provider_snapshot", "authProviderSnapshot",
	    AT(auth_provider_snapshot) },
	{ "auth_project_id_snapshot", "authProjectIdSnapshot",
	    AT(auth_project_id_snapshot) },
	{ "reasoning_effort", "reasoningEffort", AT(reasoning_effort) },
	{ "service_tier", "serviceTier", AT(service_tier) },
	{ "request_service_tier", "requestServiceTier",
	    AT(request_service_tier) },
	{ "response_service_tier", "responseServiceTier",
	    AT(response_service_tier) },
	{ "fail_summary", "failSummary", AT(fail_summary) },
};

static struct str
text_at(size_t at)
{
	return *(struct str *)(void *)((char *)&ev + at);
}

static void
each_text_in_both_spellings(void **state)
{
	char members[256];

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		const char *snake = texts[i].snake, *camel = texts[i].camel;

		snprintf(members, sizeof members, "\"%s\":\" a text \"", snake);
		exported(members);
		assert_str(text_at(texts[i].at), "a text");
		snprintf(members, sizeof members, "\"%s\":5", snake);
		exported(members);
		assert_str(text_at(texts[i].at), "5");
		if (camel == NULL)
			continue;
		snprintf(members, sizeof members, "\"%s\":\"b\"", camel);
		exported(members);
		assert_str(text_at(texts[i].at), "b");
		/* the first one counts, wherever it stands, null or not */
		snprintf(members, sizeof members,
		    "\"%s\":\"camel\",\"%s\":\"snake\"", camel, snake);
		exported(members);
		assert_str(text_at(texts[i].at), "snake");
		snprintf(members, sizeof members, "\"%s\":null,\"%s\":\"b\"",
		    snake, camel);
		exported(members);
		assert_str(text_at(texts[i].at), "");
	}
}

static void
texts_that_stand_in(void **state)
{
	(void)state;
	exported("\"requested_model\":\"a\",\"resolved_model\":\"b\"");
	assert_str(ev.model, "a");
	exported("\"model\":\" \",\"resolved_model\":\"b\"");
	assert_str(ev.model, "b");
	assert_str(ev.requested_model, "");
	exported("\"model_name\":\"not read\",\"alias\":\"not read\"");
	assert_str(ev.model, "-");
	assert_str(ev.endpoint, "-");
	/* method and path are those given, nothing is derived */
	exported("\"endpoint\":\"POST /v1/messages\"");
	assert_str(ev.endpoint, "POST /v1/messages");
	assert_str(ev.method, "");
	assert_str(ev.path, "");
}

static void
what_is_not_read(void **state)
{
	struct normalized_tokens t;

	(void)state;
	exported(
	    "\"client_ip\":\"1.2.3.4\",\"x_forwarded_for\":\"5.6.7.8\","
	    "\"user_agent\":\"curl\",\"api_key\":\"sk-client-key-in-clear\","
	    "\"normalized_total_input_tokens\":99,\"type\":\"x\","
	    "\"header_trace_id\":\"t\",\"header_error_kind\":\"auth\"");
	assert_str(ev.client_ip, "");
	assert_str(ev.x_forwarded_for, "");
	assert_str(ev.user_agent, "");
	assert_str(ev.provider, "");
	assert_str(ev.source, "");
	assert_str(ev.response_metadata_json, "");
	assert_false(ev.has_api_key_hash);
	event_normalized_tokens(&ev, &t);
	assert_int_equal(t.total_input, 0);
}

/* ---- accounts ------------------------------------------------------------ */

static void
digests(void **state)
{
	unsigned char want[SHA256_BYTES];
	char members[256], hex[65];

	(void)state;
	sha256("a", 1, want);
	hex_encode(want, sizeof want, hex);
	snprintf(members, sizeof members,
	    "\"source_hash\":\"%s\",\"apiKeyHash\":\"%s\"", hex, hex);
	exported(members);
	assert_true(ev.has_source_hash && ev.has_api_key_hash);
	assert_memory_equal(ev.source_hash, want, sizeof want);
	assert_memory_equal(ev.api_key_hash, want, sizeof want);
	/* what is no digest is known by its own */
	exported("\"sourceHash\":\"x1\",\"api_key_hash\":\"x2\"");
	assert_digest(ev.source_hash, "x1");
	assert_digest(ev.api_key_hash, "x2");
	exported("\"source\":\"a@b.io\",\"source_hash\":\"\"");
	assert_false(ev.has_source_hash || ev.has_api_key_hash);
}

static void
keys_in_clear_are_masked(void **state)
{
	static const struct {
		const char *members, *shown;
	} cases[] = {
		{ "\"source\":\"someone@example.com\"", "som***@example.com" },
		{ "\"source\":\"sk-0123456789abcdefghij\"", "m:sk-0...ghij" },
		{ "\"source\":\"sk-short\"", "m:****" },
		{ "\"source\":\"team.json\"", "team.json" },
		{ "\"source\":\"own-key-1\",\"auth_type\":\"apikey\"",
		    "m:****" },
		{ "\"source\":\"project-1\",\"auth_type\":\"apikey\","
		  "\"provider\":\"vertex\"",
		    "project-1" },
		/* what is masked stays as it is */
		{ "\"source\":\"som***@example.com\"", "som***@example.com" },
		{ "\"source\":\"a***@b.io\"", "a***@b.io" },
		{ "\"source\":\"***@b.io\"", "***@b.io" },
		{ "\"source\":\"m:sk-0...ghij\",\"auth_type\":\"apikey\"",
		    "m:sk-0...ghij" },
		{ "\"source\":\"m:****\"", "m:****" },
		/* but this is a name */
		{ "\"source\":\"four***@b.io\"", "fou***@b.io" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		exported(cases[i].members);
		assert_str(ev.source, cases[i].shown);
	}
}

static void
when_the_account_was_looked_up(void **state)
{
	(void)state;
	exported("\"auth_snapshot_at_ms\":1700000000000");
	assert_int_equal(ev.auth_snapshot_at_ms, 1700000000000);
	exported("\"authSnapshotAtMs\":7");
	assert_int_equal(ev.auth_snapshot_at_ms, 7);
	exported("\"auth_snapshot_at_ms\":-7");
	assert_int_equal(ev.auth_snapshot_at_ms, 0);
}

/* ---- tiers --------------------------------------------------------------- */

static void
tiers(void **state)
{
	static const struct {
		const char *members, *counts, *request, *response;
	} cases[] = {
		{ "", "", "", "" },
		/* an export of the reference has only the one that counts */
		{ "\"service_tier\":\"s\"", "s", "s", "" },
		{ "\"request_service_tier\":\"q\"", "q", "q", "" },
		{ "\"response_service_tier\":\"p\"", "p", "", "p" },
		{ "\"service_tier\":\"s\",\"request_service_tier\":\"q\"", "s",
		    "q", "" },
		{ "\"service_tier\":\"s\",\"response_service_tier\":\"p\"", "p",
		    "s", "p" },
		{ "\"service_tier\":\"s\",\"request_service_tier\":\"q\","
		  "\"response_service_tier\":\"p\"",
		    "p", "q", "p" },
		/* with Codex what was asked for counts */
		{ "\"service_tier\":\"s\",\"request_service_tier\":\"q\","
		  "\"response_service_tier\":\"p\",\"provider\":\"Codex\"",
		    "q", "q", "p" },
		{ "\"service_tier\":\"s\",\"request_service_tier\":\"q\","
		  "\"executor_type\":\"CodexExecutor\"",
		    "q", "q", "" },
		{ "\"service_tier\":\"s\",\"response_service_tier\":\"p\","
		  "\"auth_type\":\"codex\"",
		    "s", "s", "p" },
		{ "\"response_service_tier\":\"p\","
		  "\"auth_provider_snapshot\":\"codex\"",
		    "p", "", "p" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		exported(cases[i].members);
		assert_str(ev.service_tier, cases[i].counts);
		assert_str(ev.request_service_tier, cases[i].request);
		assert_str(ev.response_service_tier, cases[i].response);
	}
}

/* ---- tokens -------------------------------------------------------------- */

static void
tokens(void **state)
{
	(void)state;
	exported(
	    "\"input_tokens\":1,\"output_tokens\":2,\"reasoning_tokens\":3,"
	    "\"cached_tokens\":4,\"cache_tokens\":5,"
	    "\"cache_read_tokens\":6,\"cache_creation_tokens\":7,"
	    "\"total_tokens\":8");
	assert_int_equal(ev.input_tokens, 1);
	assert_int_equal(ev.output_tokens, 2);
	assert_int_equal(ev.reasoning_tokens, 3);
	assert_int_equal(ev.cached_tokens, 4);
	assert_int_equal(ev.cache_tokens, 5);
	assert_int_equal(ev.cache_read_tokens, 6);
	assert_int_equal(ev.cache_creation_tokens, 7);
	assert_int_equal(ev.total_tokens, 8);
	exported("\"promptTokens\":1,\"completion_tokens\":2,"
		 "\"cacheReadInputTokens\":6,\"cache_write_tokens\":7,"
		 "\"total\":8");
	assert_int_equal(ev.input_tokens, 1);
	assert_int_equal(ev.output_tokens, 2);
	assert_int_equal(ev.cache_read_tokens, 6);
	assert_int_equal(ev.cache_creation_tokens, 7);
	assert_int_equal(ev.total_tokens, 8);
	/* nested ones before those outside, unless they are 0 */
	exported("\"input_tokens\":1,\"output_tokens\":2,\"total_tokens\":3,"
		 "\"tokens\":{\"input_tokens\":10,\"output_tokens\":0},"
		 "\"usage\":{\"input_tokens\":20,\"output_tokens\":\"30\"}");
	assert_int_equal(ev.input_tokens, 10);
	assert_int_equal(ev.output_tokens, 30);
	assert_int_equal(ev.total_tokens, 3);
}

static void
totals_and_modes(void **state)
{
	static const struct {
		const char *members;
		int64_t total;
		bool separate;
	} cases[] = {
		{ "\"input_tokens\":1,\"output_tokens\":2", 3, false },
		/* what is cached counts on top with some */
		{ "\"input_tokens\":1,\"cache_read_tokens\":4,"
		  "\"provider\":\"claude\"",
		    5, true },
		{ "\"input_tokens\":1,\"cache_read_tokens\":4,"
		  "\"provider\":\"codex\"",
		    1, false },
		{ "\"input_tokens\":1,\"cache_read_tokens\":4", 5, true },
		/* a mode that is named, wherever */
		{ "\"input_tokens\":1,\"cache_read_tokens\":4,"
		  "\"cache_input_mode\":\"included_in_input\"",
		    1, false },
		{ "\"input_tokens\":1,\"provider\":\"codex\",\"usage\":"
		  "{\"cacheInputMode\":\"SEPARATE_from_input\"}",
		    1, true },
		{ "\"cache_input_mode\":\"included_in_input\","
		  "\"tokens\":{\"cache_input_mode\":\"separate_from_input\"}",
		    0, true },
		{ "\"cache_input_mode\":\"no such mode\","
		  "\"provider\":\"claude\"",
		    0, true },
		/* what the reference keeps beside an imported event */
		{ "\"input_tokens\":1,\"raw_json\":\"{\\\"total_tokens\\\":12,"
		  "\\\"cache_input_mode\\\":\\\"separate_from_input\\\"}\"",
		    12, true },
		{ "\"input_tokens\":1,\"total_tokens\":2,\"cache_input_mode\":"
		  "\"included_in_input\",\"rawJson\":"
		  "\"{\\\"total_tokens\\\":12,\\\"cache_input_mode\\\":"
		  "\\\"separate_from_input\\\"}\"",
		    2, false },
		{ "\"input_tokens\":1,\"raw_json\":\"{bad\"", 1, false },
		{ "\"input_tokens\":1,\"raw_json\":\"[1]\"", 1, false },
		{ "\"input_tokens\":1,\"total_tokens\":-5", 1, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		exported(cases[i].members);
		if (ev.total_tokens != cases[i].total ||
		    ((ev.flags & EVENT_CACHE_SEPARATE) != 0) !=
			cases[i].separate)
			FAIL("%s: %lld\n", cases[i].members,
			    (long long)ev.total_tokens);
	}
}

static void
times_it_took(void **state)
{
	(void)state;
	exported("\"latency_ms\":0,\"ttftMs\":\"7\"");
	assert_true(ev.latency_ms.set && ev.ttft_ms.set);
	assert_int_equal(ev.latency_ms.v, 0);
	assert_int_equal(ev.ttft_ms.v, 7);
	exported("\"latency_ms\":null,\"latencyMs\":1,\"duration_ms\":2");
	assert_false(ev.latency_ms.set || ev.ttft_ms.set);
}

/* ---- failure ------------------------------------------------------------- */

static void
words_of_failure(void **state)
{
	static const char *const yes[] = { "true", "1", "-1", "0.5", "\"1\"",
		"\"true\"", "\" YES \"", "\"on\"", "\"True\"" };
	static const char *const no[] = { "false", "0", "null", "\"\"", "\"0\"",
		"\"no\"", "\"off\"", "\"failed\"", "\"2\"", "[]", "[true]",
		"{\"a\":1}" };
	char members[64];

	(void)state;
	for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) {
		snprintf(members, sizeof members, "\"failed\":%s", yes[i]);
		exported(members);
		if ((ev.flags & EVENT_FAILED) == 0)
			FAIL("%s\n", yes[i]);
	}
	for (size_t i = 0; i < sizeof no / sizeof *no; i++) {
		snprintf(members, sizeof members, "\"failed\":%s", no[i]);
		exported(members);
		if ((ev.flags & EVENT_FAILED) != 0)
			FAIL("%s\n", no[i]);
	}
	/* not the rules of a payload */
	exported("\"success\":false,\"status\":500,\"error\":\"x\","
		 "\"is_failed\":true");
	assert_int_equal(ev.flags & EVENT_FAILED, 0);
}

static void
what_went_wrong(void **state)
{
	(void)state;
	exported("\"fail_status_code\":429,\"fail_summary\":\"slow down\"");
	assert_true(ev.fail_status_code.set);
	assert_int_equal(ev.fail_status_code.v, 429);
	assert_str(ev.fail_summary, "slow down");
	exported("\"failStatusCode\":0");
	assert_false(ev.fail_status_code.set);
	exported("\"fail_status_code\":-1");
	assert_false(ev.fail_status_code.set);
	/* the body of a failure, when there is no summary */
	exported("\"failed\":true,\"fail_body\":\"the body\"");
	assert_str(ev.fail_summary, "the body");
	exported("\"failed\":true,\"fail_body\":\"b\",\"fail_summary\":\"s\"");
	assert_str(ev.fail_summary, "s");
	exported("\"fail_body\":\"the body\"");
	assert_str(ev.fail_summary, "");
	/* secrets are taken out, whoever wrote it */
	exported("\"fail_summary\":\"key sk-0123456789abcdef of a@b.io\"");
	assert_str(ev.fail_summary, "key [redacted] of a***@b.io");
}

/* ---- metadata ------------------------------------------------------------ */

static void
metadata(void **state)
{
	struct header_columns h;

	(void)state;
	exported("\"response_metadata\":{\"trace\":{\"request_id\":\"r1\"},"
		 "\"routing\":{\"server\":\"nginx\"},\"unknown\":{\"a\":1}}");
	assert_str(ev.response_metadata_json,
	    "{\"trace\":{\"request_id\":\"r1\"},"
	    "\"routing\":{\"server\":\"nginx\"}}");
	/* headers that stand beside it, or in what was kept of the payload */
	exported("\"responseMetadata\":{\"routing\":{\"server\":\"nginx\"}},"
		 "\"response_headers\":{\"X-Request-Id\":[\"r2\"]}");
	event_header_columns(ev.response_metadata_json, &arena, &h);
	assert_str(h.trace_id, "r2");
	assert_true(str_contains(ev.response_metadata_json, STR("\"nginx\"")));
	exported("\"raw_json\":\"{\\\"response_headers\\\":"
		 "{\\\"X-Request-Id\\\":[\\\"r3\\\"]}}\"");
	event_header_columns(ev.response_metadata_json, &arena, &h);
	assert_str(h.trace_id, "r3");
	/* nothing of a key, whatever header it hides in */
	exported(
	    "\"response_metadata\":{\"routing\":{\"server\":"
	    "\"sk-0123456789abcdefghij\"},\"trace\":{\"request_id\":\"r\"}},"
	    "\"response_headers\":{\"Set-Cookie\":[\"sess-0123456789\"]}");
	assert_false(has_key(ev.response_metadata_json));
	assert_true(ev.response_metadata_json.n > 0);
	exported(
	    "\"response_metadata\":[1],\"header_quota_plan_type\":\"pro\"");
	assert_str(ev.response_metadata_json, "");
}

/* ---- room ---------------------------------------------------------------- */

static void
too_little_room(void **state)
{
	static const char json[] =
	    "{\"event_hash\":\"h\",\"model\":\"0123456789\",\"path\":\"/x\"}";
	struct arena small;
	struct err e;

	(void)state;
	arena_init(&small, 32);
	assert_int_equal(
	    import_record(str_of(json), NOW_MS, &small, &ev, &e), -1);
	assert_int_equal(e.kind, ERR_TOO_LARGE);
	/* it is not the arena that has failed, but this one record */
	assert_false(small.failed);
	arena_free(&small);
	arena_init(&small, 128);
	assert_int_equal(
	    import_record(str_of(json), NOW_MS, &small, &ev, &e), 0);
	assert_str(ev.model, "0123456789");
	arena_free(&small);
}

/* ---- details of snapshots ------------------------------------------------ */

static const struct legacy_place place = { { "POST /v1/messages", 17 },
	{ "tree-model", 10 }, 2, 3, 4 };

static void
detail(const char *json)
{
	char *copy = strdup(json);
	struct err e;

	assert_non_null(copy);
	arena_reset(&arena);
	if (import_legacy_detail(
		&place, str_of(copy), NOW_MS, &arena, &ev, &e) != 0)
		FAIL("%s: %s\n", json, e.text);
	memset(copy, '#', strlen(json));
	free(copy);
}

static void
no_detail(const char *json)
{
	struct err e;

	arena_reset(&arena);
	assert_int_equal(
	    import_legacy_detail(&place, str_of(json), NOW_MS, &arena, &ev, &e),
	    -1);
	assert_int_equal(e.kind, ERR_INPUT);
}

#define WHEN "\"timestamp\":\"2023-11-14T22:13:20Z\""

static void
a_detail_needs_a_time(void **state)
{
	static const char *const keys[] = { "timestamp", "time", "created_at",
		"createdAt" };
	char json[128];

	(void)state;
	no_detail("5");
	no_detail("null");
	no_detail("[]");
	no_detail("{bad");
	no_detail("{}");
	no_detail("{\"timestamp\":\" \"}");
	no_detail("{\"timestamp\":null,\"time\":\"2023-11-14T22:13:20Z\"}");
	no_detail("{\"created\":\"2023-11-14T22:13:20Z\"}");
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		snprintf(json, sizeof json, "{\"%s\":\"2023-11-14T22:13:20Z\"}",
		    keys[i]);
		detail(json);
		assert_int_equal(ev.ts_ms, 1700000000000);
		snprintf(json, sizeof json, "{\"%s\":1700000000}", keys[i]);
		detail(json);
		assert_int_equal(ev.ts_ms, 1700000000000);
	}
	/* one that is there and says nothing is the time of the import */
	detail("{\"timestamp\":\"yesterday\"}");
	assert_int_equal(ev.ts_ms, NOW_MS);
}

static void
names_come_from_the_tree(void **state)
{
	static const struct legacy_place odd = { { "POST\t/x y", 9 },
		{ "m", 1 }, 1, 1, 0 };
	static const struct legacy_place lower = { { "post /x", 7 }, { "m", 1 },
		1, 1, 0 };
	struct err e;

	(void)state;
	detail("{" WHEN ",\"endpoint\":\"no\",\"model\":\"resolved\","
	       "\"method\":\"no\",\"path\":\"no\"}");
	assert_str(ev.endpoint, "POST /v1/messages");
	assert_str(ev.method, "POST");
	assert_str(ev.path, "/v1/messages");
	assert_str(ev.model, "tree-model");
	assert_str(ev.requested_model, "");
	detail("{" WHEN ",\"alias\":\"asked\"}");
	assert_str(ev.model, "asked");
	assert_str(ev.requested_model, "asked");
	detail("{" WHEN ",\"alias\":\"alias\",\"requestedModel\":\"asked\"}");
	assert_str(ev.model, "asked");
	assert_int_equal(import_legacy_detail(
			     &odd, STR("{" WHEN "}"), NOW_MS, &arena, &ev, &e),
	    0);
	assert_str(ev.method, "POST");
	assert_str(ev.path, "/x");
	assert_int_equal(import_legacy_detail(&lower, STR("{" WHEN "}"), NOW_MS,
			     &arena, &ev, &e),
	    0);
	assert_str(ev.method, "");
	assert_str(ev.path, "");
}

static void
fields_of_a_detail(void **state)
{
	unsigned char digest[SHA256_BYTES];
	char hex[65], json[512];

	(void)state;
	detail("{" WHEN ",\"source\":\"a***@b.io\",\"type\":\"claude\","
	       "\"duration_ms\":5,\"tokens\":{\"input_tokens\":1,"
	       "\"total_tokens\":9},\"failed\":true,\"fail_status_code\":429,"
	       "\"fail_summary\":\"key sk-0123456789\"}");
	assert_str(ev.source, "a***@b.io");
	assert_digest(ev.source_hash, "a***@b.io");
	assert_str(ev.provider, "claude");
	assert_int_equal(ev.latency_ms.v, 5);
	assert_int_equal(ev.input_tokens, 1);
	assert_int_equal(ev.total_tokens, 9);
	assert_int_equal(ev.flags & EVENT_FAILED, EVENT_FAILED);
	assert_int_equal(ev.fail_status_code.v, 429);
	assert_str(ev.fail_summary, "key [redacted]");
	detail("{" WHEN ",\"email\":\"someone@b.io\",\"auth_type\":\"oauth\","
	       "\"elapsed_ms\":6}");
	assert_str(ev.source, "som***@b.io");
	assert_digest(ev.source_hash, "someone@b.io");
	assert_str(ev.provider, "oauth");
	assert_int_equal(ev.latency_ms.v, 6);
	/* the hash of a client's key, as GET usage gives it */
	sha256("client", 6, digest);
	hex_encode(digest, sizeof digest, hex);
	snprintf(json, sizeof json, "{" WHEN ",\"api_key_hash\":\"%s\"}", hex);
	detail(json);
	assert_true(ev.has_api_key_hash);
	assert_memory_equal(ev.api_key_hash, digest, sizeof digest);
	/* how cached tokens count: the model that is shown tells */
	detail("{" WHEN ",\"alias\":\"claude-x\",\"tokens\":"
	       "{\"input_tokens\":1,\"cache_read_tokens\":2}}");
	assert_int_equal(ev.flags & EVENT_CACHE_SEPARATE, EVENT_CACHE_SEPARATE);
	assert_int_equal(ev.total_tokens, 3);
	detail("{" WHEN ",\"alias\":\"gpt-x\",\"tokens\":"
	       "{\"input_tokens\":1,\"cache_read_tokens\":2}}");
	assert_int_equal(ev.flags & EVENT_CACHE_SEPARATE, 0);
}

static void
ids_of_details(void **state)
{
	static const char text[] =
	    "legacy|2|3|4|POST /v1/messages|tree-model|2023-11-14T22:13:20Z|"
	    "{\"detail\":{\"api_key\":\"[redacted]\",\"b\":1,"
	    "\"timestamp\":\"2023-11-14T22:13:20Z\"},"
	    "\"endpoint\":\"POST /v1/messages\","
	    "\"format\":\"legacy_usage_export\",\"model\":\"tree-model\"}";
	unsigned char digest[SHA256_BYTES];
	char hex[65], want[32];

	(void)state;
	detail("{" WHEN ",\"b\":1,\"api_key\":\"k\"}");
	sha256(text, strlen(text), digest);
	hex_encode(digest, sizeof digest, hex);
	snprintf(want, sizeof want, "legacy:%.16s", hex);
	assert_str(ev.request_id, want);
	/* one of its own */
	detail("{" WHEN ",\"requestId\":\" r \"}");
	assert_str(ev.request_id, "r");
	detail("{" WHEN ",\"id\":7}");
	assert_str(ev.request_id, "7");
}

/* As every hash, but with the model's name in the tree. */
static void
hashes_of_details(void **state)
{
	static const char text[] = "r|2023-11-14T22:13:20Z|POST /v1/messages|"
				   "tree-model|ai||1|0|0|0|false";

	(void)state;
	detail("{" WHEN ",\"id\":\"r\",\"auth_index\":\"ai\","
	       "\"tokens\":{\"input_tokens\":1}}");
	assert_digest(ev.hash, text);
	assert_false(ev.hash_given);
	detail("{" WHEN ",\"id\":\"r\",\"auth_index\":\"ai\","
	       "\"tokens\":{\"input_tokens\":1},\"alias\":\"asked\"}");
	assert_str(ev.model, "asked");
	assert_digest(ev.hash, text);
	assert_true(ev.hash_given);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(no_events),
		TEST(payloads),
		TEST(hashes),
		TEST(hashes_that_are_any_text),
		TEST(times),
		TEST(when_it_was_stored),
		TEST(each_text_in_both_spellings),
		TEST(texts_that_stand_in),
		TEST(what_is_not_read),
		TEST(digests),
		TEST(keys_in_clear_are_masked),
		TEST(when_the_account_was_looked_up),
		TEST(tiers),
		TEST(tokens),
		TEST(totals_and_modes),
		TEST(times_it_took),
		TEST(words_of_failure),
		TEST(what_went_wrong),
		TEST(metadata),
		TEST(too_little_room),
		TEST(a_detail_needs_a_time),
		TEST(names_come_from_the_tree),
		TEST(fields_of_a_detail),
		TEST(ids_of_details),
		TEST(hashes_of_details),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
