/*
 * From a batch in the spool to rows: exactly what came, once, whatever odd
 * things stand between the elements and however often it is done.
 */
#include <stdio.h>
#include <string.h>

#include "buf.h"
#include "collectord/ingest.h"
#include "collectord/spool_impl.h"
#include "test_store.h"

#define LIMIT (INT64_C(256) * 1024 * 1024)
#define ASKED 10

/* Spool, database and ingest of one test. */
struct rig {
	struct spool spool;
	struct db db;
	struct ingest *in;
	struct spool_position at;
	struct ingest_result result; /* of the last batch */
};

static void
rig_open(struct rig *r, const char *name)
{
	char file[64];
	struct err e;

	*r = (struct rig){ .in = ingest_new() };
	assert_non_null(r->in);
	snprintf(file, sizeof file, "%s.sqlite", name);
	open_store(&r->db, file);
	if (spool_open(&r->spool, in_dir(name), LIMIT, &e) != 0)
		FAIL("%s", e.text);
}

static void
rig_close(struct rig *r)
{
	spool_close(&r->spool);
	ingest_free(r->in);
	db_close(&r->db);
}

/* A batch whose answer arrives in pieces of at most `piece` bytes. */
static void
put_batch(struct rig *r, struct str answer, size_t piece, enum spool_end how)
{
	struct err e;

	assert_int_equal(spool_ask(&r->spool, ASKED, &e), 0);
	for (size_t i = 0; i < answer.n; i += piece)
		assert_int_equal(
		    spool_data(&r->spool, answer.p + i,
			answer.n - i < piece ? answer.n - i : piece, &e),
		    0);
	assert_int_equal(spool_done(&r->spool, how, ASKED, &e), 0);
}

static int
take(struct rig *r, struct err *e)
{
	struct spool_batch b;
	int rc;

	assert_int_equal(spool_next(&r->spool, &r->at, &b, e), 1);
	rc = ingest_batch(
	    r->in, &r->db, &r->spool, &b, &r->result, NULL, NULL, e);
	if (rc == 0)
		r->at = b.after;
	return rc;
}

static void
ingest(struct rig *r, const char *answer, enum spool_end how)
{
	struct err e;

	put_batch(r, str_of(answer), 7, how);
	if (take(r, &e) != 0)
		FAIL("%s", e.text);
}

/* An event of its own for each n. */
#define EVENT(n)                                                      \
	"{\"timestamp\":\"2026-04-25T00:00:0" n "Z\",\"model\":\"m" n \
	"\",\"request_id\":\"0" n "\","                               \
	"\"api_key\":\"key\",\"tokens\":{\"input_tokens\":1}}"

static void
expect(struct rig *r, int64_t events, int64_t dead, int64_t gaps)
{
	assert_int_equal(figure(&r->db, "SELECT count(*) FROM events"), events);
	assert_int_equal(
	    figure(&r->db, "SELECT count(*) FROM dead_letters"), dead);
	assert_int_equal(figure(&r->db, "SELECT count(*) FROM gaps"), gaps);
	assert_int_equal(figure(&r->db, "SELECT value FROM counters WHERE name "
					"= 'events'"),
	    events);
	assert_int_equal(figure(&r->db, "SELECT value FROM counters WHERE name "
					"= 'dead_letters'"),
	    dead);
	assert_int_equal(figure(&r->db, "SELECT segment FROM spool_position"),
	    r->at.segment);
	assert_int_equal(
	    figure(&r->db, "SELECT \"offset\" FROM spool_position"),
	    r->at.offset);
}

static void
events_become_rows(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r, "rows");
	ingest(&r, "[" EVENT("1") "," EVENT("2") "]", SPOOL_END_OK);
	assert_int_equal(r.result.inserted, 2);
	assert_int_equal(r.result.skipped, 0);
	expect(&r, 2, 0, 0);
	/* the same once more, and a new one */
	ingest(
	    &r, "[" EVENT("2") "," EVENT("3") "," EVENT("3") "]", SPOOL_END_OK);
	assert_int_equal(r.result.inserted, 1);
	assert_int_equal(r.result.skipped, 2);
	expect(&r, 3, 0, 0);
	assert_int_equal(
	    figure(&r.db, "SELECT count(*) FROM events e JOIN dict d ON "
			  "d.kind = 1 AND d.id = e.model_id AND d.value = "
			  "'m' || ltrim(lower(hex(e.request_id)), '0')"),
	    3);
	rig_close(&r);
}

static void
odd_elements_spoil_nothing_but_themselves(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r, "odd");
	ingest(&r,
	    " [ null, \"\", \"  \", 7, [1,2], " EVENT(
		"1") ", {broken}, "
		     "\"{\\\"timestamp\\\":\\\"2026-04-25T00:00:09Z\\\"}\", "
		     "{\"support_refresh\":true}, \"\\ud800 no event\", " EVENT(
			 "2") " ] and more",
	    SPOOL_END_OK);
	assert_int_equal(r.result.inserted, 3);
	assert_int_equal(r.result.dead, 4);
	assert_false(r.result.refresh);
	assert_false(r.result.gap);
	expect(&r, 3, 4, 0);
	ingest(&r, "[{\"refresh\":true}]", SPOOL_END_OK);
	assert_true(r.result.refresh);
	expect(&r, 3, 4, 0);
	rig_close(&r);
}

static void
a_replay_adds_nothing(void **state)
{
	struct spool_position begin;
	struct rig r;
	struct err e;

	(void)state;
	rig_open(&r, "replay");
	begin = r.at;
	ingest(&r, "[" EVENT("1") ",7," EVENT("2") ",", SPOOL_END_BROKEN);
	expect(&r, 2, 1, 1);
	for (int i = 0; i < 2; i++) {
		r.at = begin;
		assert_int_equal(take(&r, &e), 0);
		assert_int_equal(r.result.inserted, 0);
		assert_int_equal(r.result.dead, 0);
		expect(&r, 2, 1, 1);
	}
	rig_close(&r);
}

static int64_t
in_doubt(struct rig *r)
{
	return figure(
	    &r->db, "SELECT in_doubt FROM gaps ORDER BY id DESC LIMIT 1");
}

static void
what_may_be_missing_is_entered(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r, "doubt");
	/* cut inside the third element of at most ten */
	ingest(
	    &r, "[" EVENT("1") "," EVENT("2") ",{\"timesta", SPOOL_END_BROKEN);
	expect(&r, 2, 0, 1);
	assert_int_equal(in_doubt(&r), ASKED - 2);
	/* nothing came at all */
	ingest(&r, "", SPOOL_END_KILLED);
	expect(&r, 2, 0, 2);
	assert_int_equal(in_doubt(&r), ASKED);
	/* the list had ended: nothing is missing, whatever happened then */
	ingest(&r, "[" EVENT("3") "]", SPOOL_END_KILLED);
	ingest(&r, "[]", SPOOL_END_BROKEN);
	expect(&r, 3, 0, 2);
	/* as many came as were asked for: there were no more */
	ingest(&r, "[1,2,3,4,5,6,7,8,9,0,", SPOOL_END_BROKEN);
	expect(&r, 3, 10, 2);
	/* an answer that looked whole, and was not */
	ingest(&r, "[" EVENT("4") ",", SPOOL_END_OK);
	expect(&r, 4, 10, 3);
	assert_true(r.result.gap);
	assert_int_equal(in_doubt(&r), ASKED - 1);
	rig_close(&r);
}

static void
damage_on_the_disk_is_a_gap_and_no_stop(void **state)
{
	char path[4096], wrong = '!';
	struct spool_batch b;
	struct rig r;
	struct err e;
	int fd;

	(void)state;
	rig_open(&r, "damage");
	put_batch(&r, STR("[" EVENT("1") "]"), 1000, SPOOL_END_OK);
	put_batch(&r, STR("[" EVENT("2") "]"), 1000, SPOOL_END_OK);
	put_batch(&r, STR("[" EVENT("3") "]"), 1000, SPOOL_END_OK);
	segment_path(&r.spool, r.spool.segment, path, sizeof path);
	assert_true((fd = open(path, O_WRONLY)) >= 0);
	/* in the bytes of the first: its sum shows it */
	assert_int_equal(
	    pwrite(fd, &wrong, 1, SEGMENT_HEAD + 2 * RECORD_HEAD + 20), 1);
	assert_int_equal(take(&r, &e), 0);
	expect(&r, 0, 0, 1);
	assert_int_equal(in_doubt(&r), ASKED);
	/* in the head of the second: what follows cannot be found either */
	assert_int_equal(spool_next(&r.spool, &r.at, &b, &e), 1);
	assert_int_equal(pwrite(fd, &wrong, 1, b.at.offset + 4), 1);
	assert_int_equal(take(&r, &e), 0);
	expect(&r, 0, 0, 2);
	assert_int_equal(in_doubt(&r), -1);
	/* and then it goes on */
	ingest(&r, "[" EVENT("4") "]", SPOOL_END_OK);
	expect(&r, 1, 0, 2);
	close(fd);
	rig_close(&r);
}

static void
an_event_that_is_refused_holds_up_nothing(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r, "refused");
	run_sql(&r.db, "CREATE TRIGGER no BEFORE INSERT ON events "
		       "WHEN NEW.request_id = x'02' BEGIN "
		       "SELECT raise(ABORT, 'no such event'); END");
	ingest(
	    &r, "[" EVENT("1") "," EVENT("2") "," EVENT("3") "]", SPOOL_END_OK);
	assert_int_equal(r.result.inserted, 2);
	assert_int_equal(r.result.dead, 1);
	expect(&r, 2, 1, 0);
	assert_int_equal(
	    figure(&r.db, "SELECT count(*) FROM dead_letters WHERE "
			  "reason LIKE '%no such event%' AND "
			  "CAST(payload AS TEXT) LIKE '%\"m2\"%' AND "
			  "CAST(payload AS TEXT) NOT LIKE '%\"key\"%'"),
	    1);
	rig_close(&r);
}

static int
refuse(struct db *db, void *arg, struct err *e)
{
	(void)db;
	(void)arg;
	return fail(e, ERR_UNAVAILABLE, "not now");
}

static void
a_transaction_that_fails_leaves_nothing(void **state)
{
	struct spool_batch b;
	struct rig r;
	struct err e;

	(void)state;
	rig_open(&r, "undone");
	put_batch(&r, STR("[" EVENT("1") ",7]"), 1000, SPOOL_END_OK);
	assert_int_equal(spool_next(&r.spool, &r.at, &b, &e), 1);
	assert_int_equal(ingest_batch(r.in, &r.db, &r.spool, &b, &r.result,
			     refuse, NULL, &e),
	    -1);
	assert_int_equal(r.result.inserted, 0);
	assert_int_equal(figure(&r.db, "SELECT count(*) FROM dict"), 0);
	assert_int_equal(
	    figure(&r.db, "SELECT segment FROM spool_position"), 0);
	/* the same batch again, numbers begin anew */
	assert_int_equal(take(&r, &e), 0);
	expect(&r, 1, 1, 0);
	assert_int_equal(figure(&r.db, "SELECT model_id FROM events"), 1);
	rig_close(&r);
}

/* Where accounts are from in the tests: counts how often it is asked. */
struct source {
	struct account_list *list;
	int asked;
};

static const struct account_list *
give(void *arg)
{
	struct source *source = arg;

	source->asked++;
	return source->list;
}

/* Asked for once a batch, and only for events that have a use for it. */
static void
events_are_told_who_paid(void **state)
{
	struct source source = { .asked = 0 };
	struct buf answer;
	struct rig r;
	struct err e;

	(void)state;
	rig_open(&r, "accounts");
	ingest_use_accounts(r.in, give, &source);
	ingest(&r, "[" EVENT("1") ",{\"refresh\":true}]", SPOOL_END_OK);
	assert_true(r.result.refresh);
	assert_int_equal(source.asked, 0);
	/* nobody knows: stored as it is */
	ingest(&r,
	    "[{\"timestamp\":1,\"auth_index\":\"i\"},"
	    "{\"timestamp\":2,\"auth_index\":\"i\"}]",
	    SPOOL_END_OK);
	assert_false(r.result.refresh);
	assert_int_equal(source.asked, 1);
	assert_int_equal(
	    figure(&r.db, "SELECT count(*) FROM events WHERE snapshot_ms > 0"),
	    0);
	source.list = account_list_parse(
	    STR("[{\"auth_index\":\"i\",\"email\":\"a@x.y\",\"name\":\"f\"}]"),
	    77, &e);
	assert_non_null(source.list);
	/* several transactions, with the one list */
	buf_init(&answer, 1024 * 1024);
	buf_z(&answer, "[" EVENT("2"));
	for (int i = 0; i < 2100; i++)
		buf_printf(&answer, ",{\"timestamp\":%d,\"auth_index\":\"%s\"}",
		    1700000000 + i, i % 2 == 0 ? "i" : "j");
	buf_char(&answer, ']');
	put_batch(&r, buf_view(&answer), 4096, SPOOL_END_OK);
	assert_int_equal(take(&r, &e), 0);
	assert_int_equal(source.asked, 2);
	assert_int_equal(
	    figure(&r.db, "SELECT count(*) FROM events e JOIN identities i ON "
			  "i.id = e.identity_id WHERE i.account = 'a@x.y' AND "
			  "i.file = 'f' AND e.snapshot_ms = 77"),
	    1050);
	assert_int_equal(
	    figure(&r.db, "SELECT count(*) FROM events WHERE snapshot_ms > 0"),
	    1050);
	/* the list is not looked at once the batch is over */
	account_list_free(source.list);
	source.list = NULL;
	/* what is known already is no new event for having an account now */
	ingest(&r, "[{\"timestamp\":1,\"auth_index\":\"i\"}]", SPOOL_END_OK);
	assert_int_equal(r.result.skipped, 1);
	buf_free(&answer);
	rig_close(&r);
}

/* The numbers of the old database must not be written into the new one. */
static void
another_database_begins_with_its_own_numbers(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r, "other");
	ingest(&r, "[" EVENT("1") "," EVENT("2") "]", SPOOL_END_OK);
	db_close(&r.db);
	open_store(&r.db, "another.sqlite");
	ingest_forget(r.in);
	ingest(&r, "[" EVENT("2") "]", SPOOL_END_OK);
	expect(&r, 1, 0, 0);
	assert_int_equal(
	    figure(&r.db, "SELECT count(*) FROM events e JOIN dict d ON "
			  "d.kind = 1 AND d.id = e.model_id"),
	    1);
	rig_close(&r);
}

/* An element of many megabytes in small pieces, between ordinary ones. */
static void
a_huge_element_passes(void **state)
{
	const size_t n = 20 * 1024 * 1024;
	struct buf answer;
	struct rig r;
	struct err e;

	(void)state;
	rig_open(&r, "huge");
	buf_init(&answer, 2 * n);
	buf_z(&answer, "[" EVENT("1") ",{\"model\":\"huge\",\"filler\":\"");
	memset(buf_reserve(&answer, n), 'x', n);
	buf_commit(&answer, n);
	buf_z(&answer, "\"}," EVENT("2") "]");
	put_batch(&r, buf_view(&answer), 16384, SPOOL_END_OK);
	if (take(&r, &e) != 0)
		FAIL("%s", e.text);
	expect(&r, 3, 0, 0);
	buf_free(&answer);
	rig_close(&r);
}

/* One that is larger than may be held is a dead letter, the rest in doubt. */
static void
an_element_beyond_all_measure_is_no_stop(void **state)
{
	const size_t n = 90 * 1024 * 1024;
	struct buf answer;
	struct rig r;
	struct err e;

	(void)state;
	rig_open(&r, "measure");
	buf_init(&answer, 2 * n);
	buf_z(&answer, "[" EVENT("1") ",{\"filler\":\"");
	memset(buf_reserve(&answer, n), 'x', n);
	buf_commit(&answer, n);
	buf_z(&answer, "\"}," EVENT("2") "]");
	put_batch(&r, buf_view(&answer), 1024 * 1024, SPOOL_END_OK);
	if (take(&r, &e) != 0)
		FAIL("%s", e.text);
	expect(&r, 1, 1, 1);
	assert_int_equal(in_doubt(&r), ASKED - 2);
	ingest(&r, "[" EVENT("3") "]", SPOOL_END_OK);
	expect(&r, 2, 1, 1);
	buf_free(&answer);
	rig_close(&r);
}

/* More than one transaction takes. */
static void
a_large_batch_is_stored_in_parts(void **state)
{
	enum { N = 2500 };
	struct buf answer;
	struct rig r;
	struct err e;

	(void)state;
	rig_open(&r, "parts");
	buf_init(&answer, 8 * 1024 * 1024);
	for (int i = 0; i < N; i++)
		buf_printf(&answer,
		    "%c{\"timestamp\":%d,\"model\":\"m\",\"id\":\"r%d\"}",
		    i == 0 ? '[' : ',', 1700000000 + i, i);
	buf_char(&answer, ']');
	put_batch(&r, buf_view(&answer), 4096, SPOOL_END_OK);
	if (take(&r, &e) != 0)
		FAIL("%s", e.text);
	assert_int_equal(r.result.inserted, N);
	expect(&r, N, 0, 0);
	buf_free(&answer);
	rig_close(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events_become_rows),
		cmocka_unit_test(odd_elements_spoil_nothing_but_themselves),
		cmocka_unit_test(a_replay_adds_nothing),
		cmocka_unit_test(what_may_be_missing_is_entered),
		cmocka_unit_test(damage_on_the_disk_is_a_gap_and_no_stop),
		cmocka_unit_test(an_event_that_is_refused_holds_up_nothing),
		cmocka_unit_test(a_transaction_that_fails_leaves_nothing),
		cmocka_unit_test(events_are_told_who_paid),
		cmocka_unit_test(another_database_begins_with_its_own_numbers),
		cmocka_unit_test(a_huge_element_passes),
		cmocka_unit_test(an_element_beyond_all_measure_is_no_stop),
		cmocka_unit_test(a_large_batch_is_stored_in_parts),
	};

	return cmocka_run_group_tests(tests, test_dir_make, test_dir_remove);
}
