/*
 * The table of routes and the search in it.
 */
#ifndef ROUTES_H
#define ROUTES_H

#include <stdbool.h>
#include <stddef.h>

#include "attr.h"
#include "err.h"
#include "fcgi/auth.h"
#include "fcgi/request.h"

struct ctx;
struct response;

/*
 * Answer a request.  Returns 0 after filling rs, or -1 with *e, which then
 * becomes the answer.
 */
typedef int route_handler(
    struct ctx *c, struct request *rq, struct response *rs, struct err *e);

struct route {
	enum http_method method;
	const char *pattern;
	enum auth_class auth;
	size_t body_max_bytes;
	bool streamed; /* the handler reads the body, request_stream_body() */
	route_handler *handler;
};

struct route_match {
	const struct route *route; /* NULL: the path or the method is unknown */
	bool path_known;
	unsigned methods; /* bits of enum http_method that the path has */
	bool key_first;   /* the admin key is asked for before 404 and 405 */
};

/*
 * Find the route of a parsed request in a table; the texts that {names}
 * stand for go to rq->arg in the pattern's order.
 */
void route_find(const struct route *table, size_t n, struct request *rq,
    struct route_match *out);

/*
 * Refuse a table with malformed patterns, or with two entries that would
 * answer the same request.  ERR_INTERNAL names them.
 */
int routes_check(
    const struct route *table, size_t n, struct err *e) ATTR_USE_RESULT;

/* The value of the header Allow for these methods, into out. */
void routes_allow(unsigned methods, char *out, size_t size);

/* The application's own table. */
const struct route *routes_all(size_t *n);

/* It as JSON on standard output; 0, or -1 when that failed. */
int routes_print(void);

/* The handlers that routes.def names, one file an area: h_<area>.c. */
#define ROUTE(m, pattern, auth, body, handler)                              \
	int handler(struct ctx *c, struct request *rq, struct response *rs, \
	    struct err *e);
#include "fcgi/routes.def"
#undef ROUTE

#endif
