/* The schema: made once, by one; and what is not ours is left as it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#undef fail /* lib/err.h has one of its own */

#include "db.h"
#include "test_dir.h"

#define STARTERS 8

/* A database of somebody else, made by SQLite alone. */
static void
make_foreign(const char *path, const char *sql, bool crash)
{
	sqlite3 *h;
	char *text = NULL;

	assert_int_equal(sqlite3_open(path, &h), SQLITE_OK);
	if (crash)
		sqlite3_db_config(h, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	if (sqlite3_exec(h, sql, NULL, NULL, &text) != SQLITE_OK)
		FAIL("%s\n", text);
	assert_int_equal(sqlite3_close(h), SQLITE_OK);
}

static int
start(const char *path, struct err *e)
{
	struct db db;
	int rc;

	err_clear(e);
	if ((rc = db_open(&db, path, DB_CREATE, e)) == 0)
		rc = db_migrate(&db, NULL, NULL, e);
	db_close(&db);
	return rc;
}

/* Refused with this code and text, nothing changed, nothing made beside it. */
static void
refused(const char *name, const char *code, const char *text)
{
	char path[PATH_MAX], side[PATH_MAX + 8];
	char *before[2], *after[2];
	size_t n[4];
	struct err e;

	snprintf(path, sizeof path, "%s", in_dir(name));
	snprintf(side, sizeof side, "%s-wal", path);
	before[0] = file_read(path, &n[0]);
	before[1] = file_read(side, &n[1]);
	assert_non_null(before[0]);
	assert_int_equal(start(path, &e), -1);
	assert_int_equal(e.kind, ERR_UNAVAILABLE);
	if (strcmp(err_code(&e), code) != 0 || strstr(e.text, text) == NULL ||
	    strstr(e.text, path) == NULL)
		FAIL("%s: %s\n", err_code(&e), e.text);
	after[0] = file_read(path, &n[2]);
	after[1] = file_read(side, &n[3]);
	assert_int_equal(n[0], n[2]);
	assert_memory_equal(before[0], after[0], n[0]);
	assert_int_equal(before[1] == NULL, after[1] == NULL);
	if (before[1] != NULL) {
		assert_int_equal(n[1], n[3]);
		assert_memory_equal(before[1], after[1], n[1]);
	}
	for (int i = 0; i < 2; i++) {
		free(before[i]);
		free(after[i]);
	}
}

static void
leaves_the_reference_alone(void **state)
{
	static const char schema[] =
	    "PRAGMA journal_mode = WAL;"
	    "CREATE TABLE usage_events (id INTEGER PRIMARY KEY AUTOINCREMENT,"
	    " event_hash TEXT NOT NULL UNIQUE, timestamp_ms INTEGER NOT NULL);"
	    "CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL,"
	    " updated_at_ms INTEGER NOT NULL);";
	static const char advice[] = "cpactl --data NEW migrate --from OLD";

	(void)state;
	make_foreign(in_dir("usage.sqlite"), schema, false);
	refused("usage.sqlite", "foreign_database", advice);
	assert_false(file_exists(in_dir("usage.sqlite-wal")));
	assert_false(file_exists(in_dir("usage.sqlite-shm")));

	/* stopped hard, with rows that only its WAL holds */
	make_foreign(in_dir("usage.sqlite"),
	    "INSERT INTO usage_events VALUES (1, 'x', 1)", true);
	assert_true(file_exists(in_dir("usage.sqlite-wal")));
	refused("usage.sqlite", "foreign_database", advice);

	/* stopped before its first checkpoint: all of it is in the WAL */
	make_foreign(in_dir("young.sqlite"), schema, true);
	refused("young.sqlite", "foreign_database", advice);
}

static void
leaves_other_databases_alone(void **state)
{
	static const char text[] = "a database of another program";

	(void)state;
	make_foreign(
	    in_dir("a.sqlite"), "CREATE TABLE songs (id INTEGER)", false);
	refused("a.sqlite", "foreign_database", text);
	make_foreign(in_dir("b.sqlite"),
	    "PRAGMA application_id = 7; PRAGMA user_version = 1", false);
	refused("b.sqlite", "foreign_database", text);
	make_foreign(in_dir("c.sqlite"), "PRAGMA user_version = 1", false);
	refused("c.sqlite", "foreign_database", text);
}

static void
refuses_a_newer_schema(void **state)
{
	char sql[64];
	struct err e;

	(void)state;
	assert_int_equal(start(in_dir("a.sqlite"), &e), 0);
	snprintf(
	    sql, sizeof sql, "PRAGMA user_version = %d", SCHEMA_VERSION + 1);
	make_foreign(in_dir("a.sqlite"), sql, false);
	refused("a.sqlite", "newer_database", "made by a newer version");
	/* the number may stand in the WAL only */
	snprintf(sql, sizeof sql, "PRAGMA user_version = %d", SCHEMA_VERSION);
	make_foreign(in_dir("a.sqlite"), sql, false);
	assert_int_equal(start(in_dir("a.sqlite"), &e), 0);
	snprintf(
	    sql, sizeof sql, "PRAGMA user_version = %d", SCHEMA_VERSION + 5);
	make_foreign(in_dir("a.sqlite"), sql, true);
	refused("a.sqlite", "newer_database", "made by a newer version");
}

static void
refuses_what_is_no_database(void **state)
{
	static const char text[] = "This is a text of more than a hundred "
				   "bytes, so that it might be taken for a "
				   "page of a database, which it is not.\n";
	char path[PATH_MAX];
	struct err e;
	char *p;
	size_t n;

	(void)state;
	file_write(in_dir("text.sqlite"), text, sizeof text - 1);
	refused("text.sqlite", "service_unavailable", "is not a database");

	/* a sound head, the rest overwritten */
	snprintf(path, sizeof path, "%s", in_dir("bad.sqlite"));
	assert_int_equal(start(path, &e), 0);
	p = file_read(path, &n);
	assert_non_null(p);
	assert_true(n > 8192);
	memset(p + 100, 0xa5, n - 100);
	file_write(path, p, n);
	free(p);
	refused("bad.sqlite", "service_unavailable", "is damaged");
	assert_int_equal(start(test_dir, &e), -1);
	assert_int_equal(e.kind, ERR_UNAVAILABLE);
}

static void
needs_the_schema_to_read(void **state)
{
	struct db db;
	struct err e;

	(void)state;
	file_write(in_dir("a.sqlite"), "", 0);
	assert_int_equal(db_open(&db, in_dir("a.sqlite"), DB_READ, &e), 0);
	assert_int_equal(db_schema_check(&db, &e), -1);
	assert_int_equal(e.kind, ERR_UNAVAILABLE);
	db_close(&db);
	assert_int_equal(start(in_dir("a.sqlite"), &e), 0);
	assert_int_equal(db_open(&db, in_dir("a.sqlite"), DB_READ, &e), 0);
	assert_int_equal(db_schema_check(&db, &e), 0);
	db_close(&db);
}

static int
refuse(struct db *db, int from_version, void *arg, struct err *e)
{
	(void)db;
	*(int *)arg = from_version + 1;
	return fail(e, ERR_INTERNAL, "not this time");
}

static void
failure_leaves_no_schema(void **state)
{
	struct db db;
	struct err e;
	int asked = 0;

	(void)state;
	assert_int_equal(db_open(&db, in_dir("a.sqlite"), DB_CREATE, &e), 0);
	assert_int_equal(db_migrate(&db, refuse, &asked, &e), -1);
	assert_string_equal(e.text, "not this time");
	assert_int_equal(asked, 1);
	assert_int_equal(db_schema_check(&db, &e), -1);
	assert_int_equal(db_migrate(&db, NULL, NULL, &e), 0);
	/* nothing to do: nobody is asked */
	assert_int_equal(db_migrate(&db, refuse, &asked, &e), 0);
	db_close(&db);
}

/* Each maker of the schema leaves a row; there must be one in the end. */
static int
leave_row(struct db *db, int from_version, void *arg, struct err *e)
{
	sqlite3_stmt *st = db_stmt(db, SQL_setting_put, e);
	char key[32];

	(void)from_version;
	(void)arg;
	snprintf(key, sizeof key, "maker %d", (int)getpid());
	db_bind_str(st, P_setting_put_key, str_of(key));
	db_bind_str(st, P_setting_put_value, STR("x"));
	db_bind_i64(st, P_setting_put_now_ms, 1);
	return db_exec(db, st, e);
}

static void
many_start_at_once(void **state)
{
	char path[PATH_MAX];
	pid_t pids[STARTERS];
	int gate[2], status;
	struct db db;
	struct err e;
	sqlite3_stmt *st;

	(void)state;
	snprintf(path, sizeof path, "%s", in_dir("a.sqlite"));
	assert_int_equal(pipe2(gate, O_CLOEXEC), 0);
	for (int i = 0; i < STARTERS; i++) {
		if ((pids[i] = fork()) != 0)
			continue;
		char c;

		/* all wait for the other end to close */
		close(gate[1]);
		if (read(gate[0], &c, 1) != 0)
			_exit(3);
		if (db_open(&db, path, DB_CREATE, &e) != 0 ||
		    db_migrate(&db, leave_row, NULL, &e) != 0) {
			dprintf(STDERR_FILENO, "%s\n", e.text);
			_exit(1);
		}
		db_close(&db);
		_exit(0);
	}
	close(gate[0]);
	close(gate[1]);
	for (int i = 0; i < STARTERS; i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	assert_int_equal(db_open(&db, path, DB_READ, &e), 0);
	assert_int_equal(db_schema_check(&db, &e), 0);
	assert_int_equal(sqlite3_prepare_v2(db.handle,
			     "SELECT count(*) FROM settings", -1, &st, NULL),
	    SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	assert_int_equal(sqlite3_column_int(st, 0), 1);
	sqlite3_finalize(st);
	db_close(&db);
}

int
main(void)
{
#define CASE(fn) \
	cmocka_unit_test_setup_teardown(fn, test_dir_make, test_dir_remove)
	const struct CMUnitTest tests[] = {
		CASE(leaves_the_reference_alone),
		CASE(leaves_other_databases_alone),
		CASE(refuses_a_newer_schema),
		CASE(refuses_what_is_no_database),
		CASE(needs_the_schema_to_read),
		CASE(failure_leaves_no_schema),
		CASE(many_start_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
