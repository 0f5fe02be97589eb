/*
 * POST /v0/management/usage/import: the body goes into a file, collectord
 * stores what is in it, and this waits for the outcome
 * (contract/database.md section 12).  GET /v0/management/jobs/{id}: how a job
 * that took longer is getting on.
 */
#include <stdlib.h>

#include "clock.h"
#include "collector_state.h"
#include "fcgi/ctx.h"
#include "fcgi/request.h"
#include "fcgi/response.h"
#include "fcgi/routes.h"
#include "import_file.h"
#include "jobs.h"
#include "json_tree.h"

#define WAIT_MS 60000

static int
into_file(void *to, const char *p, size_t n, struct err *e)
{
	return import_file_add(to, p, n, e);
}

static int
encoding(const struct request *rq, enum codec *codec, struct err *e)
{
	struct str name = request_param(rq, "HTTP_CONTENT_ENCODING");

	if (codec_of_encoding(name, codec) != 0)
		return fail(e, ERR_INPUT,
		    "Content-Encoding: %.*s is not known, gzip and zstd are",
		    STR_ARG(name));
	return 0;
}

/* Without the daemon it would lie there until somebody notices. */
static int
need_collectord(const struct ctx *c, struct err *e)
{
	if (daemon_alive(c->cfg->lock_path))
		return 0;
	return fail_code(e, ERR_UNAVAILABLE, "collector_stopped",
	    "collectord does the import and does not run: start it, then "
	    "import again");
}

/* The file into the daemon's hands. */
static int
hand_over(
    struct ctx *c, const struct import_file *f, int64_t *id, struct err *e)
{
	char *args = arena_printf(&c->arena, "{\"file\":\"%s\"}", f->name);
	struct db *db = ctx_db(c, e);

	if (db == NULL)
		return -1;
	if (args == NULL)
		return fail(e, ERR_UNAVAILABLE, "out of memory");
	return job_add(db, IMPORT_JOB, str_of(args), id, e);
}

/* Where to look for the rest, when it takes longer. */
static void
write_job(struct json_out *o, const struct job *job)
{
	json_out_kint(o, "id", job->id);
	json_out_kstr(o, "kind", job->kind);
	json_out_kz(o, "state", job_state_name(job->state));
	json_out_kint(o, "createdAtMs", job->created_ms);
	json_out_kint(o, "updatedAtMs", job->updated_ms);
	if (job->progress.n > 0) {
		json_out_key(o, "progress");
		json_out_raw(o, job->progress);
	}
	if (job->result.n > 0) {
		json_out_key(o, "result");
		json_out_raw(o, job->result);
	}
	json_out_kstr_opt(o, "error", job->error);
}

/* The outcome that the daemon has written down. */
static int
answer_done(
    struct ctx *c, const struct job *job, struct response *rs, struct err *e)
{
	const struct json_tree *result =
	    json_tree_parse(job->result, &c->arena, NULL);
	const struct json_tree *status = json_tree_get(result, STR("status"));
	const struct json_tree *body = json_tree_get(result, STR("body"));
	struct json_out *o;

	if (status == NULL || status->type != TREE_NUMBER || body == NULL)
		return fail(e, ERR_INTERNAL, "job %lld has no result",
		    (long long)job->id);
	o = response_json(rs, (int)status->number);
	json_tree_write(body, o, &c->arena);
	(void)json_out_done(o);
	return 0;
}

/* A job that nobody has begun is taken back, and *handed with it. */
static int
answer_waiting(struct ctx *c, struct db *db, const struct job *job,
    bool *handed, struct response *rs, struct err *e)
{
	bool cancelled = false;
	struct json_out *o;

	if (job->state == JOB_QUEUED &&
	    job_cancel(db, job->id, &cancelled, e) != 0)
		return -1;
	if (cancelled) {
		*handed = false;
		return fail_code(e, ERR_UNAVAILABLE, "collector_busy",
		    "collectord did not begin the import within a minute; "
		    "nothing was imported, try again later");
	}
	response_header(rs, "Location",
	    arena_printf(
		&c->arena, "/v0/management/jobs/%lld", (long long)job->id));
	o = response_json(rs, 202);
	json_out_object(o);
	write_job(o, job);
	json_out_object_end(o);
	(void)json_out_done(o);
	return 0;
}

static int
wait_for(
    struct ctx *c, int64_t id, bool *handed, struct response *rs, struct err *e)
{
	struct db *db = ctx_db(c, e);
	struct job job;
	int rc;

	if (db == NULL)
		return -1;
	ctx_set_deadline(c, WAIT_MS + STATEMENT_TIME_MS);
	if ((rc = job_wait(db, id, WAIT_MS, &c->arena, &job, e)) < 0)
		return -1;
	if (rc == 0)
		return answer_waiting(c, db, &job, handed, rs, e);
	if (job.state == JOB_DONE)
		return answer_done(c, &job, rs, e);
	return fail(e, ERR_UNAVAILABLE, "the import was not done: %.*s",
	    STR_ARG(job.error));
}

int
usage_import(
    struct ctx *c, struct request *rq, struct response *rs, struct err *e)
{
	struct import_file f = { .fd = -1 };
	enum codec codec;
	bool handed = false;
	int64_t id = 0;
	int rc = -1;

	if (encoding(rq, &codec, e) != 0 || need_collectord(c, e) != 0 ||
	    import_file_create(
		&f, c->cfg->import_dir, codec, IMPORT_FILE_MAX, e) != 0 ||
	    request_stream_body(rq, into_file, &f, e) != 0 ||
	    import_file_finish(&f, e) != 0)
		goto out;
	handed = hand_over(c, &f, &id, e) == 0;
	if (handed)
		rc = wait_for(c, id, &handed, rs, e);
out:
	import_file_close(&f, !handed);
	return rc;
}

int
job_get_route(
    struct ctx *c, struct request *rq, struct response *rs, struct err *e)
{
	struct db *db = ctx_db(c, e);
	struct json_out *o;
	struct job job;
	int64_t id;
	int rc;

	if (str_i64(rq->arg[0], &id) != 0)
		return fail(e, ERR_INPUT, "id: must be a number");
	if (db == NULL || (rc = job_get(db, id, &c->arena, &job, e)) < 0)
		return -1;
	if (rc == 0)
		return fail(e, ERR_MISSING, "no job has this id");
	o = response_json(rs, 200);
	json_out_object(o);
	write_job(o, &job);
	json_out_object_end(o);
	(void)json_out_done(o);
	return 0;
}
