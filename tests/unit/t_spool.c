/*
 * The spool: what was appended comes back, whatever ends the daemon.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#undef fail

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collectord/spool_impl.h"
#include "test_dir.h"

#define LIMIT (INT64_C(64) * 1024 * 1024)

/* One whole batch of text. */
static void
put_batch(struct spool *s, const char *text, enum spool_end how)
{
	struct err e;

	assert_int_equal(spool_ask(s, 10, &e), 0);
	if (text[0] != '\0')
		assert_int_equal(spool_data(s, text, strlen(text), &e), 0);
	assert_int_equal(spool_done(s, how, 10, &e), 0);
}

/* The next batch's text, or NULL when there is none; *how is its end. */
static char *
take_batch(struct spool *s, struct spool_position *from, enum spool_end *how)
{
	struct spool_batch b;
	struct buf text;
	struct err e;
	int rc;

	rc = spool_next(s, from, &b, &e);
	assert_true(rc >= 0);
	if (rc == 0)
		return NULL;
	buf_init(&text, 1024 * 1024);
	while ((rc = spool_read(s, &b, &text, &e)) == 1)
		;
	assert_int_equal(rc, 0);
	*from = b.after;
	*how = b.how;
	return text.p == NULL ? strdup("") : text.p;
}

static void
expect_batch(struct spool *s, struct spool_position *from, const char *text,
    enum spool_end how)
{
	enum spool_end have;
	char *got = take_batch(s, from, &have);

	assert_non_null(got);
	assert_string_equal(got, text);
	assert_int_equal(have, how);
	free(got);
}

static void
expect_nothing(struct spool *s, struct spool_position *from)
{
	enum spool_end how;

	assert_null(take_batch(s, from, &how));
}

static int
count_segments(const struct spool *s)
{
	struct err e;
	int64_t *list;
	int n = segment_list(s, &list, &e);

	free(list);
	return n;
}

static void
batches_come_back_in_order(void **state)
{
	struct spool_position from = { 0, 0 };
	struct spool s;
	struct err e;

	(void)state;
	assert_int_equal(spool_open(&s, in_dir("order"), LIMIT, &e), 0);
	expect_nothing(&s, &from);
	put_batch(&s, "[1]", SPOOL_END_OK);
	put_batch(&s, "[2", SPOOL_END_BROKEN);
	put_batch(&s, "", SPOOL_END_BROKEN);
	expect_batch(&s, &from, "[1]", SPOOL_END_OK);
	expect_batch(&s, &from, "[2", SPOOL_END_BROKEN);
	expect_batch(&s, &from, "", SPOOL_END_BROKEN);
	expect_nothing(&s, &from);
	spool_close(&s);
}

static void
an_idle_daemon_leaves_no_doubt(void **state)
{
	struct spool_position from = { 0, 0 };
	struct spool s;
	struct err e;

	(void)state;
	assert_int_equal(spool_open(&s, in_dir("idle"), LIMIT, &e), 0);
	put_batch(&s, "[1]", SPOOL_END_OK);
	assert_int_equal(spool_ask(&s, 10, &e), 0);
	spool_nothing(&s);
	spool_close(&s); /* as kill -9 would: nothing is written at the end */
	assert_int_equal(spool_open(&s, in_dir("idle"), LIMIT, &e), 0);
	expect_batch(&s, &from, "[1]", SPOOL_END_OK);
	expect_nothing(&s, &from);
	spool_close(&s);
}

static void
an_open_question_is_in_doubt_once(void **state)
{
	struct spool_position from = { 0, 0 }, again = { 0, 0 };
	struct spool s;
	struct err e;

	(void)state;
	assert_int_equal(spool_open(&s, in_dir("open"), LIMIT, &e), 0);
	assert_int_equal(spool_ask(&s, 10, &e), 0);
	spool_close(&s);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(spool_open(&s, in_dir("open"), LIMIT, &e), 0);
		from = again;
		expect_batch(&s, &from, "", SPOOL_END_KILLED);
		expect_nothing(&s, &from);
		spool_close(&s);
	}
}

static void
bytes_that_came_are_kept(void **state)
{
	struct spool_position from = { 0, 0 };
	struct spool s;
	struct err e;

	(void)state;
	assert_int_equal(spool_open(&s, in_dir("half"), LIMIT, &e), 0);
	assert_int_equal(spool_ask(&s, 10, &e), 0);
	assert_int_equal(spool_data(&s, "[1,2", 4, &e), 0);
	spool_close(&s);
	assert_int_equal(spool_open(&s, in_dir("half"), LIMIT, &e), 0);
	expect_batch(&s, &from, "[1,2", SPOOL_END_KILLED);
	expect_nothing(&s, &from);
	spool_close(&s);
}

/* The whole of a file, malloc()ed. */
static char *
slurp(const char *path, size_t *n)
{
	int fd = open(path, O_RDONLY);
	struct stat st;
	char *p;

	assert_true(fd >= 0 && fstat(fd, &st) == 0);
	p = malloc((size_t)st.st_size);
	assert_int_equal(read(fd, p, (size_t)st.st_size), st.st_size);
	close(fd);
	*n = (size_t)st.st_size;
	return p;
}

static void
spill(const char *path, const char *p, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0 && write(fd, p, n) == (ssize_t)n);
	close(fd);
}

/*
 * A crash may leave any prefix of a segment.  What is sound in it comes
 * back; the batch that was cut is in doubt or, before its first record, was
 * never asked for; never is there anything else.
 */
static void
every_torn_tail_is_survived(void **state)
{
	struct spool s;
	char path[4096], dir[64];
	size_t n;
	char *whole;
	struct err e;

	(void)state;
	assert_int_equal(spool_open(&s, in_dir("whole"), LIMIT, &e), 0);
	put_batch(&s, "[\"first\"]", SPOOL_END_OK);
	put_batch(&s, "[\"second\"]", SPOOL_END_OK);
	segment_path(&s, s.segment, path, sizeof path);
	whole = slurp(path, &n);
	spool_close(&s);
	for (size_t cut = 0; cut < n; cut++) {
		struct spool_position from = { 0, 0 };
		enum spool_end how;
		int seen = 0;
		char *text;

		snprintf(dir, sizeof dir, "torn-%zu", cut);
		assert_int_equal(mkdir(in_dir(dir), 0700), 0);
		snprintf(path, sizeof path, "%s/%s", in_dir(dir),
		    "0000000000000001.spool");
		spill(path, whole, cut);
		assert_int_equal(spool_open(&s, in_dir(dir), LIMIT, &e), 0);
		while ((text = take_batch(&s, &from, &how)) != NULL) {
			seen++;
			if (how == SPOOL_END_OK)
				assert_string_equal(text,
				    seen == 1 ? "[\"first\"]" : "[\"second\"]");
			else {
				assert_int_equal(how, SPOOL_END_KILLED);
				/* nothing follows what was cut */
				assert_null(take_batch(&s, &from, &how));
			}
			free(text);
		}
		assert_true(seen <= 3);
		/* a second start finds the same */
		spool_close(&s);
		assert_int_equal(spool_open(&s, in_dir(dir), LIMIT, &e), 0);
		from = (struct spool_position){ 0, 0 };
		for (int i = 0; i < seen; i++) {
			text = take_batch(&s, &from, &how);
			assert_non_null(text);
			free(text);
		}
		expect_nothing(&s, &from);
		spool_close(&s);
	}
	free(whole);
}

static void
a_flipped_byte_ends_the_segment_there(void **state)
{
	struct spool_position from = { 0, 0 };
	struct spool s;
	char path[4096];
	size_t n;
	char *whole;
	enum spool_end how;
	struct err e;

	(void)state;
	assert_int_equal(spool_open(&s, in_dir("flip"), LIMIT, &e), 0);
	put_batch(&s, "[\"first\"]", SPOOL_END_OK);
	put_batch(&s, "[\"second\"]", SPOOL_END_OK);
	segment_path(&s, s.segment, path, sizeof path);
	spool_close(&s);
	whole = slurp(path, &n);
	whole[SEGMENT_HEAD + 2 * RECORD_HEAD + 4] ^= 1;
	spill(path, whole, n);
	free(whole);
	assert_int_equal(spool_open(&s, in_dir("flip"), LIMIT, &e), 0);
	whole = take_batch(&s, &from, &how);
	assert_non_null(whole);
	assert_int_equal(how, SPOOL_END_KILLED);
	free(whole);
	expect_nothing(&s, &from);
	spool_close(&s);
}

static void
what_is_stored_leaves_the_disk(void **state)
{
	struct spool_position from = { 0, 0 };
	struct spool s;
	struct err e;
	char *big = malloc(200000);

	(void)state;
	memset(big, 'x', 199999);
	big[199999] = '\0';
	assert_int_equal(spool_open(&s, in_dir("leave"), LIMIT, &e), 0);
	put_batch(&s, big, SPOOL_END_OK);
	assert_true(spool_waiting_bytes(&s) > 199999);
	/* not before it is stored */
	assert_int_equal(spool_freshen(&s, &e), 0);
	assert_int_equal(count_segments(&s), 1);
	expect_batch(&s, &from, big, SPOOL_END_OK);
	spool_release(&s, from);
	assert_int_equal(spool_waiting_bytes(&s), 0);
	assert_int_equal(spool_freshen(&s, &e), 0);
	assert_int_equal(count_segments(&s), 2);
	expect_nothing(&s, &from);
	spool_release(&s, from);
	assert_int_equal(count_segments(&s), 1);
	put_batch(&s, "[3]", SPOOL_END_OK);
	expect_batch(&s, &from, "[3]", SPOOL_END_OK);
	spool_close(&s);
	free(big);
}

static void
a_long_spool_has_several_segments(void **state)
{
	struct spool_position from = { 0, 0 };
	struct spool s;
	struct err e;
	char *big = malloc(1500001);

	(void)state;
	memset(big, 'y', 1500000);
	big[1500000] = '\0';
	assert_int_equal(spool_open(&s, in_dir("long"), LIMIT, &e), 0);
	for (int i = 0; i < 14; i++)
		put_batch(&s, big, SPOOL_END_OK);
	assert_true(count_segments(&s) >= 2);
	for (int i = 0; i < 14; i++) {
		struct spool_batch b;

		assert_int_equal(spool_next(&s, &from, &b, &e), 1);
		from = b.after;
	}
	expect_nothing(&s, &from);
	spool_release(&s, from);
	assert_int_equal(count_segments(&s), 1);
	spool_close(&s);
	free(big);
}

static void
a_full_spool_asks_for_nothing(void **state)
{
	struct spool s;
	struct err e;

	(void)state;
	assert_int_equal(spool_open(&s, in_dir("full"), 100, &e), 0);
	put_batch(&s,
	    "0123456789012345678901234567890123456789"
	    "0123456789012345678901234567890123456789",
	    SPOOL_END_OK);
	assert_int_equal(spool_ask(&s, 10, &e), -1);
	assert_string_equal(err_code(&e), "spool_full");
	spool_close(&s);
}

/* What waits is counted exactly, also while some of it is stored already. */
static void
what_waits_is_counted(void **state)
{
	struct spool_position from = { 0, 0 };
	enum { N = 20 };
	int64_t all, before;
	struct spool_batch b;
	struct spool s;
	struct err e;
	char *big = malloc(1500001);

	(void)state;
	memset(big, 'z', 1500000);
	big[1500000] = '\0';
	assert_int_equal(spool_open(&s, in_dir("count"), LIMIT, &e), 0);
	assert_int_equal(spool_waiting_bytes(&s), 0);
	for (int i = 0; i < N; i++)
		put_batch(&s, big, SPOOL_END_OK);
	all = spool_waiting_bytes(&s);
	assert_true(all >= N * 1500000 && all < N * 1501000);
	for (int i = 0; i < N; i++) {
		before = spool_waiting_bytes(&s);
		assert_int_equal(spool_next(&s, &from, &b, &e), 1);
		from = b.after;
		spool_release(&s, from);
		assert_true(before - spool_waiting_bytes(&s) >= 1500000);
		assert_true(before - spool_waiting_bytes(&s) < 1501000);
		if (i == N / 2)
			put_batch(&s, "[9]", SPOOL_END_OK);
	}
	assert_true(spool_waiting_bytes(&s) > 0);
	expect_batch(&s, &from, "[9]", SPOOL_END_OK);
	spool_release(&s, from);
	assert_int_equal(spool_waiting_bytes(&s), 0);
	spool_close(&s);
	free(big);
}

/* After a restart, too, once the writer has said where it is. */
static void
what_waits_is_counted_after_a_restart(void **state)
{
	struct spool_position from = { 0, 0 };
	struct spool_batch b;
	struct spool s;
	struct err e;
	int64_t both;

	(void)state;
	assert_int_equal(spool_open(&s, in_dir("recount"), LIMIT, &e), 0);
	put_batch(&s, "[1]", SPOOL_END_OK);
	put_batch(&s, "[2]", SPOOL_END_OK);
	both = spool_waiting_bytes(&s);
	assert_int_equal(spool_next(&s, &from, &b, &e), 1);
	spool_close(&s);
	assert_int_equal(spool_open(&s, in_dir("recount"), LIMIT, &e), 0);
	assert_true(spool_waiting_bytes(&s) >= both);
	spool_release(&s, b.after);
	assert_true(spool_waiting_bytes(&s) < both);
	assert_true(spool_waiting_bytes(&s) > 0);
	from = b.after;
	expect_batch(&s, &from, "[2]", SPOOL_END_OK);
	expect_nothing(&s, &from);
	spool_release(&s, from);
	assert_int_equal(spool_waiting_bytes(&s), 0);
	spool_close(&s);
}

/* The open INTENT announced fewer: what is in doubt would be too little. */
static void
another_size_is_announced_anew(void **state)
{
	struct spool_position from = { 0, 0 };
	struct spool_batch b;
	struct spool s;
	struct err e;

	(void)state;
	assert_int_equal(spool_open(&s, in_dir("size"), LIMIT, &e), 0);
	put_batch(&s, "[1]", SPOOL_END_OK); /* leaves an INTENT of 10 */
	assert_int_equal(spool_ask(&s, 500, &e), 0);
	spool_close(&s);
	assert_int_equal(spool_open(&s, in_dir("size"), LIMIT, &e), 0);
	expect_batch(&s, &from, "[1]", SPOOL_END_OK);
	assert_int_equal(spool_next(&s, &from, &b, &e), 1);
	assert_int_equal(b.how, SPOOL_END_KILLED);
	assert_int_equal(b.count, 500);
	assert_false(b.has_data);
	from = b.after;
	expect_nothing(&s, &from);
	spool_close(&s);
}

/* Another boot: the flag may not have reached the disk, so it means nothing. */
static void
after_a_power_cut_an_open_question_is_in_doubt(void **state)
{
	struct spool_position from = { 0, 0 };
	struct segment_head *head;
	char path[4096];
	struct spool s;
	struct err e;
	char *whole;
	size_t n;

	(void)state;
	assert_int_equal(spool_open(&s, in_dir("boot"), LIMIT, &e), 0);
	assert_int_equal(spool_ask(&s, 10, &e), 0);
	spool_nothing(&s);
	segment_path(&s, s.segment, path, sizeof path);
	spool_close(&s);
	whole = slurp(path, &n);
	head = (struct segment_head *)(void *)whole;
	assert_int_equal(head->asking, 0);
	head->boot[0] ^= 1;
	spill(path, whole, n);
	free(whole);
	assert_int_equal(spool_open(&s, in_dir("boot"), LIMIT, &e), 0);
	expect_batch(&s, &from, "", SPOOL_END_KILLED);
	expect_nothing(&s, &from);
	spool_close(&s);
}

/* The head is lost, the batches behind it are not. */
static void
a_damaged_head_costs_no_batch(void **state)
{
	struct spool_position from = { 0, 0 };
	enum spool_end how;
	char path[4096];
	struct spool s;
	struct err e;
	char *whole;
	size_t n;

	(void)state;
	assert_int_equal(spool_open(&s, in_dir("head"), LIMIT, &e), 0);
	put_batch(&s, "[1]", SPOOL_END_OK);
	segment_path(&s, s.segment, path, sizeof path);
	spool_close(&s);
	whole = slurp(path, &n);
	memset(whole, 0, SEGMENT_HEAD);
	spill(path, whole, n);
	free(whole);
	assert_int_equal(spool_open(&s, in_dir("head"), LIMIT, &e), 0);
	expect_batch(&s, &from, "[1]", SPOOL_END_OK);
	whole = take_batch(&s, &from, &how);
	assert_non_null(whole);
	assert_int_equal(how, SPOOL_END_KILLED);
	free(whole);
	expect_nothing(&s, &from);
	spool_close(&s);
}

/* A database that is older or newer than the spool, or another one's. */
static void
a_position_from_elsewhere_hides_nothing(void **state)
{
	struct spool_position far = { INT64_MAX, 5000 }, old = { 1, 1 };
	struct spool s;
	struct err e;

	(void)state;
	assert_int_equal(spool_open(&s, in_dir("elsewhere"), LIMIT, &e), 0);
	put_batch(&s, "[1]", SPOOL_END_OK);
	spool_release(&s, far);
	expect_batch(&s, &far, "[1]", SPOOL_END_OK);
	expect_batch(&s, &old, "[1]", SPOOL_END_OK);
	spool_close(&s);
}

/* Events carry keys: at rest the directory holds none of what was stored. */
static void
the_end_leaves_only_what_is_not_stored(void **state)
{
	struct spool_position from = { 0, 0 };
	struct spool s;
	struct err e;

	(void)state;
	assert_int_equal(spool_open(&s, in_dir("forget"), LIMIT, &e), 0);
	put_batch(&s, "[1]", SPOOL_END_OK);
	spool_forget(&s);
	assert_int_equal(count_segments(&s), 1);
	expect_batch(&s, &from, "[1]", SPOOL_END_OK);
	spool_release(&s, from);
	/* not while an answer is in doubt */
	assert_int_equal(spool_ask(&s, 10, &e), 0);
	spool_forget(&s);
	assert_int_equal(count_segments(&s), 1);
	spool_nothing(&s);
	spool_forget(&s);
	assert_int_equal(count_segments(&s), 0);
	spool_close(&s);
	/* and the next start is at ease with it */
	assert_int_equal(spool_open(&s, in_dir("forget"), LIMIT, &e), 0);
	put_batch(&s, "[2]", SPOOL_END_OK);
	expect_batch(&s, &from, "[2]", SPOOL_END_OK);
	spool_close(&s);
}

static void
a_spool_that_cannot_be_made_is_told(void **state)
{
	struct spool s;
	struct err e;

	(void)state;
	file_write(in_dir("file"), "x", 1);
	assert_int_equal(spool_open(&s, in_dir("file"), LIMIT, &e), -1);
	assert_int_equal(e.kind, ERR_UNAVAILABLE);
	assert_int_equal(
	    spool_open(&s, in_dir("no/such/place"), LIMIT, &e), -1);
	assert_int_equal(e.kind, ERR_UNAVAILABLE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(batches_come_back_in_order),
		cmocka_unit_test(an_idle_daemon_leaves_no_doubt),
		cmocka_unit_test(an_open_question_is_in_doubt_once),
		cmocka_unit_test(bytes_that_came_are_kept),
		cmocka_unit_test(every_torn_tail_is_survived),
		cmocka_unit_test(a_flipped_byte_ends_the_segment_there),
		cmocka_unit_test(what_is_stored_leaves_the_disk),
		cmocka_unit_test(a_long_spool_has_several_segments),
		cmocka_unit_test(a_full_spool_asks_for_nothing),
		cmocka_unit_test(what_waits_is_counted),
		cmocka_unit_test(what_waits_is_counted_after_a_restart),
		cmocka_unit_test(another_size_is_announced_anew),
		cmocka_unit_test(
		    after_a_power_cut_an_open_question_is_in_doubt),
		cmocka_unit_test(a_damaged_head_costs_no_batch),
		cmocka_unit_test(a_position_from_elsewhere_hides_nothing),
		cmocka_unit_test(the_end_leaves_only_what_is_not_stored),
		cmocka_unit_test(a_spool_that_cannot_be_made_is_told),
	};

	return cmocka_run_group_tests(tests, test_dir_make, test_dir_remove);
}
