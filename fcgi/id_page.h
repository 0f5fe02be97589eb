/*
 * A list that is paged by id, newest first: ?limit=&before_id= in,
 * {"items","nextBeforeId","hasMore","totalCount"} out.
 */
#ifndef ID_PAGE_H
#define ID_PAGE_H

#include "attr.h"
#include "db.h"
#include "err.h"
#include "json_out.h"

struct ctx;
struct request;
struct response;

struct id_page {
	enum stmt_id rows;        /* first column: the id */
	int p_before_id, p_limit; /* its parameters */
	/* How many there are altogether. */
	int (*count)(struct db *db, int64_t *n, struct err *e);
	/* The object of the row that st stands on. */
	void (*write)(struct json_out *o, sqlite3_stmt *st);
};

/* Answer a request for a page; ERR_INPUT names a wrong parameter. */
int id_page(struct ctx *c, struct request *rq, struct response *rs,
    const struct id_page *p, struct err *e) ATTR_USE_RESULT;

#endif
