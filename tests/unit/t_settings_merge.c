/* A submitted configuration over a stored one: contract/http-api.md 8.3, 8.5.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#undef fail /* lib/err.h has one of its own */

#include "settings_impl.h"
#include "test_dir.h"

static struct arena arena;
static struct manager_config base;

static int
begin(void **state)
{
	const struct cfg c = { .mode = MODE_AUTO,
		.queue = "usage",
		.pop_side = "right",
		.batch_size = 100,
		.poll_interval_ms = 500,
		.query_limit = 50000 };

	(void)state;
	arena_init(&arena, 1024 * 1024);
	settings_default(&c, &base);
	base.cpa_url = "http://cpa:8317";
	base.cpa_key = "stored";
	return 0;
}

static int
end(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

static int
merge(const char *text, struct manager_config *out, struct err *e)
{
	json_t *obj = json_in_parse(str_of(text), true, e);
	int rc;

	if (obj == NULL)
		FAIL("%s: %s\n", text, e->text);
	err_clear(e);
	rc = settings_merge(obj, &base, &arena, out, e);
	json_decref(obj); /* nothing in out may point into it */
	return rc;
}

static void
merged(const char *text, struct manager_config *out)
{
	struct err e;

	if (merge(text, out, &e) != 0)
		FAIL("%s: %s\n", text, e.text);
}

static void
refused(const char *text, const char *code, const char *says)
{
	struct manager_config m;
	struct err e;

	if (merge(text, &m, &e) == 0)
		FAIL("%s was taken\n", text);
	if (e.kind != ERR_INPUT || strcmp(err_code(&e), code) != 0 ||
	    strstr(e.text, says) == NULL)
		FAIL(
		    "%s: %d %s: %s\n", text, (int)e.kind, err_code(&e), e.text);
}

#define BAD "request_failed"

/* ---- connection -----------------------------------------------------------
 */

#define CONNECTION(url, key)                        \
	"{\"cpaConnection\":{\"cpaBaseUrl\":\"" url \
	"\",\"managementKey\":\"" key "\"}}"

static void
connection_is_kept_or_replaced(void **state)
{
	static const struct {
		const char *text, *url, *key;
	} cases[] = {
		{ "{}", "http://cpa:8317", "stored" },
		{ "{\"cpaConnection\":null}", "http://cpa:8317", "stored" },
		{ "{\"cpaConnection\":{}}", "http://cpa:8317", "stored" },
		{ CONNECTION("", ""), "http://cpa:8317", "stored" },
		{ CONNECTION("", "********"), "http://cpa:8317", "stored" },
		{ CONNECTION("  ", " ******** "), "http://cpa:8317", "stored" },
		{ CONNECTION("cpa:8317/v0/management", "********"),
		    "http://cpa:8317", "stored" },
		{ CONNECTION("http://cpa:8317/sub", ""), "http://cpa:8317/sub",
		    "stored" },
		{ CONNECTION("http://cpa:8317", " new "), "http://cpa:8317",
		    "new" },
		{ CONNECTION("http://other/", "new"), "http://other", "new" },
		{ CONNECTION("", "new"), "http://cpa:8317", "new" },
		/* eight stars are the mask, nine a key */
		{ CONNECTION("http://other", "*********"), "http://other",
		    "*********" },
		{ "{\"CPACONNECTION\":{\"CPABASEURL\":\"http://other\","
		  "\"ManagementKey\":\"new\"}}",
		    "http://other", "new" },
	};
	struct manager_config m;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		merged(cases[i].text, &m);
		if (strcmp(m.cpa_url, cases[i].url) != 0 ||
		    strcmp(m.cpa_key, cases[i].key) != 0)
			FAIL(
			    "%s: %s %s\n", cases[i].text, m.cpa_url, m.cpa_key);
	}
}

/* A stored key goes to no host but the one it was typed for. */
static void
changed_host_needs_the_key_again(void **state)
{
	static const char *const urls[] = { "http://evil:8317", "cpa:8318",
		"https://cpa:8317", "http://cpa:8317@evil", "http://cpa",
		"http://cpa:8317.evil", "http://user@cpa:8317" };
	char text[256];

	(void)state;
	for (size_t i = 0; i < sizeof urls / sizeof *urls; i++)
		for (int mask = 0; mask < 2; mask++) {
			snprintf(text, sizeof text,
			    "{\"cpaConnection\":{\"cpaBaseUrl\":\"%s\","
			    "\"managementKey\":\"%s\"}}",
			    urls[i], mask ? KEY_MASK : "");
			refused(text, "cpa_key_required",
			    "managementKey must be typed again");
		}
	base.cpa_url = base.cpa_key = "";
	refused(CONNECTION("http://cpa", ""), "cpa_connection_required",
	    "cpaBaseUrl and managementKey are required");
	refused(CONNECTION("http://cpa", "********"), "cpa_connection_required",
	    "cpaBaseUrl and managementKey are required");
}

static void
connection_takes_no_control_characters(void **state)
{
	(void)state;
	refused(CONNECTION("http://cpa:8317", "a\\r\\nX-Evil: 1"), BAD,
	    "control characters");
	refused(CONNECTION("http://cpa:8317/\\u0000", "k"), BAD,
	    "control characters");
	refused(CONNECTION("http://cpa:8317", "a\\u007fb"), BAD,
	    "control characters");
}

/* ---- collector ------------------------------------------------------------
 */

static void
collector_rules(void **state)
{
	struct manager_config m;

	(void)state;
	base.tls_skip_verify = true;
	base.collector_enabled = false;
	merged("{}", &m); /* no object: all stays */
	assert_true(m.tls_skip_verify);

	merged("{\"collector\":{}}", &m);
	assert_false(m.tls_skip_verify); /* left out counts as false */
	assert_false(m.collector_enabled);
	assert_int_equal(m.mode, MODE_AUTO);
	assert_string_equal(m.queue, "usage");

	merged("{\"collector\":{\"enabled\":true,\"collectorMode\":\" RESP \","
	       "\"queue\":\" q \",\"popSide\":\"LEFT\",\"batchSize\":7,"
	       "\"pollIntervalMs\":250,\"queryLimit\":9,"
	       "\"tlsSkipVerify\":true}}",
	    &m);
	assert_true(m.collector_enabled);
	assert_int_equal(m.mode, MODE_RESP);
	assert_string_equal(m.queue, "q");
	assert_string_equal(m.pop_side, "left");
	assert_int_equal(m.batch_size, 7);
	assert_int_equal(m.poll_interval_ms, 250);
	assert_int_equal(m.query_limit, 9);
	assert_true(m.tls_skip_verify);

	base.mode = MODE_HTTP;
	merged("{\"collector\":{\"enabled\":null,\"collectorMode\":\" \","
	       "\"queue\":\" \",\"popSide\":\"up\",\"batchSize\":0,"
	       "\"pollIntervalMs\":-1,\"queryLimit\":null}}",
	    &m);
	assert_false(m.collector_enabled);
	assert_int_equal(m.mode, MODE_HTTP);
	assert_string_equal(m.queue, "usage");
	assert_string_equal(m.pop_side, "right");
	assert_int_equal(m.batch_size, 100);
	assert_int_equal(m.poll_interval_ms, 500);
	assert_int_equal(m.query_limit, 50000);
	merged("{\"collector\":{\"collectorMode\":\"pigeon\"}}", &m);
	assert_int_equal(m.mode, MODE_AUTO);
	/* the last of several spellings, as section 22.3 shows */
	merged("{\"Collector\":{\"QUEUE\":\" q \",\"BatchSize\":7,"
	       "\"batchsize\":9}}",
	    &m);
	assert_string_equal(m.queue, "q");
	assert_int_equal(m.batch_size, 9);
}

/* ---- inspection -----------------------------------------------------------
 */

#define INSPECTION(members) "{\"codexInspection\":{" members "}}"
#define SCHEDULE(members) INSPECTION("\"schedule\":{" members "}")

/* The schedule in words: mode, interval, time points. */
static const char *
plan(const char *text)
{
	struct manager_config m;
	const struct inspection_config *i = &m.inspection;
	const char *points = "";

	merged(text, &m);
	for (const char **p = i->time_points; p != NULL && *p != NULL; p++)
		points = arena_printf(&arena, "%s %s", points, *p);
	return arena_printf(&arena, "%s %d%s", i->schedule_mode,
	    (int)i->interval_minutes, points);
}

static void
schedule_rules(void **state)
{
	(void)state;
	assert_string_equal(plan("{}"), "interval 60");
	assert_string_equal(plan(SCHEDULE("")), "interval 60");
	assert_string_equal(
	    plan(SCHEDULE("\"intervalMinutes\":15")), "interval 15");
	assert_string_equal(
	    plan(SCHEDULE("\"intervalMinutes\":0")), "interval 60");
	assert_string_equal(
	    plan(SCHEDULE("\"intervalMinutes\":-3")), "interval 60");
	assert_string_equal(
	    plan(SCHEDULE("\"mode\":\"time_points\",\"timePoints\":"
			  "[\"9:5\",\"25:00\",\"09:05\",\"08:00\"]")),
	    "time_points 60 08:00 09:05");
	assert_string_equal(plan(SCHEDULE("\"timePoints\":[\"0:0\",\"23:59\"],"
					  "\"intervalMinutes\":5")),
	    "time_points 5 00:00 23:59");
	assert_string_equal(
	    plan(SCHEDULE("\"mode\":\"Interval\",\"timePoints\":[\"1:1\"]")),
	    "interval 60 01:01");
	/* none of these is a time */
	assert_string_equal(
	    plan(SCHEDULE("\"mode\":\"TIME_POINTS\",\"timePoints\":[\"\","
			  "\":\",\"1\",\"1:\",\":1\",\"24:00\",\"1:60\","
			  "\"001:2\",\"1: 2\",\"-1:2\",\"+1:2\",\"1:2:3\"]")),
	    "interval 60");

	base.inspection.schedule_mode = "time_points";
	base.inspection.time_points = (const char *[]){ "07:00", NULL };
	assert_string_equal(plan("{}"), "time_points 60 07:00");
	assert_string_equal(plan(SCHEDULE("")), "time_points 60 07:00");
	assert_string_equal(
	    plan(SCHEDULE("\"timePoints\":[\"x\"]")), "time_points 60 07:00");
	assert_string_equal(
	    plan(SCHEDULE("\"intervalMinutes\":30")), "interval 30 07:00");
}

static void
time_zone_rules(void **state)
{
	static const char *const unknown[] = { "Mars/X", "europe/berlin/",
		"/etc/localtime", "../../../etc/localtime", "Europe",
		"zone.tab", "leapseconds", "Europe/../UTC", "A\\u0000B" };
	struct manager_config m;
	char text[128];

	(void)state;
	base.inspection.time_zone = "Asia/Tokyo";
	merged(SCHEDULE("\"timeZone\":\" Europe/Berlin \""), &m);
	assert_string_equal(m.inspection.time_zone, "Europe/Berlin");
	merged(SCHEDULE("\"timeZone\":\"UTC\""), &m);
	assert_string_equal(m.inspection.time_zone, "UTC");
	merged(SCHEDULE("\"timeZone\":\" \""), &m);
	assert_string_equal(m.inspection.time_zone, "Asia/Tokyo");
	for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
		snprintf(text, sizeof text, SCHEDULE("\"timeZone\":\"%s\""),
		    unknown[i]);
		refused(text, "invalid_time_zone", "invalid time zone");
	}
	refused(SCHEDULE("\"timeZone\":\"Mars/X\""), "invalid_time_zone",
	    "invalid time zone \"Mars/X\": unknown time zone Mars/X");
}

static void
target_rules(void **state)
{
	static const struct {
		const char *text;
		bool codex, xai;
	} cases[] = {
		{ "{}", true, false },
		{ INSPECTION(""), true, false },
		{ INSPECTION("\"targetTypes\":null"), true, false },
		{ INSPECTION("\"targetTypes\":[\"XAI\",\"codex\"]"), true,
		    true },
		{ INSPECTION("\"targetTypes\":[\" xai \"]"), false, true },
		{ INSPECTION("\"targetType\":\"xai\""), false, true },
		{ INSPECTION("\"targetType\":\"xai\",\"targetTypes\":"
			     "[\"codex\"]"),
		    true, false },
	};
	struct manager_config m;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		merged(cases[i].text, &m);
		if (!m.inspection.has_target_types ||
		    m.inspection.target_codex != cases[i].codex ||
		    m.inspection.target_xai != cases[i].xai ||
		    strcmp(m.inspection.target_type,
			cases[i].codex ? "codex" : "xai") != 0)
			FAIL("%s\n", cases[i].text);
	}
	refused(INSPECTION("\"targetType\":\"foo\""), BAD,
	    "unsupported inspection target type \"foo\"");
	refused(INSPECTION("\"targetTypes\":[\"codex\",\"foo\"]"), BAD,
	    "unsupported inspection target type \"foo\"");
	refused(INSPECTION("\"targetTypes\":[]"), BAD,
	    "at least one inspection target type is required");

	base.inspection.has_target_types = base.inspection.target_xai = true;
	merged("{}", &m);
	assert_true(m.inspection.target_xai);
	assert_false(m.inspection.target_codex);
}

static void
number_and_text_rules(void **state)
{
	struct manager_config m;
	const struct inspection_config *i = &m.inspection;

	(void)state;
	base.inspection.retries = 5;
	base.inspection.auto_recover_enabled = true;
	base.inspection.auto_action_mode = "delete";
	merged(INSPECTION("\"enabled\":true,\"workers\":6,\"timeout\":0,"
			  "\"userAgent\":\" ua \",\"xaiInferenceModel\":\" \","
			  "\"xaiInferencePrompt\":\"two\\nlines\","
			  "\"usedPercentThreshold\":0.5,\"sampleSize\":-1,"
			  "\"autoActionMode\":\"explode\""),
	    &m);
	assert_true(i->enabled);
	assert_int_equal(i->workers, 6);
	assert_int_equal(i->delete_workers, 6);
	assert_int_equal(i->timeout_ms, 15000);
	assert_int_equal(i->retries, 0); /* left out counts as 0 */
	assert_int_equal(i->sample_size, 0);
	assert_false(i->auto_recover_enabled);
	assert_string_equal(i->user_agent, "ua");
	assert_string_equal(i->xai_model, "grok-4.5");
	assert_string_equal(i->xai_prompt, "two\nlines");
	assert_true(i->used_percent_threshold == 50);
	assert_string_equal(i->auto_action_mode, "delete");

	merged(INSPECTION("\"deleteWorkers\":2,\"workers\":0,\"retries\":3,"
			  "\"usedPercentThreshold\":100.5,"
			  "\"autoActionMode\":\" NONE \""),
	    &m);
	assert_int_equal(i->workers, 4);
	assert_int_equal(i->delete_workers, 2);
	assert_int_equal(i->retries, 3);
	assert_true(i->used_percent_threshold == 100);
	assert_string_equal(i->auto_action_mode, "none");
	merged(INSPECTION("\"usedPercentThreshold\":1"), &m);
	assert_true(i->used_percent_threshold == 100);
	merged(INSPECTION("\"usedPercentThreshold\":1.5"), &m);
	assert_true(i->used_percent_threshold == 1.5);
	refused(INSPECTION("\"userAgent\":\"a\\nb\""), BAD,
	    "codexInspection.userAgent");
}

static void
wrong_types_name_the_field(void **state)
{
	(void)state;
	refused("{\"collector\":[]}", BAD, "collector");
	refused("{\"collector\":{\"enabled\":1}}", BAD, "collector.enabled");
	refused(
	    "{\"collector\":{\"batchSize\":1.5}}", BAD, "collector.batchSize");
	refused("{\"collector\":{\"queue\":5}}", BAD, "collector.queue");
	refused("{\"cpaConnection\":7}", BAD, "cpaConnection");
	refused("{\"cpaConnection\":{\"cpaBaseUrl\":7}}", BAD,
	    "cpaConnection.cpaBaseUrl");
	refused(SCHEDULE("\"timePoints\":\"x\""), BAD,
	    "codexInspection.schedule.timePoints");
	refused(SCHEDULE("\"timePoints\":[7]"), BAD,
	    "codexInspection.schedule.timePoints");
	refused(INSPECTION("\"usedPercentThreshold\":\"x\""), BAD,
	    "codexInspection.usedPercentThreshold");
}

int
main(void)
{
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, begin, end)
	const struct CMUnitTest tests[] = {
		CASE(connection_is_kept_or_replaced),
		CASE(changed_host_needs_the_key_again),
		CASE(connection_takes_no_control_characters),
		CASE(collector_rules),
		CASE(schedule_rules),
		CASE(time_zone_rules),
		CASE(target_rules),
		CASE(number_and_text_rules),
		CASE(wrong_types_name_the_field),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
