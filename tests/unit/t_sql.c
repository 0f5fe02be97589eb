/*
 * Every named statement can be prepared on a fresh schema, and none of them
 * reads all events by accident.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#undef fail /* lib/err.h has one of its own */

#include "db.h"
#include "test_dir.h"

/* Statements that requests and the intake run all the time. */
static const char *const hot[] = {
	"dict_get",
	"dict_add",
	"identity_get",
	"event_add",
	"dead_letter_add",
	"spool_position_put",
	"setting_get",
	"setting_put",
	"counter_get",
	"counter_add",
	"collector_state_get",
	"collector_state_put",
	"alias_put",
	"overview_range",
	"overview_since",
	"overview_newest",
	"usage_newest",
	"dict_text",
	"event_get",
	"events_descending",
};

/* These look at events as a whole, and why they may. */
static const struct {
	const char *prefix, *why;
} readers_of_all[] = {
	{ "ctl_", "run by hand, to look at everything" },
	{ "historical_data", "stops at the first row" },
};

static struct db db;

static int
open_db(void **state)
{
	struct err e;

	if (test_dir_make(state) != 0)
		return -1;
	if (db_open(&db, in_dir("a.sqlite"), DB_CREATE, &e) != 0 ||
	    db_migrate(&db, NULL, NULL, &e) != 0) {
		print_error("%s\n", e.text);
		return -1;
	}
	return 0;
}

static int
close_db(void **state)
{
	db_close(&db);
	return test_dir_remove(state);
}

static int
by_name(const char *name)
{
	for (int i = 0; i < SQL__MAX; i++)
		if (strcmp(stmt_name[i], name) == 0)
			return i;
	FAIL("no statement %s\n", name);
	return -1;
}

static bool
may_read_all(const char *name)
{
	for (size_t i = 0; i < sizeof readers_of_all / sizeof *readers_of_all;
	     i++)
		if (strncmp(name, readers_of_all[i].prefix,
			strlen(readers_of_all[i].prefix)) == 0)
			return true;
	return false;
}

/*
 * Rows of the plan that read a whole table; with `events` only that one,
 * which statements call events or e.
 */
static int
full_scans(const char *name, const char *sql, bool events)
{
	char *explain = sqlite3_mprintf("EXPLAIN QUERY PLAN %s", sql);
	sqlite3_stmt *st;
	int n = 0;

	if (sqlite3_prepare_v2(db.handle, explain, -1, &st, NULL) != SQLITE_OK)
		FAIL("%s: %s\n", name, sqlite3_errmsg(db.handle));
	while (sqlite3_step(st) == SQLITE_ROW) {
		const char *line = (const char *)sqlite3_column_text(st, 3);

		/* an index that gives the order is left at the LIMIT */
		if (strncmp(line, "SCAN ", 5) != 0 ||
		    strstr(line, "VIRTUAL TABLE") != NULL ||
		    strncmp(line, "SCAN CONSTANT", 13) == 0 ||
		    (strstr(line, " USING ") != NULL &&
			strstr(sql, "LIMIT") != NULL))
			continue;
		line += 5;
		if (events && strncmp(line, "events", 6) != 0 &&
		    strcmp(line, "e") != 0 && strncmp(line, "e ", 2) != 0)
			continue;
		print_error("%s: SCAN %s\n", name, line);
		n++;
	}
	sqlite3_finalize(st);
	sqlite3_free(explain);
	return n;
}

static void
all_can_be_prepared(void **state)
{
	int broken = 0;

	(void)state;
	for (int i = 0; i < SQL__MAX; i++) {
		struct err e;

		if (db_stmt(&db, (enum stmt_id)i, &e) != NULL)
			continue;
		print_error("%s: %s\n", stmt_name[i], e.text);
		broken++;
	}
	assert_int_equal(broken, 0);
}

/* The generated numbers are those that SQLite gives. */
static void
parameters_are_numbered(void **state)
{
	struct err e;
	sqlite3_stmt *st = db_stmt(&db, SQL_setting_put, &e);

	(void)state;
	assert_string_equal(
	    sqlite3_bind_parameter_name(st, P_setting_put_key), ":key");
	assert_string_equal(
	    sqlite3_bind_parameter_name(st, P_setting_put_value), ":value");
	assert_string_equal(
	    sqlite3_bind_parameter_name(st, P_setting_put_now_ms), ":now_ms");
	assert_int_equal(sqlite3_bind_parameter_count(st), 3);
	st = db_stmt(&db, SQL_event_add, &e);
	assert_string_equal(
	    sqlite3_bind_parameter_name(st, P_event_add_hash16), ":hash16");
	assert_string_equal(
	    sqlite3_bind_parameter_name(st, P_event_add_fail_status),
	    ":fail_status");
}

static void
nothing_scans_events(void **state)
{
	int scans = 0;

	(void)state;
	/* the check itself must see what it looks for */
	assert_int_equal(
	    full_scans("(check)", "SELECT sum(latency_ms) FROM events", true),
	    1);
	assert_int_equal(
	    full_scans("(check)", "SELECT 1 FROM events AS e, gaps", true), 1);
	for (int i = 0; i < SQL__MAX; i++)
		if (!may_read_all(stmt_name[i]))
			scans += full_scans(stmt_name[i], stmt_text[i], true);
	assert_int_equal(scans, 0);
}

static void
hot_statements_scan_nothing(void **state)
{
	int scans = 0;

	(void)state;
	for (size_t i = 0; i < sizeof hot / sizeof *hot; i++)
		scans += full_scans(hot[i], stmt_text[by_name(hot[i])], false);
	assert_int_equal(scans, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_can_be_prepared),
		cmocka_unit_test(parameters_are_numbered),
		cmocka_unit_test(nothing_scans_events),
		cmocka_unit_test(hot_statements_scan_nothing),
	};

	return cmocka_run_group_tests(tests, open_db, close_db);
}
