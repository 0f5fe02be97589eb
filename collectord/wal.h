/*
 * The size of the WAL.  SQLite copies it back by itself at commits and begins
 * it anew when no reader needs it; readers that stay, or that come before
 * the last has gone, prevent that, and then it grows with each commit.
 *
 * Nothing here makes a reader wait, and no writer waits longer than 50 ms.
 */
#ifndef WAL_H
#define WAL_H

#include <stdbool.h>
#include <stdint.h>

#include "db.h"

/* For one open database; zero: nothing was done yet. */
struct wal_care {
	int64_t tried_ms; /* monotonic: when something was last tried */
	int64_t held_ms;  /* monotonic: batches wait since; 0: they do not */
	bool let_go;      /* they have waited for long enough */
};

/*
 * At most once a second: begin a large WAL anew, and while `idle`, when no
 * batch is waiting, make its file small again.  Tried again later when a
 * reader is in the way.
 */
void wal_tend(struct wal_care *c, struct db *db, bool idle);

/*
 * Should batches wait because the WAL comes near 64 MiB?  Without new
 * commits it can begin anew as soon as the readers have gone that are there
 * now.  For ten seconds at most; then collection goes on, whatever the size.
 */
bool wal_hold(struct wal_care *c, struct db *db);

#endif
