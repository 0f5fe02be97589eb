/* Lines of the log, read back from a pipe in the place of standard error. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"

/* 2026-11-24T08:00:00.123Z */
static int64_t
morning(void)
{
	return 1795507200123;
}

static int old_stderr, ends[2];
static char got[1 << 16];

/* From here to release() standard error is a pipe. */
static void
capture(void)
{
	assert_int_equal(pipe(ends), 0);
	old_stderr = dup(STDERR_FILENO);
	assert_true(old_stderr >= 0);
	assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
	close(ends[1]);
}

/* What was written meanwhile, in got. */
static void
release(void)
{
	size_t n = 0;
	ssize_t part;

	dup2(old_stderr, STDERR_FILENO);
	close(old_stderr);
	while ((part = read(ends[0], got + n, sizeof got - 1 - n)) > 0)
		n += (size_t)part;
	close(ends[0]);
	got[n] = '\0';
}

static int
setup(void **state)
{
	(void)state;
	unsetenv("JOURNAL_STREAM");
	log_open("prog", LOG_DEBUG);
	clock_set_source(morning);
	return 0;
}

static void
a_line(void **state)
{
	(void)state;
	capture();
	log_line(LOG_INFO, "setup saved");
	log_write(LOG_WARN, "slow", LOG_INT("ms", -5), LOG_Z("path", "/a/b"),
	    LOG_STR("id", STR("x1")), LOG_DBL("part", 0.25));
	log_line(LOG_ERROR, "e");
	log_line(LOG_DEBUG, "d");
	release();
	assert_string_equal(got,
	    "2026-11-24T08:00:00.123Z info prog setup saved\n"
	    "2026-11-24T08:00:00.123Z warn prog slow ms=-5 path=/a/b id=x1 "
	    "part=0.25\n"
	    "2026-11-24T08:00:00.123Z error prog e\n"
	    "2026-11-24T08:00:00.123Z debug prog d\n");
}

static int64_t
before_1970(void)
{
	return -1;
}

static void
odd_times_and_numbers(void **state)
{
	(void)state;
	clock_set_source(before_1970);
	capture();
	log_write(LOG_INFO, "w", LOG_INT("a", INT64_MIN), LOG_DBL("b", NAN),
	    LOG_DBL("c", INFINITY), LOG_DBL("d", -INFINITY));
	release();
	assert_string_equal(got,
	    "1969-12-31T23:59:59.999Z info prog w a=-9223372036854775808 "
	    "b=nan c=inf d=-inf\n");
}

static void
levels_above_the_highest_are_dropped(void **state)
{
	(void)state;
	log_open("prog", LOG_WARN);
	capture();
	log_line(LOG_DEBUG, "no");
	log_line(LOG_INFO, "no");
	log_line(LOG_WARN, "yes");
	log_line(LOG_ERROR, "yes");
	release();
	assert_null(strstr(got, "no"));
	assert_non_null(strstr(got, "warn prog yes\n"));
	assert_non_null(strstr(got, "error prog yes\n"));
}

static void
assert_value(struct str value, const char *want)
{
	char line[256];

	capture();
	log_write(LOG_INFO, "w", LOG_STR("k", value));
	release();
	snprintf(line, sizeof line,
	    "2026-11-24T08:00:00.123Z info prog w k=%s\n", want);
	assert_string_equal(got, line);
}

static void
values_are_quoted_and_escaped(void **state)
{
	(void)state;
	assert_value(STR(""), "\"\"");
	assert_value((struct str){ NULL, 0 }, "\"\"");
	assert_value(STR("a b"), "\"a b\"");
	assert_value(STR("a=b"), "\"a=b\"");
	assert_value(STR("say \"hi\""), "\"say \\\"hi\\\"\"");
	assert_value(STR("c:\\x"), "\"c:\\\\x\"");
	assert_value(STR("a\nb\tc\rd"), "\"a\\nb\\tc\\u000dd\"");
	assert_value(STR("a\0b"), "\"a\\u0000b\"");
	assert_value(STR("\x1b[2J"), "\"\\u001b[2J\"");
	assert_value(STR("\x7f"), "\"\\u007f\"");
	/* readable text stays readable */
	assert_value(
	    STR("\xe4\xbd\xa0\xe5\xa5\xbd"), "\xe4\xbd\xa0\xe5\xa5\xbd");
	/* CSI of a terminal, line separator, right-to-left override */
	assert_value(STR("\xc2\x9b"), "\"\\u009b\"");
	assert_value(STR("\xe2\x80\xa8"), "\"\\u2028\"");
	assert_value(STR("\xe2\x80\xae"), "\"\\u202e\"");
	assert_value(STR("\xff\xc3"), "\"\\xff\\xc3\"");
}

static void
what_happened_cannot_forge_a_line(void **state)
{
	(void)state;
	capture();
	log_line(LOG_INFO, "one\n2026 error prog two \"three\"");
	release();
	assert_string_equal(got,
	    "2026-11-24T08:00:00.123Z info prog one\\n2026 error prog two "
	    "\"three\"\n");
}

static void
long_lines_are_cut(void **state)
{
	char text[6000];
	size_t n;

	(void)state;
	memset(text, 'a', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	/* a character that would lie across the border is not halved */
	for (size_t i = 0; i + 2 < sizeof text - 1; i += 3)
		memcpy(text + i, "\xe2\x82\xac", 3);
	capture();
	log_write(LOG_INFO, "w", LOG_Z("long", text), LOG_Z("next", "b"));
	log_line(LOG_INFO, "another");
	release();
	n = strcspn(got, "\n") + 1;
	assert_true(n > 4000);
	assert_true(n <= 4096);
	got[n - 1] = '\0';
	assert_string_equal(got + n - 1 - 4, " ...");
	assert_true(utf8_valid(str_of(got)));
	assert_null(strstr(got, "next="));
	assert_string_equal(
	    got + n, "2026-11-24T08:00:00.123Z info prog another\n");
}

static void
the_journal_gets_levels(void **state)
{
	static char stream[64];
	struct stat st;

	(void)state;
	capture();
	/* named, but not what we write to: say the time as ever */
	snprintf(stream, sizeof stream, "JOURNAL_STREAM=1:1");
	putenv(stream);
	log_open("prog", LOG_DEBUG);
	log_line(LOG_INFO, "w");
	assert_int_equal(fstat(STDERR_FILENO, &st), 0);
	snprintf(stream, sizeof stream, "JOURNAL_STREAM=%ju:%ju",
	    (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	log_open("prog", LOG_DEBUG);
	log_line(LOG_ERROR, "w");
	log_line(LOG_WARN, "w");
	log_write(LOG_INFO, "w", LOG_INT("n", 1));
	log_line(LOG_DEBUG, "w");
	release();
	assert_string_equal(got,
	    "2026-11-24T08:00:00.123Z info prog w\n"
	    "<3>prog w\n<4>prog w\n<6>prog w n=1\n<7>prog w\n");
}

static void
errno_survives(void **state)
{
	int saved = dup(STDERR_FILENO);

	(void)state;
	assert_true(saved >= 0);
	close(STDERR_FILENO);
	errno = ENOENT;
	log_line(LOG_ERROR, "nobody hears this");
	assert_int_equal(errno, ENOENT);
	dup2(saved, STDERR_FILENO);
	close(saved);
}

#define LINES 200

static void *
talk(void *arg)
{
	for (int i = 0; i < LINES; i++)
		log_write(LOG_INFO, arg, LOG_INT("i", i));
	return NULL;
}

/* Each line came whole. */
static void
threads_do_not_mix(void **state)
{
	char names[4][32] = { "aaaaaaaaaaaaaaaaaaaaaaaa",
		"bbbbbbbbbbbbbbbbbbbbbbbb", "cccccccccccccccccccccccc",
		"dddddddddddddddddddddddd" };
	pthread_t threads[4];
	size_t lines = 0;
	char *line, *end;

	(void)state;
	capture();
	assert_true(fcntl(STDERR_FILENO, F_SETPIPE_SZ, 1 << 18) > 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(
		    pthread_create(&threads[i], NULL, talk, names[i]), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	release();
	for (line = got; (end = strchr(line, '\n')) != NULL; line = end + 1) {
		const char *prefix = "2026-11-24T08:00:00.123Z info prog ";
		const char *name = line + strlen(prefix);

		assert_memory_equal(line, prefix, strlen(prefix));
		assert_int_equal(strspn(name, (char[]){ name[0], '\0' }), 24);
		assert_memory_equal(name + 24, " i=", 3);
		lines++;
	}
	assert_int_equal(lines, 4 * LINES);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_line, setup),
		cmocka_unit_test_setup(odd_times_and_numbers, setup),
		cmocka_unit_test_setup(
		    levels_above_the_highest_are_dropped, setup),
		cmocka_unit_test_setup(values_are_quoted_and_escaped, setup),
		cmocka_unit_test_setup(
		    what_happened_cannot_forge_a_line, setup),
		cmocka_unit_test_setup(long_lines_are_cut, setup),
		cmocka_unit_test_setup(the_journal_gets_levels, setup),
		cmocka_unit_test_setup(errno_survives, setup),
		cmocka_unit_test_setup(threads_do_not_mix, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
