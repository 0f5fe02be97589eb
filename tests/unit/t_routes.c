/*
 * The search in a table of routes, and what a table must not hold.
 */
#include "test_cmocka.h"

#include <string.h>

#include "fcgi/routes.h"

#define N(table) (sizeof(table) / sizeof *(table))

static struct arena arena; /* of the request looked for last */

static int
setup(void **state)
{
	(void)state;
	arena_init(&arena, 65536);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

static int
handler(struct ctx *c, struct request *rq, struct response *rs, struct err *e)
{
	(void)c;
	(void)rq;
	(void)rs;
	(void)e;
	return 0;
}

#define R(method, pattern)                                             \
	{                                                              \
		METHOD_##method, pattern, AUTH_NONE, 0, false, handler \
	}

static const struct route table[] = {
	R(GET, "/"),
	R(GET, "/a"),
	R(POST, "/a"),
	R(GET, "/a/{x}"),
	R(DELETE, "/a/{x}/b/{y}"),
	R(GET, "/a/fixed"),
	R(ANY, "/tree/*"),
	R(PUT, "/tree/leaf"),
	R(GET, "/v0/management/usage"),
	R(GET, "/v0/management/alias/{hash}"),
	R(ANY, "/v0/management/*"),
};

/* The pattern that answers, NULL when none does. */
static const char *
find(const char *method, const char *path, struct request *rq,
    struct route_match *m)
{
	char uri[256] = "REQUEST_URI=", verb[64] = "REQUEST_METHOD=";
	char *params[] = { uri, verb, NULL };

	arena_reset(&arena);
	strncat(uri, path, sizeof uri - 20);
	strncat(verb, method, sizeof verb - 20);
	assert_int_equal(request_parse(rq, &arena, params, NULL), 0);
	route_find(table, N(table), rq, m);
	return m->route == NULL ? NULL : m->route->pattern;
}

static void
answers(const char *method, const char *path, const char *pattern)
{
	struct request rq;
	struct route_match m;
	const char *found = find(method, path, &rq, &m);

	if (found == NULL || strcmp(found, pattern) != 0)
		FAIL("%s %s: %s\n", method, path,
		    found == NULL ? "nothing" : found);
}

static void
test_the_most_specific_pattern_answers(void **state)
{
	(void)state;
	answers("GET", "/", "/");
	answers("GET", "/a", "/a");
	answers("HEAD", "/a", "/a");
	answers("POST", "/a", "/a");
	answers("GET", "/a/z", "/a/{x}");
	answers("GET", "/a/fixed", "/a/fixed");
	answers("DELETE", "/a/1/b/2", "/a/{x}/b/{y}");
	answers("PATCH", "/tree/x", "/tree/*");
	answers("BREW", "/tree/x/y/z", "/tree/*");
	answers("GET", "/tree/", "/tree/*");
	answers("PUT", "/tree/leaf", "/tree/leaf");
	answers("GET", "/tree/leaf/x", "/tree/*");
}

static void
test_unknown_paths(void **state)
{
	static const char *const paths[] = { "/b", "/a/", "/A", "/a/x/b",
		"/a/x/c/y", "/a/x/b/", "/tree", "/v0/management", "/v0",
		"/a%2Fx" };
	struct request rq;
	struct route_match m;

	(void)state;
	for (size_t i = 0; i < N(paths); i++) {
		assert_null(find("GET", paths[i], &rq, &m));
		if (m.path_known)
			FAIL("%s is known\n", paths[i]);
	}
}

static void
test_another_method_lists_those_there_are(void **state)
{
	struct request rq;
	struct route_match m;
	char allow[64];

	(void)state;
	assert_null(find("DELETE", "/a", &rq, &m));
	assert_true(m.path_known);
	routes_allow(m.methods, allow, sizeof allow);
	assert_string_equal(allow, "GET, HEAD, POST, OPTIONS");
	/* a fixed path with other methods is not its neighbour's business */
	assert_null(find("GET", "/tree/leaf", &rq, &m));
	routes_allow(m.methods, allow, sizeof allow);
	assert_string_equal(allow, "PUT, OPTIONS");
	assert_null(find("HEAD", "/tree/leaf", &rq, &m));
	/* however little room there is */
	routes_allow(m.methods, allow, 4);
	assert_true(strlen(allow) < 4);
}

static void
test_names_stand_for_segments(void **state)
{
	struct request rq;
	struct route_match m;

	(void)state;
	assert_non_null(find("DELETE", "/a/one/b/t%2Fwo", &rq, &m));
	assert_true(str_eq(rq.arg[0], STR("one")));
	assert_true(str_eq(rq.arg[1], STR("t/wo")));
	/* also when the method is another, for the log */
	assert_null(find("GET", "/a/one/b/two", &rq, &m));
	assert_true(str_eq(rq.arg[0], STR("one")));
}

static void
test_management_paths(void **state)
{
	struct request rq;
	struct route_match m;

	(void)state;
	answers("GET", "/v0/management/usage", "/v0/management/usage");
	answers("GET", "/v0/management/usage/", "/v0/management/usage");
	answers(
	    "GET", "/v0/management/alias/f/", "/v0/management/alias/{hash}");
	answers("GET", "/v0/management/alias/", "/v0/management/*");
	answers("GET", "/v0/management/", "/v0/management/*");
	answers("GET", "/v0/management/usagex", "/v0/management/*");
	answers("GET", "/v0/management/usage%2F", "/v0/management/*");

	assert_null(find("POST", "/v0/management/usage", &rq, &m));
	assert_true(m.key_first && m.path_known);
	(void)find("GET", "/v0/management/none", &rq, &m);
	assert_true(m.key_first);
	(void)find("GET", "/a", &rq, &m);
	assert_false(m.key_first);
	(void)find("GET", "/v0/management", &rq, &m);
	assert_false(m.key_first);
	(void)find("GET", "/V0/management/x", &rq, &m);
	assert_false(m.path_known);
}

static void
refused(const struct route *routes, size_t n, const char *why)
{
	struct err e = { .kind = ERR_NONE };

	if (routes_check(routes, n, &e) == 0)
		FAIL("%s is accepted\n", routes[n - 1].pattern);
	assert_int_equal(e.kind, ERR_INTERNAL);
	if (strstr(e.text, why) == NULL)
		FAIL("%s\n", e.text);
}

static void
test_tables_that_are_refused(void **state)
{
	static const struct route malformed[] = { R(GET, "a"), R(GET, "/a/"),
		R(GET, "/a//b"), R(GET, "/*/a"), R(GET, "/a*"), R(GET, "/a{x}"),
		R(GET, "/{a}/{b}/{c}/{d}/{e}"), R(HEAD, "/a"),
		R(OPTIONS, "/a") };
	static const char *const why[] = { "slash", "empty", "empty", "last",
		"within", "within", "names", "HEAD", "HEAD" };
	static const struct route same[] = { R(GET, "/a/{x}"), R(PUT, "/a/{x}"),
		R(GET, "/a/{other}") };
	static const struct route any[] = { R(GET, "/a"), R(ANY, "/a") };

	(void)state;
	for (size_t i = 0; i < N(malformed); i++)
		refused(&malformed[i], 1, why[i]);
	assert_int_equal(routes_check(same, 2, NULL), 0);
	refused(same, 3, "/a/{other}");
	refused(any, 2, "the same request");
	assert_int_equal(routes_check(table, N(table), NULL), 0);
}

static void
test_our_own_table(void **state)
{
	size_t n;
	const struct route *all = routes_all(&n);
	bool catch_all = false;

	(void)state;
	assert_int_equal(routes_check(all, n, NULL), 0);
	for (size_t i = 0; i < n; i++) {
		bool management = strncmp(all[i].pattern, "/v0/management/",
				      strlen("/v0/management/")) == 0;

		/* deny by default: nothing below it is open to strangers */
		if (management)
			assert_int_equal(all[i].auth, AUTH_ADMIN);
		/* whatever changes something needs the key */
		if (all[i].method != METHOD_GET && all[i].method != METHOD_ANY)
			assert_int_equal(all[i].auth, AUTH_ADMIN);
		catch_all |= strcmp(all[i].pattern, "/v0/management/*") == 0;
	}
	assert_true(catch_all);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_most_specific_pattern_answers),
		cmocka_unit_test(test_unknown_paths),
		cmocka_unit_test(test_another_method_lists_those_there_are),
		cmocka_unit_test(test_names_stand_for_segments),
		cmocka_unit_test(test_management_paths),
		cmocka_unit_test(test_tables_that_are_refused),
		cmocka_unit_test(test_our_own_table),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
