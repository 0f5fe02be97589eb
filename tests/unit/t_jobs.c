/*
 * Jobs, and the import as one: in order, with exact counts, nothing twice and
 * nothing lost wherever the daemon ends.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "buf.h"
#include "clock.h"
#include "collectord/jobs.h"
#include "import_file.h"
#include "lib/jobs.h"
#include "test_store.h"

#define DAY_MS (INT64_C(24) * 3600 * 1000)

/* One database, and the daemon's side of it. */
struct rig {
	struct db db;
	struct store *store;
	struct jobs *jobs;
	struct arena a;
	char dir[PATH_MAX];
};

static unsigned rigs;

static void
rig_begin(struct rig *r)
{
	r->store = store_new();
	r->jobs = jobs_new(r->dir);
	assert_non_null(r->store);
	assert_non_null(r->jobs);
}

static void
rig_end(struct rig *r)
{
	jobs_free(r->jobs);
	store_free(r->store);
}

/* The daemon ends where it is, and a new one begins. */
static void
crash(struct rig *r)
{
	rig_end(r);
	rig_begin(r);
}

static int
setup(void **state)
{
	struct rig *r = calloc(1, sizeof *r);
	char name[32];

	if (r == NULL)
		return -1;
	snprintf(name, sizeof name, "%u.sqlite", rigs);
	open_store(&r->db, name);
	snprintf(name, sizeof name, "import-%u", rigs++);
	snprintf(r->dir, sizeof r->dir, "%s", in_dir(name));
	arena_init(&r->a, (size_t)16 << 20);
	rig_begin(r);
	*state = r;
	return 0;
}

static int
teardown(void **state)
{
	struct rig *r = *state;

	rig_end(r);
	arena_free(&r->a);
	db_close(&r->db);
	free(r);
	return 0;
}

/* ---- helpers ------------------------------------------------------------- */

static int64_t
add(struct rig *r, const char *kind, const char *args)
{
	int64_t id = 0;
	struct err e;

	if (job_add(&r->db, kind, str_of(args), &id, &e) != 0)
		FAIL("%s\n", e.text);
	assert_true(id > 0);
	return id;
}

/* Hand a text over as whoever takes an import in does. */
static int64_t
hand_over(struct rig *r, struct str text, char path[PATH_MAX])
{
	struct import_file f;
	char args[64];
	struct err e;

	if (import_file_create(&f, r->dir, CODEC_NONE, 0, &e) != 0 ||
	    import_file_add(&f, text.p, text.n, &e) != 0 ||
	    import_file_finish(&f, &e) != 0)
		FAIL("%s\n", e.text);
	import_file_close(&f, false);
	if (path != NULL)
		memcpy(path, f.path, PATH_MAX);
	snprintf(args, sizeof args, "{\"file\":\"%s\"}", f.name);
	return add(r, IMPORT_JOB, args);
}

static struct job
get(struct rig *r, int64_t id)
{
	struct job job;
	struct err e;

	if (job_get(&r->db, id, &r->a, &job, &e) != 1)
		FAIL("job %lld is not there\n", (long long)id);
	return job;
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
run(struct rig *r)
{
	for (int i = 0; step(r) == 1; i++)
		assert_true(i < 10000);
}

static void
expect_state(struct rig *r, int64_t id, enum job_state want)
{
	struct job job = get(r, id);

	if (job.state != want)
		FAIL("job %lld is %s, want %s: %.*s\n", (long long)id,
		    job_state_name(job.state), job_state_name(want),
		    STR_ARG(job.error));
}

static void
expect_failed(struct rig *r, int64_t id, const char *why)
{
	struct job job = get(r, id);

	expect_state(r, id, JOB_FAILED);
	if (!str_contains(job.error, str_of(why)))
		FAIL("%.*s, want %s\n", STR_ARG(job.error), why);
	assert_int_equal(job.result.n, 0);
}

static void
expect_result(struct rig *r, int64_t id, const char *want)
{
	struct job job = get(r, id);

	expect_state(r, id, JOB_DONE);
	if (!str_eq(job.result, str_of(want)))
		FAIL("%.*s, want %s\n", STR_ARG(job.result), want);
	assert_int_equal(job.error.n, 0);
}

static void
expect_events(struct rig *r, int64_t n)
{
	assert_int_equal(figure(&r->db, "SELECT count(*) FROM events"), n);
	assert_int_equal(figure(&r->db, "SELECT value FROM counters WHERE "
					"name = 'events'"),
	    n);
}

/*
 * So many lines of events; each seventh is none, each eleventh one that was
 * there already.
 */
static struct buf
some_lines(int n, const char *begin, const char *between, const char *end)
{
	struct buf b;

	buf_init(&b, (size_t)64 << 20);
	buf_z(&b, begin);
	for (int i = 0; i < n; i++) {
		if (i > 0)
			buf_z(&b, between);
		if (i % 7 == 3)
			buf_z(&b, "5");
		else
			buf_printf(&b,
			    "{\"event_hash\":\"h%d\",\"timestamp\":%d,"
			    "\"model\":\"m%d\",\"fail_summary\":\"s%d\"}",
			    i % 11 == 5 ? 0 : i, i % 11 == 5 ? 1 : i + 1,
			    i % 11 == 5 ? 0 : i % 50, i);
	}
	buf_z(&b, end);
	return b;
}

static int
count_of(int n, bool bad, bool known)
{
	int count = 0;

	for (int i = 0; i < n; i++)
		count += bad   ? i % 7 == 3 :
			 known ? i % 7 != 3 && i % 11 == 5 :
				 i % 7 != 3 && i % 11 != 5;
	return count;
}

static void
lines_result(int n, char out[512])
{
	snprintf(out, 512,
	    "{\"status\":200,\"body\":{\"added\":%d,\"skipped\":%d,"
	    "\"total\":%d,\"failed\":%d,\"format\":\"usage_service_jsonl\","
	    "\"unsupported\":0,\"warnings\":null}}",
	    count_of(n, false, false), count_of(n, false, true),
	    count_of(n, false, false) + count_of(n, false, true),
	    count_of(n, true, false));
}

#define NONE                                                           \
	"{\"status\":200,\"body\":{\"added\":0,\"skipped\":0,"         \
	"\"total\":0,\"failed\":0,\"format\":\"usage_service_jsonl\"," \
	"\"unsupported\":0,\"warnings\":null}}"
#define ONE                                                            \
	"{\"status\":200,\"body\":{\"added\":1,\"skipped\":0,"         \
	"\"total\":1,\"failed\":0,\"format\":\"usage_service_jsonl\"," \
	"\"unsupported\":0,\"warnings\":null}}"

/* ---- rows ---------------------------------------------------------------- */

static int64_t the_time;

static int64_t
tell_time(void)
{
	return the_time;
}

static void
rows_of_jobs(void **state)
{
	struct rig *r = *state;
	struct arena small;
	struct job job;
	int64_t id;
	struct err e;

	the_time = 1234;
	clock_set_source(tell_time);
	id = add(r, "some kind", "{\"a\":1}");
	clock_set_source(NULL);
	job = get(r, id);
	assert_int_equal(job.id, id);
	assert_int_equal(job.state, JOB_QUEUED);
	assert_true(str_eq(job.kind, STR("some kind")));
	assert_true(str_eq(job.args, STR("{\"a\":1}")));
	assert_int_equal(job.progress.n + job.result.n + job.error.n, 0);
	assert_int_equal(job.created_ms, 1234);
	assert_int_equal(job.updated_ms, 1234);
	assert_int_equal(job_get(&r->db, id + 1, &r->a, &job, &e), 0);
	arena_init(&small, 4);
	assert_int_equal(job_get(&r->db, id, &small, &job, &e), -1);
	assert_int_equal(e.kind, ERR_UNAVAILABLE);
	arena_free(&small);
}

static void
waiting_for_a_job(void **state)
{
	static const char *const ends[] = { "done", "failed", "cancelled" };
	struct rig *r = *state;
	int64_t id = add(r, "k", "{}"), began_ms = clock_mono_ms();
	struct job job;
	char sql[64];
	struct err e;

	assert_int_equal(job_wait(&r->db, id, 0, &r->a, &job, &e), 0);
	assert_int_equal(job_wait(&r->db, id, 50, &r->a, &job, &e), 0);
	assert_int_equal(job.state, JOB_QUEUED);
	assert_true(clock_mono_ms() - began_ms >= 50);
	run_sql(&r->db, "UPDATE jobs SET state = 'running'");
	assert_int_equal(job_wait(&r->db, id, 0, &r->a, &job, &e), 0);
	assert_int_equal(job.state, JOB_RUNNING);
	for (size_t i = 0; i < 3; i++) {
		snprintf(
		    sql, sizeof sql, "UPDATE jobs SET state = '%s'", ends[i]);
		run_sql(&r->db, sql);
		assert_int_equal(
		    job_wait(&r->db, id, 60000, &r->a, &job, &e), 1);
		assert_string_equal(job_state_name(job.state), ends[i]);
	}
	run_sql(&r->db, "DELETE FROM jobs");
	assert_int_equal(job_wait(&r->db, id, 60000, &r->a, &job, &e), -1);
	assert_int_equal(e.kind, ERR_UNAVAILABLE);
}

static void
taking_a_job_back(void **state)
{
	struct rig *r = *state;
	char path[PATH_MAX];
	int64_t id = hand_over(r, STR("{\"event_hash\":\"h\"}"), path);
	bool cancelled = false;
	struct err e;

	assert_int_equal(job_cancel(&r->db, id, &cancelled, &e), 0);
	assert_true(cancelled);
	expect_state(r, id, JOB_CANCELLED);
	assert_int_equal(job_cancel(&r->db, id, &cancelled, &e), 0);
	assert_false(cancelled);
	run(r);
	expect_state(r, id, JOB_CANCELLED);
	expect_events(r, 0);
	/* one that runs goes on */
	id = add(r, "k", "{}");
	run_sql(&r->db, "UPDATE jobs SET state = 'running'");
	assert_int_equal(job_cancel(&r->db, id, &cancelled, &e), 0);
	assert_false(cancelled);
	expect_state(r, id, JOB_RUNNING);
}

/* ---- the runner ---------------------------------------------------------- */

static void
nothing_to_do(void **state)
{
	assert_int_equal(step(*state), 0);
	assert_int_equal(step(*state), 0);
}

static void
the_oldest_comes_first(void **state)
{
	struct rig *r = *state;
	int64_t ids[3];
	char path[3][PATH_MAX];

	ids[0] = hand_over(r, STR("{\"event_hash\":\"a\"}"), path[0]);
	ids[1] = hand_over(r, STR("[]"), path[1]);
	ids[2] = hand_over(r, STR("{\"event_hash\":\"b\"}"), path[2]);
	for (size_t i = 0; i < 3; i++) {
		for (size_t k = i; k < 3; k++)
			expect_state(r, ids[k], JOB_QUEUED);
		while (get(r, ids[i]).state != JOB_DONE)
			assert_int_equal(step(r), 1);
		expect_result(r, ids[i], i == 1 ? NONE : ONE);
		/* its file is gone, the others wait */
		for (size_t k = 0; k < 3; k++)
			assert_int_equal(file_exists(path[k]), k > i);
	}
	assert_int_equal(step(r), 0);
	expect_events(r, 2);
}

/* What cannot be done says why, and holds up nobody. */
static void
jobs_that_cannot_be_done(void **state)
{
	static const struct {
		const char *kind, *args, *why;
	} cases[] = {
		{ "no such kind", "{}", "no such kind" },
		{ "", "{}", "not known" },
		{ IMPORT_JOB, "", "args" },
		{ IMPORT_JOB, "{bad", "args" },
		{ IMPORT_JOB, "[]", "args" },
		{ IMPORT_JOB, "{}", "args" },
		{ IMPORT_JOB, "{\"file\":5}", "args" },
		{ IMPORT_JOB, "{\"file\":\"\"}", "args" },
		{ IMPORT_JOB, "{\"file\":\"../../../../../etc/passwd\"}",
		    "args" },
		{ IMPORT_JOB, "{\"file\":\"0123456789abcdef0123456789abcdef\"}",
		    "No such file" },
		{ "dead_letter_retry", "", "args" },
		{ "dead_letter_retry", "{bad", "args" },
		{ "dead_letter_retry", "[1]", "args" },
		{ "dead_letter_retry", "{\"ids\":5}", "args" },
		{ "dead_letter_retry", "{\"ids\":{}}", "args" },
	};
	const size_t n = sizeof cases / sizeof *cases;
	struct rig *r = *state;
	int64_t ids[sizeof cases / sizeof *cases], good;

	for (size_t i = 0; i < n; i++)
		ids[i] = add(r, cases[i].kind, cases[i].args);
	good = hand_over(r, STR("{\"event_hash\":\"h\"}"), NULL);
	run(r);
	for (size_t i = 0; i < n; i++)
		expect_failed(r, ids[i], cases[i].why);
	expect_result(r, good, ONE);
}

/* Nothing else is read in place of a file, and none of it is tried again. */
static void
files_that_are_none(void **state)
{
	struct rig *r = *state;
	char path[PATH_MAX];
	int64_t id;

	id = hand_over(r, STR("{\"event_hash\":\"h\"}"), path);
	assert_int_equal(remove(path), 0);
	run(r);
	expect_failed(r, id, "No such file");
	id = hand_over(r, STR("{\"event_hash\":\"h\"}"), path);
	assert_int_equal(remove(path), 0);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	run(r);
	expect_failed(r, id, "import file");
	id = hand_over(r, STR("{\"event_hash\":\"h\"}"), path);
	assert_int_equal(remove(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	run(r);
	expect_failed(r, id, "not a regular file");
	id = hand_over(r, STR("{\"event_hash\":\"h\"}"), path);
	assert_int_equal(remove(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	run(r);
	expect_failed(r, id, "not a regular file");
	/* an empty one is one */
	id = hand_over(r, STR(""), path);
	run(r);
	expect_result(r, id,
	    "{\"status\":400,\"body\":{\"error\":\"empty usage import "
	    "payload\",\"failed\":0,\"format\":\"\",\"unsupported\":0,"
	    "\"warnings\":null}}");
	assert_false(file_exists(path));
	expect_events(r, 0);
}

static void
old_jobs_are_forgotten(void **state)
{
	struct rig *r = *state;
	int64_t old = add(r, "k", "{}"), young = add(r, "k", "{}");
	struct job job;
	char sql[128];
	struct err e;

	run(r);
	snprintf(sql, sizeof sql,
	    "UPDATE jobs SET updated_ms = %lld WHERE id = %lld",
	    (long long)(clock_now_ms() - 8 * DAY_MS), (long long)old);
	run_sql(&r->db, sql);
	snprintf(sql, sizeof sql,
	    "UPDATE jobs SET updated_ms = %lld WHERE id = %lld",
	    (long long)(clock_now_ms() - 6 * DAY_MS), (long long)young);
	run_sql(&r->db, sql);
	add(r, "k", "{}");
	run(r);
	assert_int_equal(job_get(&r->db, old, &r->a, &job, &e), 0);
	expect_state(r, young, JOB_FAILED);
}

static void
make_old(const char *path)
{
	const struct timespec times[2] = { { time(NULL) - 90000, 0 },
		{ time(NULL) - 90000, 0 } };

	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

/* Files of uploads that broke off go, when nothing is to be done. */
static void
what_nobody_wants_is_swept(void **state)
{
	static const char *const names[] = { "0123456789abcdef0123456789abcde0",
		"readme", "0123456789abcdef0123456789abcde1" };
	struct rig *r = *state;
	char path[3][PATH_MAX];

	/* nothing there at all */
	assert_int_equal(step(r), 0);
	assert_int_equal(mkdir(r->dir, 0700), 0);
	for (size_t i = 0; i < 3; i++) {
		snprintf(path[i], PATH_MAX, "%.3000s/%s", r->dir, names[i]);
		file_write(path[i], "x", 1);
		if (i < 2)
			make_old(path[i]);
	}
	/* once a daemon */
	assert_int_equal(step(r), 0);
	assert_true(file_exists(path[0]));
	jobs_forget(r->jobs, r->dir);
	assert_int_equal(step(r), 0);
	assert_false(file_exists(path[0]));
	assert_true(file_exists(path[1]));
	assert_true(file_exists(path[2]));
}

/* ---- an import ----------------------------------------------------------- */

static void
results_of_imports(void **state)
{
	static const struct {
		const char *text, *result;
	} cases[] = {
		{ "null", "{\"status\":200,\"body\":{\"added\":0,\"skipped\":0,"
			  "\"total\":0,\"failed\":1,\"format\":\"usage_service_"
			  "jsonl\","
			  "\"unsupported\":0,\"warnings\":null}}" },
		{ "{\"event_hash\":\"h1\"}\n{\"event_hash\":\"h1\"}",
		    "{\"status\":200,\"body\":{\"added\":1,\"skipped\":1,"
		    "\"total\":2,\"failed\":0,\"format\":\"usage_service_"
		    "jsonl\","
		    "\"unsupported\":0,\"warnings\":null}}" },
		{ "{\"usage\":5}",
		    "{\"status\":400,\"body\":{\"error\":\"legacy usage export "
		    "does not contain request details\",\"failed\":0,"
		    "\"format\":\"usage_service_jsonl\",\"unsupported\":0,"
		    "\"warnings\":null}}" },
		{ "{\"usage\":{}}",
		    "{\"status\":400,\"body\":{\"error\":\"legacy usage export "
		    "does not contain request details\",\"failed\":0,"
		    "\"format\":\"legacy_usage_export\",\"unsupported\":1,"
		    "\"warnings\":null}}" },
		{ "{\"apis\":{\"POST /x\":{\"models\":{\"m\":{\"details\":"
		  "[5]},\"n\":{}}}}}",
		    "{\"status\":400,\"body\":{\"error\":\"legacy usage export "
		    "does not contain request details\",\"failed\":1,"
		    "\"format\":\"legacy_usage_payload\",\"unsupported\":1,"
		    "\"warnings\":[\"legacy_usage_metadata_is_partial\","
		    "\"legacy_usage_source_matching_may_be_approximate\"]}}" },
		{ "{\"apis\":{\"POST /x\":{\"models\":{\"m\":{\"details\":"
		  "[5,{\"timestamp\":5}]},\"n\":{}}}}}",
		    "{\"status\":200,\"body\":{\"added\":1,\"skipped\":0,"
		    "\"total\":1,\"failed\":1,\"format\":\"legacy_usage_"
		    "payload\","
		    "\"unsupported\":1,"
		    "\"warnings\":[\"legacy_usage_metadata_is_partial\","
		    "\"legacy_usage_source_matching_may_be_approximate\"]}}" },
		{ "{\"bad",
		    "{\"status\":400,\"body\":{\"error\":\"unexpected EOF\","
		    "\"failed\":0,\"format\":\"usage_service_jsonl\","
		    "\"unsupported\":0,\"warnings\":null}}" },
		/* what stands before the end that is missing is not stored */
		{ "[5,{\"model\":\"z\",\"timestamp\":100}",
		    "{\"status\":400,\"body\":{\"error\":\"EOF\","
		    "\"failed\":1,\"format\":\"usage_service_jsonl\","
		    "\"unsupported\":0,\"warnings\":null}}" },
	};
	struct rig *r = *state;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		int64_t id = hand_over(r, str_of(cases[i].text), NULL);

		run(r);
		expect_result(r, id, cases[i].result);
	}
	expect_events(r, 2);
}

/* Batches before the end that is missing are, and stay. */
static void
a_list_that_breaks_off(void **state)
{
	struct rig *r = *state;
	struct buf b = some_lines(400, "[", ",", "");
	int64_t id = hand_over(r, buf_view(&b), NULL), added = 0, n = 0;
	char want[256];

	for (int i = 0; n < 256; i++) {
		n += i % 7 != 3;
		added += i % 7 != 3 && i % 11 != 5;
	}
	run(r);
	snprintf(want, sizeof want,
	    "{\"status\":500,\"body\":{\"code\":\"request_failed\","
	    "\"error\":\"EOF\",\"x_added\":%lld,\"x_skipped\":%lld}}",
	    (long long)added, (long long)(n - added));
	expect_result(r, id, want);
	expect_events(r, added);
	buf_free(&b);
}

static int64_t
progress_of(struct rig *r, const char *key)
{
	char sql[128];

	snprintf(sql, sizeof sql, "SELECT progress ->> '%s' FROM jobs", key);
	return figure(&r->db, sql);
}

/* What the row says is what is there, after each step. */
static void
progress_goes_with_the_events(void **state)
{
	enum { N = 2000 };
	struct rig *r = *state;
	struct buf b = some_lines(N, "", "\n", "\n");
	int64_t id = hand_over(r, buf_view(&b), NULL), steps = 0;
	char want[512];

	lines_result(N, want);
	while (step(r) == 1) {
		struct job job = get(r, id);

		steps++;
		if (job.state != JOB_RUNNING)
			continue;
		expect_events(r, progress_of(r, "added"));
		assert_int_equal(progress_of(r, "starts"), 0);
		assert_true(
		    progress_of(r, "records") >= progress_of(r, "added") +
						     progress_of(r, "skipped") +
						     progress_of(r, "failed"));
	}
	assert_true(steps > 3);
	expect_result(r, id, want);
	expect_events(r, count_of(N, false, false));
	/* the same file once more adds nothing */
	id = hand_over(r, buf_view(&b), NULL);
	run(r);
	expect_events(r, count_of(N, false, false));
	assert_true(str_contains(get(r, id).result, STR("\"added\":0,")));
	buf_free(&b);
}

/* However many steps were done when the daemon ended. */
static void
a_crash_changes_nothing(void **state)
{
	enum { N = 2000 };
	struct rig *r = *state;
	char want[512], path[PATH_MAX];
	struct buf b[2];

	lines_result(N, want);
	b[0] = some_lines(N, "", "\n", "\n");
	b[1] = some_lines(N, "[", ",\n", "]");
	for (int k = 0; k < 14; k++) {
		int64_t id = hand_over(r, buf_view(&b[k % 2]), path);

		for (int i = 0; i < k / 2; i++)
			assert_int_equal(step(r), 1);
		crash(r);
		run(r);
		expect_result(r, id, want);
		expect_events(r, count_of(N, false, false));
		assert_false(file_exists(path));
		run_sql(&r->db, "DELETE FROM events; UPDATE counters SET "
				"value = 0");
	}
	buf_free(&b[0]);
	buf_free(&b[1]);
}

/* It gets on, so it may be begun as often as it takes. */
static void
a_crash_after_each_step(void **state)
{
	enum { N = 3000 };
	struct rig *r = *state;
	struct buf b = some_lines(N, "", "\n", "\n");
	int64_t id = hand_over(r, buf_view(&b), NULL);
	char want[512];
	int crashes = 0;

	lines_result(N, want);
	while (step(r) == 1) {
		crash(r);
		crashes++;
	}
	assert_true(crashes > 8);
	expect_result(r, id, want);
	expect_events(r, count_of(N, false, false));
	buf_free(&b);
}

static void
a_snapshot_after_crashes(void **state)
{
	struct rig *r = *state;
	struct buf b;
	int64_t id;

	buf_init(&b, 1 << 20);
	buf_z(&b, "{\"apis\":{");
	for (int i = 0; i < 100; i++) {
		buf_printf(&b,
		    "%s\"e%d\":{\"models\":{\"bad\":5,\"empty\":{},"
		    "\"m\":{\"details\":[7",
		    i == 0 ? "" : ",", i);
		for (int k = 0; k < 10; k++)
			buf_z(&b, ",{\"timestamp\":\"2026-01-01T00:00:00Z\"}");
		buf_z(&b, "]}}}");
	}
	buf_z(&b, "}}");
	for (int k = 0; k < 2; k++) {
		id = hand_over(r, buf_view(&b), NULL);
		while (step(r) == 1)
			crash(r);
		expect_events(r, 1000);
		assert_true(str_starts(get(r, id).result,
		    k == 0 ? STR("{\"status\":200,\"body\":{\"added\":1000,"
				 "\"skipped\":0,\"total\":1000,\"failed\":200,"
				 "\"format\":\"legacy_usage_payload\","
				 "\"unsupported\":100,") :
			     STR("{\"status\":200,\"body\":{\"added\":0,"
				 "\"skipped\":1000,\"total\":1000,"
				 "\"failed\":200,"
				 "\"format\":\"legacy_usage_payload\","
				 "\"unsupported\":100,")));
	}
	buf_free(&b);
}

/* A file that ends the daemon each time is given up. */
static void
a_file_that_never_comes_to_its_end(void **state)
{
	struct rig *r = *state;
	char path[PATH_MAX];
	int64_t id = hand_over(r, STR("{\"event_hash\":\"h\"}"), path);

	/* begun for the fifth time, it is still tried */
	run_sql(&r->db, "UPDATE jobs SET state = 'running', progress = "
			"'{\"starts\":4,\"records\":0}'");
	run(r);
	expect_result(r, id, ONE);
	id = hand_over(r, STR("{\"event_hash\":\"i\"}"), path);
	run_sql(&r->db,
	    "UPDATE jobs SET state = 'running', progress = "
	    "'{\"starts\":5,\"records\":0}' WHERE state = 'queued'");
	run(r);
	expect_failed(r, id, "5 times");
	assert_false(file_exists(path));
	expect_events(r, 1);
}

/* Progress that is damaged is none: what is there already is passed over. */
static void
damaged_progress(void **state)
{
	static const char *const progress[] = { "{bad", "[]", "null",
		"{\"records\":\"x\",\"starts\":[]}",
		"{\"records\":-7,\"starts\":-1e300}" };
	struct rig *r = *state;

	for (size_t i = 0; i < sizeof progress / sizeof *progress; i++) {
		int64_t id = hand_over(r, STR("{\"event_hash\":\"h\"}"), NULL);
		char sql[256];

		snprintf(sql, sizeof sql,
		    "UPDATE jobs SET state = 'running', progress = '%s' "
		    "WHERE state = 'queued'",
		    progress[i]);
		run_sql(&r->db, sql);
		run(r);
		expect_state(r, id, JOB_DONE);
		expect_events(r, 1);
	}
}

/* One that somebody ends in its row stops, what is stored stays. */
static void
a_job_that_is_stopped(void **state)
{
	struct rig *r = *state;
	struct buf b = some_lines(2000, "", "\n", "\n");
	char path[PATH_MAX];
	int64_t id = hand_over(r, buf_view(&b), path), next, stored;

	next = hand_over(r, STR("{\"event_hash\":\"next\"}"), NULL);
	step(r);
	step(r);
	stored = figure(&r->db, "SELECT count(*) FROM events");
	assert_true(stored > 0 && stored < 1000);
	run_sql(&r->db, "UPDATE jobs SET state = 'cancelled' WHERE state = "
			"'running'");
	run(r);
	expect_state(r, id, JOB_CANCELLED);
	expect_result(r, next, ONE);
	expect_events(r, stored + 1);
	assert_false(file_exists(path));
	buf_free(&b);
}

/* A database that does not play along for a while. */
static void
a_database_that_cannot_be_written(void **state)
{
	enum { N = 3000 };
	struct rig *r = *state;
	struct buf b = some_lines(N, "", "\n", "\n");
	int64_t id = hand_over(r, buf_view(&b), NULL);
	char want[512];
	struct err e;

	lines_result(N, want);
	for (int i = 0; i < 5; i++) {
		run_sql(&r->db, "PRAGMA query_only = 1");
		for (int k = 0; k < 3; k++)
			assert_int_equal(
			    jobs_step(r->jobs, &r->db, r->store, &e), -1);
		run_sql(&r->db, "PRAGMA query_only = 0");
		step(r);
	}
	run(r);
	expect_result(r, id, want);
	expect_events(r, count_of(N, false, false));
	buf_free(&b);
}

/* Let the database grow by so many pages and no more; -1: as it likes. */
static void
limit_pages(struct rig *r, int64_t more)
{
	char sql[64];

	snprintf(sql, sizeof sql, "PRAGMA max_page_count = %lld",
	    (long long)(more < 0 ? 1 << 30 :
				   figure(&r->db, "PRAGMA page_count") + more));
	run_sql(&r->db, sql);
}

/* A disk that fills up in the middle of a step, and has room again later. */
static void
a_disk_that_is_full(void **state)
{
	enum { N = 3000 };
	struct rig *r = *state;
	struct buf b = some_lines(N, "", "\n", "\n");
	int64_t id = hand_over(r, buf_view(&b), NULL);
	int64_t stored = 0;
	char want[512];
	struct err e;
	int rc;

	lines_result(N, want);
	for (int more = 0; more < 8; more++) {
		limit_pages(r, more);
		while ((rc = jobs_step(r->jobs, &r->db, r->store, &e)) == 1)
			stored = figure(&r->db, "SELECT count(*) FROM events");
		assert_int_equal(rc, -1);
		assert_int_equal(e.kind, ERR_UNAVAILABLE);
		expect_state(r, id, JOB_RUNNING);
		/* what was begun is undone, and tried again in vain */
		expect_events(r, stored);
		assert_int_equal(jobs_step(r->jobs, &r->db, r->store, &e), -1);
		expect_events(r, stored);
	}
	limit_pages(r, -1);
	run(r);
	expect_result(r, id, want);
	expect_events(r, count_of(N, false, false));
	buf_free(&b);
}

/* An event that the database refuses is one that failed. */
static void
an_event_that_is_refused(void **state)
{
	struct rig *r = *state;
	int64_t id = hand_over(r,
	    STR("{\"event_hash\":\"a\",\"timestamp\":1}\n"
		"{\"event_hash\":\"b\",\"timestamp\":2}\n"
		"{\"event_hash\":\"c\",\"timestamp\":3}\n5"),
	    NULL);

	run_sql(&r->db, "CREATE TRIGGER no BEFORE INSERT ON events "
			"WHEN NEW.ts_ms = 2000 BEGIN "
			"SELECT raise(ABORT, 'no such event'); END");
	run(r);
	expect_result(r, id,
	    "{\"status\":200,\"body\":{\"added\":2,\"skipped\":0,\"total\":2,"
	    "\"failed\":2,\"format\":\"usage_service_jsonl\","
	    "\"unsupported\":0,\"warnings\":null}}");
	expect_events(r, 2);
}

/* A snapshot of this very server tells of events that are there already. */
static void
a_snapshot_of_its_own_events(void **state)
{
#define COUNTS                                                         \
	"\"tokens\":{\"input_tokens\":1,\"output_tokens\":2,"          \
	"\"reasoning_tokens\":3,\"total_tokens\":9},\"latency_ms\":7," \
	"\"failed\":true,"
#define OWN(members)                                                        \
	"{\"apis\":{\"POST /x\":{\"models\":{\"m\":{\"details\":[{" members \
	"\"timestamp\":\"2026-01-01T00:00:00.000001Z\"}]}}}}}"
	static const char *const other[] = {
		"\"tokens\":{\"input_tokens\":2,\"output_tokens\":2,"
		"\"reasoning_tokens\":3,\"total_tokens\":9},\"latency_ms\":7,"
		"\"failed\":true,",
		"\"tokens\":{\"input_tokens\":1,\"output_tokens\":2,"
		"\"reasoning_tokens\":3,\"total_tokens\":9},\"latency_ms\":7,"
		"\"failed\":false,",
		"\"tokens\":{\"input_tokens\":1,\"output_tokens\":2,"
		"\"reasoning_tokens\":3,\"total_tokens\":9},\"latency_ms\":8,"
		"\"failed\":true,",
		"\"tokens\":{\"input_tokens\":1,\"output_tokens\":2,"
		"\"reasoning_tokens\":3,\"total_tokens\":9},"
		"\"failed\":true,",
	};
	struct rig *r = *state;
	char text[1024];

	hand_over(r,
	    STR("{" COUNTS "\"request_id\":\"r\",\"endpoint\":\"POST /x\","
		"\"model\":\"m\","
		"\"timestamp\":\"2026-01-01T00:00:00.000001Z\"}"),
	    NULL);
	hand_over(r, STR(OWN(COUNTS)), NULL);
	run(r);
	expect_events(r, 1);
	/* what differs in any of it is another event */
	for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
		snprintf(text, sizeof text, OWN("%s"), other[i]);
		hand_over(r, str_of(text), NULL);
		run(r);
		expect_events(r, 2 + (int64_t)i);
		/* and stays one */
		hand_over(r, str_of(text), NULL);
		run(r);
		expect_events(r, 2 + (int64_t)i);
	}
}

/* Another directory, another database: the job in hand is left as it is. */
static void
leaving_a_job(void **state)
{
	struct rig *r = *state;
	struct buf b = some_lines(1000, "", "\n", "\n");
	int64_t id = hand_over(r, buf_view(&b), NULL);
	char want[512];

	lines_result(1000, want);
	step(r);
	jobs_forget(r->jobs, in_dir("nowhere"));
	expect_state(r, id, JOB_RUNNING);
	jobs_forget(r->jobs, r->dir);
	run(r);
	expect_result(r, id, want);
	buf_free(&b);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(rows_of_jobs),
		TEST(waiting_for_a_job),
		TEST(taking_a_job_back),
		TEST(nothing_to_do),
		TEST(the_oldest_comes_first),
		TEST(jobs_that_cannot_be_done),
		TEST(files_that_are_none),
		TEST(old_jobs_are_forgotten),
		TEST(what_nobody_wants_is_swept),
		TEST(results_of_imports),
		TEST(a_list_that_breaks_off),
		TEST(progress_goes_with_the_events),
		TEST(a_crash_changes_nothing),
		TEST(a_crash_after_each_step),
		TEST(a_snapshot_after_crashes),
		TEST(a_file_that_never_comes_to_its_end),
		TEST(damaged_progress),
		TEST(a_job_that_is_stopped),
		TEST(a_database_that_cannot_be_written),
		TEST(a_disk_that_is_full),
		TEST(an_event_that_is_refused),
		TEST(a_snapshot_of_its_own_events),
		TEST(leaving_a_job),
	};

	return cmocka_run_group_tests(tests, test_dir_make, test_dir_remove);
}
