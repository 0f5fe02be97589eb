#include "fcgi/id_page.h"

#include "fcgi/ctx.h"
#include "fcgi/request.h"
#include "fcgi/response.h"

#define LIMIT_DEFAULT 50
#define LIMIT_MAX 500

int
id_page(struct ctx *c, struct request *rq, struct response *rs,
    const struct id_page *p, struct err *e)
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
	    (db = ctx_db(c, e)) == NULL || p->count(db, &total, e) != 0 ||
	    (st = db_stmt(db, p->rows, e)) == NULL)
		return -1;
	o = response_json(rs, 200);
	json_out_object(o);
	json_out_key(o, "items");
	json_out_array(o);
	db_bind_i64(st, p->p_before_id, before_id);
	/* one more than is shown tells whether there are more */
	db_bind_i64(st, p->p_limit, limit + 1);
	while ((rc = db_step(db, st, e)) == 1 && n++ < limit) {
		p->write(o, st);
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
