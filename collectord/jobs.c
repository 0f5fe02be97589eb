#include "collectord/jobs.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "collectord/jobs_impl.h"
#include "import_file.h"
#include "log.h"

#define JOB_ARENA ((size_t)4 * 1024 * 1024)
#define KEEP_MS ((int64_t)7 * 24 * 3600 * 1000) /* ended jobs */
#define ORPHAN_S 86400                          /* a file that no job names */

static const struct job_kind *const kinds[] = { &job_import, &job_retry };

struct jobs {
	const char *import_dir;
	struct arena arena; /* of the job in hand */
	struct job job;
	const struct job_kind *kind; /* NULL: none in hand */
	void *work;
	bool swept;
};

struct jobs *
jobs_new(const char *import_dir)
{
	struct jobs *j = calloc(1, sizeof *j);

	if (j == NULL)
		return NULL;
	j->import_dir = import_dir;
	arena_init(&j->arena, JOB_ARENA);
	return j;
}

static void
drop(struct jobs *j, bool done)
{
	if (j->kind != NULL)
		j->kind->drop(j->work, done);
	j->kind = NULL;
	j->work = NULL;
	arena_reset(&j->arena);
}

void
jobs_free(struct jobs *j)
{
	if (j == NULL)
		return;
	drop(j, false);
	arena_free(&j->arena);
	free(j);
}

void
jobs_forget(struct jobs *j, const char *import_dir)
{
	drop(j, false);
	j->import_dir = import_dir;
	j->swept = false;
}

/* ---- rows ---------------------------------------------------------------- */

int
job_put_progress(const struct job_run *run, struct str progress, struct err *e)
{
	sqlite3_stmt *st = db_stmt(run->db, SQL_job_progress, e);

	if (st == NULL)
		return -1;
	db_bind_i64(st, P_job_progress_id, run->job->id);
	db_bind_str(st, P_job_progress_progress, progress);
	db_bind_i64(st, P_job_progress_now_ms, clock_now_ms());
	if (db_exec(run->db, st, e) != 0)
		return -1;
	return sqlite3_changes(run->db->handle) > 0;
}

static int
put_end(struct db *db, int64_t id, enum job_state state, struct str result,
    const char *error, struct err *e)
{
	sqlite3_stmt *st = db_stmt(db, SQL_job_finish, e);

	if (st == NULL)
		return -1;
	db_bind_i64(st, P_job_finish_id, id);
	db_bind_str(st, P_job_finish_state, str_of(job_state_name(state)));
	if (result.n > 0)
		db_bind_str(st, P_job_finish_result, result);
	if (error != NULL)
		db_bind_str(st, P_job_finish_error, str_of(error));
	db_bind_i64(st, P_job_finish_now_ms, clock_now_ms());
	if (db_exec(db, st, e) != 0)
		return -1;
	return sqlite3_changes(db->handle) > 0;
}

int
job_put_done(const struct job_run *run, struct str result, struct err *e)
{
	return put_end(run->db, run->job->id, JOB_DONE, result, NULL, e);
}

static int
next_id(struct db *db, int64_t *id, struct err *e)
{
	sqlite3_stmt *st = db_stmt(db, SQL_job_next, e);
	int rc;

	if (st == NULL || (rc = db_step(db, st, e)) < 0)
		return -1;
	*id = rc == 1 ? db_col_i64(st, 0) : 0;
	db_reset(st);
	return 0;
}

static int
claim(struct db *db, int64_t id, struct err *e)
{
	sqlite3_stmt *st = db_stmt(db, SQL_job_start, e);
	char owner[32];

	if (st == NULL)
		return -1;
	snprintf(owner, sizeof owner, "collectord %ld", (long)getpid());
	db_bind_i64(st, P_job_start_id, id);
	db_bind_str(st, P_job_start_owner, str_of(owner));
	db_bind_i64(st, P_job_start_now_ms, clock_now_ms());
	return db_exec(db, st, e);
}

static int
forget_old(struct db *db, struct err *e)
{
	sqlite3_stmt *st = db_stmt(db, SQL_jobs_forget, e);

	if (st == NULL)
		return -1;
	db_bind_i64(st, P_jobs_forget_before_ms, clock_now_ms() - KEEP_MS);
	return db_exec(db, st, e);
}

/* ---- files --------------------------------------------------------------- */

/* Files of uploads that broke off, and that no job will ever name. */
static void
sweep(struct jobs *j)
{
	char path[PATH_MAX];
	struct dirent *entry;
	struct stat st;
	DIR *dir = opendir(j->import_dir);

	j->swept = true;
	if (dir == NULL)
		return;
	while ((entry = readdir(dir)) != NULL)
		if (import_file_path(j->import_dir, str_of(entry->d_name), path,
			sizeof path) &&
		    lstat(path, &st) == 0 && S_ISREG(st.st_mode) &&
		    st.st_mtime < time(NULL) - ORPHAN_S)
			unlink(path);
	closedir(dir);
}

/* ---- work ---------------------------------------------------------------- */

static const struct job_kind *
find_kind(struct str name)
{
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (str_eq(name, str_of(kinds[i]->name)))
			return kinds[i];
	return NULL;
}

/* This job can never be done: say so in its row. */
static int
refuse(struct jobs *j, struct db *db, const struct err *why, struct err *e)
{
	char text[sizeof why->text];

	text_set(text, sizeof text, why->text);
	log_write(LOG_WARN, "job failed", LOG_INT("job", j->job.id),
	    LOG_Z("error", text));
	if (put_end(db, j->job.id, JOB_FAILED, (struct str){ NULL, 0 }, text,
		e) < 0)
		return -1;
	arena_reset(&j->arena);
	return 1;
}

/* Take the oldest job in hand: 1, 0 when there is none. */
static int
take(struct jobs *j, struct db *db, struct store *store, struct err *e)
{
	const struct job_kind *kind;
	struct job_run run = { db, store, j->import_dir, &j->job };
	struct err why;
	int64_t id;
	int rc;

	if (next_id(db, &id, e) != 0)
		return -1;
	if (id == 0) {
		if (!j->swept)
			sweep(j);
		return 0;
	}
	if (claim(db, id, e) != 0 || forget_old(db, e) != 0)
		return -1;
	arena_reset(&j->arena);
	if ((rc = job_get(db, id, &j->arena, &j->job, e)) != 1)
		return rc;
	if ((kind = find_kind(j->job.kind)) == NULL) {
		fail(&why, ERR_INPUT, "kind of job is not known: %.*s",
		    STR_ARG(j->job.kind));
		return refuse(j, db, &why, e);
	}
	if (kind->start(&run, &j->work, &why) != 0) {
		if (why.kind == ERR_INPUT)
			return refuse(j, db, &why, e);
		if (e != NULL)
			*e = why;
		return -1;
	}
	j->kind = kind;
	return 1;
}

int
jobs_step(struct jobs *j, struct db *db, struct store *store, struct err *e)
{
	struct job_run run = { db, store, j->import_dir, &j->job };
	int rc;

	if (j->kind == NULL && (rc = take(j, db, store, e)) <= 0)
		return rc;
	if (j->kind == NULL)
		return 1;
	if ((rc = j->kind->step(j->work, &run, e)) == 0)
		drop(j, true);
	return rc < 0 ? -1 : 1;
}
