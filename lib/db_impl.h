/*
 * What lib/db.c and lib/db_migrate.c share.
 */
#ifndef DB_IMPL_H
#define DB_IMPL_H

#include "db.h"

/* "CPAM": how a database of ours is recognised. */
#define DB_APPLICATION_ID 0x4350414d

/* Run SQL text without results.  Returns 0, or -1 with *e set. */
int db_exec_text(struct db *db, const char *sql, const char *what,
    struct err *e) ATTR_USE_RESULT;

/* Fill *e from an SQLite result code.  Returns -1. */
int db_fail_code(
    sqlite3 *handle, int rc, const char *path, const char *what, struct err *e);

/*
 * Whose database is it?  *version is the number of its schema, 0 when there
 * is none yet; anything foreign, or newer than this program, is
 * ERR_UNAVAILABLE with what to do.  path: for the text.
 */
int db_judge(struct db *db, const char *path, int64_t *version,
    struct err *e) ATTR_USE_RESULT;

#endif
