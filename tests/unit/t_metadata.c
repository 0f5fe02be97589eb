/*
 * What is kept of an answer's headers: contract/collector.md section 6.10.
 * Each case: the payload's members, what response_metadata_json is, as JSON.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#undef fail

#include <jansson.h>

#include "model/metadata_impl.h"
#include "model/normalise.h"

#define STAMP "{\"timestamp\":\"2026-04-25T00:00:00.123456789Z\","
#define BASE_MS INT64_C(1777075200123) /* of every payload below */

struct pair {
	const char *in, *out; /* out "": none; ' stands for " in both */
};

static struct arena arena;

/* Single quotes to double ones: the cases would be unreadable otherwise. */
static const char *
quoted(const char *z)
{
	char *p = arena_strdup(&arena, str_of(z));

	assert_non_null(p);
	for (char *c = p; *c != '\0'; c++)
		if (*c == '\'')
			*c = '"';
	return p;
}

static bool
same_json(struct str have, const char *want)
{
	json_t *x = have.n == 0 ? NULL : json_loadb(have.p, have.n, 0, NULL);
	json_t *y = *want == '\0' ? NULL : json_loads(want, 0, NULL);
	bool same = x == NULL || y == NULL ? x == y : json_equal(x, y);

	assert_true(*want == '\0' || y != NULL);
	json_decref(x);
	json_decref(y);
	return same;
}

static void
check(const struct pair *cases, size_t n, const char *head)
{
	int bad = 0;

	for (size_t i = 0; i < n; i++) {
		struct usage_event ev;
		char text[8192];
		struct err e;
		int len;

		arena_reset(&arena);
		len = snprintf(text, sizeof text, STAMP "%s%s}", head,
		    quoted(cases[i].in));
		assert_true(len > 0 && (size_t)len < sizeof text);
		assert_int_equal(
		    normalise(str_of(text), 0, &arena, &ev, &e), PAYLOAD_EVENT);
		assert_true(ev.ts_ms == BASE_MS);
		if (same_json(ev.response_metadata_json, quoted(cases[i].out)))
			continue;
		print_error("%s\n  is   %.*s\n  want %s\n", cases[i].in,
		    STR_ARG(ev.response_metadata_json), cases[i].out);
		bad++;
	}
	assert_int_equal(bad, 0);
}

#define CHECK_HEADERS(cases) \
	check(cases, sizeof cases / sizeof *cases, "\"response_headers\":")
#define CHECK_MEMBERS(cases) check(cases, sizeof cases / sizeof *cases, "")

static void
names_and_values(void **state)
{
	static const struct pair cases[] = {
		{ "{}", "" },
		{ "null", "" },
		{ "[]", "" },
		{ "'text'", "" },
		{ "{'Date':['x'],'X-Error-Json':['{}'],'Set-Cookie':['a=b'],"
		  "'X-Codex-Promo-Code':['y'],'Authorization':['z']}",
		    "" },
		{ "{' SERVER ':'x'}", "{'routing':{'server':'x'}}" },
		{ "{'server':['',' a ','b']}", "{'routing':{'server':'a'}}" },
		{ "{'server':[{},[1],7]}", "{'routing':{'server':'7'}}" },
		{ "{'server':{'a':1}}", "" },
		{ "{'server':1.5,'via':true}",
		    "{'routing':{'server':'1.5','via':'true'}}" },
		{ "{'server':null}", "" },
		/* spellings in the order of their bytes */
		{ "{'server':'low','Server':'high'}",
		    "{'routing':{'server':'high'}}" },
		{ "{'server':'low','Server':''}",
		    "{'routing':{'server':'low'}}" },
		{ "{'Server':'first','Server':'last'}",
		    "{'routing':{'server':'last'}}" },
		{ "{'Server':'first','Server':''}", "" },
		{ "{'Server':'me@example.com Bearer abcdefghij'}",
		    "{'routing':{'server':'m***@example.com Bearer "
		    "[redacted]'}}" },
		{ "{'content-length':'12.0'}", "" },
		{ "{'content-length':'-5'}",
		    "{'response':{'content_length':-5}}" },
		{ "{'content-length':0}", "{'response':{'content_length':0}}" },
		{ "{'x-ratelimit-limit-requests':'-1',"
		  "'x-ratelimit-remaining-tokens':'0'}",
		    "{'rate_limit':{'tokens':{'remaining':0}}}" },
		{ "{'x-data-retention':'ZDR','x-zero-retention':'No'}",
		    "{'data_policy':{'retention_mode':'zdr',"
		    "'zero_retention':false}}" },
		/* what looks like a key only in lower case */
		{ "{'x-data-retention':'SK-ABCDEFGH'}",
		    "{'data_policy':{'retention_mode':'[redacted]'}}" },
		{ "{'x-zero-data-retention':'yes','x-zero-retention':'no'}",
		    "{'data_policy':{'zero_retention':true}}" },
		{ "{'x-should-retry':'perhaps'}", "" },
		{ "{'x-should-retry':false}",
		    "{'errors':{'should_retry':false}}" },
	};

	(void)state;
	CHECK_HEADERS(cases);
}

static void
traces(void **state)
{
	static const struct pair cases[] = {
		{ "{'eagleid':'e','cf-ray':'c','x-request-id':'r'}",
		    "{'trace':{'primary_trace_id':'r','request_id':'r',"
		    "'cf_ray':'c','eagle_id':'e'},"
		    "'providers':{'cloudflare_ray':'c'}}" },
		{ "{'x-cloudaicompanion-trace-id':'a','x-oneapi-request-id':"
		  "'o'}",
		    "{'trace':{'primary_trace_id':'o','oneapi_request_id':'o',"
		    "'cloud_ai_companion_trace_id':'a'},'providers':{"
		    "'antigravity_trace_id':'a','oneapi_request_id':'o'}}" },
		{ "{'traceparent':'00-4BF92F3577B34DA6A3CE929D0E0E4736-"
		  "00f067aa0ba902b7-01'}",
		    "{'trace':{'primary_trace_id':"
		    "'4bf92f3577b34da6a3ce929d0e0e4736','traceparent':'00-"
		    "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'}}" },
		{ "{'traceparent':'ff-4bf92f3577b34da6a3ce929d0e0e4736-"
		  "00f067aa0ba902b7-01'}",
		    "" },
		{ "{'traceparent':'00-00000000000000000000000000000000-"
		  "00f067aa0ba902b7-01'}",
		    "" },
		{ "{'traceparent':'00-4bf92f3577b34da6a3ce929d0e0e4736-"
		  "0000000000000000-01'}",
		    "" },
		{ "{'traceparent':'00-4bf92f3577b34da6a3ce929d0e0e473g-"
		  "00f067aa0ba902b7-01'}",
		    "" },
		{ "{'traceparent':'x'}", "" },
	};

	(void)state;
	CHECK_HEADERS(cases);
}

static void
errors(void **state)
{
	static const struct pair cases[] = {
		{ "{'x-openai-ide-root-error-code':'Account_Deactivated',"
		  "'retry-after':'5'}",
		    "{'errors':{'kind':'auth','code':'account_deactivated',"
		    "'ide_root_error_code':'Account_Deactivated',"
		    "'retry_after_seconds':5,"
		    "'retry_after_recover_at_ms':1777075205123}}" },
		{ "{'x-openai-ide-error-code':'identity_edge_internal_error'}",
		    "{'errors':{'kind':'identity','code':"
		    "'identity_edge_internal_error','ide_error_code':"
		    "'identity_edge_internal_error'}}" },
		{ "{'x-openai-ide-error-code':'other','x-ratelimit-bypass':"
		  "'Yes'}",
		    "{'errors':{'kind':'rate_limit','code':'Yes',"
		    "'ide_error_code':'other','rate_limit_bypass':'Yes'}}" },
		{ "{'x-openai-authorization-error':'401'}",
		    "{'errors':{'kind':'auth','code':'401',"
		    "'authorization_error':'401'}}" },
		{ "{'retry-after':'0'}",
		    "{'errors':{'kind':'rate_limit','code':'retry_after',"
		    "'retry_after_seconds':0,"
		    "'retry_after_recover_at_ms':1777075200123}}" },
		{ "{'retry-after':'-1'}", "" },
		{ "{'retry-after':'soon'}", "" },
		{ "{'retry-after':'null'}", "" },
		/* a date that is past */
		{ "{'retry-after':'Fri, 24 Apr 2026 23:59:00 GMT'}",
		    "{'errors':{'kind':'rate_limit','code':'retry_after',"
		    "'retry_after_seconds':0,"
		    "'retry_after_recover_at_ms':1777075140000}}" },
		/* too long to be a time */
		{ "{'retry-after':'1e12'}",
		    "{'errors':{'kind':'rate_limit','code':'retry_after',"
		    "'retry_after_seconds':1000000000000}}" },
	};

	(void)state;
	CHECK_HEADERS(cases);
}

static void
quotas(void **state)
{
	static const struct pair cases[] = {
		{ "{'x-codex-plan-type':'plus'}",
		    "{'quota':{'plan_type':'plus'}}" },
		/* equally full: the one that is reset later */
		{ "{'x-codex-primary-used-percent':'50%',"
		  "'x-codex-primary-reset-after-seconds':'10',"
		  "'x-codex-secondary-used-percent':50,"
		  "'x-codex-secondary-reset-after-seconds':'20',"
		  "'x-codex-secondary-window-minutes':'43200'}",
		    "{'quota':{'summary_window_kind':'monthly',"
		    "'summary_window_source':'secondary',"
		    "'primary':{'used_percent':50,'reset_at_ms':1777075210123,"
		    "'reset_after_seconds':10},'secondary':{'used_percent':50,"
		    "'reset_at_ms':1777075220123,'reset_after_seconds':20,"
		    "'window_minutes':43200},'recover_at_ms':1777075220123,"
		    "'used_percent':50}}" },
		/* equal in everything: the first */
		{ "{'x-codex-primary-used-percent':'1',"
		  "'x-codex-secondary-used-percent':'1'}",
		    "{'quota':{'summary_window_kind':'unknown',"
		    "'summary_window_source':'primary',"
		    "'primary':{'used_percent':1},"
		    "'secondary':{'used_percent':1},'used_percent':1}}" },
		/* told by name, though less used */
		{ "{'x-codex-primary-used-percent':'99',"
		  "'x-codex-secondary-used-percent':'5',"
		  "'x-codex-secondary-reset-at':'1777500000',"
		  "'x-codex-rate-limit-reached-type':'secondary'}",
		    "{'quota':{'rate_limit_reached_type':'secondary',"
		    "'summary_window_kind':'unknown',"
		    "'summary_window_source':'primary',"
		    "'reached_window_kind':'unknown',"
		    "'reached_window_source':'secondary',"
		    "'primary':{'used_percent':99},"
		    "'secondary':{'used_percent':5,"
		    "'reset_at_ms':1777500000000},"
		    "'recover_at_ms':1777500000000,'used_percent':99}}" },
		{ "{'x-codex-rate-limit-reached-type':'workspace'}",
		    "{'quota':{'rate_limit_reached_type':'workspace',"
		    "'reached_window_kind':'unknown',"
		    "'reached_window_source':'unknown'}}" },
		{ "{'x-codex-primary-used-percent':'120',"
		  "'x-codex-primary-window-minutes':'300.0005'}",
		    "{'quota':{'summary_window_kind':'five_hour',"
		    "'summary_window_source':'primary',"
		    "'reached_window_kind':'five_hour',"
		    "'reached_window_source':'primary',"
		    "'primary':{'used_percent':120,"
		    "'window_minutes':300.0005},'used_percent':120}}" },
		/* a time that is told overrides one that is reckoned */
		{ "{'x-codex-primary-reset-after-seconds':'60',"
		  "'x-codex-primary-reset-at':'1777500000123'}",
		    "{'quota':{'primary':{'reset_at_ms':1777500000123,"
		    "'reset_after_seconds':60}}}" },
		{ "{'x-codex-primary-reset-after-seconds':'-60',"
		  "'x-codex-primary-reset-at':'0'}",
		    "{'quota':{'primary':{'reset_after_seconds':-60}}}" },
		{ "{'x-codex-primary-used-percent':'NaN',"
		  "'x-codex-credits-unlimited':'YES'}",
		    "{'quota':{'credits_unlimited':true}}" },
	};

	(void)state;
	CHECK_HEADERS(cases);
}

static void
sources(void **state)
{
	static const struct pair cases[] = {
		{ "'response_metadata':{'QUOTA':{'Plan_Type':' free '}}",
		    "{'quota':{'plan_type':'free'}}" },
		{ "'responseMetadata':{'quota':{'used_percent':3}}",
		    "{'quota':{'summary_window_kind':'unknown',"
		    "'summary_window_source':'aggregate','used_percent':3}}" },
		/* a wrong type anywhere: nothing of it */
		{ "'response_metadata':{'quota':{'plan_type':'free'},"
		  "'response':{'content_length':'7'}}",
		    "" },
		{ "'response_metadata':{'quota':{'plan_type':'free',"
		  "'primary':[]}}",
		    "" },
		{ "'response_metadata':{'quota':{'plan_type':null,"
		  "'primary':null},'routing':{'server':'x'},'more':1}",
		    "{'routing':{'server':'x'}}" },
		/* later sources win, value by value */
		{ "'response_metadata':{'routing':{'server':'a','via':'v'}},"
		  "'raw_json':'{\\'response_headers\\':{\\'server\\':\\'b\\',"
		  "\\'x-served-by\\':\\'s\\'}}',"
		  "'headers':{'server':'c'}",
		    "{'routing':{'server':'c','via':'v','served_by':'s'}}" },
		{ "'raw_json':'no JSON','headers':{'server':'c'}",
		    "{'routing':{'server':'c'}}" },
		/* imported texts are looked at, too */
		{ "'response_metadata':{'routing':{'server':"
		  "'Bearer abcdefghijk'}}",
		    "{'routing':{'server':'Bearer [redacted]'}}" },
		{ "'response_headers':null,'headers':{'server':'c'}", "" },
	};

	(void)state;
	CHECK_MEMBERS(cases);
}

#define USAGE(more)                                                            \
	"{'provider_usage':{'provider':'xai','kind':'included_free_usage',"    \
	"'state':'exhausted','code':'subscription:free-usage-exhausted'," more \
	"'unit':'tokens','window_kind':'rolling_24h',"                         \
	"'observed_at_ms':1777075200123,'source':'response_body'}}"
#define BODY(text) "'fail':{'status_code':429,'body':'" text "'}"
#define CODE "\\'code\\':\\' Subscription:Free-Usage-Exhausted\\'"
#define GUESS "'recover_at_ms':1777161600123,'recover_at_estimated':true,"

static void
free_usage(void **state)
{
	static const struct pair cases[] = {
		{ "'provider':'X_AI'," BODY("{" CODE "}"), USAGE(GUESS) },
		{ "'auth_provider_snapshot':'xai'," BODY("[[{" CODE "}]]"),
		    USAGE(GUESS) },
		{ "'executor_type':'XAI-Executor'," BODY("{" CODE "}"),
		    USAGE(GUESS) },
		{ "'executor_type':'xai_executor','provider':'Grok'," BODY(
		      "{" CODE "}"),
		    USAGE(GUESS) },
		/* not xAI's own */
		{ "'executor_type':'NotXAIExecutor'," BODY("{" CODE "}"), "" },
		{ "'provider':'grok'," BODY("{" CODE "}"), "" },
		{ "'executor_type':'XAIExecutor','provider':'other'," BODY(
		      "{" CODE "}"),
		    "" },
		/* not said by a code, or not a failure of that kind */
		{ "'provider':'xai'," BODY(
		      "{\\'m\\':\\'subscription:free-usage-exhausted\\'}"),
		    "" },
		{ "'provider':'xai'," BODY("subscription:free-usage-exhausted"),
		    "" },
		{ "'provider':'xai','status_code':403,"
		  "'fail_body':'{" CODE "}'",
		    "" },
		{ "'provider':'xai','statusCode':402,"
		  "'failBody':'{" CODE "}'",
		    USAGE(GUESS) },
		/* what the sentence tells */
		{ "'provider':'xai'," BODY(
		      "{" CODE ",\\'m\\':\\'Free  usage for model x, free "
		      "usage FOR model grok-4:Fast, TOKENS (Actual/Limit) : "
		      "1,5 / 2,000\\'}"),
		    USAGE("'model':'grok-4:Fast','actual':15,'limit':2000,"
			  "'remaining':1985,'overage':0," GUESS) },
		{ "'provider':'xai'," BODY(
		      "{" CODE ",\\'m\\':\\'tokens (actual/limit): 5/0\\'}"),
		    USAGE(GUESS) },
		/* when it ends */
		{ "'provider':'xai'," BODY(
		      "{" CODE ",\\'z\\':{\\'resetAt\\':1777500000},"
		      "\\'a\\':{\\'period_end\\':"
		      "\\'2026-05-01T00:00:00Z\\'}}"),
		    USAGE("'recover_at_ms':1777593600000,") },
		{ "'provider':'xai'," BODY(
		      "{" CODE ",\\'reset_at\\':\\'never\\',"
		      "\\'reset_after_seconds\\':\\'90\\'}"),
		    USAGE("'recover_at_ms':1777075290123,") },
		{ "'provider':'xai'," BODY(
		      "{" CODE ",\\'resetAfterSeconds\\':0}"),
		    USAGE(GUESS) },
		/* a guess does not replace what was reported */
		{ "'provider':'xai','response_metadata':" USAGE(
		      "'recover_at_ms':1777075999000,") "," BODY("{" CODE "}"),
		    USAGE("'recover_at_ms':1777075999000,") },
		{ "'provider':'xai','response_metadata':" USAGE(GUESS) "," BODY(
		      "{" CODE ",\\'reset_at\\':1777500000}"),
		    USAGE("'recover_at_ms':1777500000000,") },
		{ "'provider':'xai','response_metadata':{'provider_usage':{"
		  "'provider':'other','recover_at_ms':5,'model':'m'}}," BODY(
		      "{" CODE "}"),
		    USAGE(GUESS) },
	};

	(void)state;
	CHECK_MEMBERS(cases);
}

static void
numbers_and_times(void **state)
{
	static const struct {
		const char *text;
		double v;
	} reals[] = { { "12", 12 }, { " 55 % ", 55 }, { "-0.5", -0.5 },
		{ "+1e3", 1000 }, { ".5", 0.5 }, { "5.", 5 }, { "0x1p4", 16 },
		{ "0x1.8p1", 3 }, { "1234567890123456", 1234567890123456.0 } };
	static const char *const no_reals[] = { "", "%", "NaN", "inf",
		"Infinity", "1e", "1e999", "0x1", "0xg", "1 2", "1,5", "--1",
		".", "1%%", "1_000", "e5" };
	static const struct {
		const char *text;
		int64_t ms;
	} times[] = { { "Sat, 25 Apr 2026 00:01:00 GMT", 1777075260000 },
		{ "Sat, 25 Apr 2026 08:01:00 +0800", 1777075260000 },
		{ "2026-04-25T00:01:00Z", 1777075260000 },
		{ "2026-04-25 00:01:00", 1777075260000 },
		{ "2026-04-25 00:01:00 UTC", 1777075260000 },
		{ "2026-04-25 01:01:00 +0100 CET", 1777075260000 },
		{ "1777075260", 1777075260000 },
		{ "1777075260.5", 1777075260500 },
		{ "1777075260123", 1777075260123 } };
	static const char *const no_times[] = { "", "null", "5", "1000000000",
		"-1777075260", "Sat, 25 Foo 2026 00:01:00 GMT",
		"Xxx, 25 Apr 2026 00:01:00 GMT",
		"Sat, 25 Apr 2026 00:01:00 PST", "Sat, 25 Apr 2026 00:01:00",
		"Sat, 31 Apr 2026 00:01:00 GMT", "Sat, 25 Apr 2026", "Sat, ",
		"2026-04-25 00:01:00 PST", "1e30", "soon" };
	int64_t ms;
	double v;

	(void)state;
	for (size_t i = 0; i < sizeof reals / sizeof *reals; i++) {
		assert_true(parse_real(str_of(reals[i].text), &v));
		assert_true(fabs(v - reals[i].v) <= 0);
	}
	for (size_t i = 0; i < sizeof no_reals / sizeof *no_reals; i++) {
		if (parse_real(str_of(no_reals[i]), &v))
			print_error("a number: %s\n", no_reals[i]);
		assert_false(parse_real(str_of(no_reals[i]), &v));
	}
	for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
		assert_true(parse_time(str_of(times[i].text), &ms));
		assert_true(ms == times[i].ms);
	}
	for (size_t i = 0; i < sizeof no_times / sizeof *no_times; i++) {
		if (parse_time(str_of(no_times[i]), &ms))
			print_error("a time: %s\n", no_times[i]);
		assert_false(parse_time(str_of(no_times[i]), &ms));
	}
}

/* A name out of its place in headers.def would never be found. */
static void
every_header_is_found(void **state)
{
	(void)state;
	for (int i = 0; i < HEADER__MAX; i++) {
		assert_int_equal(header_find(header_name((enum header)i)), i);
		assert_true(header_name((enum header)i).n <= 48);
	}
	assert_int_equal(header_find(STR("x")), HEADER__MAX);
}

static void
columns(void **state)
{
	struct header_columns h;

	(void)state;
	event_header_columns(
	    STR("{\"quota\":{\"recover_at_ms\":5,\"used_percent\":0,"
		"\"plan_type\":\"p\"},\"errors\":{\"kind\":\"k\",\"code\":"
		"\"c\"},\"trace\":{\"primary_trace_id\":\"t\"}}"),
	    &arena, &h);
	assert_true(h.quota_recover_at_ms.set && h.quota_recover_at_ms.v == 5);
	assert_true(h.has_quota_used_percent);
	assert_true(str_eq(h.quota_plan_type, STR("p")));
	assert_true(str_eq(h.error_kind, STR("k")));
	assert_true(str_eq(h.error_code, STR("c")));
	assert_true(str_eq(h.trace_id, STR("t")));
	event_header_columns(
	    STR("{\"quota\":{\"recover_at_ms\":-5}}"), &arena, &h);
	assert_false(h.quota_recover_at_ms.set);
	event_header_columns(STR("{\"quota\":[}"), &arena, &h);
	assert_false(h.has_quota_used_percent);
	event_header_columns(STR("7"), &arena, &h);
	assert_int_equal(h.trace_id.n, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_and_values),
		cmocka_unit_test(traces),
		cmocka_unit_test(errors),
		cmocka_unit_test(quotas),
		cmocka_unit_test(sources),
		cmocka_unit_test(free_usage),
		cmocka_unit_test(numbers_and_times),
		cmocka_unit_test(every_header_is_found),
		cmocka_unit_test(columns),
	};
	int rc;

	arena_init(&arena, 16 * 1024 * 1024);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	arena_free(&arena);
	return rc;
}
