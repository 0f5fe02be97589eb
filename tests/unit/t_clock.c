/* The clock and its two hooks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "clock.h"
#include "test_dir.h"

static int64_t
wall_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void
sleep_ms(long ms)
{
	nanosleep(&(struct timespec){ .tv_nsec = ms * 1000000 }, NULL);
}

/* Is the clock off by the given milliseconds, give or take two seconds? */
static int
off_by(int64_t offset_ms)
{
	int64_t d = clock_now_ms() - wall_ms() - offset_ms;

	return d > -2000 && d < 2000;
}

static void
write_offset(const char *text)
{
	file_write(in_dir("offset"), text, strlen(text));
}

static int64_t
seven(void)
{
	return 7;
}

static void
a_source_of_its_own(void **state)
{
	(void)state;
	clock_set_source(seven);
	assert_int_equal(clock_now_ms(), 7);
	clock_set_source(NULL);
	assert_true(clock_now_ms() > 1600000000000);
}

static void
monotonic(void **state)
{
	int64_t ns = clock_mono_ns(), ms = clock_mono_ms();

	(void)state;
	clock_set_source(seven);
	sleep_ms(20);
	/* goes on whatever the time of day does */
	assert_true(clock_mono_ns() - ns >= 20 * 1000000);
	assert_true(clock_mono_ms() - ms >= 19);
	assert_true(clock_mono_ns() / 1000000 - clock_mono_ms() <= 1);
	clock_set_source(NULL);
}

/* The hook is set up once a process, so each of these has one of its own. */
static int
without_a_file(void)
{
	unsetenv("CPA_MANAGER_TEST_CLOCK");
	if (!off_by(0))
		return 1;
	return 0;
}

static int
follows_the_file(void)
{
	write_offset("3600000\n");
	if (!off_by(3600000))
		return 1;
	write_offset(" -86400000 ");
	sleep_ms(150);
	if (!off_by(-86400000))
		return 2;
	/* unreadable or half-written: as before */
	write_offset("");
	sleep_ms(150);
	if (!off_by(-86400000))
		return 3;
	write_offset("soon");
	sleep_ms(150);
	if (!off_by(-86400000))
		return 4;
	unlink(in_dir("offset"));
	sleep_ms(150);
	if (!off_by(-86400000))
		return 5;
	write_offset("0");
	sleep_ms(150);
	return off_by(0) ? 0 : 6;
}

static int
file_appears_later(void)
{
	unlink(in_dir("offset"));
	if (!off_by(0))
		return 1;
	write_offset("5000000");
	sleep_ms(150);
	return off_by(5000000) ? 0 : 2;
}

static void *
look(void *arg)
{
	atomic_int *wrong = arg;

	for (int i = 0; i < 20000; i++)
		if (!off_by(3600000))
			atomic_fetch_add(wrong, 1);
	return NULL;
}

/* No thread sees a moment without the offset, not even the first. */
static int
from_several_threads(void)
{
	pthread_t threads[4];
	atomic_int wrong = 0;

	write_offset("3600000");
	for (int i = 0; i < 4; i++)
		if (pthread_create(&threads[i], NULL, look, &wrong) != 0)
			return 1;
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	return atomic_load(&wrong) == 0 ? 0 : 2;
}

static int
with_hook(void *arg)
{
	static char variable[PATH_MAX + 64];
	int (*const *test)(void) = arg;

	snprintf(variable, sizeof variable, "CPA_MANAGER_TEST_CLOCK=%s",
	    in_dir("offset"));
	putenv(variable);
	return (*test)();
}

static void
assert_in_child(int (*test)(void))
{
	assert_int_equal(in_child(with_hook, &test), 0);
}

static void
hook_unset(void **state)
{
	(void)state;
	assert_in_child(without_a_file);
}

static void
hook_follows(void **state)
{
	(void)state;
	assert_in_child(follows_the_file);
}

static void
hook_without_a_file_yet(void **state)
{
	(void)state;
	assert_in_child(file_appears_later);
}

static void
hook_in_threads(void **state)
{
	(void)state;
	assert_in_child(from_several_threads);
}

int
main(void)
{
	/* the children come first: a fork copies a hook that is set up */
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hook_unset),
		cmocka_unit_test(hook_follows),
		cmocka_unit_test(hook_without_a_file_yet),
		cmocka_unit_test(hook_in_threads),
		cmocka_unit_test(a_source_of_its_own),
		cmocka_unit_test(monotonic),
	};

	return cmocka_run_group_tests(tests, test_dir_make, test_dir_remove);
}
