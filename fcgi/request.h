/*
 * A request as handlers see it: typed, decoded, judged.  Everything is made
 * from the parameters of the web server (CGI variables) and lives in the
 * arena of the worker until the answer is out.
 *
 * The path comes from REQUEST_URI alone, split first and decoded after:
 * SCRIPT_NAME and PATH_INFO differ from one web server to the next.
 */
#ifndef REQUEST_H
#define REQUEST_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena.h"
#include "attr.h"
#include "buf.h"
#include "err.h"
#include "fcgi/limits.h"
#include "str.h"

enum http_method {
	METHOD_GET,
	METHOD_HEAD,
	METHOD_POST,
	METHOD_PUT,
	METHOD_PATCH,
	METHOD_DELETE,
	METHOD_OPTIONS,
	METHOD_OTHER,
	METHOD_ANY, /* in the table of routes only */
	METHOD__MAX
};

struct query_pair {
	struct str name, value;
};

struct request {
	struct arena *arena;
	char *const *params; /* NAME=value, NULL-terminated; not ours */

	enum http_method method;
	struct str method_text;
	struct str target; /* path as sent, without the query; for the log */
	struct str path;   /* decoded; set when the path was clean */
	struct str
	    segment[SEGMENTS_MAX]; /* decoded; "/" is one empty segment */
	size_t nsegments;
	struct query_pair *query;
	size_t nquery;

	struct str
	    arg[ROUTE_ARGS_MAX]; /* what {names} of the route stand for */
	struct str remote; /* the peer's address, as the web server knows it */
	struct str origin; /* header Origin, empty when absent */
	struct str authorization; /* header, empty when absent */
	bool is_admin;            /* a right admin key came with it */
	struct str body;
	/* where a streamed body comes from; its cap stands in the route */
	int (*read_body)(void *from, char *p, int n);
	void *body_from;
	size_t body_max_bytes;
	char id[32]; /* X-Request-Id */
};

/*
 * Fill *rq from the parameters.  ERR_INPUT for a path that is not clean
 * (dot segments, empty segments, NUL, bad UTF-8, bad percent escapes -- plain
 * or encoded) and for a bad query, ERR_HEADERS when the parameters are too
 * large together.  method, target and remote are set even then.
 */
int request_parse(struct request *rq, struct arena *a, char *const *params,
    struct err *e) ATTR_USE_RESULT;

/* Value of a parameter by its CGI name; p is NULL when it is absent. */
struct str request_param(const struct request *rq, const char *name);

/*
 * Read the body to its end through `read`, which gives the number of bytes
 * it put in p, 0 at the end, -1 on failure.  The bytes go to into, which the
 * request then points at.  ERR_TOO_LARGE beyond cap_bytes; ERR_TIMEOUT when
 * it did not come in time or broke off; ERR_INPUT when its length is not the
 * announced one.
 */
int request_read_body(struct request *rq, struct buf *into, size_t cap_bytes,
    int (*read)(void *from, char *p, int n), void *from,
    struct err *e) ATTR_USE_RESULT;

/*
 * The body of a route that streams it, piece by piece to a sink, which gives
 * 0, or -1 with *e.  Errors as of request_read_body().
 */
int request_stream_body(struct request *rq,
    int (*sink)(void *to, const char *p, size_t n, struct err *e), void *to,
    struct err *e) ATTR_USE_RESULT;

/*
 * The body as a JSON object; a body that is `null` gives a null, which has no
 * members.  What follows the value is ignored.  Returns a reference that the
 * caller drops, or NULL with ERR_INPUT.
 */
json_t *request_json(const struct request *rq, struct err *e) ATTR_USE_RESULT;

/* The first query parameter of that name; p is NULL when it is absent. */
struct str request_query(const struct request *rq, const char *name);

/*
 * An integer query parameter within min..max; absent or empty leaves *out
 * alone.  ERR_INPUT names the parameter.
 */
int request_query_i64(const struct request *rq, const char *name, int64_t min,
    int64_t max, int64_t *out, struct err *e) ATTR_USE_RESULT;

const char *method_text(enum http_method m);

#endif
