/*
 * A request's parameters as a web server may pass them: one a line, the rest
 * after an empty line is the body.  Whatever is accepted must be clean, and
 * must find its way through the table of routes.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fcgi/alias_name.h"
#include "fcgi/auth.h"
#include "fcgi/request.h"
#include "fcgi/routes.h"

#define PARAMS_MAX 300

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct rest {
	const char *p;
	size_t n;
};

static int
read_rest(void *from, char *p, int n)
{
	struct rest *r = from;

	if ((size_t)n > r->n)
		n = (int)r->n;
	if (n > 0)
		memcpy(p, r->p, (size_t)n);
	r->p += n;
	r->n -= (size_t)n;
	return n;
}

static void
check(bool holds)
{
	if (!holds)
		abort();
}

static void
check_clean(const struct request *rq)
{
	check(utf8_valid(rq->path) && rq->path.n >= 1);
	check(memchr(rq->path.p, '\0', rq->path.n) == NULL);
	for (size_t i = 0; i < rq->nsegments; i++) {
		struct str s = rq->segment[i];

		check(!str_eq(s, STR(".")) && !str_eq(s, STR("..")));
		check(s.n > 0 || i + 1 == rq->nsegments);
	}
	for (size_t i = 0; i < rq->nquery; i++)
		check(utf8_valid(rq->query[i].name) &&
		      utf8_valid(rq->query[i].value));
}

static void
use(struct request *rq, struct rest *body)
{
	struct route_match m;
	const struct route *table;
	struct buf b;
	int64_t v = 0;
	json_t *j;
	size_t count;

	table = routes_all(&count);
	route_find(table, count, rq, &m);
	check(m.route == NULL || m.path_known);
	/* nothing below it is ever answered without asking for the key */
	if (str_starts(rq->path, STR("/v0/management/")) && m.path_known)
		check(m.key_first);
	(void)bearer_key(rq->authorization);
	if (request_query_i64(rq, "limit", 0, 500, &v, NULL) == 0)
		check(v >= 0 && v <= 500);
	if (rq->nquery > 0)
		(void)alias_fold(rq->query[0].value, rq->arena);
	buf_init(&b, 65536);
	if (request_read_body(rq, &b, 4096, read_rest, body, NULL) == 0) {
		check(rq->body.n <= 4096);
		if ((j = request_json(rq, NULL)) != NULL)
			json_decref(j);
	}
	buf_free(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char *text = malloc(n + 1), *params[PARAMS_MAX + 1] = { NULL };
	struct rest body = { "", 0 };
	struct request rq;
	struct arena a;
	char *p = text;
	size_t count = 0;

	if (text == NULL)
		return 0;
	if (n > 0)
		memcpy(text, data, n);
	text[n] = '\0';
	while (count < PARAMS_MAX && p < text + n) {
		char *end = memchr(p, '\n', (size_t)(text + n - p));

		if (end == p) {
			body.p = p + 1;
			body.n = (size_t)(text + n - body.p);
			break;
		}
		params[count++] = p;
		if (end == NULL)
			break;
		*end = '\0';
		p = end + 1;
	}
	arena_init(&a, 1 << 20);
	if (request_parse(&rq, &a, params, NULL) == 0 &&
	    rq.method != METHOD_OPTIONS) {
		check_clean(&rq);
		use(&rq, &body);
	}
	arena_free(&a);
	free(text);
	return 0;
}
