/* Rows of settings, resolving them with the environment, saving, addresses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#undef fail /* lib/err.h has one of its own */

#include "settings.h"
#include "test_dir.h"

static struct arena arena;
static struct db db;
static struct data_key key;
static struct cfg cfg;

static int
begin(void **state)
{
	struct err e;

	arena_init(&arena, 4 * 1024 * 1024);
	cfg = (struct cfg){ .mode = MODE_AUTO,
		.queue = "usage",
		.pop_side = "right",
		.batch_size = 100,
		.poll_interval_ms = 500,
		.query_limit = 50000 };
	if (test_dir_make(state) != 0 ||
	    data_key_parse(STR("correct horse"), true, &key, &e) != 0 ||
	    db_open(&db, in_dir("a.sqlite"), DB_CREATE, &e) != 0 ||
	    db_migrate(&db, NULL, NULL, &e) != 0)
		return -1;
	return 0;
}

static int
end(void **state)
{
	db_close(&db);
	arena_free(&arena);
	return test_dir_remove(state);
}

static void
put(const char *name, const char *value)
{
	struct err e;

	assert_int_equal(setting_put(&db, name, str_of(value), &e), 0);
}

static struct str
get(const char *name)
{
	struct str value = { NULL, 0 };
	struct err e;

	if (setting_get(&db, name, &arena, &value, &e) != 0)
		FAIL("%s\n", e.text);
	return value;
}

static void
load(struct manager_config *m)
{
	struct err e;

	if (settings_load(&db, &cfg, &key, &arena, m, &e) != 0)
		FAIL("%s\n", e.text);
}

static void
save(const struct manager_config *m, bool initialized)
{
	struct err e;

	if (settings_save(&db, &key, m, initialized, &e) != 0)
		FAIL("%s\n", e.text);
}

static const char *
json(const struct manager_config *m)
{
	struct json_out o;
	struct buf b;
	const char *text;

	buf_init(&b, 65536);
	json_out_init(&o, &b, NULL, NULL);
	settings_json(&o, m);
	assert_false(o.failed);
	text = arena_strdup(&arena, buf_view(&b));
	buf_free(&b);
	return text;
}

/* The very text of contract/http-api.md section 22.1. */
#define DEFAULTS                                                               \
	"{\"cpaConnection\":{\"cpaBaseUrl\":\"\"},\"collector\":{\"enabled\":" \
	"true,"                                                                \
	"\"collectorMode\":\"auto\",\"queue\":\"usage\",\"popSide\":"          \
	"\"right\","                                                           \
	"\"batchSize\":100,\"pollIntervalMs\":500,\"queryLimit\":50000},"      \
	"\"codexInspection\":{\"enabled\":false,\"schedule\":{\"mode\":"       \
	"\"interval\",\"intervalMinutes\":60},\"targetType\":\"codex\","       \
	"\"workers\":4,\"deleteWorkers\":4,\"timeout\":15000,\"userAgent\":"   \
	"\"codex_cli_rs/0.76.0 (Debian 13.0.0; x86_64) WindowsTerminal\","     \
	"\"xaiInferenceUserAgent\":\"xai-grok-workspace/0.2.101\","            \
	"\"xaiInferenceModel\":\"grok-4.5\",\"xaiInferencePrompt\":"           \
	"\"Reply with exactly OK.\",\"usedPercentThreshold\":100,"             \
	"\"autoActionMode\":\"none\"},\"externalUsageService\":{\"enabled\":"  \
	"false}}"

static void
nothing_stored_gives_the_defaults(void **state)
{
	struct manager_config m;

	(void)state;
	load(&m);
	assert_int_equal(m.source, SOURCE_NONE);
	assert_false(settings_connected(&m));
	assert_string_equal(json(&m), DEFAULTS);

	cfg.mode = MODE_HTTP;
	cfg.queue = "other";
	cfg.batch_size = 7;
	cfg.tls_skip_verify = true;
	load(&m);
	assert_int_equal(m.mode, MODE_HTTP);
	assert_string_equal(m.queue, "other");
	assert_int_equal(m.batch_size, 7);
	assert_true(m.tls_skip_verify);
}

static void
rows_are_put_and_read(void **state)
{
	struct str value;
	struct err e;

	(void)state;
	assert_int_equal(setting_get(&db, "no", &arena, &value, &e), -1);
	assert_int_equal(e.kind, ERR_MISSING);
	put("k", "one");
	put("k", "two");
	assert_true(str_eq(get("k"), STR("two")));
	/* in the caller's transaction */
	assert_int_equal(db_begin(&db, &e), 0);
	put("k", "three");
	db_rollback(&db);
	assert_true(str_eq(get("k"), STR("two")));
}

static void
saved_is_sealed_and_comes_back(void **state)
{
	struct manager_config m, back;

	(void)state;
	load(&m);
	m.cpa_url = "http://127.0.0.1:8317";
	m.cpa_key = "cpa-secret";
	m.mode = MODE_SUBSCRIBE;
	m.queue = "q";
	m.pop_side = "left";
	m.batch_size = 5;
	m.tls_skip_verify = true;
	m.inspection.time_points = (const char *[]){ "08:00", "21:30", NULL };
	m.inspection.schedule_mode = "time_points";
	m.inspection.time_zone = "Asia/Shanghai";
	m.inspection.retries = 3;
	m.inspection.used_percent_threshold = 82.5;
	m.inspection.auto_action_mode = "disable";
	save(&m, true);

	for (int i = 0; i < 2; i++) {
		struct str row = get(i == 0 ? "manager_config_v1" : "setup");

		assert_false(str_contains(row, STR("cpa-secret")));
		assert_true(
		    str_contains(row, STR("\"managementKey\":\"enc:v1:")));
	}
	assert_true(str_contains(
	    get("bootstrap_state_v1"), STR("\"status\":\"ready\"")));

	load(&back);
	assert_int_equal(back.source, SOURCE_DB);
	assert_true(settings_connected(&back));
	assert_string_equal(back.cpa_key, "cpa-secret");
	assert_true(back.updated_ms > 0);
	/* what a load fills in by itself */
	m.inspection.has_target_types = m.inspection.target_codex = true;
	assert_string_equal(json(&back), json(&m));
	assert_non_null(strstr(json(&back), "\"managementKey\":\"********\""));
	assert_null(strstr(json(&back), "cpa-secret"));
	settings_wipe(&back);
	assert_string_equal(back.cpa_key, "");
}

static void
wrong_data_key_is_said(void **state)
{
	struct manager_config m;
	struct data_key other, none = { .present = false };
	struct err e;

	(void)state;
	load(&m);
	m.cpa_url = "http://h";
	m.cpa_key = "cpa-secret";
	/* without a key nothing is stored in clear */
	assert_int_equal(settings_save(&db, &none, &m, false, &e), -1);
	assert_int_equal(e.kind, ERR_UNAVAILABLE);
	assert_int_equal(setting_get(&db, "manager_config_v1", &arena,
			     &(struct str){ 0 }, &e),
	    -1);

	save(&m, false);
	assert_int_equal(data_key_parse(STR("other"), true, &other, &e), 0);
	assert_int_equal(settings_load(&db, &cfg, &other, &arena, &m, &e), -1);
	assert_int_equal(e.kind, ERR_UNAVAILABLE);
	assert_int_equal(settings_load(&db, &cfg, &none, &arena, &m, &e), -1);
	assert_int_equal(e.kind, ERR_UNAVAILABLE);

	/* an environment that gives the connection needs no stored key */
	cfg.cpa_url = "http://env:1";
	cfg.cpa_key = "env-secret";
	assert_int_equal(settings_load(&db, &cfg, &none, &arena, &m, &e), 0);
	assert_string_equal(m.cpa_key, "env-secret");
}

static void
environment_wins_and_is_not_stored(void **state)
{
	struct manager_config m;

	(void)state;
	load(&m);
	m.cpa_url = "http://stored:1";
	m.cpa_key = "stored-secret";
	m.collector_enabled = false;
	m.queue = "stored";
	m.inspection.workers = 9;
	save(&m, true);

	cfg.cpa_url = " env.example:2/v0/management/ ";
	load(&m);
	assert_int_equal(m.source, SOURCE_DB); /* half a pair is nothing */
	cfg.cpa_key = "env-secret";
	cfg.poll_interval_ms = 900;
	load(&m);
	assert_int_equal(m.source, SOURCE_ENV);
	assert_string_equal(m.cpa_url, "http://env.example:2");
	assert_string_equal(m.cpa_key, "env-secret");
	assert_string_equal(m.queue, "usage");
	assert_int_equal(m.poll_interval_ms, 900);
	/* these stay the database's */
	assert_false(m.collector_enabled);
	assert_int_equal(m.inspection.workers, 9);

	m.inspection.workers = 11;
	save(&m, false);
	assert_false(str_contains(get("manager_config_v1"), STR("env")));
	assert_true(str_contains(get("setup"), STR("http://stored:1")));
	cfg.cpa_url = cfg.cpa_key = NULL;
	load(&m);
	assert_int_equal(m.source, SOURCE_DB);
	assert_string_equal(m.cpa_url, "http://stored:1");
	assert_string_equal(m.cpa_key, "stored-secret");
	assert_int_equal(m.inspection.workers, 11);
}

static void
older_row_gives_the_connection(void **state)
{
	struct manager_config m;

	(void)state;
	put("setup", "{\"cpaBaseUrl\":\"h:1/v0\",\"managementKey\":\"plain\","
		     "\"queue\":\"old\",\"popSide\":\"left\"}");
	load(&m);
	assert_int_equal(m.source, SOURCE_DB);
	assert_string_equal(m.cpa_url, "http://h:1");
	assert_string_equal(m.cpa_key, "plain");
	assert_string_equal(m.queue, "old");
	assert_string_equal(m.pop_side, "left");
	/* a newer row without a connection does not hide it */
	put("manager_config_v1", "{\"collector\":{\"batchSize\":8}}");
	load(&m);
	assert_string_equal(m.cpa_url, "http://h:1");
	assert_int_equal(m.batch_size, 8);
	/* one with a connection does */
	put("manager_config_v1",
	    "{\"cpaConnection\":{\"cpaBaseUrl\":\"http://new\","
	    "\"managementKey\":\"k\"}}");
	load(&m);
	assert_string_equal(m.cpa_url, "http://new");
	assert_string_equal(m.queue, "usage");
}

static void
broken_rows_are_errors(void **state)
{
	static const char *const rows[] = { "", "{", "[]x", "{\"collector\":7}",
		"{\"cpaConnection\":{\"managementKey\":7}}",
		"{\"updatedAtMs\":\"x\"}" };
	struct manager_config m;
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		put("manager_config_v1", rows[i]);
		if (settings_load(&db, &cfg, &key, &arena, &m, &e) == 0)
			FAIL("%s was read\n", rows[i]);
		assert_int_equal(e.kind, ERR_INTERNAL);
		assert_non_null(strstr(e.text, "manager_config_v1"));
	}
	put("manager_config_v1", "{}");
	put("setup", "{\"queue\":1}");
	assert_int_equal(settings_load(&db, &cfg, &key, &arena, &m, &e), -1);
	assert_int_equal(e.kind, ERR_INTERNAL);
}

static void
failed_save_stores_nothing(void **state)
{
	struct manager_config m;
	struct err e;

	(void)state;
	load(&m);
	m.cpa_url = "http://h";
	m.cpa_key = "k";
	assert_int_equal(sqlite3_exec(db.handle,
			     "CREATE TRIGGER t BEFORE INSERT ON settings "
			     "WHEN new.key = 'setup' BEGIN "
			     "SELECT raise(ABORT, 'no'); END",
			     NULL, NULL, NULL),
	    SQLITE_OK);
	assert_int_equal(settings_save(&db, &key, &m, true, &e), -1);
	assert_false(db.in_transaction);
	assert_int_equal(setting_get(&db, "manager_config_v1", &arena,
			     &(struct str){ 0 }, &e),
	    -1);
	assert_int_equal(e.kind, ERR_MISSING);
}

static void
addresses_are_normalised(void **state)
{
	static const char *const urls[][2] = {
		{ "", "" },
		{ "  ", "" },
		{ "127.0.0.1:8317/v0/management/", "http://127.0.0.1:8317" },
		{ " https://H/v0/// ", "https://H" },
		{ "http://h/base/v0/management", "http://h/base" },
		{ "http://h/v0/v0/management", "http://h" },
		{ "http://h/v0/v0", "http://h/v0" },
		{ "http://h//", "http://h" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof urls / sizeof *urls; i++)
		assert_string_equal(
		    cpa_url_normalise(&arena, str_of(urls[i][0])), urls[i][1]);
}

static void
hosts_are_compared(void **state)
{
	static const struct {
		const char *a, *b;
		bool same;
	} pairs[] = {
		{ "http://h:1", "http://h:1/x", true },
		{ "http://H:1", "HTTP://h:1", true },
		{ "http://h", "http://h:80", true },
		{ "https://h", "https://h:443", true },
		{ "", "", true },
		{ "http://h", "", false },
		{ "http://h:1", "http://h:2", false },
		{ "http://h", "https://h", false },
		{ "http://h:443", "https://h", false },
		{ "http://h", "http://h.evil", false },
		{ "http://h", "http://h@evil", false },
		{ "http://h", "http://evil#@h", false },
		{ "http://h", "http://evil?@h", false },
		{ "http://h", "http://evil/@h", false },
		{ "http://h", "http://h:80@evil/", false },
		{ "http://h", "http://evil\\@h", false },
		{ "http://u@h", "http://u@h", true },
		{ "http://u@h", "http://u@h/x", false },
		{ "http://", "http:///evil", false },
		{ "http://[::1]:1", "http://[::1]:1/x", true },
		{ "http://[::1]:1", "http://[::2]:1", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
		if (cpa_url_same_host(str_of(pairs[i].a), str_of(pairs[i].b)) !=
		    pairs[i].same)
			FAIL("%s, %s\n", pairs[i].a, pairs[i].b);
}

int
main(void)
{
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, begin, end)
	const struct CMUnitTest tests[] = {
		CASE(nothing_stored_gives_the_defaults),
		CASE(rows_are_put_and_read),
		CASE(saved_is_sealed_and_comes_back),
		CASE(wrong_data_key_is_said),
		CASE(environment_wins_and_is_not_stored),
		CASE(older_row_gives_the_connection),
		CASE(broken_rows_are_errors),
		CASE(failed_save_stores_nothing),
		CASE(addresses_are_normalised),
		CASE(hosts_are_compared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
