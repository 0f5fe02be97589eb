/*
 * Schema: numbered steps, applied in one transaction by whoever starts first.
 * user_version is the number of the newest step; a database that is not ours
 * is left as it is.
 */
#include "db_impl.h"

#include <stdio.h>
#include <time.h>

#define WAL_TRIES 500 /* of 10 ms */

/* The single number that a pragma or a count answers. */
static int
one_number(struct db *db, sqlite3_stmt *st, int64_t *out, struct err *e)
{
	int rc;

	if (st == NULL || (rc = db_step(db, st, e)) < 0)
		return -1;
	*out = rc == 1 ? db_col_i64(st, 0) : 0;
	db_reset(st);
	return 0;
}

static int
count_tables(struct db *db, const char *glob, int64_t *n, struct err *e)
{
	sqlite3_stmt *st = db_stmt(db, SQL_meta_tables_glob, e);

	if (st == NULL)
		return -1;
	db_bind_str(st, P_meta_tables_glob_name, str_of(glob));
	return one_number(db, st, n, e);
}

int
db_judge(struct db *db, const char *path, int64_t *version, struct err *e)
{
	int64_t app, tables = 0, reference = 0;

	if (one_number(db, db_stmt(db, SQL_meta_application_id, e), &app, e) !=
		0 ||
	    one_number(db, db_stmt(db, SQL_meta_user_version, e), version, e) !=
		0)
		return -1;
	if (app != DB_APPLICATION_ID &&
	    (count_tables(db, "*", &tables, e) != 0 ||
		count_tables(db, "usage_events", &reference, e) != 0))
		return -1;
	if (reference != 0)
		return fail_code(e, ERR_UNAVAILABLE, "foreign_database",
		    "%s belongs to CPA Manager Plus and was left as it is; "
		    "give this server a data directory of its own and move "
		    "the data in with: cpactl --data NEW migrate --from OLD",
		    path);
	if (app != DB_APPLICATION_ID &&
	    (app != 0 || *version != 0 || tables != 0))
		return fail_code(e, ERR_UNAVAILABLE, "foreign_database",
		    "%s is a database of another program and was left as it "
		    "is; choose another data directory",
		    path);
	if (*version > SCHEMA_VERSION)
		return fail_code(e, ERR_UNAVAILABLE, "newer_database",
		    "%s was made by a newer version (schema %lld, this "
		    "program knows %d); install that version again or "
		    "restore a backup",
		    path, (long long)*version, SCHEMA_VERSION);
	return 0;
}

static int
judge(struct db *db, int64_t *version, struct err *e)
{
	if (db_judge(db, sqlite3_db_filename(db->handle, "main"), version, e) ==
	    0)
		return 0;
	/* closing must not move a WAL into a file that is not ours */
	sqlite3_db_config(
	    db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	return -1;
}

int
db_schema_check(struct db *db, struct err *e)
{
	int64_t version;

	if (judge(db, &version, e) != 0)
		return -1;
	if (version < SCHEMA_VERSION)
		return fail(e, ERR_UNAVAILABLE,
		    "database has schema %lld, this program needs %d; start "
		    "collectord or the application to bring it up to date",
		    (long long)version, SCHEMA_VERSION);
	return 0;
}

/*
 * What must be decided before the first page is written; the size and the
 * kind of vacuum do nothing on a file that has pages already.  The mark of
 * ours goes in before the change to WAL, so that it stands in the file
 * itself however the making ends.  Pages of 8192 or 16384 bytes would save
 * one per cent of disk (measured) and make small writes twice as dear.
 */
static int
prepare_file(struct db *db, struct err *e)
{
	const struct timespec pause = { .tv_nsec = 10 * 1000 * 1000 };
	char text[160];

	snprintf(text, sizeof text,
	    "PRAGMA page_size = 4096;"
	    "PRAGMA auto_vacuum = INCREMENTAL;"
	    "PRAGMA application_id = %d;"
	    "PRAGMA journal_mode = WAL;",
	    DB_APPLICATION_ID);

	/*
	 * SQLite does not wait by itself for the change to WAL: two programs
	 * that start on an empty directory meet here.
	 */
	for (int i = 1;; i++) {
		if (db_exec_text(db, text, "prepare", e) == 0)
			return 0;
		if ((sqlite3_errcode(db->handle) & 0xff) != SQLITE_BUSY ||
		    i == WAL_TRIES)
			return -1;
		nanosleep(&pause, NULL);
	}
}

static int
apply(struct db *db, int64_t from, struct err *e)
{
	char text[48];

	for (int64_t i = from; i < SCHEMA_VERSION; i++)
		if (db_exec_text(db, schema_text[i], "schema", e) != 0)
			return fail_prefix(e, "step %lld", (long long)(i + 1));
	snprintf(
	    text, sizeof text, "PRAGMA user_version = %d;", SCHEMA_VERSION);
	return db_exec_text(db, text, "schema", e);
}

int
db_migrate(struct db *db,
    int (*after)(struct db *db, int from_version, void *arg, struct err *e),
    void *arg, struct err *e)
{
	int64_t version;

	if (judge(db, &version, e) != 0)
		return -1;
	if (version == SCHEMA_VERSION)
		return 0;
	if (prepare_file(db, e) != 0 || db_begin(db, e) != 0)
		return -1;
	/* another program may have done it while we waited */
	if (judge(db, &version, e) != 0)
		goto fail;
	if (version < SCHEMA_VERSION &&
	    (apply(db, version, e) != 0 ||
		(after != NULL && after(db, (int)version, arg, e) != 0)))
		goto fail;
	return db_commit(db, e);
fail:
	db_rollback(db);
	return -1;
}
