#include "db.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "buf.h"
#include "clock.h"
#include "db_impl.h"

#define BUSY_LOOK_NS 2000000 /* between two looks at a lock */
#define DEADLINE_STEPS 20000 /* virtual machine steps between two looks */
#define CHECKPOINT_PAGES 1000

/*
 * What each connection sets.  secure_delete overwrites what is deleted, so
 * that a removed secret does not stay in a free page.  1 MiB of cache each
 * keeps 16 threads within the memory budget; the system's cache does the rest.
 * ANALYZE, which PRAGMA optimize may run, looks at a few rows, not at all.
 */
static const char connection_setup[] = "PRAGMA foreign_keys = ON;"
				       "PRAGMA synchronous = FULL;"
				       "PRAGMA secure_delete = ON;"
				       "PRAGMA temp_store = MEMORY;"
				       "PRAGMA cell_size_check = ON;"
				       "PRAGMA mmap_size = 0;"
				       "PRAGMA cache_size = -1024;"
				       "PRAGMA journal_size_limit = 67108864;"
				       "PRAGMA analysis_limit = 400;";

static const struct {
	int code;
	const char *what, *advice;
} troubles[] = {
	{ SQLITE_BUSY, "is locked by another program", "try again" },
	{ SQLITE_LOCKED, "is locked", "try again" },
	{ SQLITE_FULL, "cannot grow: the disk is full", "make room" },
	{ SQLITE_READONLY, "cannot be written",
	    "make file and directory writable for this user" },
	{ SQLITE_CANTOPEN, "cannot be opened",
	    "check that file and directory exist and are writable for this "
	    "user" },
	{ SQLITE_PERM, "cannot be opened", "check its owner and mode" },
	{ SQLITE_CORRUPT, "is damaged",
	    "restore a backup, or move it away to begin anew" },
	{ SQLITE_NOTADB, "is not a database",
	    "restore a backup, or move it away to begin anew" },
	{ SQLITE_IOERR, "cannot be read or written", "check the disk" },
	{ SQLITE_NOLFS, "is too large for this file system", "move it" },
	{ SQLITE_INTERRUPT, "took too long", "ask for less" },
};

int
db_fail_code(
    sqlite3 *handle, int rc, const char *path, const char *what, struct err *e)
{
	const char *detail =
	    handle != NULL ? sqlite3_errmsg(handle) : sqlite3_errstr(rc);

	for (size_t i = 0; i < sizeof troubles / sizeof *troubles; i++)
		if ((rc & 0xff) == troubles[i].code)
			return fail(e, ERR_UNAVAILABLE,
			    "database %s %s (%s: %s); %s", path,
			    troubles[i].what, what, detail, troubles[i].advice);
	if ((rc & 0xff) == SQLITE_NOMEM)
		return fail(e, ERR_UNAVAILABLE, "%s: out of memory", what);
	return fail(e, ERR_INTERNAL, "%s: %s", what, detail);
}

int
db_fail(struct db *db, const char *what, struct err *e)
{
	const char *path = sqlite3_db_filename(db->handle, "main");

	return db_fail_code(db->handle, sqlite3_extended_errcode(db->handle),
	    path == NULL ? "" : path, what, e);
}

/*
 * Called by SQLite while somebody else has the lock; 0 gives up.  Its own
 * handler comes to sleep 100 ms at a time, and between the transactions of an
 * import, which follow each other closely, it hardly ever finds a gap.
 */
static int
wait_for_lock(void *arg, int looks)
{
	const struct timespec pause = { 0, BUSY_LOOK_NS };
	struct db *db = arg;
	int64_t now_ms = clock_mono_ms();

	if (looks == 0)
		db->busy_since_ms = now_ms;
	if (now_ms - db->busy_since_ms >= db->busy_ms)
		return 0;
	nanosleep(&pause, NULL);
	return 1;
}

/* Called by SQLite every so many steps; not 0 interrupts the statement. */
static int
past_deadline(void *arg)
{
	const struct db *db = arg;

	return db->interrupt_at_ms != 0 &&
	       clock_mono_ms() > db->interrupt_at_ms;
}

/*
 * Called by SQLite after a commit, once others can write again; in place of
 * its own hook, which does the same but keeps no account.
 */
static int
after_commit(void *arg, sqlite3 *handle, const char *name, int pages)
{
	struct db *db = arg;

	db->unlocked_ns = clock_mono_ns();
	db->wal_pages = pages;
	/* waits for nobody; what it leaves the next one does */
	if (pages >= CHECKPOINT_PAGES)
		(void)sqlite3_wal_checkpoint_v2(
		    handle, name, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	return SQLITE_OK;
}

/*
 * A path as an SQLite URI that promises a file nobody changes: it is read
 * without locks and without making or removing files beside it.
 */
static int
immutable_uri(const char *path, struct buf *uri, struct err *e)
{
	buf_init(uri, 4 * PATH_MAX);
	/* the empty authority keeps a path of two slashes from being one */
	buf_z(uri, path[0] == '/' ? "file://" : "file:");
	for (; *path != '\0'; path++)
		if (strchr("%?#", *path) != NULL)
			buf_printf(uri, "%%%02X", (unsigned)*path);
		else
			buf_char(uri, *path);
	buf_z(uri, "?immutable=1");
	if (uri->failed)
		return fail(e, ERR_UNAVAILABLE, "database name too long");
	return 0;
}

static uint32_t
big_endian(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
	       (uint32_t)p[2] << 8 | p[3];
}

/*
 * Does the head of the file say that it is ours, and not newer?  Read
 * through SQLite's own descriptor: closing one of ours would give up the
 * locks that other threads hold on the file.
 */
static bool
says_ours(sqlite3 *handle)
{
	sqlite3_file *file = NULL;
	unsigned char head[100];

	return sqlite3_file_control(handle, "main", SQLITE_FCNTL_FILE_POINTER,
		   &file) == SQLITE_OK &&
	       file != NULL && file->pMethods != NULL &&
	       file->pMethods->xRead(file, head, sizeof head, 0) == SQLITE_OK &&
	       memcmp(head, "SQLite format 3", 16) == 0 &&
	       big_endian(head + 68) == DB_APPLICATION_ID &&
	       big_endian(head + 60) <= SCHEMA_VERSION;
}

/*
 * Look at a file before it is opened for good: opening alone would make a
 * WAL beside a foreign database, and closing would write into it.  The last
 * changes may stand in a WAL and are not seen here, so db_migrate() judges
 * again.
 *
 * Of a file of ours no more than its head is looked at: without its WAL it
 * need not make sense, since a checkpoint may be at work on it or may have
 * been cut short.
 */
static int
look_before(const char *path, struct err *e)
{
	struct db probe = { .handle = NULL };
	struct buf uri;
	struct stat st;
	int64_t version;
	int rc;

	if (stat(path, &st) == -1 || (S_ISREG(st.st_mode) && st.st_size == 0))
		return 0;
	if ((rc = immutable_uri(path, &uri, e)) != 0)
		goto out;
	rc = sqlite3_open_v2(buf_text(&uri), &probe.handle,
	    SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX |
		SQLITE_OPEN_EXRESCODE,
	    NULL);
	if (rc != SQLITE_OK)
		rc = db_fail_code(probe.handle, rc, path, "open", e);
	else if (!says_ours(probe.handle))
		rc = db_judge(&probe, path, &version, e);
out:
	db_close(&probe);
	buf_free(&uri);
	return rc;
}

static int
configure(struct db *db, enum db_mode mode, const char *path, struct err *e)
{
	sqlite3 *h = db->handle;
	int rc;

	sqlite3_extended_result_codes(h, 1);
	db->busy_ms = DB_BUSY_MS;
	sqlite3_busy_handler(h, wait_for_lock, db);
	sqlite3_db_config(h, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(h, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	sqlite3_db_config(h, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
	sqlite3_db_config(h, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
	/* the last one to leave keeps the WAL: a reader may come at any time */
	sqlite3_db_config(
	    h, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, mode == DB_READ, NULL);
	sqlite3_limit(h, SQLITE_LIMIT_ATTACHED, 0);
	sqlite3_limit(h, SQLITE_LIMIT_LENGTH, 128 * 1024 * 1024);
	sqlite3_limit(h, SQLITE_LIMIT_VARIABLE_NUMBER, 1000);
	sqlite3_limit(h, SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 4096);
	sqlite3_limit(h, SQLITE_LIMIT_WORKER_THREADS, 0);
	sqlite3_progress_handler(h, DEADLINE_STEPS, past_deadline, db);
	sqlite3_wal_hook(h, after_commit, db);
	rc = sqlite3_exec(h, connection_setup, NULL, NULL, NULL);
	if (rc == SQLITE_OK && mode == DB_READ)
		rc =
		    sqlite3_exec(h, "PRAGMA query_only = ON", NULL, NULL, NULL);
	/* the first read finds out whether it is a database at all */
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(
		    h, "SELECT count(*) FROM sqlite_schema", NULL, NULL, NULL);
	if (rc != SQLITE_OK)
		return db_fail_code(h, rc, path, "open", e);
	return 0;
}

int
db_open(struct db *db, const char *path, enum db_mode mode, struct err *e)
{
	int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, rc;

	*db = (struct db){ .handle = NULL };
	if (look_before(path, e) != 0)
		return -1;
	flags |= mode == DB_CREATE ?
		     SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE :
		     SQLITE_OPEN_READWRITE;
	rc = sqlite3_open_v2(path, &db->handle, flags, NULL);
	if (rc != SQLITE_OK) {
		db_fail_code(db->handle, rc, path, "open", e);
		goto fail;
	}
	/* a file that we may not write opens read-only without an error */
	if (mode != DB_READ && sqlite3_db_readonly(db->handle, "main") == 1) {
		db_fail_code(NULL, SQLITE_READONLY, path, "open", e);
		goto fail;
	}
	if (configure(db, mode, path, e) != 0)
		goto fail;
	return 0;
fail:
	db_close(db);
	return -1;
}

void
db_set_cache(struct db *db, int kib)
{
	char text[48];

	snprintf(text, sizeof text, "PRAGMA cache_size = -%d", kib);
	/* a smaller cache is slower, nothing else */
	(void)sqlite3_exec(db->handle, text, NULL, NULL, NULL);
}

void
db_set_busy(struct db *db, int ms)
{
	db->busy_ms = ms;
}

void
db_close(struct db *db)
{
	for (int i = 0; i < SQL__MAX; i++) {
		sqlite3_finalize(db->stmt[i]);
		db->stmt[i] = NULL;
	}
	sqlite3_close(db->handle);
	db->handle = NULL;
	db->in_transaction = false;
}

int
db_exec_text(struct db *db, const char *sql, const char *what, struct err *e)
{
	if (sqlite3_exec(db->handle, sql, NULL, NULL, NULL) != SQLITE_OK)
		return db_fail(db, what, e);
	return 0;
}

int
db_begin(struct db *db, struct err *e)
{
	if (db_exec_text(db, "BEGIN IMMEDIATE", "begin", e) != 0)
		return -1;
	db->in_transaction = true;
	db->begun_ns = clock_mono_ns();
	db->unlocked_ns = 0;
	return 0;
}

/* The checkpoint that may follow a commit keeps nobody from writing. */
static void
transaction_over(struct db *db)
{
	int64_t end_ns =
	    db->unlocked_ns != 0 ? db->unlocked_ns : clock_mono_ns();
	int64_t ms = (end_ns - db->begun_ns) / 1000000;

	if (db->in_transaction && ms > db->slowest_ms)
		db->slowest_ms = ms;
	db->in_transaction = false;
}

int
db_begin_read(struct db *db, struct err *e)
{
	if (db_exec_text(db, "BEGIN", "begin", e) != 0)
		return -1;
	db->in_transaction = true;
	return 0;
}

int
db_commit(struct db *db, struct err *e)
{
	if (db_exec_text(db, "COMMIT", "commit", e) != 0) {
		db_rollback(db);
		return -1;
	}
	transaction_over(db);
	return 0;
}

void
db_rollback(struct db *db)
{
	/* SQLite has rolled back by itself after a full disk or an I/O error */
	if (db->handle != NULL && !sqlite3_get_autocommit(db->handle))
		sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
	transaction_over(db);
}

sqlite3_stmt *
db_stmt(struct db *db, enum stmt_id id, struct err *e)
{
	sqlite3_stmt *st = db->stmt[id];

	if (st == NULL) {
		if (sqlite3_prepare_v3(db->handle, stmt_text[id], -1,
			SQLITE_PREPARE_PERSISTENT, &st, NULL) != SQLITE_OK) {
			db_fail(db, stmt_name[id], e);
			return NULL;
		}
		db->stmt[id] = st;
		return st;
	}
	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	return st;
}

/*
 * Binding fails only for a number that the statement does not have, which
 * the generated constants rule out, or for lack of memory, which the next
 * step reports.
 */
void
db_bind_i64(sqlite3_stmt *st, int at, int64_t v)
{
	sqlite3_bind_int64(st, at, v);
}

void
db_bind_null(sqlite3_stmt *st, int at)
{
	sqlite3_bind_null(st, at);
}

void
db_bind_double(sqlite3_stmt *st, int at, double v)
{
	sqlite3_bind_double(st, at, v);
}

void
db_bind_str(sqlite3_stmt *st, int at, struct str s)
{
	/* a NULL pointer would bind NULL, an empty text is meant */
	sqlite3_bind_text64(
	    st, at, s.p == NULL ? "" : s.p, s.n, SQLITE_STATIC, SQLITE_UTF8);
}

void
db_bind_blob(sqlite3_stmt *st, int at, const void *p, size_t n)
{
	sqlite3_bind_blob64(st, at, p == NULL ? "" : p, n, SQLITE_STATIC);
}

int
db_step(struct db *db, sqlite3_stmt *st, struct err *e)
{
	int rc = sqlite3_step(st);

	if (rc == SQLITE_ROW)
		return 1;
	if (rc != SQLITE_DONE) {
		db_fail(db, "query", e);
		sqlite3_reset(st);
		return -1;
	}
	sqlite3_reset(st);
	return 0;
}

int
db_exec(struct db *db, sqlite3_stmt *st, struct err *e)
{
	int rc;

	while ((rc = db_step(db, st, e)) == 1)
		;
	return rc;
}

int64_t
db_col_i64(sqlite3_stmt *st, int col)
{
	return sqlite3_column_int64(st, col);
}

struct str
db_col_str(sqlite3_stmt *st, int col)
{
	const unsigned char *p = sqlite3_column_text(st, col);

	if (p == NULL)
		return (struct str){ NULL, 0 };
	return (struct str){ (const char *)p,
		(size_t)sqlite3_column_bytes(st, col) };
}

struct str
db_col_blob(sqlite3_stmt *st, int col)
{
	const void *p = sqlite3_column_blob(st, col);

	return (struct str){ p,
		p == NULL ? 0 : (size_t)sqlite3_column_bytes(st, col) };
}

bool
db_col_is_null(sqlite3_stmt *st, int col)
{
	return sqlite3_column_type(st, col) == SQLITE_NULL;
}

void
db_reset(sqlite3_stmt *st)
{
	sqlite3_reset(st);
}

void
db_deadline(struct db *db, int64_t mono_ms)
{
	db->interrupt_at_ms = mono_ms;
}

int
db_data_version(struct db *db, int64_t *version, struct err *e)
{
	sqlite3_stmt *st = db_stmt(db, SQL_meta_data_version, e);

	if (st == NULL || db_step(db, st, e) != 1)
		return -1;
	*version = db_col_i64(st, 0);
	db_reset(st);
	return 0;
}
