/* Names that count as the same. */
#include "test_cmocka.h"

#include "fcgi/alias_name.h"

static bool
same(const char *a, const char *b)
{
	struct arena arena;
	struct str x, y;
	bool equal;

	arena_init(&arena, 4096);
	x = alias_fold(str_of(a), &arena);
	y = alias_fold(str_of(b), &arena);
	assert_non_null(x.p);
	assert_non_null(y.p);
	equal = str_eq(x, y);
	arena_free(&arena);
	return equal;
}

static void
test_case_does_not_count(void **state)
{
	(void)state;
	assert_true(same("zed", "zED"));
	assert_true(same("\xc3\x89t\xc3\xa9", "\xc3\xa9T\xc3\x89")); /* Été */
	assert_true(same("\xd0\x96", "\xd0\xb6"));                   /* Ж ж */
	assert_true(same("\xce\xa9", "\xcf\x89"));                   /* Ω ω */
	assert_true(same("\xf0\x90\x90\x80", "\xf0\x90\x90\xa8")); /* Deseret */
	assert_false(same("e", "\xc3\xa9"));
	assert_false(same("a\\E.*", "a\\Exx"));
	assert_false(same("ab", "abc"));
	assert_true(same("", ""));
}

static void
test_bytes_that_are_no_text_stay_apart(void **state)
{
	(void)state;
	assert_false(same("\xff", "\xfe"));
	assert_true(same("A\xff", "a\xff"));
}

static void
test_length_is_in_characters(void **state)
{
	(void)state;
	assert_int_equal(alias_length(STR("")), 0);
	assert_int_equal(alias_length(STR("abc")), 3);
	assert_int_equal(alias_length(STR("\xc3\x89t\xf0\x90\x90\x80")), 3);
}

static void
test_spent_memory_is_said(void **state)
{
	struct arena arena;

	(void)state;
	arena_init(&arena, 8);
	assert_null(alias_fold(STR("longer than that"), &arena).p);
	arena_free(&arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_case_does_not_count),
		cmocka_unit_test(test_bytes_that_are_no_text_stay_apart),
		cmocka_unit_test(test_length_is_in_characters),
		cmocka_unit_test(test_spent_memory_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
