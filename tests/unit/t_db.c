/* Opening, connection settings, statements, transactions, error texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#undef fail /* lib/err.h has one of its own */

#include "clock.h"
#include "db.h"
#include "db_impl.h"
#include "test_dir.h"

#define NOBODY 65534

static int64_t
number(struct db *db, const char *sql)
{
	sqlite3_stmt *st;
	int64_t v;

	assert_int_equal(
	    sqlite3_prepare_v2(db->handle, sql, -1, &st, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	v = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return v;
}

static void
run(struct db *db, const char *sql)
{
	char *text = NULL;

	if (sqlite3_exec(db->handle, sql, NULL, NULL, &text) != SQLITE_OK)
		FAIL("%s: %s\n", sql, text);
}

static void
open_fresh(struct db *db, const char *path)
{
	struct err e;

	err_clear(&e);
	if (db_open(db, path, DB_CREATE, &e) != 0 ||
	    db_migrate(db, NULL, NULL, &e) != 0)
		FAIL("%s\n", e.text);
}

static void
put(struct db *db, const char *key, const char *value)
{
	struct err e;
	sqlite3_stmt *st = db_stmt(db, SQL_setting_put, &e);

	assert_non_null(st);
	db_bind_str(st, P_setting_put_key, str_of(key));
	db_bind_str(st, P_setting_put_value, str_of(value));
	db_bind_i64(st, P_setting_put_now_ms, 1);
	assert_int_equal(db_exec(db, st, &e), 0);
}

static void
sets_every_connection(void **state)
{
	static const struct {
		const char *sql;
		int64_t value;
	} wanted[] = {
		{ "PRAGMA page_size", 4096 },
		{ "PRAGMA auto_vacuum", 2 },
		{ "PRAGMA application_id", DB_APPLICATION_ID },
		{ "PRAGMA user_version", SCHEMA_VERSION },
		{ "PRAGMA synchronous", 2 },
		{ "PRAGMA foreign_keys", 1 },
		{ "PRAGMA secure_delete", 1 },
		{ "PRAGMA temp_store", 2 },
		{ "PRAGMA cell_size_check", 1 },
		{ "PRAGMA cache_size", -1024 },
		{ "PRAGMA journal_size_limit", 64 * 1024 * 1024 },
		{ "SELECT journal_mode = 'wal' FROM pragma_journal_mode", 1 },
	};
	const enum db_mode modes[] = { DB_CREATE, DB_WRITE, DB_READ };
	struct db db;
	struct err e;

	(void)state;
	open_fresh(&db, in_dir("a.sqlite"));
	db_close(&db);
	for (size_t m = 0; m < 3; m++) {
		int on = -1;

		assert_int_equal(
		    db_open(&db, in_dir("a.sqlite"), modes[m], &e), 0);
		for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
			if (number(&db, wanted[i].sql) != wanted[i].value)
				FAIL("mode %zu: %s\n", m, wanted[i].sql);
		assert_int_equal(
		    number(&db, "PRAGMA query_only"), modes[m] == DB_READ);
		sqlite3_db_config(
		    db.handle, SQLITE_DBCONFIG_DEFENSIVE, -1, &on);
		assert_int_equal(on, 1);
		sqlite3_db_config(
		    db.handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, -1, &on);
		assert_int_equal(on, 0);
		sqlite3_db_config(db.handle, SQLITE_DBCONFIG_DQS_DML, -1, &on);
		assert_int_equal(on, 0);
		db_close(&db);
	}
}

static void
reader_cannot_write(void **state)
{
	struct db db;
	struct err e;
	sqlite3_stmt *st;

	(void)state;
	open_fresh(&db, in_dir("a.sqlite"));
	db_close(&db);
	assert_int_equal(db_open(&db, in_dir("a.sqlite"), DB_READ, &e), 0);
	assert_int_equal(db_schema_check(&db, &e), 0);
	st = db_stmt(&db, SQL_setting_put, &e);
	assert_non_null(st);
	db_bind_str(st, P_setting_put_key, STR("k"));
	db_bind_str(st, P_setting_put_value, STR("v"));
	db_bind_i64(st, P_setting_put_now_ms, 1);
	assert_int_equal(db_exec(&db, st, &e), -1);
	assert_int_equal(e.kind, ERR_UNAVAILABLE);
	db_close(&db);
}

static void
needs_the_file(void **state)
{
	struct db db;
	struct err e;

	(void)state;
	for (int m = DB_READ; m <= DB_WRITE; m++) {
		assert_int_equal(
		    db_open(&db, in_dir("no.sqlite"), (enum db_mode)m, &e), -1);
		assert_int_equal(e.kind, ERR_UNAVAILABLE);
		assert_non_null(strstr(e.text, "no.sqlite"));
		assert_null(db.handle);
		assert_false(file_exists(in_dir("no.sqlite")));
	}
}

static void
rolls_back_and_commits(void **state)
{
	struct db db, other;
	struct err e;
	int64_t before, after;

	(void)state;
	open_fresh(&db, in_dir("a.sqlite"));
	assert_int_equal(db_open(&other, in_dir("a.sqlite"), DB_READ, &e), 0);
	assert_int_equal(db_data_version(&other, &before, &e), 0);

	assert_int_equal(db_begin(&db, &e), 0);
	assert_true(db.in_transaction);
	put(&db, "gone", "1");
	db_rollback(&db);
	assert_false(db.in_transaction);
	db_rollback(&db);
	assert_int_equal(number(&db, "SELECT count(*) FROM settings"), 0);
	assert_int_equal(db_data_version(&other, &after, &e), 0);
	assert_int_equal(after, before);

	assert_int_equal(db_begin(&db, &e), 0);
	put(&db, "kept", "1");
	assert_int_equal(db_commit(&db, &e), 0);
	assert_false(db.in_transaction);
	assert_int_equal(number(&other, "SELECT count(*) FROM settings"), 1);
	assert_int_equal(db_data_version(&other, &after, &e), 0);
	assert_int_not_equal(after, before);
	db_close(&other);
	db_close(&db);
}

/* As long as nobody else can write, and no longer. */
static void
the_longest_transaction_is_kept(void **state)
{
	struct db db;
	struct err e;

	(void)state;
	open_fresh(&db, in_dir("a.sqlite"));
	db.slowest_ms = 0;
	assert_int_equal(db_begin(&db, &e), 0);
	usleep(30000);
	put(&db, "k", "1");
	assert_int_equal(db_commit(&db, &e), 0);
	assert_in_range(db.slowest_ms, 30, 2000);
	/* what is undone counts as well, what comes between does not */
	db.slowest_ms = 0;
	assert_int_equal(db_begin(&db, &e), 0);
	usleep(10000);
	db_rollback(&db);
	assert_in_range(db.slowest_ms, 10, 2000);
	db.slowest_ms = 0;
	usleep(30000);
	put(&db, "k", "2");
	db_rollback(&db);
	assert_int_equal(db.slowest_ms, 0);
	db_close(&db);
}

/* The WAL is copied back at commits and begins anew while nobody reads. */
static void
the_wal_stays_small_by_itself(void **state)
{
	struct db db, reader;
	int64_t most = 0;
	struct err e;

	(void)state;
	open_fresh(&db, in_dir("a.sqlite"));
	run(&db, "CREATE TABLE filler (x)");
	assert_true(db.wal_pages > 0);
	for (int i = 0; i < 30; i++) {
		run(&db, "INSERT INTO filler VALUES (randomblob(800000))");
		most = db.wal_pages > most ? db.wal_pages : most;
	}
	assert_in_range(most, 1000, 1500);
	assert_int_equal(db_open(&reader, in_dir("a.sqlite"), DB_READ, &e), 0);
	run(&reader, "BEGIN");
	assert_int_equal(number(&reader, "SELECT count(*) FROM filler"), 30);
	for (int i = 0; i < 30; i++)
		run(&db, "INSERT INTO filler VALUES (randomblob(800000))");
	assert_true(db.wal_pages > 5000);
	db_close(&reader);
	run(&db, "INSERT INTO filler VALUES (1)");
	run(&db, "INSERT INTO filler VALUES (1)");
	assert_true(db.wal_pages < 1000);
	db_close(&db);
}

static void
statements_are_reused_clean(void **state)
{
	struct db db;
	struct err e;
	sqlite3_stmt *first, *again;

	(void)state;
	open_fresh(&db, in_dir("a.sqlite"));
	put(&db, "k", "with \"quotes\" and \303\251");
	first = db_stmt(&db, SQL_setting_get, &e);
	db_bind_str(first, P_setting_get_key, STR("k"));
	assert_int_equal(db_step(&db, first, &e), 1);
	assert_true(
	    str_eq(db_col_str(first, 0), STR("with \"quotes\" and \303\251")));
	/* no binding of the last use may be left */
	again = db_stmt(&db, SQL_setting_get, &e);
	assert_ptr_equal(first, again);
	assert_int_equal(db_step(&db, again, &e), 0);
	db_close(&db);
	db_close(&db);
}

static void
locked_database_says_so(void **state)
{
	struct db holder, db;
	struct err e;

	(void)state;
	open_fresh(&holder, in_dir("a.sqlite"));
	assert_int_equal(db_open(&db, in_dir("a.sqlite"), DB_WRITE, &e), 0);
	db_set_busy(&db, 20);
	assert_int_equal(db_begin(&holder, &e), 0);
	assert_int_equal(db_begin(&db, &e), -1);
	assert_int_equal(e.kind, ERR_UNAVAILABLE);
	assert_non_null(strstr(e.text, "a.sqlite is locked"));
	assert_false(db.in_transaction);
	/* readers go on */
	assert_int_equal(number(&db, "SELECT count(*) FROM settings"), 0);
	db_rollback(&holder);
	assert_int_equal(db_begin(&db, &e), 0);
	db_rollback(&db);
	db_close(&db);
	db_close(&holder);
}

static void
full_database_says_so(void **state)
{
	struct db db;
	struct err e;
	sqlite3_stmt *st;

	(void)state;
	open_fresh(&db, in_dir("a.sqlite"));
	run(&db, "PRAGMA max_page_count = 1");
	assert_int_equal(db_begin(&db, &e), 0);
	st = db_stmt(&db, SQL_setting_put, &e);
	db_bind_str(st, P_setting_put_key, STR("k"));
	db_bind_blob(st, P_setting_put_value, NULL, 0);
	db_bind_i64(st, P_setting_put_now_ms, 1);
	sqlite3_bind_text(st, P_setting_put_value,
	    sqlite3_mprintf("%*s", 400000, "x"), -1, sqlite3_free);
	assert_int_equal(db_exec(&db, st, &e), -1);
	assert_int_equal(e.kind, ERR_UNAVAILABLE);
	assert_non_null(strstr(e.text, "the disk is full"));
	db_rollback(&db);
	assert_int_equal(number(&db, "SELECT count(*) FROM settings"), 0);
	db_close(&db);
}

static void
deadline_stops_a_statement(void **state)
{
	static const char endless[] =
	    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
	    "SELECT count(*) FROM n";
	struct db db;
	struct err e;
	int64_t start = clock_mono_ms();

	(void)state;
	open_fresh(&db, in_dir("a.sqlite"));
	db_deadline(&db, clock_mono_ms() + 30);
	assert_int_equal(
	    sqlite3_exec(db.handle, endless, NULL, NULL, NULL) & 0xff,
	    SQLITE_INTERRUPT);
	assert_int_equal(db_fail(&db, "report", &e), -1);
	assert_int_equal(e.kind, ERR_UNAVAILABLE);
	assert_true(clock_mono_ms() - start < 5000);
	db_deadline(&db, 0);
	assert_int_equal(number(&db, "SELECT 7"), 7);
	db_close(&db);
}

/* Root may write anywhere: become somebody who may not. */
static int
open_as_nobody(void *arg)
{
	struct db db;
	struct err e;

	if (setresgid(NOBODY, NOBODY, NOBODY) != 0 ||
	    setresuid(NOBODY, NOBODY, NOBODY) != 0)
		return 9;
	if (db_open(&db, arg, DB_WRITE, &e) == 0)
		return 1;
	if (e.kind != ERR_UNAVAILABLE || strstr(e.text, arg) == NULL ||
	    strstr(e.text, "writable for this user") == NULL)
		return 2;
	/* a fresh one cannot be made either */
	if (db_open(&db, in_dir("b.sqlite"), DB_CREATE, &e) == 0)
		return 3;
	return e.kind == ERR_UNAVAILABLE ? 0 : 4;
}

static void
read_only_directory_says_so(void **state)
{
	char path[PATH_MAX];
	struct db db;
	int rc;

	(void)state;
	snprintf(path, sizeof path, "%s", in_dir("a.sqlite"));
	open_fresh(&db, path);
	db_close(&db);
	assert_int_equal(chmod(path, 0444), 0);
	assert_int_equal(chmod(test_dir, 0555), 0);
	rc = geteuid() == 0 ? in_child(open_as_nobody, path) : 0;
	if (geteuid() != 0) {
		struct err e;

		assert_int_equal(db_open(&db, path, DB_WRITE, &e), -1);
		assert_int_equal(e.kind, ERR_UNAVAILABLE);
	}
	assert_int_equal(chmod(test_dir, 0700), 0);
	assert_int_equal(rc, 0);
}

/*
 * kill -9 while a checkpoint is at work leaves a file that makes no sense
 * without its WAL: its first page is new and tells of pages that are not
 * there yet.
 */
static void
a_checkpoint_that_was_cut_short_is_no_damage(void **state)
{
	char *before, *wal, *after;
	size_t n_before, n_wal, n_after;
	struct db db;
	struct err e;

	(void)state;
	open_fresh(&db, in_dir("whole.sqlite"));
	run(&db, "PRAGMA wal_checkpoint(TRUNCATE)");
	before = file_read(in_dir("whole.sqlite"), &n_before);
	run(&db, "PRAGMA wal_autocheckpoint = 0");
	run(&db, "CREATE TABLE filler (x)");
	run(&db, "INSERT INTO filler SELECT zeroblob(100000) FROM counters");
	put(&db, "a", "1");
	wal = file_read(in_dir("whole.sqlite-wal"), &n_wal);
	run(&db, "PRAGMA wal_checkpoint(TRUNCATE)");
	after = file_read(in_dir("whole.sqlite"), &n_after);
	db_close(&db);
	assert_true(n_after > n_before && n_wal > 0);
	memcpy(before, after, 4096);
	file_write(in_dir("cut.sqlite"), before, n_before);
	file_write(in_dir("cut.sqlite-wal"), wal, n_wal);
	free(before);
	free(wal);
	free(after);
	if (db_open(&db, in_dir("cut.sqlite"), DB_WRITE, &e) != 0 ||
	    db_migrate(&db, NULL, NULL, &e) != 0)
		FAIL("%s\n", e.text);
	assert_int_equal(
	    number(&db, "SELECT sum(length(x)) FROM filler"), 200000);
	assert_int_equal(
	    number(&db, "SELECT count(*) FROM settings WHERE key = 'a'"), 1);
	db_close(&db);
}

int
main(void)
{
#define CASE(fn) \
	cmocka_unit_test_setup_teardown(fn, test_dir_make, test_dir_remove)
	const struct CMUnitTest tests[] = {
		CASE(sets_every_connection),
		CASE(reader_cannot_write),
		CASE(needs_the_file),
		CASE(rolls_back_and_commits),
		CASE(the_longest_transaction_is_kept),
		CASE(the_wal_stays_small_by_itself),
		CASE(statements_are_reused_clean),
		CASE(locked_database_says_so),
		CASE(full_database_says_so),
		CASE(deadline_stops_a_statement),
		CASE(read_only_directory_says_so),
		CASE(a_checkpoint_that_was_cut_short_is_no_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
