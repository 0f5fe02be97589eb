/*
 * GET /v0/management/collector/gaps: stretches of time in which events may be
 * missing, with the reason, newest first.
 */
#include "fcgi/ctx.h"
#include "fcgi/event_row.h"
#include "fcgi/request.h"
#include "fcgi/response.h"
#include "fcgi/routes.h"

#define LIMIT_DEFAULT 50
#define LIMIT_MAX 500

static int
count_gaps(struct db *db, int64_t *n, struct err *e)
{
	sqlite3_stmt *st = db_stmt(db, SQL_gaps_count, e);
	int rc;

	if (st == NULL || (rc = db_step(db, st, e)) < 0)
		return -1;
	*n = rc == 1 ? db_col_i64(st, 0) : 0;
	db_reset(st);
	return 0;
}

/* inDoubt is null when nobody knows how many. */
static void
write_gap(struct json_out *o, sqlite3_stmt *st)
{
	json_out_object(o);
	json_out_kint(o, "id", db_col_i64(st, 0));
	json_out_kint(o, "fromMs", db_col_i64(st, 1));
	json_out_kint(o, "toMs", db_col_i64(st, 2));
	json_out_kstr(o, "reason", db_col_str(st, 3));
	event_row_kint(o, "inDoubt", st, 4);
	json_out_kstr(o, "detail", db_col_str(st, 5));
	json_out_kint(o, "createdAtMs", db_col_i64(st, 6));
	json_out_object_end(o);
}

int
gaps_get(struct ctx *c, struct request *rq, struct response *rs, struct err *e)
{
	int64_t limit = LIMIT_DEFAULT, before_id = INT64_MAX, total, last = 0;
	int64_t n = 0;
	sqlite3_stmt *st;
	struct json_out *o;
	struct db *db;
	int rc;

	if (request_query_i64(rq, "limit", 1, LIMIT_MAX, &limit, e) != 0 ||
	    request_query_i64(rq, "before_id", 1, INT64_MAX, &before_id, e) !=
		0 ||
	    (db = ctx_db(c, e)) == NULL || count_gaps(db, &total, e) != 0 ||
	    (st = db_stmt(db, SQL_gaps_page, e)) == NULL)
		return -1;
	o = response_json(rs, 200);
	json_out_object(o);
	json_out_key(o, "items");
	json_out_array(o);
	db_bind_i64(st, P_gaps_page_before_id, before_id);
	db_bind_i64(st, P_gaps_page_limit, limit + 1);
	while ((rc = db_step(db, st, e)) == 1 && n++ < limit) {
		write_gap(o, st);
		last = db_col_i64(st, 0);
	}
	db_reset(st);
	if (rc < 0)
		return -1;
	json_out_array_end(o);
	json_out_kint(o, "nextBeforeId", rc == 1 ? last : 0);
	json_out_kbool(o, "hasMore", rc == 1);
	json_out_kint(o, "totalCount", total);
	json_out_object_end(o);
	(void)json_out_done(o);
	return 0;
}
