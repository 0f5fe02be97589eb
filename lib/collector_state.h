/*
 * What collectord tells about itself: one JSON row that it writes on change,
 * at most once a second, and the lock that says whether it lives.
 */
#ifndef COLLECTOR_STATE_H
#define COLLECTOR_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "db.h"
#include "err.h"
#include "json_out.h"

struct collector_state {
	char collector[16]; /* "stopped", "starting", "running", "error" */
	char upstream[512];
	char mode[16], transport[16], queue[128];
	int64_t last_consumed_ms, last_inserted_ms;
	int64_t total_inserted, total_skipped; /* since the daemon started */
	char last_error[512]; /* "<stage>: <message>", "" : none */
	char hint[256];       /* what to do about it, "" : nothing */
	int64_t started_ms;
	int64_t spool_bytes; /* received, not yet stored */
	int64_t refused_until_ms;
	int64_t slowest_transaction_ms; /* longest time others had to wait */
	char version[32];
};

/* Read the row; a fresh database gives the state of a daemon never started. */
int collector_state_read(
    struct db *db, struct collector_state *s, struct err *e) ATTR_USE_RESULT;

/* Write the row (its own short transaction unless one is open). */
int collector_state_write(struct db *db, const struct collector_state *s,
    struct err *e) ATTR_USE_RESULT;

/*
 * Take the daemon's lock, for life: fcntl for us to ask about, flock so that
 * the reference server cannot start beside us.  ERR_CONFLICT when it is held.
 * Returns the descriptor, which stays open.
 */
int daemon_lock(const char *path, struct err *e) ATTR_USE_RESULT;

/* Does a collectord hold the lock?  False also when the file is not there. */
bool daemon_alive(const char *path);

#endif
