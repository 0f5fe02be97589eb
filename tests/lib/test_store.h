/*
 * A fresh database for a test, and single figures out of it.
 */
#ifndef TEST_STORE_H
#define TEST_STORE_H

#include "db.h"
#include "test_cmocka.h"
#include "test_dir.h"

static inline void
open_store(struct db *db, const char *name)
{
	struct err e;

	if (db_open(db, in_dir(name), DB_CREATE, &e) != 0 ||
	    db_migrate(db, NULL, NULL, &e) != 0)
		FAIL("%s", e.text);
}

/* The first column of the first row, -1 for NULL or no row. */
static inline int64_t
figure(struct db *db, const char *sql)
{
	sqlite3_stmt *st = NULL;
	int64_t v = -1;

	assert_int_equal(
	    sqlite3_prepare_v2(db->handle, sql, -1, &st, NULL), SQLITE_OK);
	if (sqlite3_step(st) == SQLITE_ROW &&
	    sqlite3_column_type(st, 0) != SQLITE_NULL)
		v = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return v;
}

static inline void
run_sql(struct db *db, const char *sql)
{
	char *text = NULL;

	if (sqlite3_exec(db->handle, sql, NULL, NULL, &text) != SQLITE_OK)
		FAIL("%s: %s", sql, text);
}

#endif
