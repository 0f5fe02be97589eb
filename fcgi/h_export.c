/*
 * GET /v0/management/usage/export: every event as a line of JSON, oldest
 * first (contract/database.md section 11), as many as there are.
 *
 * Events are read in pages, so that no statement is open while bytes go to
 * the client; what comes in meanwhile is not seen.
 */
#include <stdlib.h>

#include "codec.h"
#include "db.h"
#include "event_json.h"
#include "event_read.h"
#include "fcgi/ctx.h"
#include "fcgi/request.h"
#include "fcgi/response.h"
#include "fcgi/routes.h"

#define PAGE_EVENTS 512 /* their lines stay below what a buffer keeps */
#define PAGE_ARENA ((size_t)64 * 1024 * 1024)
#define LINES_MAX ((size_t)64 * 1024 * 1024) /* of one page */
#define PAGE_TIME_MS 20000                   /* for the SQL of one page */

struct export
{
	struct db *db;
	struct event_reader *reader;
	struct codec_stream *packer; /* NULL: lines go out as they are */
	struct arena arena;
	struct buf lines;           /* of a page, to be packed */
	int64_t after_ms, after_id; /* the last one written */
	int64_t to_ms, newest_id;
	bool full;
};

/* Packed bytes into the answer. */
static int
into_answer(void *to, const char *p, size_t n)
{
	struct response *rs = to;

	buf_add(rs->body, p, n);
	return rs->body->failed ? -1 : 0;
}

static int
query_bool(const struct request *rq, const char *name, bool *out, struct err *e)
{
	struct str v = request_query(rq, name);

	*out = false;
	if (v.n == 0 || str_eq(v, STR("0")) || str_eq(v, STR("false")))
		return 0;
	if (!str_eq(v, STR("1")) && !str_eq(v, STR("true")))
		return fail(e, ERR_INPUT, "%s must be 0 or 1", name);
	*out = true;
	return 0;
}

static int
read_query(const struct request *rq, struct export *x, struct err *e)
{
	int64_t from_ms = INT64_MIN, to_ms = INT64_MAX;

	if (request_query_i64(
		rq, "from_ms", INT64_MIN, INT64_MAX, &from_ms, e) != 0 ||
	    request_query_i64(rq, "to_ms", INT64_MIN, INT64_MAX, &to_ms, e) !=
		0 ||
	    query_bool(rq, "full", &x->full, e) != 0)
		return -1;
	if (from_ms >= to_ms)
		return fail(e, ERR_INPUT, "from_ms must be less than to_ms");
	/* ids begin with 1: behind none of that moment */
	x->after_ms = from_ms;
	x->after_id = 0;
	x->to_ms = to_ms;
	return 0;
}

/* The lines of one page, *n of them, behind what is in `to`. */
static int
read_page(struct export *x, struct buf *to, int *n, struct err *e)
{
	sqlite3_stmt *st = db_stmt(x->db, SQL_events_ascending, e);
	struct event_row row;
	struct json_out o;
	int rc;

	*n = 0;
	if (st == NULL)
		return -1;
	db_bind_i64(st, P_events_ascending_after_ms, x->after_ms);
	db_bind_i64(st, P_events_ascending_after_id, x->after_id);
	db_bind_i64(st, P_events_ascending_to_ms, x->to_ms);
	db_bind_i64(st, P_events_ascending_newest_id, x->newest_id);
	db_bind_i64(st, P_events_ascending_limit, PAGE_EVENTS);
	json_out_init(&o, to, NULL, NULL);
	while ((rc = db_step(x->db, st, e)) == 1) {
		if (event_reader_get(
			x->reader, db_col_i64(st, 0), &x->arena, &row, e) < 0) {
			rc = -1;
			break;
		}
		event_json(&o, &row, x->full);
		if (json_out_done(&o) != 0) {
			rc = fail(e, ERR_UNAVAILABLE, "out of memory");
			break;
		}
		x->after_ms = row.ev.ts_ms;
		x->after_id = row.id;
		++*n;
	}
	db_reset(st);
	return rc;
}

/* What the lines of a page become on their way out. */
static int
pack(struct export *x, bool last, struct err *e)
{
	struct str lines = buf_view(&x->lines);

	if (codec_add(x->packer, lines.p, lines.n, e) == 0 &&
	    (!last || codec_end(x->packer, e) == 0))
		return 0;
	return e->kind == ERR_NONE ? fail(e, ERR_UNAVAILABLE, "out of memory") :
				     -1;
}

static int
write_pages(struct ctx *c, struct export *x, struct response *rs, struct err *e)
{
	struct buf *to = x->packer != NULL ? &x->lines : rs->body;
	int n;

	do {
		/* the client's pace is not the database's */
		ctx_set_deadline(c, PAGE_TIME_MS);
		arena_reset(&x->arena);
		buf_clear(&x->lines);
		if (read_page(x, to, &n, e) != 0 ||
		    (x->packer != NULL && pack(x, n < PAGE_EVENTS, e) != 0))
			return -1;
		if (response_flush(rs) != 0)
			return 0;
	} while (n == PAGE_EVENTS);
	return 0;
}

int
usage_export(
    struct ctx *c, struct request *rq, struct response *rs, struct err *e)
{
	struct export x = { .db = NULL };
	enum codec codec =
	    codec_accepted(request_param(rq, "HTTP_ACCEPT_ENCODING"));
	int rc = -1;

	arena_init(&x.arena, PAGE_ARENA);
	buf_init(&x.lines, LINES_MAX);
	if (atomic_fetch_add(&c->app->exports, 1) >= EXPORTS_MAX) {
		response_header(rs, "Retry-After", "10");
		fail_code(e, ERR_UNAVAILABLE, "too_many_exports",
		    "%d exports are running already; try again later",
		    EXPORTS_MAX);
		goto out;
	}
	if (read_query(rq, &x, e) != 0 || (x.db = ctx_db(c, e)) == NULL ||
	    events_newest_id(x.db, &x.newest_id, e) != 0)
		goto out;
	x.reader = event_reader_new(x.db);
	if (codec != CODEC_NONE)
		x.packer = codec_packer(codec, into_answer, rs);
	if (x.reader == NULL || (codec != CODEC_NONE && x.packer == NULL)) {
		fail(e, ERR_UNAVAILABLE, "out of memory");
		goto out;
	}
	response_lines(rs, "application/x-ndjson");
	response_header(rs, "Content-Disposition",
	    "attachment; filename=\"usage-events.jsonl\"");
	response_header(rs, "Vary", "Accept-Encoding");
	if (codec != CODEC_NONE)
		response_header(rs, "Content-Encoding", codec_name(codec));
	rc = write_pages(c, &x, rs, e);
out:
	atomic_fetch_sub(&c->app->exports, 1);
	codec_free(x.packer);
	event_reader_free(x.reader);
	buf_free(&x.lines);
	arena_free(&x.arena);
	return rc;
}
