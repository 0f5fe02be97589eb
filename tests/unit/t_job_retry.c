/*
 * Dead letters that are read once more: what is an event now becomes one, once,
 * and nothing that was redacted is taken for what it hides.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "collectord/jobs.h"
#include "lib/jobs.h"
#include "model/normalise.h"
#include "test_store.h"

#define RETRY "dead_letter_retry"
#define WHEN_MS INT64_C(1700000000000)

struct rig {
	struct db db;
	struct store *store;
	struct jobs *jobs;
	struct arena a;
	int64_t letters; /* written so far */
};

static unsigned rigs;

static void
rig_begin(struct rig *r)
{
	r->store = store_new();
	r->jobs = jobs_new(in_dir("import"));
	assert_non_null(r->store);
	assert_non_null(r->jobs);
}

static void
crash(struct rig *r)
{
	jobs_free(r->jobs);
	store_free(r->store);
	rig_begin(r);
}

static int
setup(void **state)
{
	struct rig *r = calloc(1, sizeof *r);
	char name[32];

	if (r == NULL)
		return -1;
	snprintf(name, sizeof name, "%u.sqlite", rigs++);
	open_store(&r->db, name);
	arena_init(&r->a, (size_t)16 << 20);
	rig_begin(r);
	*state = r;
	return 0;
}

static int
teardown(void **state)
{
	struct rig *r = *state;

	jobs_free(r->jobs);
	store_free(r->store);
	arena_free(&r->a);
	db_close(&r->db);
	free(r);
	return 0;
}

/* A payload as the intake keeps it: redacted. */
static void
letter(struct rig *r, const char *payload)
{
	struct spool_batch b = { .end_ms = WHEN_MS + r->letters };
	bool inserted = false;
	struct err e;

	if (store_dead(&r->db, &b, r->letters++,
		redact_payload(str_of(payload), 65536, &r->a), STR("before"),
		&inserted, &e) != 0 ||
	    store_counter(&r->db, "dead_letters", 1, &e) != 0)
		FAIL("%s\n", e.text);
	assert_true(inserted);
}

static int64_t
ask(struct rig *r, const char *args)
{
	int64_t id;
	struct err e;

	assert_int_equal(job_add(&r->db, RETRY, str_of(args), &id, &e), 0);
	return id;
}

static int
step(struct rig *r)
{
	struct err e;
	int rc = jobs_step(r->jobs, &r->db, r->store, &e);

	if (rc < 0)
		FAIL("%s\n", e.text);
	return rc;
}

static void
expect_result(
    struct rig *r, int64_t id, int retried, int added, int skipped, int failed)
{
	char want[128];
	struct job job;
	struct err e;

	while (step(r) == 1)
		continue;
	assert_int_equal(job_get(&r->db, id, &r->a, &job, &e), 1);
	assert_int_equal(job.state, JOB_DONE);
	snprintf(want, sizeof want,
	    "{\"retried\":%d,\"added\":%d,\"skipped\":%d,\"failed\":%d}",
	    retried, added, skipped, failed);
	if (!str_eq(job.result, str_of(want)))
		FAIL("%.*s, want %s\n", STR_ARG(job.result), want);
}

static void
expect_rows(struct rig *r, int64_t events, int64_t letters)
{
	assert_int_equal(figure(&r->db, "SELECT count(*) FROM events"), events);
	assert_int_equal(
	    figure(&r->db, "SELECT count(*) FROM dead_letters"), letters);
	assert_int_equal(figure(&r->db, "SELECT value FROM counters WHERE "
					"name = 'events'"),
	    events);
	assert_int_equal(figure(&r->db, "SELECT value FROM counters WHERE "
					"name = 'dead_letters'"),
	    letters);
}

#define EVENT(n) \
	"{\"timestamp\":\"2026-04-25T00:00:0" n "Z\",\"model\":\"m" n "\"}"

/* ---- letters ------------------------------------------------------------- */

static void
letters_become_events(void **state)
{
	struct rig *r = *state;

	letter(r, EVENT("1"));
	letter(r, "5");
	letter(r, EVENT("2"));
	letter(r, EVENT("1"));
	letter(r, "{broken");
	letter(r, "{\"refresh\":true}");
	letter(r, " ");
	expect_rows(r, 0, 7);
	/* the one twice, and what is no event and no letter, are skipped */
	expect_result(r, ask(r, "{}"), 7, 2, 3, 2);
	expect_rows(r, 2, 2);
	/* the others say why not */
	assert_int_equal(figure(&r->db, "SELECT count(*) FROM dead_letters "
					"WHERE reason <> 'before' AND "
					"length(reason) > 0"),
	    2);
	expect_result(r, ask(r, "{}"), 2, 0, 0, 2);
	expect_rows(r, 2, 2);
}

static void
those_that_are_named(void **state)
{
	struct rig *r = *state;

	for (int i = 1; i <= 5; i++) {
		char payload[64];

		snprintf(payload, sizeof payload,
		    "{\"timestamp\":%d,\"model\":\"m\"}", i);
		letter(r, payload);
	}
	expect_result(r, ask(r, "{\"ids\":[]}"), 0, 0, 0, 0);
	expect_rows(r, 0, 5);
	/* one that is gone, or none at all, is passed over */
	expect_result(
	    r, ask(r, "{\"ids\":[2,77,4,4,\"5\",null,-1,1e300]}"), 2, 2, 0, 0);
	expect_rows(r, 2, 3);
	assert_int_equal(figure(&r->db, "SELECT sum(id) FROM dead_letters"), 9);
	expect_result(r, ask(r, "{\"ids\":[2,4]}"), 0, 0, 0, 0);
	expect_rows(r, 2, 3);
}

/* The time of a letter stands in for one that its payload does not tell. */
static void
a_letter_has_a_time(void **state)
{
	struct rig *r = *state;

	letter(r, "{\"model\":\"m\"}");
	expect_result(r, ask(r, "{}"), 1, 1, 0, 0);
	assert_int_equal(figure(&r->db, "SELECT ts_ms FROM events"), WHEN_MS);
	assert_int_equal(
	    figure(&r->db, "SELECT created_ms FROM events"), WHEN_MS);
}

/* ---- what was redacted --------------------------------------------------- */

static void
redacted_keys_give_no_hash(void **state)
{
	struct rig *r = *state;

	letter(r, "{\"timestamp\":1,\"model\":\"m\","
		  "\"api_key\":\"client-key-in-clear\","
		  "\"source\":\"someone@example.com\"}");
	letter(r, "{\"timestamp\":2,\"model\":\"m\","
		  "\"source\":\"someone@example.com\"}");
	/* the label is the key itself when there is no other */
	letter(r, "{\"timestamp\":3,\"model\":\"m\","
		  "\"api_key\":\"client-key-in-clear\"}");
	assert_int_equal(figure(&r->db, "SELECT count(*) FROM dead_letters "
					"WHERE CAST(payload AS TEXT) LIKE "
					"'%[redacted]%'"),
	    2);
	expect_result(r, ask(r, "{}"), 3, 3, 0, 0);
	assert_int_equal(
	    figure(&r->db, "SELECT count(*) FROM dict WHERE kind = 8"), 0);
	assert_int_equal(
	    figure(&r->db, "SELECT count(*) FROM events WHERE api_key_id <> 0"),
	    0);
	assert_int_equal(
	    figure(&r->db, "SELECT count(*) FROM events AS e JOIN identities "
			   "AS i ON i.id = e.identity_id WHERE e.ts_ms < 3000 "
			   "AND i.source = 'som***@example.com' AND "
			   "i.source_hash IS NOT NULL"),
	    2);
	assert_int_equal(
	    figure(&r->db, "SELECT count(*) FROM events AS e JOIN identities "
			   "AS i ON i.id = e.identity_id WHERE e.ts_ms = 3000 "
			   "AND i.source = '' AND i.source_hash IS NULL"),
	    1);
	assert_int_equal(figure(&r->db, "SELECT count(*) FROM identities WHERE "
					"source LIKE '%redacted%'"),
	    0);
}

/* ---- where the daemon ends ----------------------------------------------- */

enum { MANY = 3000 };

static void
many_letters(struct rig *r)
{
	struct err e;

	assert_int_equal(db_begin(&r->db, &e), 0);
	for (int i = 0; i < MANY; i++) {
		char payload[64];

		if (i % 10 == 3)
			snprintf(payload, sizeof payload, "[%d]", i);
		else
			snprintf(payload, sizeof payload,
			    "{\"timestamp\":%d,\"model\":\"m\"}",
			    i % 10 == 7 ? 1 : i + 2);
		letter(r, payload);
		arena_reset(&r->a);
	}
	assert_int_equal(db_commit(&r->db, &e), 0);
}

/* A pace that takes several steps on any machine. */
static void
slow_down(struct rig *r)
{
	run_sql(&r->db, "CREATE TRIGGER IF NOT EXISTS slow AFTER INSERT ON "
			"events BEGIN SELECT count(*) FROM (WITH RECURSIVE "
			"n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE "
			"i < 2000) SELECT i FROM n); END");
}

/* All, or all of them by name, with a crash after each step. */
static void
a_crash_changes_no_count(void **state)
{
	struct rig *r = *state;
	struct buf args;
	int64_t id;
	int steps = 0;

	many_letters(r);
	buf_init(&args, 1 << 20);
	buf_z(&args, "{\"ids\":[");
	for (int i = MANY; i > 0; i--)
		buf_printf(&args, "%d%s", i, i > 1 ? "," : "]}");
	for (int k = 0; k < 2; k++) {
		if (k == 1) {
			run_sql(&r->db,
			    "DELETE FROM events; DELETE FROM dead_letters;"
			    "UPDATE counters SET value = 0");
			r->letters = 0;
			many_letters(r);
		}
		slow_down(r);
		id = ask(r, k == 0 ? "{}" : buf_text(&args));
		while (step(r) == 1) {
			crash(r);
			steps++;
		}
		expect_result(
		    r, id, MANY, MANY * 8 / 10 + 1, MANY / 10 - 1, MANY / 10);
		expect_rows(r, MANY * 8 / 10 + 1, MANY / 10);
	}
	assert_true(steps > 4);
	buf_free(&args);
}

static void
a_retry_that_is_stopped(void **state)
{
	struct rig *r = *state;
	int64_t id, events;
	struct job job;
	struct err e;

	many_letters(r);
	slow_down(r);
	id = ask(r, "{}");
	assert_int_equal(step(r), 1);
	run_sql(&r->db, "UPDATE jobs SET state = 'cancelled'");
	events = figure(&r->db, "SELECT count(*) FROM events");
	assert_true(events > 0 && events < MANY / 2);
	while (step(r) == 1)
		continue;
	assert_int_equal(job_get(&r->db, id, &r->a, &job, &e), 1);
	assert_int_equal(job.state, JOB_CANCELLED);
	expect_rows(
	    r, events, figure(&r->db, "SELECT count(*) FROM dead_letters"));
}

/* A step that fails half way leaves nothing, and is done again. */
static void
a_step_that_fails_half_way(void **state)
{
	struct rig *r = *state;
	int64_t id, events = 0;
	struct err e;

	many_letters(r);
	slow_down(r);
	id = ask(r, "{}");
	for (int i = 0; i < 2; i++) {
		run_sql(&r->db, "ALTER TABLE counters RENAME TO away");
		for (int k = 0; k < 3; k++)
			assert_int_equal(
			    jobs_step(r->jobs, &r->db, r->store, &e), -1);
		run_sql(&r->db, "ALTER TABLE away RENAME TO counters");
		expect_rows(r, events,
		    figure(&r->db, "SELECT count(*) FROM dead_letters"));
		assert_int_equal(step(r), 1);
		events = figure(&r->db, "SELECT count(*) FROM events");
		assert_true(events > 0 && events < MANY / 2);
	}
	expect_result(r, id, MANY, MANY * 8 / 10 + 1, MANY / 10 - 1, MANY / 10);
	expect_rows(r, MANY * 8 / 10 + 1, MANY / 10);
}

static void
an_event_that_is_refused(void **state)
{
	struct rig *r = *state;

	letter(r, EVENT("1"));
	letter(r, EVENT("2"));
	letter(r, EVENT("3"));
	run_sql(&r->db, "CREATE TRIGGER no BEFORE INSERT ON events "
			"WHEN NEW.ts_ms % 10000 = 2000 BEGIN "
			"SELECT raise(ABORT, 'no such event'); END");
	expect_result(r, ask(r, "{}"), 3, 2, 0, 1);
	expect_rows(r, 2, 1);
	assert_int_equal(figure(&r->db, "SELECT count(*) FROM dead_letters "
					"WHERE reason LIKE '%no such event%'"),
	    1);
	run_sql(&r->db, "DROP TRIGGER no");
	expect_result(r, ask(r, "{}"), 1, 1, 0, 0);
	expect_rows(r, 3, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(letters_become_events),
		TEST(those_that_are_named),
		TEST(a_letter_has_a_time),
		TEST(redacted_keys_give_no_hash),
		TEST(a_crash_changes_no_count),
		TEST(a_retry_that_is_stopped),
		TEST(a_step_that_fails_half_way),
		TEST(an_event_that_is_refused),
	};

	return cmocka_run_group_tests(tests, test_dir_make, test_dir_remove);
}
