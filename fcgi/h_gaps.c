/*
 * GET /v0/management/collector/gaps: stretches of time in which events may be
 * missing, with the reason, newest first.
 */
#include "fcgi/ctx.h"
#include "fcgi/event_row.h"
#include "fcgi/id_page.h"
#include "fcgi/request.h"
#include "fcgi/response.h"
#include "fcgi/routes.h"

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
	static const struct id_page page = {
		.rows = SQL_gaps_page,
		.p_before_id = P_gaps_page_before_id,
		.p_limit = P_gaps_page_limit,
		.count = count_gaps,
		.write = write_gap,
	};

	return id_page(c, rq, rs, &page, e);
}
