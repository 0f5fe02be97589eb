/*
 * What a kind of job is made of.
 */
#ifndef COLLECTORD_JOBS_IMPL_H
#define COLLECTORD_JOBS_IMPL_H

#include "buf.h"
#include "jobs.h"
#include "lib/jobs.h"

#define JOB_TRANSACTION_MS 40 /* leaves room for the commit itself */

struct job_run {
	struct db *db;
	struct store *store;
	const char *import_dir;
	const struct job *job;
};

struct job_kind {
	const char *name;
	/*
	 * Begin, or begin again where job->progress says: *work is the kind's
	 * own.  ERR_INPUT: it can never be done.
	 */
	int (*start)(const struct job_run *run, void **work, struct err *e);
	/*
	 * One transaction.  1: more is to be done; 0: it is done, or nobody
	 * wants it any more; -1: the database does not play along.
	 */
	int (*step)(void *work, const struct job_run *run, struct err *e);
	/* End it; done: it is over for good, files and all. */
	void (*drop)(void *work, bool done);
};

extern const struct job_kind job_import, job_retry;

/*
 * Within the transaction of a step.  1, 0 when the job was cancelled (roll
 * back then), -1.
 */
int job_put_progress(const struct job_run *run, struct str progress,
    struct err *e) ATTR_USE_RESULT;

/* The same, and it is done: with this result. */
int job_put_done(const struct job_run *run, struct str result,
    struct err *e) ATTR_USE_RESULT;

#endif
