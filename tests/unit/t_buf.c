/* The growing buffer: content, cap, failure that sticks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "buf.h"

static void
empty(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 10);
	assert_string_equal(buf_text(&b), "");
	assert_int_equal(buf_view(&b).n, 0);
	buf_add(&b, NULL, 0);
	buf_z(&b, "");
	buf_z(&b, NULL);
	buf_printf(&b, "%s", "");
	buf_consume(&b, 5);
	buf_clear(&b);
	buf_commit(&b, 0);
	assert_null(b.p); /* nothing was allocated for all that */
	assert_false(b.failed);
	buf_free(&b);
	buf_wipe(&b);
}

static void
grows_and_stays_terminated(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 1000000);
	for (int i = 0; i < 1000; i++) {
		size_t before = b.n;

		buf_add(&b, "ab\0c", 4);
		buf_str(&b, STR("def"));
		buf_z(&b, "gh");
		buf_char(&b, '-');
		buf_printf(&b, "%03d", i);
		assert_int_equal(b.n, before + 13);
		assert_int_equal(b.p[b.n], '\0');
		assert_true(b.n < b.size_bytes);
		assert_memory_equal(b.p + before, "ab\0cdefgh-", 10);
	}
	assert_false(b.failed);
	assert_memory_equal(b.p + b.n - 3, "999", 3);
	assert_memory_equal(b.p, "ab\0cdefgh-000ab", 15);
	buf_free(&b);
	assert_null(b.p);
	buf_z(&b, "again");
	assert_string_equal(buf_text(&b), "again");
	buf_free(&b);
}

static void
cap_is_exact(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 5);
	buf_z(&b, "abcde");
	assert_false(b.failed);
	assert_string_equal(buf_text(&b), "abcde");
	buf_char(&b, 'f');
	assert_true(b.failed);
	assert_string_equal(buf_text(&b), "abcde");
	buf_free(&b);

	/* beyond the first allocation as well */
	buf_init(&b, 300);
	for (int i = 0; i < 300; i++)
		buf_char(&b, 'x');
	assert_false(b.failed);
	assert_int_equal(b.n, 300);
	buf_char(&b, 'x');
	assert_true(b.failed);
	buf_free(&b);

	buf_init(&b, 0);
	buf_char(&b, 'x');
	assert_true(b.failed);
	assert_string_equal(buf_text(&b), "");
	buf_free(&b);
}

static void
failure_sticks_until_cleared(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 5);
	buf_z(&b, "ab");
	buf_z(&b, "too long");
	assert_true(b.failed);
	/* what would fit comes too late: it would leave a hole */
	buf_char(&b, 'c');
	buf_printf(&b, "%d", 1);
	assert_null(buf_reserve(&b, 1));
	assert_string_equal(buf_text(&b), "ab");
	buf_clear(&b);
	assert_false(b.failed);
	buf_z(&b, "abcde");
	assert_string_equal(buf_text(&b), "abcde");
	buf_printf(&b, "%d", 1);
	assert_true(b.failed);
	buf_free(&b);
	assert_false(b.failed);
}

static void
reserve_and_commit(void **state)
{
	struct buf b;
	char *p;

	(void)state;
	buf_init(&b, 2000);
	buf_z(&b, "ab");
	p = buf_reserve(&b, 1000);
	assert_non_null(p);
	memset(p, 'c', 1000);
	assert_int_equal(b.n, 2);
	buf_commit(&b, 3);
	assert_string_equal(buf_text(&b), "abccc");
	assert_null(buf_reserve(&b, 1996));
	assert_true(b.failed);
	assert_string_equal(buf_text(&b), "abccc");
	buf_free(&b);
}

static void
sizes_that_overflow(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, SIZE_MAX);
	buf_char(&b, 'x');
	assert_null(buf_reserve(&b, SIZE_MAX - 1));
	assert_true(b.failed);
	buf_clear(&b);
	assert_null(buf_reserve(&b, SIZE_MAX));
	assert_true(b.failed);
	buf_free(&b);
}

static void
clear_gives_large_memory_back(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, (size_t)8 << 20);
	buf_z(&b, "abc");
	buf_clear(&b);
	assert_non_null(b.p);
	assert_string_equal(buf_text(&b), "");
	assert_non_null(buf_reserve(&b, (size_t)2 << 20));
	buf_clear(&b);
	assert_null(b.p);
	assert_int_equal(b.size_bytes, 0);
	buf_z(&b, "abc");
	assert_string_equal(buf_text(&b), "abc");
	buf_free(&b);
}

static void
consume_from_the_front(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	buf_z(&b, "abcdef");
	buf_consume(&b, 0);
	assert_string_equal(buf_text(&b), "abcdef");
	buf_consume(&b, 2);
	assert_string_equal(buf_text(&b), "cdef");
	buf_z(&b, "g");
	assert_string_equal(buf_text(&b), "cdefg");
	buf_consume(&b, 99);
	assert_string_equal(buf_text(&b), "");
	assert_int_equal(b.n, 0);
	buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty),
		cmocka_unit_test(grows_and_stays_terminated),
		cmocka_unit_test(cap_is_exact),
		cmocka_unit_test(failure_sticks_until_cleared),
		cmocka_unit_test(reserve_and_commit),
		cmocka_unit_test(sizes_that_overflow),
		cmocka_unit_test(clear_gives_large_memory_back),
		cmocka_unit_test(consume_from_the_front),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
