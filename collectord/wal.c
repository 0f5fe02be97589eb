#include "wal.h"

#include <sys/stat.h>

#include "clock.h"
#include "log.h"

#define WAL_FRAME 4120                        /* a page and its head */
#define WAL_REST ((int64_t)8 * 1024 * 1024)   /* the file, when idle */
#define WAL_LARGE ((int64_t)32 * 1024 * 1024) /* to be begun anew */
#define WAL_HOLD ((int64_t)48 * 1024 * 1024)  /* batches wait */
#define WAL_TRY_MS 1000
#define WAL_HELD_TRY_MS 200
#define HOLD_MS 10000
#define LOCK_MS 40 /* a writer waits a little longer at most */

static int64_t
wal_bytes(const struct db *db)
{
	return db->wal_pages * WAL_FRAME;
}

static int64_t
wal_file_bytes(struct db *db)
{
	const char *name = sqlite3_db_filename(db->handle, "main");
	struct stat st;

	return stat(sqlite3_filename_wal(name), &st) == 0 ? st.st_size : 0;
}

/*
 * Copy it back into the database, then have it begin anew.  The first part
 * waits for nobody and nobody waits for it.  The second holds off writers
 * until the readers of the WAL have gone, which must not be long; so it is
 * tried only once nothing remains to be copied.
 */
static void
restart_wal(struct db *db, int mode)
{
	int all = -1, copied = -1;

	if (sqlite3_wal_checkpoint_v2(db->handle, NULL,
		SQLITE_CHECKPOINT_PASSIVE, &all, &copied) != SQLITE_OK ||
	    all < 0 || copied != all)
		return;
	db_set_busy(db, LOCK_MS);
	if (sqlite3_wal_checkpoint_v2(db->handle, NULL, mode, NULL, NULL) ==
	    SQLITE_OK)
		db->wal_pages = 0;
	db_set_busy(db, DB_BUSY_MS);
}

void
wal_tend(struct wal_care *c, struct db *db, bool idle)
{
	int64_t now_ms = clock_mono_ms();

	if (now_ms - c->tried_ms < (c->held_ms ? WAL_HELD_TRY_MS : WAL_TRY_MS))
		return;
	c->tried_ms = now_ms;
	if (idle && wal_file_bytes(db) > WAL_REST)
		restart_wal(db, SQLITE_CHECKPOINT_TRUNCATE);
	else if (wal_bytes(db) > WAL_LARGE)
		restart_wal(db, SQLITE_CHECKPOINT_RESTART);
}

bool
wal_hold(struct wal_care *c, struct db *db)
{
	int64_t now_ms = clock_mono_ms();

	if (wal_bytes(db) > WAL_HOLD && c->held_ms == 0) {
		c->held_ms = now_ms;
		log_write(LOG_INFO, "events wait for a reader of the database",
		    LOG_INT("wal_bytes", wal_bytes(db)));
	}
	if (c->held_ms != 0 && !c->let_go)
		wal_tend(c, db, false);
	if (wal_bytes(db) <= WAL_HOLD) {
		c->held_ms = 0;
		c->let_go = false;
		return false;
	}
	if (!c->let_go && now_ms - c->held_ms > HOLD_MS) {
		c->let_go = true;
		log_write(LOG_WARN, "WAL grows: a reader of the database stays",
		    LOG_INT("wal_bytes", wal_bytes(db)));
	}
	return !c->let_go;
}
