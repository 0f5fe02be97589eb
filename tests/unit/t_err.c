/* Errors as values: texts that fit, codes and statuses of the contract. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#undef fail /* lib/err.h has one of its own */

#include <string.h>

#include "err.h"
#include "str.h"

static void
fills_and_returns_minus_one(void **state)
{
	struct err e;

	(void)state;
	memset(&e, 'x', sizeof e);
	assert_int_equal(fail(&e, ERR_INPUT, "%s must be %d", "n", 5), -1);
	assert_int_equal(e.kind, ERR_INPUT);
	assert_null(e.code);
	assert_string_equal(e.text, "n must be 5");
	assert_int_equal(
	    fail_code(&e, ERR_UPSTREAM, "cpa_key_refused", "no"), -1);
	assert_int_equal(e.kind, ERR_UPSTREAM);
	assert_string_equal(err_code(&e), "cpa_key_refused");
	/* a later error does not inherit the code */
	fail(&e, ERR_INTERNAL, "oops");
	assert_string_equal(err_code(&e), "request_failed");
	err_clear(&e);
	assert_int_equal(e.kind, ERR_NONE);
	assert_string_equal(e.text, "");
}

static void
nobody_wants_to_know(void **state)
{
	(void)state;
	assert_int_equal(fail(NULL, ERR_INPUT, "%d", 1), -1);
	assert_int_equal(fail_code(NULL, ERR_INPUT, "c", "%d", 1), -1);
	assert_int_equal(fail_prefix(NULL, "%d", 1), -1);
}

static void
prefix_goes_before(void **state)
{
	struct err e;

	(void)state;
	fail_code(&e, ERR_MISSING, "gone", "no such file");
	assert_int_equal(fail_prefix(&e, "line %d", 31), -1);
	assert_string_equal(e.text, "line 31: no such file");
	assert_int_equal(e.kind, ERR_MISSING);
	assert_string_equal(err_code(&e), "gone");
}

static void
text_may_be_its_own_argument(void **state)
{
	struct err e;

	(void)state;
	fail(&e, ERR_INPUT, "inner");
	fail(&e, ERR_INTERNAL, "outer (%s)", e.text);
	assert_string_equal(e.text, "outer (inner)");
	fail_prefix(&e, "%s", e.text);
	assert_string_equal(e.text, "outer (inner): outer (inner)");
}

/* Fill the text to its last byte with `fill` bytes of 'a' before `tail`. */
static void
assert_cut(size_t fill, const char *tail, size_t kept)
{
	char a[1024];
	struct err e;

	memset(a, 'a', fill);
	a[fill] = '\0';
	fail(&e, ERR_INPUT, "%s%s%s", a, tail, "bbbb");
	assert_int_equal(strlen(e.text), fill + kept);
	assert_true(utf8_valid(str_of(e.text)));
	/* the same through the prefix */
	fail(&e, ERR_INPUT, "%sbbbb", tail);
	a[fill - 2] = '\0';
	fail_prefix(&e, "%s", a);
	assert_int_equal(strlen(e.text), fill + kept);
	assert_true(utf8_valid(str_of(e.text)));
}

static void
long_texts_are_cut_at_a_character(void **state)
{
	const size_t room = sizeof((struct err *)0)->text - 1;

	(void)state;
	assert_cut(room, "", 0);
	assert_cut(room - 1, "\xc3\xa9", 0);
	assert_cut(room - 2, "\xc3\xa9", 2);
	assert_cut(room - 2, "\xe2\x82\xac", 0);
	assert_cut(room - 3, "\xe2\x82\xac", 3);
	assert_cut(room - 3, "\xf0\x9f\x8e\x89", 0);
	assert_cut(room - 1, "\xf0\x9f\x8e\x89", 0);
	assert_cut(room - 4, "\xf0\x9f\x8e\x89", 4);
}

static void
kinds_have_statuses_and_codes(void **state)
{
	static const struct {
		enum err_kind kind;
		int status;
		const char *code;
	} want[] = {
		{ ERR_INPUT, 400, "request_failed" },
		{ ERR_DENIED, 401, "invalid_admin_key" },
		{ ERR_FORBIDDEN, 403, "request_failed" },
		{ ERR_MISSING, 404, "request_failed" },
		{ ERR_METHOD, 405, "method_not_allowed" },
		{ ERR_TIMEOUT, 408, "request_failed" },
		{ ERR_CONFLICT, 409, "request_failed" },
		{ ERR_UNCONFIGURED, 412, "usage_service_not_configured" },
		{ ERR_TOO_LARGE, 413, "request_failed" },
		{ ERR_HEADERS, 431, "request_failed" },
		{ ERR_THROTTLED, 429, "login_throttled" },
		{ ERR_INTERNAL, 500, "request_failed" },
		{ ERR_UPSTREAM, 502, "request_failed" },
		{ ERR_UNAVAILABLE, 503, "service_unavailable" },
	};
	struct err e = { .kind = ERR_NONE };

	(void)state;
	/* all but ERR_NONE */
	assert_int_equal(sizeof want / sizeof want[0], ERR__MAX - 1);
	for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
		e.kind = want[i].kind;
		assert_int_equal(err_status(e.kind), want[i].status);
		assert_string_equal(err_code(&e), want[i].code);
	}
	/* a kind that nobody knows is a fault of ours */
	e.kind = (enum err_kind)ERR__MAX;
	assert_int_equal(err_status(e.kind), 500);
	assert_string_equal(err_code(&e), "request_failed");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fills_and_returns_minus_one),
		cmocka_unit_test(nobody_wants_to_know),
		cmocka_unit_test(prefix_goes_before),
		cmocka_unit_test(text_may_be_its_own_argument),
		cmocka_unit_test(long_texts_are_cut_at_a_character),
		cmocka_unit_test(kinds_have_statuses_and_codes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
