/* Configuration: precedence, paths, secrets, values that are wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#undef fail /* lib/err.h has one of its own */

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cfg.h"
#include "cfg_impl.h"

#define ADMIN "a-key-of-my-own-1"

static char dir[] = "/tmp/t_cfg.XXXXXX";
static char system_file[64], beside_file[64], named_file[64], secrets[64],
    credentials[64];

/* The environment of the test in hand: name, value, name, value, NULL. */
static const char *const *environment;

static const char *
test_env(const char *name)
{
	for (const char *const *p = environment; *p != NULL; p += 2)
		if (strcmp(*p, name) == 0)
			return p[1];
	return NULL;
}

static void
put(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static int
start_all(void **state)
{
	(void)state;
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(system_file, sizeof system_file, "%s/system.json", dir);
	snprintf(beside_file, sizeof beside_file, "%s/beside.json", dir);
	snprintf(named_file, sizeof named_file, "%s/named.json", dir);
	snprintf(secrets, sizeof secrets, "%s/secrets", dir);
	snprintf(credentials, sizeof credentials, "%s/credentials", dir);
	return mkdir(secrets, 0700) == -1 || mkdir(credentials, 0700) == -1;
}

static int
end_all(void **state)
{
	(void)state;
	return rmdir(secrets) == -1 || rmdir(credentials) == -1 ||
	       rmdir(dir) == -1;
}

/* each test leaves files behind as it likes */
static int
end_one(void **state)
{
	static const char *const names[] = { "system.json", "beside.json",
		"named.json", "secrets/cpa_management_key",
		"secrets/cpa_admin_key", "secrets/cpa_data_key",
		"credentials/cpa_management_key", "credentials/cpa_admin_key",
		"credentials/cpa_data_key", "key" };
	char path[PATH_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		snprintf(path, sizeof path, "%s/%s", dir, names[i]);
		unlink(path);
	}
	return 0;
}

static int
load(struct cfg *c, const char *data_dir, struct err *e,
    const char *const *variables)
{
	const struct cfg_places places = { .env = test_env,
		.system_file = system_file,
		.beside_file = beside_file,
		.secrets_dir = secrets };

	environment = variables;
	*e = (struct err){ 0 };
	return cfg_load_from(c, &places, data_dir, e);
}

#define ENV(...) ((const char *const[]){ __VA_ARGS__, NULL, NULL })

static void
assert_below_dir(const char *path, const char *rest)
{
	char want[PATH_MAX];

	snprintf(want, sizeof want, "%s/%s", dir, rest);
	assert_string_equal(path, want);
}

static void
nothing_said(void **state)
{
	struct cfg c;
	struct err e;

	(void)state;
	assert_int_equal(load(&c, NULL, &e, ENV(NULL)), 0);
	assert_null(c.file);
	assert_string_equal(c.data_dir, "/var/lib/cpa-manager");
	assert_string_equal(c.db_path, "/var/lib/cpa-manager/usage.sqlite");
	assert_string_equal(c.data_key_path, "/var/lib/cpa-manager/data.key");
	assert_string_equal(
	    c.lock_path, "/var/lib/cpa-manager/usage.sqlite.manager.lock");
	assert_string_equal(c.spool_dir, "/var/lib/cpa-manager/spool");
	assert_null(c.cpa_url);
	assert_null(c.cpa_key);
	assert_null(c.admin_key);
	assert_null(c.data_key_text);
	assert_int_equal(c.mode, MODE_AUTO);
	assert_string_equal(c.queue, "usage");
	assert_string_equal(c.pop_side, "right");
	assert_int_equal(c.batch_size, 100);
	assert_int_equal(c.poll_interval_ms, 500);
	assert_int_equal(c.query_limit, 50000);
	assert_false(c.tls_skip_verify);
	assert_null(c.cors_origins[0]);
	assert_null(c.panel_path);
	assert_false(c.quota_cooldown.value || c.quota_cooldown.from_env ||
		     c.quota_cooldown.from_file);
	assert_int_equal(c.import_chunk_bytes, 4194304);
	assert_int_equal(c.import_quota_bytes, 17179869184);
	assert_int_equal(c.import_max_sessions, 2);
	assert_int_equal(c.import_ttl_minutes, 1440);
	assert_int_equal(c.spool_limit_bytes, 1073741824);
	assert_int_equal(c.retention_days, 0);
	assert_int_equal(c.dead_letter_days, 30);
	cfg_free(&c);
	assert_null(c.data_dir);
	cfg_free(&c); /* twice is harmless */
}

static void
everything_by_variable(void **state)
{
	struct cfg c;
	struct err e;

	(void)state;
	put(named_file,
	    "{\"batchSize\":9,\"queue\":\"file\",\"tlsSkipVerify\":false,"
	    "\"quotaCooldownEnabled\":false,\"corsOrigins\":[\"f\"]}");
	assert_int_equal(
	    load(&c, NULL, &e,
		ENV("CPA_MANAGER_CONFIG", named_file, "USAGE_DATA_DIR", " /d ",
		    "CPA_UPSTREAM_URL", " http://h:8317/ ",
		    "CPA_MANAGEMENT_KEY", " k ", "CPA_MANAGER_ADMIN_KEY", ADMIN,
		    "CPA_MANAGER_DATA_KEY", "phrase",
		    "CPA_MANAGER_DATA_KEY_PATH", "keys/data.key",
		    "USAGE_COLLECTOR_MODE", " HTTP ", "USAGE_RESP_QUEUE", "q",
		    "USAGE_RESP_POP_SIDE", "LEFT", "USAGE_BATCH_SIZE", " 1000 ",
		    "USAGE_POLL_INTERVAL_MS", "250", "USAGE_QUERY_LIMIT", "7",
		    "USAGE_CORS_ORIGINS", " https://a , ,https://b,",
		    "PANEL_PATH", "p.html", "USAGE_RESP_TLS_SKIP_VERIFY", "Yes",
		    "USAGE_QUOTA_COOLDOWN_ENABLED", "on",
		    "USAGE_ACCOUNT_ACTIONS_ENABLED", "0",
		    "USAGE_IMPORT_CHUNK_BYTES", "1",
		    "USAGE_IMPORT_DISK_QUOTA_BYTES", "2",
		    "USAGE_IMPORT_MAX_SESSIONS", "3",
		    "USAGE_IMPORT_SESSION_TTL_MINUTES", "4",
		    "USAGE_SPOOL_LIMIT_BYTES", "5", "USAGE_RETENTION_DAYS",
		    "90", "USAGE_DEAD_LETTER_DAYS", "0")),
	    0);
	assert_string_equal(c.file, named_file);
	assert_string_equal(c.data_dir, "/d");
	assert_string_equal(c.db_path, "/d/usage.sqlite");
	assert_string_equal(c.data_key_path, "keys/data.key");
	assert_string_equal(c.cpa_url, "http://h:8317/");
	assert_string_equal(c.cpa_key, "k");
	assert_string_equal(c.admin_key, ADMIN);
	assert_string_equal(c.data_key_text, "phrase");
	assert_int_equal(c.mode, MODE_HTTP);
	assert_string_equal(c.queue, "q");
	assert_string_equal(c.pop_side, "left");
	assert_int_equal(c.batch_size, 1000);
	assert_int_equal(c.poll_interval_ms, 250);
	assert_int_equal(c.query_limit, 7);
	assert_int_equal(c.retention_days, 90);
	assert_int_equal(c.dead_letter_days, 0);
	assert_string_equal(c.cors_origins[0], "https://a");
	assert_string_equal(c.cors_origins[1], "https://b");
	assert_null(c.cors_origins[2]);
	assert_string_equal(c.panel_path, "p.html");
	assert_true(c.tls_skip_verify);
	assert_true(c.quota_cooldown.value && c.quota_cooldown.from_env);
	assert_false(c.account_actions.value);
	assert_true(c.account_actions.from_env);
	assert_false(c.auto_disable.from_env);
	assert_int_equal(c.import_chunk_bytes, 1);
	assert_int_equal(c.import_quota_bytes, 2);
	assert_int_equal(c.import_max_sessions, 3);
	assert_int_equal(c.import_ttl_minutes, 4);
	assert_int_equal(c.spool_limit_bytes, 5);
	cfg_free(&c);
}

static void
everything_by_file(void **state)
{
	struct cfg c;
	struct err e;
	char key[64];

	(void)state;
	snprintf(key, sizeof key, "%s/key", dir);
	put(key, " " ADMIN "\n");
	put(named_file,
	    "{\"dataDir\":\"./d\",\"dbPath\":\"db/u.sqlite\","
	    "\"dataKeyPath\":\"/k/data.key\",\"adminKeyFile\":\"key\","
	    "\"cpaUpstreamUrl\":\"http://h\",\"collectorMode\":\"resp\","
	    "\"queue\":\"q\",\"popSide\":\"left\",\"batchSize\":5,"
	    "\"pollIntervalMs\":6,\"queryLimit\":7,"
	    "\"CORSOrigins\":[\" https://a \",\"\"],\"panelPath\":\"p\","
	    "\"tlsSkipVerify\":true,\"quotaCooldownEnabled\":true,"
	    "\"accountActionsEnabled\":true,"
	    "\"accountActionsAutoDisable\":false,\"spoolLimitBytes\":8,"
	    "\"retentionDays\":0,\"deadLetterDays\":9,"
	    "\"unknown\":{\"is\":\"ignored\"}}");
	/* a blank variable says nothing */
	assert_int_equal(
	    load(&c, NULL, &e,
		ENV("CPA_MANAGER_CONFIG", named_file, "USAGE_BATCH_SIZE", " ",
		    "CPA_MANAGER_ADMIN_KEY", "")),
	    0);
	assert_below_dir(c.data_dir, "./d");
	assert_below_dir(c.db_path, "db/u.sqlite");
	assert_below_dir(c.lock_path, "db/u.sqlite.manager.lock");
	assert_below_dir(c.spool_dir, "./d/spool");
	assert_string_equal(c.data_key_path, "/k/data.key");
	assert_string_equal(c.admin_key, ADMIN);
	assert_string_equal(c.cpa_url, "http://h");
	assert_int_equal(c.mode, MODE_RESP);
	assert_string_equal(c.queue, "q");
	assert_string_equal(c.pop_side, "left");
	assert_int_equal(c.batch_size, 5);
	assert_int_equal(c.poll_interval_ms, 6);
	assert_int_equal(c.query_limit, 7);
	assert_int_equal(c.retention_days, 0);
	assert_int_equal(c.dead_letter_days, 9);
	assert_string_equal(c.cors_origins[0], "https://a");
	assert_null(c.cors_origins[1]);
	assert_below_dir(c.panel_path, "p");
	assert_true(c.tls_skip_verify);
	assert_true(c.quota_cooldown.value && c.quota_cooldown.from_file);
	assert_false(c.quota_cooldown.from_env);
	assert_false(c.auto_disable.value);
	assert_true(c.auto_disable.from_file);
	assert_int_equal(c.spool_limit_bytes, 8);
	cfg_free(&c);
}

static void
which_file(void **state)
{
	struct cfg c;
	struct err e;

	(void)state;
	put(beside_file, "{\"queue\":\"beside\"}");
	assert_int_equal(load(&c, NULL, &e, ENV(NULL)), 0);
	assert_string_equal(c.file, beside_file);
	assert_string_equal(c.queue, "beside");
	assert_below_dir(c.data_dir, "data");
	cfg_free(&c);

	/* the system's file first, and its data are not kept in /etc */
	put(system_file, "{\"queue\":\"system\"}");
	assert_int_equal(load(&c, NULL, &e, ENV(NULL)), 0);
	assert_string_equal(c.queue, "system");
	assert_string_equal(c.data_dir, "/var/lib/cpa-manager");
	cfg_free(&c);
	assert_int_equal(
	    load(&c, NULL, &e, ENV("CPA_MANAGER_CONFIG", system_file)), 0);
	assert_string_equal(c.data_dir, "/var/lib/cpa-manager");
	cfg_free(&c);

	put(named_file, "{\"queue\":\"named\"}");
	assert_int_equal(
	    load(&c, NULL, &e, ENV("CPA_MANAGER_CONFIG", named_file)), 0);
	assert_string_equal(c.queue, "named");
	assert_below_dir(c.data_dir, "data");
	cfg_free(&c);

	/* one that is named must be there, and is not made */
	assert_int_equal(unlink(named_file), 0);
	assert_int_equal(
	    load(&c, NULL, &e, ENV("CPA_MANAGER_CONFIG", named_file)), -1);
	assert_int_equal(e.kind, ERR_INPUT);
	assert_non_null(strstr(e.text, "CPA_MANAGER_CONFIG"));
	assert_non_null(strstr(e.text, "No such file"));
	assert_int_equal(access(named_file, F_OK), -1);
	assert_null(c.data_dir);
}

static void
which_data_dir(void **state)
{
	struct cfg c;
	struct err e;

	(void)state;
	put(named_file, "{\"dataDir\":\"/f\",\"dbPath\":\"/f2/u.db\"}");
	/* --data over everything */
	assert_int_equal(
	    load(&c, "here", &e,
		ENV("CPA_MANAGER_CONFIG", named_file, "USAGE_DATA_DIR", "/d",
		    "USAGE_DB_PATH", "/x/u.db")),
	    0);
	assert_string_equal(c.data_dir, "here");
	assert_string_equal(c.db_path, "here/usage.sqlite");
	assert_string_equal(c.data_key_path, "here/data.key");
	cfg_free(&c);
	/* the file's dbPath does not go with the variable's directory */
	assert_int_equal(
	    load(&c, NULL, &e,
		ENV("CPA_MANAGER_CONFIG", named_file, "USAGE_DATA_DIR", "/d/")),
	    0);
	assert_string_equal(c.data_dir, "/d/");
	assert_string_equal(c.db_path, "/d/usage.sqlite");
	cfg_free(&c);
	assert_int_equal(load(&c, NULL, &e,
			     ENV("CPA_MANAGER_CONFIG", named_file,
				 "USAGE_DB_PATH", "/x/u.db")),
	    0);
	assert_string_equal(c.data_dir, "/f");
	assert_string_equal(c.db_path, "/x/u.db");
	cfg_free(&c);
	/* only a database: everything lies beside it */
	assert_int_equal(
	    load(&c, NULL, &e, ENV("USAGE_DB_PATH", "/x/u.db")), 0);
	assert_string_equal(c.data_dir, "/x");
	assert_string_equal(c.data_key_path, "/x/data.key");
	cfg_free(&c);
	assert_int_equal(load(&c, NULL, &e, ENV("USAGE_DB_PATH", "u.db")), 0);
	assert_string_equal(c.data_dir, ".");
	assert_string_equal(c.db_path, "u.db");
	cfg_free(&c);

	assert_int_equal(load(&c, "", &e, ENV(NULL)), -1);
	assert_non_null(strstr(e.text, "--data"));
}

static void
put_secret(const char *where, const char *text)
{
	char path[PATH_MAX];

	snprintf(path, sizeof path, "%s/cpa_management_key", where);
	put(path, text);
}

/* variable, *_FILE, key, systemd's credential, /run/secrets */
static void
where_secrets_are(void **state)
{
	struct cfg c;
	struct err e;
	char key[64], gone[64];

	(void)state;
	snprintf(key, sizeof key, "%s/key", dir);
	snprintf(gone, sizeof gone, "%s/gone", dir);
	put_secret(secrets, "from secrets\n");
	assert_int_equal(load(&c, NULL, &e, ENV(NULL)), 0);
	assert_string_equal(c.cpa_key, "from secrets");
	cfg_free(&c);

	assert_int_equal(
	    load(&c, NULL, &e, ENV("CREDENTIALS_DIRECTORY", credentials)), 0);
	assert_string_equal(c.cpa_key, "from secrets");
	cfg_free(&c);
	put_secret(credentials, "from systemd");
	assert_int_equal(
	    load(&c, NULL, &e, ENV("CREDENTIALS_DIRECTORY", credentials)), 0);
	assert_string_equal(c.cpa_key, "from systemd");
	cfg_free(&c);

	put(key, "from key");
	put(named_file, "{\"managementKeyFile\":\"key\"}");
	assert_int_equal(load(&c, NULL, &e,
			     ENV("CREDENTIALS_DIRECTORY", credentials,
				 "CPA_MANAGER_CONFIG", named_file)),
	    0);
	assert_string_equal(c.cpa_key, "from key");
	cfg_free(&c);

	put(named_file, "{\"managementKeyFile\":\"gone\"}");
	assert_int_equal(load(&c, NULL, &e,
			     ENV("CPA_MANAGEMENT_KEY_FILE", key,
				 "CPA_MANAGER_CONFIG", named_file)),
	    0);
	assert_string_equal(c.cpa_key, "from key");
	cfg_free(&c);
	assert_int_equal(load(&c, NULL, &e,
			     ENV("CPA_MANAGEMENT_KEY", "said",
				 "CPA_MANAGEMENT_KEY_FILE", gone)),
	    0);
	assert_string_equal(c.cpa_key, "said");
	cfg_free(&c);
}

/* a mistyped name must not look like "no secret" */
static void
named_secret_missing(void **state)
{
	struct cfg c;
	struct err e;
	char key[64], gone[64];

	(void)state;
	snprintf(key, sizeof key, "%s/key", dir);
	snprintf(gone, sizeof gone, "%s/gone", dir);
	put(key, " \n");
	put_secret(secrets, "from secrets");
	assert_int_equal(
	    load(&c, NULL, &e, ENV("CPA_MANAGEMENT_KEY_FILE", gone)), -1);
	assert_int_equal(e.kind, ERR_INPUT);
	assert_non_null(strstr(e.text, "CPA_MANAGEMENT_KEY_FILE"));
	assert_non_null(strstr(e.text, gone));
	assert_int_equal(
	    load(&c, NULL, &e, ENV("CPA_MANAGEMENT_KEY_FILE", key)), -1);
	assert_non_null(strstr(e.text, "is empty"));
	assert_int_equal(
	    load(&c, NULL, &e, ENV("CPA_MANAGEMENT_KEY_FILE", dir)), -1);
	assert_non_null(strstr(e.text, "Is a directory"));
	put(named_file, "{\"dataKeyFile\":\"gone\"}");
	assert_int_equal(
	    load(&c, NULL, &e, ENV("CPA_MANAGER_CONFIG", named_file)), -1);
	assert_non_null(strstr(e.text, "dataKeyFile"));
	assert_non_null(strstr(e.text, gone));
}

static void
values_that_are_wrong(void **state)
{
	static const struct {
		const char *variable, *value, *text;
	} cases[] = {
		{ "USAGE_BATCH_SIZE", "abc",
		    "USAGE_BATCH_SIZE: \"abc\" is not a whole number above 0" },
		{ "USAGE_BATCH_SIZE", "0",
		    "USAGE_BATCH_SIZE: \"0\" is not a whole number above 0" },
		{ "USAGE_RETENTION_DAYS", "-1",
		    "USAGE_RETENTION_DAYS: \"-1\" is not a whole number from "
		    "0 on" },
		{ "USAGE_DEAD_LETTER_DAYS", "month",
		    "USAGE_DEAD_LETTER_DAYS: \"month\" is not a whole number "
		    "from 0 on" },
		{ "USAGE_QUERY_LIMIT", "-5",
		    "USAGE_QUERY_LIMIT: \"-5\" is not a whole number above 0" },
		{ "USAGE_POLL_INTERVAL_MS", "1.5",
		    "USAGE_POLL_INTERVAL_MS: \"1.5\" is not a whole number "
		    "above 0" },
		{ "USAGE_IMPORT_CHUNK_BYTES", "99999999999999999999",
		    "USAGE_IMPORT_CHUNK_BYTES: \"99999999999999999999\" is not "
		    "a whole number above 0" },
		{ "CPA_MANAGER_ADMIN_KEY", "fifteen-letters",
		    "CPA_MANAGER_ADMIN_KEY (or its file): has 15 characters, "
		    "needs at least 16" },
		/* eight characters in 24 bytes */
		{ "CPA_MANAGER_ADMIN_KEY", "一二三四五六七八",
		    "CPA_MANAGER_ADMIN_KEY (or its file): has 8 characters, "
		    "needs at least 16" },
	};
	struct cfg c;
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(
		    load(&c, NULL, &e, ENV(cases[i].variable, cases[i].value)),
		    -1);
		assert_int_equal(e.kind, ERR_INPUT);
		assert_string_equal(e.text, cases[i].text);
		assert_null(c.data_dir);
	}
	assert_int_equal(load(&c, NULL, &e,
			     ENV("USAGE_COLLECTOR_MODE", "kafka",
				 "USAGE_RESP_POP_SIDE", "up")),
	    0);
	assert_int_equal(c.mode, MODE_AUTO);
	assert_string_equal(c.pop_side, "right");
	cfg_free(&c);
}

static void
files_that_are_wrong(void **state)
{
	static const struct {
		const char *file, *word;
	} cases[] = { { "", "" }, { "{", "" }, { "[]", "object" },
		{ "{} trailing", "" }, { "{\"batchSize\":\"5\"}", "batchSize" },
		{ "{\"batchSize\":0}", "batchSize" },
		{ "{\"batchSize\":1.5}", "batchSize" },
		{ "{\"retentionDays\":-1}", "retentionDays" },
		{ "{\"deadLetterDays\":\"30\"}", "deadLetterDays" },
		{ "{\"queue\":5}", "queue" },
		{ "{\"queue\":\"a\\u0000b\"}", "queue" },
		{ "{\"tlsSkipVerify\":\"yes\"}", "tlsSkipVerify" },
		{ "{\"quotaCooldownEnabled\":1}", "quotaCooldownEnabled" },
		{ "{\"corsOrigins\":\"*\"}", "corsOrigins" },
		{ "{\"corsOrigins\":[5]}", "corsOrigins" },
		{ "{\"adminKeyFile\":[]}", "adminKeyFile" } };
	struct cfg c;
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		put(named_file, cases[i].file);
		assert_int_equal(
		    load(&c, NULL, &e, ENV("CPA_MANAGER_CONFIG", named_file)),
		    -1);
		assert_int_equal(e.kind, ERR_INPUT);
		assert_non_null(strstr(e.text, named_file));
		assert_non_null(strstr(e.text, cases[i].word));
		assert_null(c.data_dir);
	}
}

static void
modes_by_name(void **state)
{
	(void)state;
	for (int m = MODE_AUTO; m <= MODE_SUBSCRIBE; m++)
		assert_int_equal(
		    collector_mode_parse(
			str_of(collector_mode_text((enum collector_mode)m))),
		    m);
	assert_int_equal(
	    collector_mode_parse(STR(" Subscribe\n")), MODE_SUBSCRIBE);
	assert_int_equal(collector_mode_parse(STR("")), MODE_AUTO);
}

/* the real entry point looks at the real places */
static void
process_configuration(void **state)
{
	struct cfg c;
	struct err e;

	(void)state;
	assert_int_equal(cfg_load(&c, "/somewhere", &e), 0);
	assert_string_equal(c.data_dir, "/somewhere");
	cfg_free(&c);
}

#define TEST(f) cmocka_unit_test_teardown(f, end_one)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nothing_said),
		TEST(everything_by_variable),
		TEST(everything_by_file),
		TEST(which_file),
		TEST(which_data_dir),
		TEST(where_secrets_are),
		TEST(named_secret_missing),
		TEST(values_that_are_wrong),
		TEST(files_that_are_wrong),
		TEST(modes_by_name),
		TEST(process_configuration),
	};

	return cmocka_run_group_tests_name("cfg", tests, start_all, end_all);
}
