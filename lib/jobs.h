/*
 * Rows of `jobs`: work that a request starts and collectord does.
 *
 * The one who asks adds a row and looks at it until it is done; the daemon
 * takes the oldest, keeps its progress in the same transactions as what it
 * does, and begins again after a crash where the progress says.
 */
#ifndef JOBS_H
#define JOBS_H

#include <stdint.h>

#include "arena.h"
#include "db.h"
#include "err.h"

enum job_state { JOB_QUEUED, JOB_RUNNING, JOB_DONE, JOB_FAILED, JOB_CANCELLED };

struct job {
	int64_t id;
	enum job_state state;
	struct str kind, args; /* args, progress and result: JSON */
	struct str progress, result, error; /* empty: none */
	int64_t created_ms, updated_ms;
};

/* "queued" ... */
const char *job_state_name(enum job_state s);

/* Ask for work.  *id is the row's. */
int job_add(struct db *db, const char *kind, struct str args, int64_t *id,
    struct err *e) ATTR_USE_RESULT;

/* Read a job, texts in a: 1, 0 when there is none, -1. */
int job_get(struct db *db, int64_t id, struct arena *a, struct job *out,
    struct err *e) ATTR_USE_RESULT;

/*
 * Wait until a job has ended, at most wait_ms, looking every 20 ms.  1: *out
 * has ended; 0: it goes on, as *out says; -1.
 */
int job_wait(struct db *db, int64_t id, int64_t wait_ms, struct arena *a,
    struct job *out, struct err *e) ATTR_USE_RESULT;

/* Take a job back that nobody has begun; *cancelled: it was so. */
int job_cancel(
    struct db *db, int64_t id, bool *cancelled, struct err *e) ATTR_USE_RESULT;

#endif
