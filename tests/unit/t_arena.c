/* The arena: alignment, cap, reuse, and stale views under a sanitizer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "arena.h"

#if defined(__SANITIZE_ADDRESS__)
#define POISONED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POISONED 1
#endif
#endif
#ifdef POISONED
#include <sanitizer/asan_interface.h>
#endif

static void
pieces_are_zeroed_aligned_apart(void **state)
{
	unsigned char *p[64];
	struct arena a;

	(void)state;
	arena_init(&a, SIZE_MAX);
	for (size_t i = 0; i < 64; i++) {
		p[i] = arena_alloc(&a, i);
		assert_non_null(p[i]);
		assert_int_equal((uintptr_t)p[i] % _Alignof(max_align_t), 0);
		for (size_t j = 0; j < i; j++)
			assert_int_equal(p[i][j], 0);
		memset(p[i], (int)i, i);
	}
	for (size_t i = 0; i < 64; i++) {
		for (size_t j = 0; j < i; j++)
			assert_int_equal(p[i][j], i);
		if (i > 0)
			assert_ptr_not_equal(p[i], p[i - 1]);
	}
	arena_free(&a);
}

static void
zeroed_also_after_a_reset(void **state)
{
	struct arena a;
	char *p;

	(void)state;
	arena_init(&a, SIZE_MAX);
	p = arena_alloc(&a, 100);
	assert_non_null(p);
	memset(p, 'x', 100);
	arena_reset(&a);
	assert_int_equal(a.used_bytes, 0);
	p = arena_alloc(&a, 100);
	assert_non_null(p);
	for (size_t i = 0; i < 100; i++)
		assert_int_equal(p[i], 0);
	arena_free(&a);
}

static void
blocks_of_any_size(void **state)
{
	char *large, *small;
	struct arena a;

	(void)state;
	arena_init(&a, SIZE_MAX);
	small = arena_alloc(&a, 16000);
	large = arena_alloc(&a, 1000000);
	assert_non_null(small);
	assert_non_null(large);
	memset(small, 's', 16000);
	memset(large, 'l', 1000000);
	assert_int_equal(small[15999], 's');
	/* of the blocks one of ordinary size is kept */
	arena_reset(&a);
	assert_non_null(a.head);
	small = arena_alloc(&a, 16);
	assert_non_null(small);
	arena_reset(&a);
	large = arena_alloc(&a, 16);
	assert_ptr_equal(small, large);
	arena_free(&a);
	assert_null(a.head);
	/* and it can be used again */
	assert_non_null(arena_alloc(&a, 1));
	arena_free(&a);
}

static void
cap_holds(void **state)
{
	struct arena a;

	(void)state;
	arena_init(&a, 64);
	assert_non_null(arena_alloc(&a, 33)); /* takes 48 */
	assert_false(a.failed);
	assert_null(arena_alloc(&a, 17));
	assert_true(a.failed);
	assert_non_null(arena_alloc(&a, 16));
	assert_null(arena_alloc(&a, 0));
	assert_true(a.used_bytes <= 64);
	assert_true(a.failed);
	arena_reset(&a);
	assert_false(a.failed);
	assert_non_null(arena_alloc(&a, 64));
	arena_free(&a);

	arena_init(&a, 0);
	assert_null(arena_alloc(&a, 1));
	assert_null(a.head);
	arena_free(&a);
}

static void
sizes_that_overflow(void **state)
{
	/* the arena never reads from here: the length alone is too large */
	struct str endless = { "", SIZE_MAX };
	struct arena a;

	(void)state;
	arena_init(&a, SIZE_MAX);
	assert_null(arena_alloc(&a, SIZE_MAX));
	assert_true(a.failed);
	a.failed = false;
	assert_null(arena_array(&a, SIZE_MAX / 8 + 1, 8));
	assert_true(a.failed);
	assert_null(arena_strdup(&a, endless));
	assert_int_equal(a.used_bytes, 0);
	assert_non_null(arena_array(&a, 0, 8));
	assert_non_null(arena_array(&a, 10, 8));
	arena_free(&a);
}

#ifndef POISONED
/* The sanitizer's own allocator ends the program instead of refusing. */
static void
memory_that_is_not_there(void **state)
{
	struct arena a;

	(void)state;
	arena_init(&a, SIZE_MAX);
	assert_null(arena_alloc(&a, (size_t)1 << 62));
	assert_true(a.failed);
	assert_int_equal(a.used_bytes, 0);
	assert_non_null(arena_alloc(&a, 1));
	arena_free(&a);
}
#endif

static void
texts(void **state)
{
	struct arena a;
	char *z;

	(void)state;
	arena_init(&a, 96);
	z = arena_strdup(&a, STR("abc"));
	assert_string_equal(z, "abc");
	assert_string_equal(arena_strdup(&a, (struct str){ NULL, 0 }), "");
	z = arena_printf(&a, "%d-%s", 42, "x");
	assert_string_equal(z, "42-x");
	assert_null(arena_printf(&a, "%200d", 1));
	assert_null(arena_strdup(&a, (struct str){ z, 200 }));
	arena_free(&a);
}

#ifdef POISONED
static void
stale_views_are_caught(void **state)
{
	struct arena a;
	char *p;

	(void)state;
	arena_init(&a, SIZE_MAX);
	p = arena_alloc(&a, 20);
	assert_non_null(p);
	assert_false(__asan_address_is_poisoned(p + 19));
	/* one byte beyond as well */
	assert_true(__asan_address_is_poisoned(p + 20));
	arena_reset(&a);
	assert_true(__asan_address_is_poisoned(p));
	arena_free(&a);
}
#endif

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_are_zeroed_aligned_apart),
		cmocka_unit_test(zeroed_also_after_a_reset),
		cmocka_unit_test(blocks_of_any_size),
		cmocka_unit_test(cap_holds),
		cmocka_unit_test(sizes_that_overflow),
		cmocka_unit_test(texts),
#ifdef POISONED
		cmocka_unit_test(stale_views_are_caught),
#else
		cmocka_unit_test(memory_that_is_not_there),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
