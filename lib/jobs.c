#include "jobs.h"

#include <time.h>

#include "clock.h"

#define LOOK_MS 20

static const char *const names[] = {
	[JOB_QUEUED] = "queued",
	[JOB_RUNNING] = "running",
	[JOB_DONE] = "done",
	[JOB_FAILED] = "failed",
	[JOB_CANCELLED] = "cancelled",
};

const char *
job_state_name(enum job_state s)
{
	return names[s];
}

int
job_add(struct db *db, const char *kind, struct str args, int64_t *id,
    struct err *e)
{
	sqlite3_stmt *st = db_stmt(db, SQL_job_add, e);

	if (st == NULL)
		return -1;
	db_bind_str(st, P_job_add_kind, str_of(kind));
	db_bind_str(st, P_job_add_args, args);
	db_bind_i64(st, P_job_add_now_ms, clock_now_ms());
	if (db_step(db, st, e) != 1)
		return -1;
	*id = db_col_i64(st, 0);
	/* RETURNING has done its work only when the statement has ended */
	return db_exec(db, st, e);
}

/* A column's text in a; false when a is full. */
static bool
keep(sqlite3_stmt *st, int col, struct arena *a, struct str *out)
{
	struct str v = db_col_str(st, col);

	*out = (struct str){ "", 0 };
	if (v.n == 0)
		return true;
	out->p = arena_strdup(a, v);
	out->n = v.n;
	return out->p != NULL;
}

int
job_get(
    struct db *db, int64_t id, struct arena *a, struct job *out, struct err *e)
{
	sqlite3_stmt *st = db_stmt(db, SQL_job_get, e);
	struct str state;
	bool kept;
	int rc;

	*out = (struct job){ .id = id };
	if (st == NULL)
		return -1;
	db_bind_i64(st, P_job_get_id, id);
	if ((rc = db_step(db, st, e)) <= 0)
		return rc;
	kept = keep(st, 0, a, &out->kind) && keep(st, 1, a, &out->args) &&
	       keep(st, 3, a, &out->progress) && keep(st, 4, a, &out->result) &&
	       keep(st, 5, a, &out->error);
	state = db_col_str(st, 2);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (str_eq(state, str_of(names[i])))
			out->state = (enum job_state)i;
	out->created_ms = db_col_i64(st, 6);
	out->updated_ms = db_col_i64(st, 7);
	db_reset(st);
	return kept ? 1 : fail(e, ERR_UNAVAILABLE, "out of memory");
}

int
job_wait(struct db *db, int64_t id, int64_t wait_ms, struct arena *a,
    struct job *out, struct err *e)
{
	const struct timespec pause = { 0, (long)LOOK_MS * 1000000 };
	int64_t until_ms = clock_mono_ms() + wait_ms;
	int rc;

	for (;;) {
		if ((rc = job_get(db, id, a, out, e)) < 0)
			return -1;
		if (rc == 0)
			return fail(e, ERR_UNAVAILABLE,
			    "job %lld has disappeared", (long long)id);
		if (out->state != JOB_QUEUED && out->state != JOB_RUNNING)
			return 1;
		if (clock_mono_ms() >= until_ms)
			return 0;
		nanosleep(&pause, NULL);
	}
}

int
job_cancel(struct db *db, int64_t id, bool *cancelled, struct err *e)
{
	sqlite3_stmt *st = db_stmt(db, SQL_job_cancel, e);

	if (st == NULL)
		return -1;
	db_bind_i64(st, P_job_cancel_id, id);
	db_bind_i64(st, P_job_cancel_now_ms, clock_now_ms());
	if (db_exec(db, st, e) != 0)
		return -1;
	*cancelled = sqlite3_changes(db->handle) > 0;
	return 0;
}
