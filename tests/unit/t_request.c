/*
 * Parsing of a request: paths, queries, headers, bodies.
 */
#include "test_cmocka.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fcgi/request.h"

static struct arena arena;

static int
setup(void **state)
{
	(void)state;
	arena_init(&arena, REQUEST_ARENA_MAX);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

/* Parse "GET <uri>"; the parameters live in the arena as well. */
static int
parse(const char *method, const char *uri, struct request *rq, struct err *e)
{
	char **params = arena_array(&arena, 4, sizeof *params);

	assert_non_null(params);
	params[0] = arena_printf(&arena, "REQUEST_METHOD=%s", method);
	params[1] = arena_printf(&arena, "REQUEST_URI=%s", uri);
	params[2] = arena_printf(&arena, "REMOTE_ADDR=192.0.2.7");
	return request_parse(rq, &arena, params, e);
}

static void
accepts(const char *uri, const char *path, size_t segments)
{
	struct request rq;
	struct err e = { .kind = ERR_NONE };

	if (parse("GET", uri, &rq, &e) != 0)
		FAIL("%s: %s\n", uri, e.text);
	assert_true(str_eq(rq.path, str_of(path)));
	assert_int_equal(rq.nsegments, segments);
}

static void
refuses(const char *uri, const char *why)
{
	struct request rq;
	struct err e = { .kind = ERR_NONE };

	if (parse("GET", uri, &rq, &e) == 0)
		FAIL("%s is accepted\n", uri);
	assert_int_equal(e.kind, ERR_INPUT);
	assert_non_null(strstr(e.text, why));
	/* the log can still say what was asked */
	assert_true(str_eq(rq.remote, STR("192.0.2.7")));
}

static void
test_clean_paths(void **state)
{
	(void)state;
	accepts("/", "/", 1);
	accepts("/health", "/health", 1);
	accepts("/health/", "/health/", 2);
	accepts("/%68ealth", "/health", 1);
	accepts("/a%2Fb", "/a/b", 1); /* stays one segment */
	accepts("/a?b=/../c", "/a", 1);
	accepts("/caf%C3%A9/caf\xc3\xa9", "/caf\xc3\xa9/caf\xc3\xa9", 2);
	accepts("/...", "/...", 1);
	accepts("/.well-known/x", "/.well-known/x", 2);
	accepts("/a+b", "/a+b", 1); /* a plus is a plus in a path */
	accepts("http://host:1/x/y", "/x/y", 2);
	accepts("https://host", "/", 1);
}

static void
test_paths_that_are_not_clean(void **state)
{
	(void)state;
	refuses("", "slash");
	refuses("health", "slash");
	refuses("*", "slash");
	refuses("//health", "empty segment");
	refuses("/a//b", "empty segment");
	refuses("/a//", "empty segment");
	refuses("/./health", "dot segment");
	refuses("/a/../health", "dot segment");
	refuses("/a/..", "dot segment");
	refuses("/%2e%2e/health", "dot segment");
	refuses("/.%2E/health", "dot segment");
	refuses("/%2e/health", "dot segment");
	refuses("/a%00b", "NUL");
	refuses("/%ff", "UTF-8");
	refuses("/%c0%af", "UTF-8");    /* overlong slash */
	refuses("/%ed%a0%80", "UTF-8"); /* surrogate */
	refuses("/%", "percent");
	refuses("/%4", "percent");
	refuses("/%zz", "percent");
	refuses("/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t/u/v/w/x/y/z/1/2/3/4/"
		"5/6/7",
	    "too many");
}

static void
test_an_encoded_slash_does_not_split(void **state)
{
	struct request rq;

	(void)state;
	assert_int_equal(parse("GET", "/x/a%2F..%2Fb", &rq, NULL), 0);
	assert_int_equal(rq.nsegments, 2);
	assert_true(str_eq(rq.segment[1], STR("a/../b")));
}

static void
test_methods(void **state)
{
	static const struct {
		const char *text;
		enum http_method method;
	} cases[] = {
		{ "GET", METHOD_GET },
		{ "HEAD", METHOD_HEAD },
		{ "DELETE", METHOD_DELETE },
		{ "OPTIONS", METHOD_OPTIONS },
		{ "get", METHOD_OTHER },
		{ "OTHER", METHOD_OTHER },
		{ "ANY", METHOD_OTHER },
		{ "", METHOD_OTHER },
	};
	struct request rq;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(parse(cases[i].text, "/", &rq, NULL), 0);
		assert_int_equal(rq.method, cases[i].method);
	}
	/* about the server, not about a path */
	assert_int_equal(parse("OPTIONS", "*", &rq, NULL), 0);
	assert_int_equal(rq.nsegments, 0);
}

static void
test_queries(void **state)
{
	struct request rq;
	int64_t v = 7;
	struct err e;

	(void)state;
	assert_int_equal(
	    parse("GET",
		"/?a=1&b=x+y%26z&&c&a=2&d=&n=-5&big=99999999999999999999", &rq,
		NULL),
	    0);
	assert_int_equal(rq.nquery, 7);
	assert_true(str_eq(request_query(&rq, "a"), STR("1")));
	assert_true(str_eq(request_query(&rq, "b"), STR("x y&z")));
	assert_non_null(request_query(&rq, "c").p);
	assert_int_equal(request_query(&rq, "c").n, 0);
	assert_null(request_query(&rq, "z").p);

	assert_int_equal(request_query_i64(&rq, "a", 0, 9, &v, &e), 0);
	assert_int_equal(v, 1);
	v = 7;
	assert_int_equal(request_query_i64(&rq, "absent", 0, 9, &v, &e), 0);
	assert_int_equal(request_query_i64(&rq, "d", 0, 9, &v, &e), 0);
	assert_int_equal(v, 7);
	assert_int_equal(request_query_i64(&rq, "n", 0, 9, &v, &e), -1);
	assert_string_equal(e.text, "n must be within 0 and 9");
	assert_int_equal(request_query_i64(&rq, "big", 0, 9, &v, &e), -1);
	assert_string_equal(e.text, "big must be an integer");
	assert_int_equal(e.kind, ERR_INPUT);
}

static void
test_bad_queries(void **state)
{
	char many[8192] = "/?";
	struct request rq;
	struct err e;

	(void)state;
	refuses("/?a=%", "query");
	refuses("/?a=%00", "query");
	refuses("/?%ff=1", "query");
	for (int i = 0; i < QUERY_PAIRS_MAX; i++)
		memcpy(many + 2 + 2 * i, "a&", 3);
	assert_int_equal(parse("GET", many, &rq, &e), -1);
	assert_non_null(strstr(e.text, "too many"));
}

static void
test_authorization_under_each_name(void **state)
{
	static const char *const names[] = { "HTTP_AUTHORIZATION",
		"Authorization", "REDIRECT_HTTP_AUTHORIZATION" };
	struct request rq;

	(void)state;
	/* the first that is there wins over the ones behind it */
	for (size_t first = 0; first < 3; first++) {
		char *params[8] = { NULL }, wanted[32];
		size_t n = 0;

		params[n++] = arena_printf(&arena, "REQUEST_URI=/");
		for (size_t i = 3; i-- > first;)
			params[n++] =
			    arena_printf(&arena, "%s=Bearer %zu", names[i], i);
		assert_int_equal(request_parse(&rq, &arena, params, NULL), 0);
		(void)snprintf(wanted, sizeof wanted, "Bearer %zu", first);
		assert_true(str_eq(rq.authorization, str_of(wanted)));
	}
	assert_int_equal(parse("GET", "/", &rq, NULL), 0);
	assert_int_equal(rq.authorization.n, 0);
}

static void
test_too_many_headers(void **state)
{
	char *big = malloc(HEADERS_MAX + 1), *params[4] = { NULL };
	char uri[] = "REQUEST_URI=/x", method[] = "REQUEST_METHOD=GET";
	struct request rq;
	struct err e;

	(void)state;
	assert_non_null(big);
	memset(big, 'a', HEADERS_MAX);
	memcpy(big, "HTTP_X=", 7);
	params[0] = uri;
	params[1] = method;
	params[2] = big;
	big[HEADERS_MAX] = '\0';
	assert_int_equal(request_parse(&rq, &arena, params, &e), -1);
	assert_int_equal(e.kind, ERR_HEADERS);
	assert_true(str_eq(rq.target, STR("/x")));
	/* exactly the limit, counted with the NULs */
	big[HEADERS_MAX - sizeof uri - sizeof method - 1] = '\0';
	assert_int_equal(request_parse(&rq, &arena, params, &e), 0);
	free(big);
}

static void
test_without_a_uri(void **state)
{
	char *params[] = { NULL };
	struct request rq;
	struct err e;

	(void)state;
	assert_int_equal(request_parse(&rq, &arena, params, &e), -1);
	assert_int_equal(e.kind, ERR_INPUT);
	assert_non_null(strstr(e.text, "REQUEST_URI"));
	assert_int_equal(rq.method, METHOD_OTHER);
}

/* ---- bodies ---------------------------------------------------------------
 */

struct source {
	const char *p;
	size_t n;
	int piece;   /* at most so many bytes a call */
	bool breaks; /* in place of its end */
};

static int
read_source(void *from, char *p, int n)
{
	struct source *s = from;

	if (s->n == 0)
		return s->breaks ? -1 : 0;
	if (n > s->piece)
		n = s->piece;
	if ((size_t)n > s->n)
		n = (int)s->n;
	memcpy(p, s->p, (size_t)n);
	s->p += n;
	s->n -= (size_t)n;
	return n;
}

static enum err_kind
body(const char *length, struct source s, size_t cap, struct buf *b)
{
	char *params[] = { NULL, NULL };
	struct request rq = { .arena = &arena, .params = params };
	struct err e = { .kind = ERR_NONE };

	params[0] = arena_printf(&arena, "CONTENT_LENGTH=%s", length);
	if (request_read_body(&rq, b, cap, read_source, &s, &e) == 0) {
		assert_int_equal(rq.body.n, b->n);
		return ERR_NONE;
	}
	return e.kind;
}

static void
test_bodies(void **state)
{
	struct buf b;
	struct source four = { "body", 4, 3, false };
	struct source cut = { "bo", 2, 3, true };

	(void)state;
	buf_init(&b, 1000);
	assert_int_equal(body("4", four, 4, &b), ERR_NONE);
	assert_string_equal(buf_text(&b), "body");
	/* a length that is not given, or is none, says nothing */
	assert_int_equal(body("", four, 4, &b), ERR_NONE);
	assert_int_equal(body("x4", four, 4, &b), ERR_NONE);
	assert_int_equal(body("-4", four, 4, &b), ERR_NONE);
	/* one that is must be right */
	assert_int_equal(body("5", four, 10, &b), ERR_INPUT);
	assert_int_equal(body("3", four, 10, &b), ERR_INPUT);
	/* announced too large, or found to be */
	assert_int_equal(body("5", four, 4, &b), ERR_TOO_LARGE);
	assert_int_equal(body("", four, 3, &b), ERR_TOO_LARGE);
	assert_int_equal(body("4", cut, 4, &b), ERR_TIMEOUT);
	buf_free(&b);
}

static void
test_json_bodies(void **state)
{
	struct request rq = { .arena = &arena };
	struct err e;
	json_t *v;

	(void)state;
	rq.body = STR("{\"a\":1} trailing");
	assert_non_null(v = request_json(&rq, &e));
	json_decref(v);
	rq.body = STR("null");
	assert_non_null(v = request_json(&rq, &e));
	json_decref(v);
	rq.body = STR("[]");
	assert_null(request_json(&rq, &e));
	assert_int_equal(e.kind, ERR_INPUT);
	rq.body = STR("{");
	assert_null(request_json(&rq, &e));
	assert_string_equal(e.text, "unexpected EOF");
	rq.body = STR("");
	assert_null(request_json(&rq, &e));
	assert_string_equal(e.text, "EOF");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clean_paths),
		cmocka_unit_test(test_paths_that_are_not_clean),
		cmocka_unit_test(test_an_encoded_slash_does_not_split),
		cmocka_unit_test(test_methods),
		cmocka_unit_test(test_queries),
		cmocka_unit_test(test_bad_queries),
		cmocka_unit_test(test_authorization_under_each_name),
		cmocka_unit_test(test_too_many_headers),
		cmocka_unit_test(test_without_a_uri),
		cmocka_unit_test(test_bodies),
		cmocka_unit_test(test_json_bodies),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
