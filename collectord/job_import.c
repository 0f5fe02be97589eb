/*
 * POST /v0/management/usage/import, the work: a file of events into the
 * database (contract/database.md section 12.4).  Args: {"file":NAME}.
 *
 * Progress stands in the job's row and moves with the events, so that a crash
 * in between costs nothing and counts nothing twice.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "collectord/jobs_impl.h"
#include "import_file.h"
#include "json_tree.h"
#include "log.h"
#include "model/import_reader.h"
#include "model/record.h"

#define BATCH_EVENTS 256 /* the reference's own */
#define BATCH_ARENA ((size_t)160 * 1024 * 1024)
#define BATCH_FULL ((size_t)4 * 1024 * 1024)
#define STARTS_MAX 5 /* a file that ends the daemon is not tried for ever */
#define LEGACY_ID "legacy:"

/* How far it is; JSON in the row. */
struct progress {
	int64_t starts, records, added, skipped;
	int64_t refused; /* by the database */
	struct import_counts counts;
};

struct import_work {
	char path[PATH_MAX];
	void *map; /* the file; NULL: it is empty */
	size_t bytes;
	struct import_reader reader;
	struct progress at;
	struct arena arena; /* of one batch */
	struct usage_event events[BATCH_EVENTS];
	struct progress after[BATCH_EVENTS]; /* records and counts */
	size_t n, done;
	bool over;
	struct err bad; /* why it cannot be read on */
};

/* ---- progress and result ------------------------------------------------- */

static int64_t
number(const struct json_tree *v, const char *key)
{
	return value_int(json_tree_get(v, str_of(key)));
}

static void
read_progress(struct str json, struct progress *p)
{
	const struct json_tree *v;
	struct arena a;

	*p = (struct progress){ .starts = 0 };
	if (json.n == 0)
		return;
	arena_init(&a, (size_t)64 * 1024);
	v = json_tree_parse(json, &a, NULL);
	p->starts = number(v, "starts");
	p->records = number(v, "records");
	p->added = number(v, "added");
	p->skipped = number(v, "skipped");
	p->refused = number(v, "refused");
	p->counts.failed = number(v, "failed");
	p->counts.unsupported = number(v, "unsupported");
	arena_free(&a);
}

static int
put_progress(const struct job_run *run, const struct progress *p, struct err *e)
{
	struct json_out o;
	struct buf b;
	int rc;

	buf_init(&b, 1024);
	json_out_init(&o, &b, NULL, NULL);
	json_out_object(&o);
	json_out_kint(&o, "starts", p->starts);
	json_out_kint(&o, "records", p->records);
	json_out_kint(&o, "added", p->added);
	json_out_kint(&o, "skipped", p->skipped);
	json_out_kint(&o, "refused", p->refused);
	json_out_kint(&o, "failed", p->counts.failed);
	json_out_kint(&o, "unsupported", p->counts.unsupported);
	json_out_object_end(&o);
	rc = job_put_progress(run, buf_view(&b), e);
	buf_free(&b);
	return rc;
}

static void
write_warnings(struct json_out *o, const struct import_reader *r)
{
	json_out_key(o, "warnings");
	if (!r->legacy) {
		json_out_null(o);
		return;
	}
	json_out_array(o);
	json_out_z(o, "legacy_usage_metadata_is_partial");
	json_out_z(o, "legacy_usage_source_matching_may_be_approximate");
	json_out_array_end(o);
}

static void
write_counts(struct json_out *o, const struct import_work *w)
{
	json_out_kint(o, "failed", w->at.counts.failed + w->at.refused);
	json_out_kz(o, "format", import_format_name(w->reader.format));
	json_out_kint(o, "unsupported", w->at.counts.unsupported);
	write_warnings(o, &w->reader);
}

/* {"status","body"}: what whoever asked is answered. */
static int
put_result(
    const struct job_run *run, const struct import_work *w, struct err *e)
{
	int64_t total = w->at.added + w->at.skipped;
	bool bad = w->bad.kind != ERR_NONE;
	struct json_out o;
	struct buf b;
	int rc;

	buf_init(&b, 4096);
	json_out_init(&o, &b, NULL, NULL);
	json_out_object(&o);
	json_out_kint(&o, "status", !bad ? 200 : total > 0 ? 500 : 400);
	json_out_key(&o, "body");
	json_out_object(&o);
	if (bad && total > 0)
		json_out_kz(&o, "code", "request_failed");
	if (bad)
		json_out_kz(&o, "error", w->bad.text);
	if (!bad || total > 0) {
		json_out_kint(&o, bad ? "x_added" : "added", w->at.added);
		json_out_kint(&o, bad ? "x_skipped" : "skipped", w->at.skipped);
	}
	if (!bad)
		json_out_kint(&o, "total", total);
	if (!bad || total == 0)
		write_counts(&o, w);
	json_out_object_end(&o);
	json_out_object_end(&o);
	rc = job_put_done(run, buf_view(&b), e);
	buf_free(&b);
	return rc;
}

/* ---- start --------------------------------------------------------------- */

static int
map_file(struct import_work *w, struct err *e)
{
	int fd = open(w->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;

	if (fd == -1 || fstat(fd, &st) == -1) {
		bool never = errno == ENOENT || errno == ELOOP;

		fail(e, never ? ERR_INPUT : ERR_UNAVAILABLE, "import file: %s",
		    strerrordesc_np(errno));
		goto out;
	}
	if (!S_ISREG(st.st_mode)) {
		fail(e, ERR_INPUT, "import file: not a regular file");
		goto out;
	}
	w->bytes = (size_t)st.st_size;
	if (w->bytes > 0) {
		w->map = mmap(NULL, w->bytes, PROT_READ, MAP_PRIVATE, fd, 0);
		if (w->map == MAP_FAILED) {
			w->map = NULL;
			fail(e, ERR_UNAVAILABLE, "import file: %s",
			    strerrordesc_np(errno));
			goto out;
		}
		(void)madvise(w->map, w->bytes, MADV_SEQUENTIAL);
	}
	close(fd);
	return 0;
out:
	if (fd != -1)
		close(fd);
	return -1;
}

static int
read_args(const struct job_run *run, struct import_work *w, struct err *e)
{
	const struct json_tree *v;
	struct arena a;
	bool known;

	arena_init(&a, (size_t)64 * 1024);
	v = json_tree_parse(run->job->args, &a, NULL);
	known = import_file_path(run->import_dir,
	    json_tree_text(json_tree_get(v, STR("file"))), w->path,
	    sizeof w->path);
	arena_free(&a);
	return known ? 0 : fail(e, ERR_INPUT, "args: file is not named");
}

static void
drop(void *work, bool done)
{
	struct import_work *w = work;

	import_reader_close(&w->reader);
	arena_free(&w->arena);
	if (w->map != NULL)
		munmap(w->map, w->bytes);
	if (done)
		unlink(w->path);
	free(w);
}

static int
start(const struct job_run *run, void **work, struct err *e)
{
	struct import_work *w = calloc(1, sizeof *w);

	if (w == NULL)
		return fail(e, ERR_UNAVAILABLE, "out of memory");
	arena_init(&w->arena, BATCH_ARENA);
	if (read_args(run, w, e) != 0 || map_file(w, e) != 0)
		goto fail;
	read_progress(run->job->progress, &w->at);
	if (++w->at.starts > STARTS_MAX) {
		fail(e, ERR_INPUT,
		    "the import was begun %d times and never came to its end",
		    STARTS_MAX);
		unlink(w->path);
		goto fail;
	}
	if (put_progress(run, &w->at, e) < 0)
		goto fail;
	if (import_reader_open(
		&w->reader, (struct str){ w->map, w->bytes }, &w->bad) != 0) {
		w->over = true;
		w->at.counts = w->reader.counts;
	} else {
		err_clear(&w->bad);
		import_reader_skip(&w->reader, w->at.records);
		if (w->at.records > 0)
			w->reader.counts = w->at.counts;
	}
	*work = w;
	return 0;
fail:
	drop(w, false);
	return -1;
}

/* ---- events -------------------------------------------------------------- */

/* The next events; those before what cannot be read are not stored. */
static void
gather(struct import_work *w)
{
	int64_t now_ms = clock_now_ms();
	struct err why;
	int rc = 1;

	arena_reset(&w->arena);
	w->n = w->done = 0;
	while (w->n < BATCH_EVENTS && w->arena.used_bytes < BATCH_FULL &&
	       (rc = import_reader_next(&w->reader, now_ms, &w->arena,
		    &w->events[w->n], &why)) == 1) {
		w->after[w->n].records = w->reader.records;
		w->after[w->n].counts = w->reader.counts;
		w->n++;
	}
	if (rc == 1 || (rc < 0 && why.kind == ERR_TOO_LARGE))
		return;
	w->over = true;
	if (rc < 0) {
		w->n = 0;
		w->bad = why;
	} else if (w->reader.legacy && w->n == 0 &&
		   w->at.added + w->at.skipped == 0) {
		fail(&w->bad, ERR_INPUT,
		    "legacy usage export does not contain request details");
	}
}

/*
 * A detail of a snapshot that this very server gave out: the event is there,
 * under the hash that the snapshot does not tell.
 */
static int
is_known_detail(
    struct db *db, const struct usage_event *ev, bool *known, struct err *e)
{
	sqlite3_stmt *st = db_stmt(db, SQL_events_at, e);
	int rc;

	*known = false;
	if (st == NULL)
		return -1;
	db_bind_i64(st, P_events_at_ts_ms, ev->ts_ms);
	while (!*known && (rc = db_step(db, st, e)) == 1)
		*known =
		    !str_starts(db_col_str(st, 0), STR(LEGACY_ID)) &&
		    db_col_i64(st, 1) == ev->ts_ns &&
		    ((db_col_i64(st, 2) ^ ev->flags) & EVENT_FAILED) == 0 &&
		    db_col_i64(st, 3) == ev->input_tokens &&
		    db_col_i64(st, 4) == ev->output_tokens &&
		    db_col_i64(st, 5) == ev->reasoning_tokens &&
		    db_col_i64(st, 6) == ev->total_tokens &&
		    db_col_is_null(st, 7) == !ev->latency_ms.set &&
		    db_col_i64(st, 7) == ev->latency_ms.v;
	if (!*known && rc < 0)
		return -1;
	db_reset(st);
	return 0;
}

static int
store_one(const struct job_run *run, struct import_work *w,
    const struct usage_event *ev, int64_t now_ms, struct progress *at,
    struct err *e)
{
	bool known = false, inserted = false;

	if (w->reader.legacy && str_starts(ev->request_id, STR(LEGACY_ID)) &&
	    is_known_detail(run->db, ev, &known, e) != 0)
		return -1;
	if (!known &&
	    store_event(run->store, run->db, ev, now_ms, &inserted, e) != 0) {
		if (!store_is_refusal(run->db, e))
			return -1;
		at->refused++;
		return 0;
	}
	at->added += inserted;
	at->skipped += !inserted;
	return 0;
}

/* Events from where it is, until the transaction has lasted long enough. */
static int
store_some(const struct job_run *run, struct import_work *w, size_t *done,
    struct progress *at, struct err *e)
{
	int64_t begun_ms = clock_mono_ms(), now_ms = clock_now_ms();
	int64_t added = at->added;

	for (; *done < w->n; ++*done) {
		if (*done % 16 == 15 &&
		    clock_mono_ms() - begun_ms > JOB_TRANSACTION_MS)
			break;
		at->records = w->after[*done].records;
		at->counts = w->after[*done].counts;
		if (store_one(run, w, &w->events[*done], now_ms, at, e) != 0)
			return -1;
	}
	return store_counter(run->db, "events", at->added - added, e);
}

static int
step(void *work, const struct job_run *run, struct err *e)
{
	struct import_work *w = work;
	struct progress at = w->at;
	size_t done;
	bool last;
	int rc;

	if (w->done == w->n && !w->over)
		gather(w);
	if (db_begin(run->db, e) != 0)
		return -1;
	done = w->done;
	at.starts = 0; /* it gets on */
	if (store_some(run, w, &done, &at, e) != 0)
		goto fail;
	last = w->over && done == w->n;
	if (last) {
		struct progress before = w->at;

		at.records = w->reader.records;
		at.counts = w->reader.counts;
		w->at = at;
		rc = put_result(run, w, e);
		w->at = before;
	} else {
		rc = put_progress(run, &at, e);
	}
	if (rc < 0)
		goto fail;
	if (rc == 0) { /* nobody wants it any more */
		db_rollback(run->db);
		store_forget(run->store);
		return 0;
	}
	if (db_commit(run->db, e) != 0)
		goto fail;
	w->at = at;
	w->done = done;
	if (last)
		log_write(LOG_INFO, "import", LOG_INT("job", run->job->id),
		    LOG_INT("added", at.added), LOG_INT("skipped", at.skipped),
		    LOG_INT("failed", at.counts.failed + at.refused));
	return last ? 0 : 1;
fail:
	db_rollback(run->db);
	store_forget(run->store);
	return -1;
}

const struct job_kind job_import = { IMPORT_JOB, start, step, drop };
