/*
 * /v0/management/collector/dead-letters: payloads that were no events, with
 * the reason, newest first; .../retry has collectord read them once more.
 */
#include <stdlib.h>

#include "collector_state.h"
#include "fcgi/ctx.h"
#include "fcgi/id_page.h"
#include "fcgi/request.h"
#include "fcgi/response.h"
#include "fcgi/routes.h"
#include "jobs.h"
#include "json_in.h"
#include "json_tree.h"

#define IDS_MAX 10000
#define RETRY_JOB "dead_letter_retry"
#define WAIT_MS 60000

static int
count_letters(struct db *db, int64_t *n, struct err *e)
{
	sqlite3_stmt *st = db_stmt(db, SQL_counter_get, e);
	int rc;

	if (st == NULL)
		return -1;
	db_bind_str(st, P_counter_get_name, STR("dead_letters"));
	if ((rc = db_step(db, st, e)) < 0)
		return -1;
	*n = rc == 1 ? db_col_i64(st, 0) : 0;
	db_reset(st);
	return 0;
}

static void
write_letter(struct json_out *o, sqlite3_stmt *st)
{
	json_out_object(o);
	json_out_kint(o, "id", db_col_i64(st, 0));
	json_out_kint(o, "createdAtMs", db_col_i64(st, 1));
	json_out_kstr(o, "reason", db_col_str(st, 2));
	json_out_kstr(o, "payload", db_col_blob(st, 3));
	json_out_object_end(o);
}

int
dead_letters_get(
    struct ctx *c, struct request *rq, struct response *rs, struct err *e)
{
	static const struct id_page page = {
		.rows = SQL_dead_letters_page,
		.p_before_id = P_dead_letters_page_before_id,
		.p_limit = P_dead_letters_page_limit,
		.count = count_letters,
		.write = write_letter,
	};

	return id_page(c, rq, rs, &page, e);
}

/* ---- again --------------------------------------------------------------- */

/* {"ids":[...]} as the job's args; {} means all of them. */
static int
read_ids(const struct request *rq, struct buf *args, struct err *e)
{
	json_t *body = request_json(rq, e), *ids, *id;
	struct json_out o;
	size_t i;
	int rc = -1;

	if (body == NULL)
		return -1;
	ids = json_in_get(body, "ids");
	if (ids != NULL && !json_is_array(ids)) {
		fail(e, ERR_INPUT, "ids: must be a list of numbers");
		goto out;
	}
	if (json_array_size(ids) > IDS_MAX) {
		fail(e, ERR_INPUT, "ids: at most %d at once", IDS_MAX);
		goto out;
	}
	json_out_init(&o, args, NULL, NULL);
	json_out_object(&o);
	if (ids != NULL) {
		json_out_key(&o, "ids");
		json_out_array(&o);
		json_array_foreach (ids, i, id) {
			if (!json_is_integer(id)) {
				fail(e, ERR_INPUT, "ids[%zu]: must be a number",
				    i);
				goto out;
			}
			json_out_int(&o, json_integer_value(id));
		}
		json_out_array_end(&o);
	}
	json_out_object_end(&o);
	rc = o.failed ? fail(e, ERR_UNAVAILABLE, "out of memory") : 0;
out:
	json_decref(body);
	return rc;
}

static int
answer(struct ctx *c, struct db *db, int64_t id, struct response *rs,
    struct err *e)
{
	const struct json_tree *result;
	struct json_out *o;
	struct job job;
	int rc;

	ctx_set_deadline(c, WAIT_MS + STATEMENT_TIME_MS);
	if ((rc = job_wait(db, id, WAIT_MS, &c->arena, &job, e)) < 0)
		return -1;
	o = response_json(rs, rc == 1 ? 200 : 202);
	if (rc == 0) {
		json_out_object(o);
		json_out_kint(o, "id", job.id);
		json_out_kz(o, "state", job_state_name(job.state));
		json_out_object_end(o);
	} else if (job.state != JOB_DONE) {
		return fail(
		    e, ERR_UNAVAILABLE, "not done: %.*s", STR_ARG(job.error));
	} else {
		result = json_tree_parse(job.result, &c->arena, e);
		if (result == NULL)
			return fail(e, ERR_INTERNAL, "job %lld has no result",
			    (long long)job.id);
		json_tree_write(result, o, &c->arena);
	}
	(void)json_out_done(o);
	return 0;
}

int
dead_letters_retry(
    struct ctx *c, struct request *rq, struct response *rs, struct err *e)
{
	struct buf args;
	struct db *db;
	int64_t id;
	int rc = -1;

	buf_init(&args, SMALL_BODY_MAX * 4);
	if (!daemon_alive(c->cfg->lock_path)) {
		fail_code(e, ERR_UNAVAILABLE, "collector_stopped",
		    "collectord does this and does not run: start it, then "
		    "try again");
		goto out;
	}
	if (read_ids(rq, &args, e) == 0 && (db = ctx_db(c, e)) != NULL &&
	    job_add(db, RETRY_JOB, buf_view(&args), &id, e) == 0)
		rc = answer(c, db, id, rs, e);
out:
	buf_free(&args);
	return rc;
}
