/* Our own calls to CPA, and the memory of a refused key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#undef fail /* lib/err.h has one of its own */

#include "arena.h"
#include "clock.h"
#include "cpa.h"
#include "settings.h"
#include "test_server.h"

static struct test_server server;
static char base[64];

/* What the server says to the next request. */
static const char *status_line, *headers, *body;

static bool
answer(struct test_server *s, int fd)
{
	char head[512];

	(void)s;
	snprintf(head, sizeof head,
	    "HTTP/1.1 %s\r\nContent-Length: %zu\r\n%s\r\n", status_line,
	    strlen(body), headers);
	test_server_say(fd, head);
	test_server_say(fd, body);
	return true;
}

static int
start(void **state)
{
	test_server_start(&server, answer);
	snprintf(base, sizeof base, "http://127.0.0.1:%d", server.port);
	status_line = "200 OK";
	headers = "X-CPA-VERSION: 7.2.1\r\n";
	body = "{}";
	*state = http_new(NULL);
	return *state == NULL;
}

static int
end(void **state)
{
	http_free(*state);
	test_server_end(&server);
	return 0;
}

static void
config_in_all_spellings(void **state)
{
	static const struct {
		const char *body;
		bool enabled, assumed;
		int64_t retention_s;
	} cases[] = {
		{ "{\"usage-statistics-enabled\":true,"
		  "\"redis-usage-queue-retention-seconds\":90}",
		    true, false, 90 },
		{ "{\"usageStatisticsEnabled\":\"Yes\","
		  "\"redisUsageQueueRetentionSeconds\":\" 30 \"}",
		    true, false, 30 },
		{ "{\"usage-statistics-enabled\":\"1\","
		  "\"redis-usage-queue-retention-seconds\":60.9}",
		    true, false, 60 },
		{ "{\"usage-statistics-enabled\":\"on\","
		  "\"redis-usage-queue-retention-seconds\":\"12.7\"}",
		    true, false, 12 },
		{ "{\"usage-statistics-enabled\":\"no\","
		  "\"redis-usage-queue-retention-seconds\":0}",
		    false, false, 0 },
		{ "{\"usage-statistics-enabled\":false,"
		  "\"redis-usage-queue-retention-seconds\":-5}",
		    false, false, -5 },
		{ "{\"usage-statistics-enabled\":null,"
		  "\"redis-usage-queue-retention-seconds\":null}",
		    false, true, 60 },
		{ "{\"usage-statistics-enabled\":1,"
		  "\"redis-usage-queue-retention-seconds\":\"soon\"}",
		    false, true, 60 },
		{ "{\"redis-usage-queue-retention-seconds\":1e300}", false,
		    true, 60 },
		{ "{\"redis-usage-queue-retention-seconds\":\"nan\"}", false,
		    true, 60 },
		{ "{\"redis-usage-queue-retention-seconds\":\"\"}", false, true,
		    60 },
		{ "{}", false, true, 60 },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct cpa_usage u;
		int status;

		body = cases[i].body;
		assert_int_equal(cpa_fetch_config(*state, base, "the key", 5000,
				     &u, &status, NULL),
		    0);
		assert_int_equal(status, 200);
		assert_int_equal(u.statistics_enabled, cases[i].enabled);
		assert_int_equal(u.retention_default, cases[i].assumed);
		assert_int_equal(u.retention_s, cases[i].retention_s);
		assert_string_equal(u.version, "7.2.1");
	}
	assert_memory_equal(
	    server.request, "GET /v0/management/config HTTP/1.1\r\n", 36);
	assert_non_null(
	    strstr(server.request, "\r\nAuthorization: Bearer the key\r\n"));
}

static void
config_refused(void **state)
{
	struct cpa_usage u;
	struct err e = { 0 };
	int status;

	status_line = "401 Unauthorized";
	body = "{\"error\":\"invalid management key\"}";
	assert_int_equal(
	    cpa_fetch_config(*state, base, "k", 5000, &u, &status, &e), -1);
	assert_int_equal(status, 401);
	assert_int_equal(e.kind, ERR_UPSTREAM);
	assert_string_equal(err_code(&e), "management_api_validation_failed");
	assert_string_equal(
	    e.text, "management API validation failed: 401 Unauthorized");
	assert_int_equal(u.retention_s, 60);

	status_line = "302 Found";
	headers = "Location: http://127.0.0.1:1/\r\n";
	assert_int_equal(
	    cpa_fetch_config(*state, base, "k", 5000, &u, &status, &e), -1);
	assert_int_equal(status, 0);
	assert_string_equal(err_code(&e), "request_failed");
}

static void
config_of_something_else(void **state)
{
	static const char *const bodies[] = { "", "<html>", "[]", "{" };
	struct cpa_usage u;
	struct err e = { 0 };
	int status;

	for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
		body = bodies[i];
		assert_int_equal(
		    cpa_fetch_config(*state, base, "k", 5000, &u, &status, &e),
		    -1);
		assert_int_equal(status, 200);
		assert_int_equal(e.kind, ERR_UPSTREAM);
		assert_string_equal(err_code(&e), "request_failed");
		assert_non_null(strstr(e.text, "is CPA at this address?"));
	}
}

static void
config_of_nobody(void **state)
{
	char nowhere[64], want[256];
	int port = test_free_port(), status = -1;
	struct cpa_usage u;
	struct err e = { 0 };

	snprintf(nowhere, sizeof nowhere, "http://127.0.0.1:%d", port);
	assert_int_equal(
	    cpa_fetch_config(*state, nowhere, "k", 5000, &u, &status, &e), -1);
	assert_int_equal(status, 0);
	assert_string_equal(err_code(&e), "request_failed");
	snprintf(want, sizeof want,
	    "Get \"%s/v0/management/config\": dial tcp 127.0.0.1:%d: connect: "
	    "connection refused",
	    nowhere, port);
	assert_string_equal(e.text, want);

	assert_int_equal(
	    cpa_fetch_config(*state, "http://[::1", "k", 5000, &u, &status, &e),
	    -1);
	assert_int_equal(e.kind, ERR_INPUT);
	assert_string_equal(err_code(&e), "request_failed");
}

static void
usage_switched_on(void **state)
{
	struct err e = { 0 };

	assert_int_equal(cpa_enable_usage(*state, base, "the key", &e), 0);
	assert_memory_equal(server.request,
	    "PUT /v0/management/usage-statistics-enabled HTTP/1.1\r\n", 54);
	assert_non_null(
	    strstr(server.request, "\r\nAuthorization: Bearer the key\r\n"));
	assert_non_null(
	    strstr(server.request, "\r\nContent-Type: application/json\r\n"));
	assert_non_null(strstr(server.request, "\r\n\r\n{\"value\":true}"));

	status_line = "403 Forbidden";
	assert_int_equal(cpa_enable_usage(*state, base, "the key", &e), -1);
	assert_int_equal(e.kind, ERR_UPSTREAM);
	assert_string_equal(err_code(&e), "enable_cpa_usage_statistics_failed");
	assert_string_equal(
	    e.text, "enable CPA usage statistics failed: 403 Forbidden");
}

/* ---- refused until --------------------------------------------------------
 */

static struct db db;
static char path[] = "/tmp/t_cpa.XXXXXX";
static int64_t now_ms;

static int64_t
test_clock(void)
{
	return now_ms;
}

static int
open_db(void **state)
{
	struct err e = { 0 };
	char file[64];

	(void)state;
	memcpy(path + sizeof path - 7, "XXXXXX", 6);
	if (mkdtemp(path) == NULL)
		return -1;
	snprintf(file, sizeof file, "%s/usage.sqlite", path);
	now_ms = 1800000000000;
	clock_set_source(test_clock);
	if (db_open(&db, file, DB_CREATE, &e) != 0 ||
	    db_migrate(&db, NULL, NULL, &e) != 0) {
		print_error("%s\n", e.text);
		return -1;
	}
	return 0;
}

static int
close_db(void **state)
{
	static const char *const names[] = { "", "-wal", "-shm" };
	char file[64];

	(void)state;
	db_close(&db);
	clock_set_source(NULL);
	for (int i = 0; i < 3; i++) {
		snprintf(
		    file, sizeof file, "%s/usage.sqlite%s", path, names[i]);
		unlink(file);
	}
	return rmdir(path);
}

static int64_t
refused(const char *url, const char *key)
{
	int64_t until;

	assert_int_equal(cpa_refused(&db, url, key, &until, NULL), 0);
	return until;
}

static void
refusal_remembered(void **state)
{
	const int64_t begin = now_ms;

	(void)state;
	assert_int_equal(refused("http://h", "k"), 0);
	assert_int_equal(cpa_set_refused(&db, "http://h", "k", NULL), 0);
	assert_int_equal(refused("http://h", "k"), begin + CPA_REFUSED_MS);

	/* another key, another CPA, and the same text divided elsewhere */
	assert_int_equal(refused("http://h", "K"), 0);
	assert_int_equal(refused("http://i", "k"), 0);
	assert_int_equal(refused("http://hk", ""), 0);

	now_ms = begin + CPA_REFUSED_MS - 1;
	assert_int_equal(refused("http://h", "k"), begin + CPA_REFUSED_MS);
	now_ms = begin + CPA_REFUSED_MS;
	assert_int_equal(refused("http://h", "k"), 0);
	/* a clock that was put back must not lock out for hours */
	now_ms = begin - 3600000;
	assert_int_equal(refused("http://h", "k"), 0);
}

static void
refusal_cleared(void **state)
{
	(void)state;
	assert_int_equal(cpa_clear_refused(&db, NULL), 0);
	assert_int_equal(cpa_set_refused(&db, "http://h", "k", NULL), 0);
	assert_int_equal(cpa_clear_refused(&db, NULL), 0);
	assert_int_equal(refused("http://h", "k"), 0);
	assert_int_equal(cpa_clear_refused(&db, NULL), 0);
}

static void
refusal_row_is_plain(void **state)
{
	struct arena a;
	struct str row;

	(void)state;
	arena_init(&a, 4096);
	assert_int_equal(cpa_set_refused(&db, "http://h", "the key", NULL), 0);
	assert_int_equal(setting_get(&db, "cpa_refused_v1", &a, &row, NULL), 0);
	assert_false(str_contains(row, STR("the key")));
	assert_true(str_contains(row, STR("\"untilMs\":1800000600000")));

	/* nonsense in the row costs one try, not an error */
	assert_int_equal(
	    setting_put(&db, "cpa_refused_v1", STR("nonsense"), NULL), 0);
	assert_int_equal(refused("http://h", "the key"), 0);
	assert_int_equal(setting_put(&db, "cpa_refused_v1",
			     STR("{\"digest\":5,\"untilMs\":\"x\"}"), NULL),
	    0);
	assert_int_equal(refused("http://h", "the key"), 0);
	arena_free(&a);
}

#define HTTP_TEST(f) cmocka_unit_test_setup_teardown(f, start, end)
#define DB_TEST(f) cmocka_unit_test_setup_teardown(f, open_db, close_db)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		HTTP_TEST(config_in_all_spellings),
		HTTP_TEST(config_refused),
		HTTP_TEST(config_of_something_else),
		HTTP_TEST(config_of_nobody),
		HTTP_TEST(usage_switched_on),
		DB_TEST(refusal_remembered),
		DB_TEST(refusal_cleared),
		DB_TEST(refusal_row_is_plain),
	};
	int rc;

	if (http_global_init(NULL) != 0)
		return 1;
	rc = cmocka_run_group_tests_name("cpa", tests, NULL, NULL);
	http_global_cleanup();
	return rc;
}
