/*
 * The database: opening, transactions, named statements, schema.
 *
 * One connection a thread.  SQL text stands in sql/ and is named; a
 * statement is prepared at its first use and kept.  Writers use db_begin(),
 * which is BEGIN IMMEDIATE: a transaction that starts as a reader and then
 * writes would get SQLITE_BUSY at once.
 *
 * Errors: a locked, full, read-only, missing or broken database is
 * ERR_UNAVAILABLE with a text that says which and what to do; anything else
 * is ERR_INTERNAL.
 */
#ifndef DB_H
#define DB_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "err.h"
#include "sql.h"
#include "str.h"

#define DB_BUSY_MS 5000 /* how long every connection waits for a lock */

enum db_mode {
	DB_READ,  /* a bug in a report cannot write */
	DB_WRITE, /* read and write, the file must exist */
	DB_CREATE /* make the file when it is not there */
};

struct db {
	sqlite3 *handle; /* NULL while closed */
	sqlite3_stmt *stmt[SQL__MAX];
	bool in_transaction;
	int64_t interrupt_at_ms; /* see db_deadline() */
	int64_t busy_ms;         /* see db_set_busy() */
	int64_t busy_since_ms;   /* of the lock that is waited for */
	int64_t slowest_ms;      /* longest time from db_begin() until others
				    could write again */
	int64_t wal_pages;       /* in the WAL after our last commit */
	int64_t begun_ns, unlocked_ns; /* of the transaction in hand */
};

/*
 * Open `path` and set what every connection needs (WAL, synchronous FULL,
 * busy time-out 5 s, foreign keys, defensive).  DB_CREATE and DB_WRITE do not
 * bring the schema up to date: call db_migrate().  On failure *db is closed.
 */
int db_open(struct db *db, const char *path, enum db_mode mode,
    struct err *e) ATTR_USE_RESULT;

/* Give this connection another page cache than the usual 1 MiB. */
void db_set_cache(struct db *db, int kib);

/* Wait at most so long for locks; DB_BUSY_MS is the usual. */
void db_set_busy(struct db *db, int ms);

/* Finalise everything and close; harmless on a closed one. */
void db_close(struct db *db);

/*
 * Bring the schema to SCHEMA_VERSION under one BEGIN IMMEDIATE; does nothing
 * when it is there already.  `after` (may be NULL) runs inside the
 * transaction when at least one step was applied, with the version before.
 * A newer schema than ours, or a database of the reference, is refused with
 * what to do and left unchanged.
 */
int db_migrate(struct db *db,
    int (*after)(struct db *db, int from_version, void *arg, struct err *e),
    void *arg, struct err *e) ATTR_USE_RESULT;

/* 0 when the schema is exactly ours, else -1 with what to do. */
int db_schema_check(struct db *db, struct err *e) ATTR_USE_RESULT;

int db_begin(struct db *db, struct err *e) ATTR_USE_RESULT;
/*
 * What is read from here on is of one moment; ended by db_rollback().  It
 * also spares a lock for each statement.
 */
int db_begin_read(struct db *db, struct err *e) ATTR_USE_RESULT;
int db_commit(struct db *db, struct err *e) ATTR_USE_RESULT;
/* Undo what was begun; harmless outside a transaction. */
void db_rollback(struct db *db);

/*
 * The statement, reset and without bindings, ready to be bound; NULL with *e
 * set when it cannot be prepared.  Owned by the connection.
 */
sqlite3_stmt *db_stmt(
    struct db *db, enum stmt_id id, struct err *e) ATTR_USE_RESULT;

/* Bind by the generated numbers, P_<statement>_<parameter>. */
void db_bind_i64(sqlite3_stmt *st, int at, int64_t v);
void db_bind_null(sqlite3_stmt *st, int at);
void db_bind_double(sqlite3_stmt *st, int at, double v);
/* The bytes must stay until the statement is reset. */
void db_bind_str(sqlite3_stmt *st, int at, struct str s);
void db_bind_blob(sqlite3_stmt *st, int at, const void *p, size_t n);

/*
 * One step.  Returns 1 for a row, 0 for the end, -1 with *e set; the
 * statement is reset after anything but a row.
 */
int db_step(struct db *db, sqlite3_stmt *st, struct err *e) ATTR_USE_RESULT;

/* Step a statement that gives no rows.  Returns 0, or -1 with *e set. */
int db_exec(struct db *db, sqlite3_stmt *st, struct err *e) ATTR_USE_RESULT;

/* Column values; the text lives until the next step or reset. */
int64_t db_col_i64(sqlite3_stmt *st, int col);
struct str db_col_str(sqlite3_stmt *st, int col);
struct str db_col_blob(sqlite3_stmt *st, int col);
bool db_col_is_null(sqlite3_stmt *st, int col);

/* End a reading early. */
void db_reset(sqlite3_stmt *st);

/* Give up on statements that run past this monotonic time; 0: no limit. */
void db_deadline(struct db *db, int64_t mono_ms);

/* Changes when another connection has written (PRAGMA data_version). */
int db_data_version(
    struct db *db, int64_t *version, struct err *e) ATTR_USE_RESULT;

/* Fill *e from the connection's last error; what names the work.  Returns -1.
 */
int db_fail(struct db *db, const char *what, struct err *e);

#endif
