/*
 * Upkeep on real files: exactly what is too old or too much goes, the counts
 * stay right, the file gets smaller, and each step is short.
 */
#include <string.h>

#include "clock.h"
#include "collectord/upkeep.h"
#include "test_store.h"

#define DAY_MS ((int64_t)24 * 60 * 60 * 1000)
#define MINUTE_MS ((int64_t)60 * 1000)

static struct db db;
static struct upkeep upkeep;
static struct cfg cfg;
static int64_t now_ms;

static int64_t
test_now(void)
{
	return now_ms;
}

static int
start(void **state)
{
	if (test_dir_make(state) != 0)
		return -1;
	open_store(&db, "a.sqlite");
	upkeep = (struct upkeep){ .phase = UPKEEP_REST };
	cfg = (struct cfg){ .dead_letter_days = 30 };
	now_ms = 1000 * DAY_MS;
	clock_set_source(test_now);
	return 0;
}

static int
end(void **state)
{
	clock_set_source(NULL);
	db_close(&db);
	return test_dir_remove(state);
}

/* n events from `age_ms` ago on, `step_ms` apart, each with a detail. */
static void
put_events(int n, int64_t age_ms, int64_t step_ms)
{
	char sql[2048];

	snprintf(sql, sizeof sql,
	    "WITH RECURSIVE c(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM c "
	    "WHERE i + 1 < %d) INSERT INTO events SELECT NULL, 1, %lld + i * "
	    "%lld, 0, randomblob(16), NULL, NULL, 0, randomblob(8), 0, 0, 0, "
	    "0, "
	    "0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, NULL, 1, 2, 3, 4, 5, "
	    "6, 7, 8, NULL, NULL, NULL FROM c",
	    n, (long long)(now_ms - age_ms), (long long)step_ms);
	run_sql(&db, "BEGIN");
	run_sql(&db, sql);
	run_sql(&db, "INSERT INTO event_detail SELECT id, 0, randomblob(80) "
		     "FROM events WHERE id NOT IN "
		     "(SELECT event_id FROM event_detail)");
	run_sql(&db, "UPDATE counters SET value = "
		     "(SELECT count(*) FROM events) WHERE name = 'events'");
	run_sql(&db, "COMMIT");
}

static void
put_letters(int n, int64_t age_ms, int bytes)
{
	char sql[512];

	snprintf(sql, sizeof sql,
	    "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c "
	    "WHERE i < %d) INSERT INTO dead_letters SELECT NULL, %lld, 'r', "
	    "randomblob(%d), randomblob(32) FROM c",
	    n, (long long)(now_ms - age_ms), bytes);
	run_sql(&db, "BEGIN");
	run_sql(&db, sql);
	run_sql(&db,
	    "UPDATE counters SET value = (SELECT count(*) FROM dead_letters) "
	    "WHERE name = 'dead_letters'");
	run_sql(&db, "COMMIT");
}

static int64_t
count(const char *table)
{
	char sql[64];

	snprintf(sql, sizeof sql, "SELECT count(*) FROM %s", table);
	return figure(&db, sql);
}

static void
expect(int64_t events, int64_t letters)
{
	assert_int_equal(count("events"), events);
	assert_int_equal(count("event_detail"), events);
	assert_int_equal(count("dead_letters"), letters);
	assert_int_equal(figure(&db, "SELECT value FROM counters WHERE name = "
				     "'events'"),
	    events);
	assert_int_equal(figure(&db, "SELECT value FROM counters WHERE name = "
				     "'dead_letters'"),
	    letters);
	assert_int_equal(
	    figure(&db, "SELECT count(*) FROM event_detail WHERE event_id NOT "
			"IN (SELECT id FROM events)"),
	    0);
}

/* A step with no pause before it.  Returns what it says. */
static int
step(bool idle)
{
	struct err e;
	int rc;

	upkeep.idle_ms = upkeep.load_ms = upkeep.letters_ms = 0;
	if ((rc = upkeep_step(&upkeep, &db, &cfg, idle, &e)) < 0)
		FAIL("%s", e.text);
	return rc;
}

/* Until nothing is left; returns the number of steps. */
static int
run_round(void)
{
	int n = 1;

	while (step(true) == 1)
		n++;
	return n;
}

static void
nothing_is_removed_by_default(void **state)
{
	(void)state;
	put_events(2000, 900 * DAY_MS, MINUTE_MS);
	put_letters(50, 29 * DAY_MS, 100);
	run_round();
	now_ms += 20 * MINUTE_MS;
	run_round();
	expect(2000, 50);
	assert_int_equal(count("gaps"), 0);
}

static void
exactly_what_is_too_old_goes(void **state)
{
	(void)state;
	cfg.retention_days = 7;
	/* to the minute: 100 too old, one of exactly seven days, 100 newer */
	put_events(201, 7 * DAY_MS + 100 * MINUTE_MS, MINUTE_MS);
	/* and what came late stands at the end */
	put_events(3000, 50 * DAY_MS, 10);
	run_round();
	expect(101, 0);
	assert_int_equal(
	    figure(&db, "SELECT min(ts_ms) FROM events"), now_ms - 7 * DAY_MS);
	/* nothing before ten minutes have passed, then ten more */
	now_ms += 9 * MINUTE_MS;
	run_round();
	expect(101, 0);
	now_ms += MINUTE_MS;
	run_round();
	expect(91, 0);
	/* a clock that was put back removes nothing and stops nothing */
	now_ms -= 3 * DAY_MS;
	run_round();
	expect(91, 0);
	now_ms += 10 * MINUTE_MS + 2 * DAY_MS;
	run_round();
	expect(91, 0);
	now_ms += 9 * DAY_MS;
	run_round();
	expect(0, 0);
}

/* More days than there have been is as good as for ever. */
static void
a_limit_beyond_all_time_removes_nothing(void **state)
{
	(void)state;
	cfg.retention_days = cfg.dead_letter_days = INT64_MAX;
	put_events(10, 999 * DAY_MS, 1);
	put_letters(10, 999 * DAY_MS, 1);
	run_round();
	expect(10, 10);
}

static int64_t
file_bytes(const char *name)
{
	struct stat st;

	return stat(in_dir(name), &st) == 0 ? st.st_size : -1;
}

static void
room_is_given_back_in_short_steps(void **state)
{
	int n = 0, rc, long_ones = 0;
	int64_t before, pages;

	(void)state;
	put_events(60000, 30 * DAY_MS, 40 * 1000);
	run_sql(&db, "PRAGMA wal_checkpoint(TRUNCATE)");
	before = file_bytes("a.sqlite");
	pages = figure(&db, "PRAGMA page_count");
	assert_int_equal(pages * 4096, before);
	cfg.retention_days = 6;
	do {
		int64_t begun_ms = clock_mono_ms(), events = count("events"),
			free_pages = figure(&db, "PRAGMA freelist_count");

		begun_ms = clock_mono_ms();
		rc = step(n % 2 == 0);
		long_ones += clock_mono_ms() - begun_ms > 50;
		/* whatever the machine: this many rows and pages at most */
		assert_true(events - count("events") <= 512);
		assert_true(
		    free_pages - figure(&db, "PRAGMA freelist_count") <= 264);
		n++;
	} while (rc == 1);
	/* a busy machine may hold up some of them */
	assert_true(long_ones <= n / 5);
	assert_true(n >= 50);
	expect(60000 - 24 * 24 * 60 * 60 / 40, 0);
	assert_true(figure(&db, "PRAGMA freelist_count") <= 64);
	run_sql(&db, "PRAGMA wal_checkpoint(TRUNCATE)");
	assert_true(file_bytes("a.sqlite") < before / 3);
	assert_int_equal(figure(&db, "SELECT count(*) FROM "
				     "pragma_integrity_check WHERE "
				     "integrity_check <> 'ok'"),
	    0);
}

static void
letters_go_by_age(void **state)
{
	(void)state;
	put_letters(40, 31 * DAY_MS, 10);
	/* a clock that was wrong for a while: they stand before older ones */
	put_letters(5, -400 * DAY_MS, 10);
	put_letters(30, 30 * DAY_MS + 1, 10);
	put_letters(20, 30 * DAY_MS, 10);
	run_round();
	expect(0, 25);
	cfg.dead_letter_days = 0;
	now_ms += 800 * DAY_MS;
	run_round();
	expect(0, 25);
}

static void
letters_go_by_number(void **state)
{
	(void)state;
	put_letters(10000, 0, 10);
	run_round();
	expect(0, 10000);
	put_letters(300, 0, 10);
	now_ms += 10 * MINUTE_MS;
	run_round();
	expect(0, 10000);
	assert_int_equal(figure(&db, "SELECT min(id) FROM dead_letters"), 301);
	/* so many are seen to at once */
	put_letters(500, 0, 10);
	run_round();
	expect(0, 10000);
	assert_int_equal(figure(&db, "SELECT min(id) FROM dead_letters"), 801);
}

static void
letters_go_by_bytes(void **state)
{
	(void)state;
	put_letters(200, 0, 65536);
	put_letters(100, 0, 65536);
	run_round();
	expect(0, 256);
	assert_int_equal(figure(&db, "SELECT min(id) FROM dead_letters"), 45);
	assert_true(figure(&db, "PRAGMA freelist_count") <= 64);
	/* one more byte costs one of the large ones */
	put_letters(1, 0, 1);
	now_ms += 10 * MINUTE_MS;
	run_round();
	expect(0, 256);
}

static void
a_pause_follows_and_is_longer_under_load(void **state)
{
	struct err e;
	int64_t begun_ms;

	(void)state;
	cfg.retention_days = 1;
	put_events(5000, 30 * DAY_MS, 1);
	assert_int_equal(step(true), 1);
	begun_ms = clock_mono_ms();
	assert_int_equal(step(true), 1);
	assert_true(upkeep.idle_ms >= begun_ms);
	assert_true(upkeep.load_ms >= upkeep.idle_ms);
	/* too early: nothing is done, and it says that there is more */
	upkeep.load_ms = clock_mono_ms() + 60000;
	begun_ms = count("events");
	assert_int_equal(upkeep_step(&upkeep, &db, &cfg, false, &e), 1);
	assert_int_equal(count("events"), begun_ms);
}

/* Somebody else is writing: no error, no long wait, and later it goes on. */
static void
a_lock_is_no_error(void **state)
{
	struct db other;
	int64_t begun_ms;
	struct err e;

	(void)state;
	cfg.retention_days = 1;
	put_events(100, 30 * DAY_MS, 1);
	assert_int_equal(db_open(&other, in_dir("a.sqlite"), DB_WRITE, &e), 0);
	assert_int_equal(db_begin(&other, &e), 0);
	assert_int_equal(step(true), 1);
	begun_ms = clock_mono_ms();
	assert_int_equal(step(true), 0);
	assert_true(clock_mono_ms() - begun_ms < 1000);
	assert_int_equal(upkeep_step(&upkeep, &db, &cfg, true, &e), 1);
	expect(100, 0);
	db_rollback(&other);
	run_round();
	expect(0, 0);
	db_close(&other);
}

static void
what_cannot_be_removed_ends_the_round(void **state)
{
	struct err e;

	(void)state;
	cfg.retention_days = 1;
	put_events(100, 30 * DAY_MS, 1);
	run_sql(&db, "CREATE TRIGGER no BEFORE DELETE ON events WHEN OLD.id = "
		     "50 BEGIN SELECT raise(ABORT, 'not this one'); END");
	assert_int_equal(step(true), 1);
	upkeep.idle_ms = 0;
	assert_int_equal(upkeep_step(&upkeep, &db, &cfg, true, &e), -1);
	assert_non_null(strstr(e.text, "not this one"));
	expect(100, 0);
	assert_int_equal(step(true), 0);
	run_sql(&db, "DROP TRIGGER no");
	now_ms += 10 * MINUTE_MS;
	run_round();
	expect(0, 0);
}

/* ---- the WAL ---- */

static struct db reader;

static void
begin_reading(void)
{
	struct err e;

	if (reader.handle == NULL)
		assert_int_equal(
		    db_open(&reader, in_dir("a.sqlite"), DB_READ, &e), 0);
	run_sql(&reader, "BEGIN");
	assert_true(figure(&reader, "SELECT count(*) FROM events") >= 0);
}

static void
grow_wal(int64_t bytes)
{
	while (file_bytes("a.sqlite-wal") < bytes)
		put_events(2000, 0, 1);
}

static void
a_wal_that_readers_held_up_shrinks_at_rest(void **state)
{
	const int64_t mib = 1024 * 1024;

	(void)state;
	put_events(100, 0, 1);
	begin_reading();
	grow_wal(34 * mib);
	assert_true(db.wal_pages * 4120 > 34 * mib);
	/* while the reader is there, nothing can be done, and nobody waits */
	(void)step(true);
	assert_true(file_bytes("a.sqlite-wal") >= 34 * mib);
	run_sql(&reader, "COMMIT");
	begin_reading();
	/* it begins anew under load as soon as the old reader has gone: the
	 * new one reads the database itself */
	upkeep.wal.tried_ms = 0;
	run_sql(&reader, "COMMIT");
	(void)step(false);
	assert_int_equal(db.wal_pages, 0);
	put_events(100, 0, 1);
	assert_true(db.wal_pages < 1000);
	/* at rest the file is cut */
	upkeep.wal.tried_ms = 0;
	(void)step(true);
	assert_true(file_bytes("a.sqlite-wal") < mib);
	db_close(&reader);
}

static void
batches_wait_for_a_reader_but_not_for_ever(void **state)
{
	const int64_t mib = 1024 * 1024;

	(void)state;
	put_events(100, 0, 1);
	assert_false(wal_hold(&upkeep.wal, &db));
	begin_reading();
	grow_wal(49 * mib);
	assert_true(wal_hold(&upkeep.wal, &db));
	assert_true(wal_hold(&upkeep.wal, &db));
	upkeep.wal.held_ms -= 11000;
	assert_false(wal_hold(&upkeep.wal, &db));
	assert_false(wal_hold(&upkeep.wal, &db));
	/* once the WAL has begun anew, batches may wait again */
	run_sql(&reader, "COMMIT");
	put_events(100, 0, 1);
	put_events(100, 0, 1);
	assert_true(db.wal_pages < 1000);
	assert_false(wal_hold(&upkeep.wal, &db));
	begin_reading();
	grow_wal(49 * mib);
	while (db.wal_pages * 4120 < 49 * mib)
		put_events(2000, 0, 1);
	assert_true(wal_hold(&upkeep.wal, &db));
	run_sql(&reader, "COMMIT");
	upkeep.wal.tried_ms = 0;
	assert_false(wal_hold(&upkeep.wal, &db));
	db_close(&reader);
}

int
main(void)
{
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, start, end)
	const struct CMUnitTest tests[] = {
		CASE(nothing_is_removed_by_default),
		CASE(exactly_what_is_too_old_goes),
		CASE(a_limit_beyond_all_time_removes_nothing),
		CASE(room_is_given_back_in_short_steps),
		CASE(letters_go_by_age),
		CASE(letters_go_by_number),
		CASE(letters_go_by_bytes),
		CASE(a_pause_follows_and_is_longer_under_load),
		CASE(a_lock_is_no_error),
		CASE(what_cannot_be_removed_ends_the_round),
		CASE(a_wal_that_readers_held_up_shrinks_at_rest),
		CASE(batches_wait_for_a_reader_but_not_for_ever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
