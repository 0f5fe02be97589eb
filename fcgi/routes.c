/*
 * Matching paths against patterns, segment by segment.  The table is small:
 * it is searched from end to end, and the most specific match wins.
 */
#include "fcgi/routes.h"

#include <stdio.h>
#include <string.h>

#include "fcgi/limits.h"
#include "json_out.h"

static const struct route table_of_all[] = {
#define ROUTE(m, pattern, auth, body, handler) \
	{ METHOD_##m, pattern, auth, body, false, handler },
#define ROUTE_STREAM(m, pattern, auth, body, handler) \
	{ METHOD_##m, pattern, auth, body, true, handler },
#include "fcgi/routes.def"
#undef ROUTE
};

const struct route *
routes_all(size_t *n)
{
	*n = sizeof table_of_all / sizeof *table_of_all;
	return table_of_all;
}

enum piece { PIECE_END, PIECE_STAR, PIECE_NAME, PIECE_FIXED };

/* The next segment of a pattern; *p moves behind it. */
static enum piece
next_piece(const char **p, struct str *text)
{
	const char *start;

	if (**p != '/')
		return PIECE_END;
	start = ++*p;
	while (**p != '\0' && **p != '/')
		++*p;
	*text = (struct str){ start, (size_t)(*p - start) };
	if (str_eq(*text, STR("*")))
		return PIECE_STAR;
	if (text->n > 2 && text->p[0] == '{' && text->p[text->n - 1] == '}')
		return PIECE_NAME;
	return PIECE_FIXED;
}

/*
 * Compare how specific two patterns are: positive when a is more, 0 when
 * they have the same shape and match the same paths.
 */
static int
compare(const char *a, const char *b)
{
	for (;;) {
		struct str ta, tb;
		enum piece pa = next_piece(&a, &ta), pb = next_piece(&b, &tb);
		int d;

		if (pa != pb)
			return (int)pa - (int)pb;
		if (pa == PIECE_END)
			return 0;
		if (pa == PIECE_FIXED && (d = str_cmp(ta, tb)) != 0)
			return d;
	}
}

static bool
is_management(const struct request *rq)
{
	return rq->nsegments >= 3 && str_eq(rq->segment[0], STR("v0")) &&
	       str_eq(rq->segment[1], STR("management"));
}

/* Does the pattern match these segments?  args (may be NULL) is filled. */
static bool
matches(
    const char *pattern, const struct str *segment, size_t n, struct str *args)
{
	size_t i = 0, nargs = 0;
	struct str text;

	for (;;) {
		switch (next_piece(&pattern, &text)) {
		case PIECE_END:
			return i == n;
		case PIECE_STAR:
			return i < n;
		case PIECE_NAME:
			if (i == n || segment[i].n == 0)
				return false;
			if (args != NULL && nargs < ROUTE_ARGS_MAX)
				args[nargs++] = segment[i];
			break;
		case PIECE_FIXED:
			if (i == n || !str_eq(segment[i], text))
				return false;
			break;
		}
		i++;
	}
}

void
route_find(const struct route *table, size_t n, struct request *rq,
    struct route_match *out)
{
	enum http_method method =
	    rq->method == METHOD_HEAD ? METHOD_GET : rq->method;
	const struct route *best = NULL;
	size_t nsegments = rq->nsegments;

	*out = (struct route_match){ .key_first = is_management(rq) };
	/* management paths may end in a slash, no others */
	if (out->key_first && nsegments > 3 &&
	    rq->segment[nsegments - 1].n == 0)
		nsegments--;
	for (size_t i = 0; i < n; i++)
		if (matches(table[i].pattern, rq->segment, nsegments, NULL) &&
		    (best == NULL ||
			compare(table[i].pattern, best->pattern) > 0))
			best = &table[i];
	if (best == NULL)
		return;
	out->path_known = true;
	(void)matches(best->pattern, rq->segment, nsegments, rq->arg);
	for (size_t i = 0; i < n; i++) {
		if (compare(table[i].pattern, best->pattern) != 0)
			continue;
		out->methods |= 1u << table[i].method;
		if (table[i].method == method || table[i].method == METHOD_ANY)
			out->route = &table[i];
	}
}

static int
check_pattern(const char *pattern, struct err *e)
{
	const char *p = pattern;
	struct str text;
	enum piece piece;
	size_t nargs = 0;

	if (*p != '/')
		return fail(
		    e, ERR_INTERNAL, "route %s: no leading slash", pattern);
	if (strcmp(p, "/") == 0)
		return 0;
	while ((piece = next_piece(&p, &text)) != PIECE_END) {
		if (text.n == 0)
			return fail(e, ERR_INTERNAL, "route %s: empty segment",
			    pattern);
		if (piece == PIECE_STAR && *p != '\0')
			return fail(e, ERR_INTERNAL, "route %s: * must be last",
			    pattern);
		if (piece == PIECE_NAME && ++nargs > ROUTE_ARGS_MAX)
			return fail(e, ERR_INTERNAL, "route %s: too many names",
			    pattern);
		if (piece == PIECE_FIXED && memchr(text.p, '*', text.n) != NULL)
			return fail(e, ERR_INTERNAL,
			    "route %s: * within a segment", pattern);
		if (piece == PIECE_FIXED && memchr(text.p, '{', text.n) != NULL)
			return fail(e, ERR_INTERNAL,
			    "route %s: { within a segment", pattern);
	}
	return 0;
}

int
routes_check(const struct route *table, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		if (check_pattern(table[i].pattern, e) != 0)
			return -1;
		if (table[i].method == METHOD_HEAD ||
		    table[i].method == METHOD_OPTIONS ||
		    table[i].method == METHOD_OTHER)
			return fail(e, ERR_INTERNAL,
			    "route %s: HEAD, OPTIONS and unknown methods have "
			    "no entries of their own",
			    table[i].pattern);
		for (size_t j = 0; j < i; j++) {
			bool both = table[i].method == table[j].method ||
				    table[i].method == METHOD_ANY ||
				    table[j].method == METHOD_ANY;

			if (both &&
			    compare(table[i].pattern, table[j].pattern) == 0)
				return fail(e, ERR_INTERNAL,
				    "routes %s and %s answer the same request",
				    table[j].pattern, table[i].pattern);
		}
	}
	return 0;
}

void
routes_allow(unsigned methods, char *out, size_t size)
{
	size_t n = 0;

	if (methods & 1u << METHOD_GET)
		methods |= 1u << METHOD_HEAD;
	methods |= 1u << METHOD_OPTIONS;
	out[0] = '\0';
	for (enum http_method m = METHOD_GET; m <= METHOD_OPTIONS; m++) {
		int len;

		if (!(methods & 1u << m))
			continue;
		len = snprintf(out + n, size - n, "%s%s", n > 0 ? ", " : "",
		    method_text(m));
		if (len < 0 || (size_t)len >= size - n)
			return;
		n += (size_t)len;
	}
}

int
routes_print(void)
{
	struct buf b;
	struct json_out o;
	int rc;

	buf_init(&b, 1 * MIB);
	json_out_init(&o, &b, NULL, NULL);
	json_out_array(&o);
	for (size_t i = 0; i < sizeof table_of_all / sizeof *table_of_all;
	     i++) {
		const struct route *r = &table_of_all[i];

		json_out_object(&o);
		json_out_kz(&o, "method", method_text(r->method));
		json_out_kz(&o, "pattern", r->pattern);
		json_out_kz(&o, "auth", auth_class_text(r->auth));
		json_out_kint(&o, "bodyMaxBytes", (int64_t)r->body_max_bytes);
		json_out_object_end(&o);
	}
	json_out_array_end(&o);
	rc = json_out_done(&o);
	if (rc == 0 &&
	    (fputs(buf_text(&b), stdout) == EOF || fflush(stdout) != 0))
		rc = -1;
	buf_free(&b);
	return rc;
}
