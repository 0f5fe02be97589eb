/*
 * POST /v0/management/collector/dead-letters/retry, the work: payloads that
 * were no events are read once more, by a newer program or with more memory.
 * Args: {"ids":[...]}, or {} for all.
 *
 * A dead letter is kept redacted, so an event made of one has no hash of the
 * client's key, and that of its account's label is the masked label's.
 */
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "collectord/jobs_impl.h"
#include "json_tree.h"
#include "log.h"
#include "model/normalise.h"
#include "model/record.h"

#define IDS_MAX 100000
#define ARGS_ARENA ((size_t)8 * 1024 * 1024)
#define LETTER_ARENA ((size_t)16 * 1024 * 1024)
#define REDACTED "[redacted]"

/* How far it is; JSON in the row. */
struct retry_counts {
	int64_t retried, added, skipped, failed;
	int64_t done; /* of the ids that the args name */
	int64_t last; /* id of the last one */
};

struct retry_work {
	struct arena arena; /* of one letter */
	int64_t *ids;
	size_t n, done;
	struct retry_counts at;
};

/* ---- progress ------------------------------------------------------------ */

static void
read_progress(struct str json, struct retry_counts *at)
{
	const struct json_tree *v;
	struct arena a;

	if (json.n == 0)
		return;
	arena_init(&a, (size_t)64 * 1024);
	v = json_tree_parse(json, &a, NULL);
	at->retried = value_int(json_tree_get(v, STR("retried")));
	at->added = value_int(json_tree_get(v, STR("added")));
	at->skipped = value_int(json_tree_get(v, STR("skipped")));
	at->failed = value_int(json_tree_get(v, STR("failed")));
	at->done = value_int(json_tree_get(v, STR("done")));
	at->last = value_int(json_tree_get(v, STR("last")));
	arena_free(&a);
}

/* ---- which --------------------------------------------------------------- */

static int
all_ids(struct db *db, struct retry_work *w, struct err *e)
{
	sqlite3_stmt *st = db_stmt(db, SQL_dead_letter_ids, e);
	int rc;

	if (st == NULL)
		return -1;
	db_bind_i64(st, P_dead_letter_ids_after_id, w->at.last);
	db_bind_i64(st, P_dead_letter_ids_limit, IDS_MAX);
	while ((rc = db_step(db, st, e)) == 1 && w->n < IDS_MAX)
		w->ids[w->n++] = db_col_i64(st, 0);
	db_reset(st);
	return rc < 0 ? -1 : 0;
}

/* Those of the list that were not read before a restart. */
static void
named_ids(const struct json_tree *list, struct retry_work *w)
{
	int64_t passed = 0;

	for (list = list->first; list != NULL && w->n < IDS_MAX;
	     list = list->next)
		if (list->type == TREE_NUMBER && passed++ >= w->at.done)
			w->ids[w->n++] = value_int(list);
}

static void
drop(void *work, bool done)
{
	struct retry_work *w = work;

	(void)done;
	arena_free(&w->arena);
	free(w->ids);
	free(w);
}

static int
start(const struct job_run *run, void **work, struct err *e)
{
	struct retry_work *w = calloc(1, sizeof *w);
	const struct json_tree *args, *ids;
	struct arena a;
	int rc = 0;

	if (w == NULL)
		return fail(e, ERR_UNAVAILABLE, "out of memory");
	arena_init(&w->arena, LETTER_ARENA);
	arena_init(&a, ARGS_ARENA);
	w->ids = calloc(IDS_MAX, sizeof *w->ids);
	if (w->ids == NULL) {
		rc = fail(e, ERR_UNAVAILABLE, "out of memory");
		goto out;
	}
	read_progress(run->job->progress, &w->at);
	args = json_tree_parse(run->job->args, &a, NULL);
	ids = json_tree_get(args, STR("ids"));
	if (args == NULL || args->type != TREE_OBJECT)
		rc = fail(e, ERR_INPUT, "args: not a JSON object");
	else if (ids == NULL)
		rc = all_ids(run->db, w, e);
	else if (ids->type != TREE_LIST)
		rc = fail(e, ERR_INPUT, "args: ids is not a list");
	else
		named_ids(ids, w);
out:
	arena_free(&a);
	if (rc != 0)
		drop(w, false);
	else
		*work = w;
	return rc;
}

/* ---- a letter ------------------------------------------------------------ */

static bool
is_digest_of_redacted(const unsigned char hash[SHA256_BYTES])
{
	unsigned char none[SHA256_BYTES];

	sha256(REDACTED, sizeof REDACTED - 1, none);
	return memcmp(hash, none, sizeof none) == 0;
}

/* What was redacted tells nothing: its digest would be everybody's. */
static void
forget_redacted(struct usage_event *ev)
{
	if (ev->has_api_key_hash && is_digest_of_redacted(ev->api_key_hash))
		ev->has_api_key_hash = false;
	if (ev->has_source_hash && is_digest_of_redacted(ev->source_hash)) {
		ev->has_source_hash = false;
		ev->source = (struct str){ NULL, 0 };
		event_hash(ev);
	}
}

static int
put_reason(struct db *db, int64_t id, const char *reason, struct err *e)
{
	sqlite3_stmt *st = db_stmt(db, SQL_dead_letter_reason, e);

	if (st == NULL)
		return -1;
	db_bind_i64(st, P_dead_letter_reason_id, id);
	db_bind_str(st, P_dead_letter_reason_reason, str_of(reason));
	return db_exec(db, st, e);
}

static int
remove_letter(struct db *db, int64_t id, struct err *e)
{
	sqlite3_stmt *st = db_stmt(db, SQL_dead_letter_remove, e);

	if (st == NULL)
		return -1;
	db_bind_i64(st, P_dead_letter_remove_id, id);
	if (db_exec(db, st, e) != 0)
		return -1;
	return store_counter(db, "dead_letters", -1, e);
}

/* The payload and its time; 0 when the letter is gone. */
static int
read_letter(struct db *db, int64_t id, struct arena *a, struct str *payload,
    int64_t *created_ms, struct err *e)
{
	sqlite3_stmt *st = db_stmt(db, SQL_dead_letter_get, e);
	struct str v;
	int rc;

	if (st == NULL)
		return -1;
	db_bind_i64(st, P_dead_letter_get_id, id);
	if ((rc = db_step(db, st, e)) <= 0)
		return rc;
	*created_ms = db_col_i64(st, 0);
	v = db_col_blob(st, 1);
	payload->p = arena_strdup(a, v);
	payload->n = v.n;
	db_reset(st);
	return payload->p != NULL ? 1 :
				    fail(e, ERR_UNAVAILABLE, "out of memory");
}

static int
try_again(const struct job_run *run, struct retry_work *w, int64_t id,
    struct retry_counts *at, struct err *e)
{
	struct str payload = { NULL, 0 };
	struct usage_event ev;
	int64_t created_ms;
	bool inserted = false;
	struct err why;
	int rc;

	arena_reset(&w->arena);
	rc = read_letter(run->db, id, &w->arena, &payload, &created_ms, e);
	if (rc <= 0)
		return rc;
	at->retried++;
	switch (normalise(payload, created_ms, &w->arena, &ev, &why)) {
	case PAYLOAD_EVENT:
		forget_redacted(&ev);
		if (store_event(run->store, run->db, &ev, created_ms, &inserted,
			&why) == 0)
			break;
		if (!store_is_refusal(run->db, &why)) {
			*e = why;
			return -1;
		}
		at->failed++;
		return put_reason(run->db, id, why.text, e);
	case PAYLOAD_DEAD:
		at->failed++;
		return put_reason(run->db, id, why.text, e);
	case PAYLOAD_BLANK:
	case PAYLOAD_REFRESH:
	case PAYLOAD_CONTROL:
		at->skipped++;
		return remove_letter(run->db, id, e);
	}
	at->added += inserted;
	at->skipped += !inserted;
	if (inserted && store_counter(run->db, "events", 1, e) != 0)
		return -1;
	return remove_letter(run->db, id, e);
}

static int
put_counts(const struct job_run *run, const struct retry_counts *at, bool last,
    struct err *e)
{
	struct json_out o;
	struct buf b;
	int rc;

	buf_init(&b, 1024);
	json_out_init(&o, &b, NULL, NULL);
	json_out_object(&o);
	json_out_kint(&o, "retried", at->retried);
	json_out_kint(&o, "added", at->added);
	json_out_kint(&o, "skipped", at->skipped);
	json_out_kint(&o, "failed", at->failed);
	if (!last) {
		json_out_kint(&o, "done", at->done);
		json_out_kint(&o, "last", at->last);
	}
	json_out_object_end(&o);
	rc = last ? job_put_done(run, buf_view(&b), e) :
		    job_put_progress(run, buf_view(&b), e);
	buf_free(&b);
	return rc;
}

static int
step(void *work, const struct job_run *run, struct err *e)
{
	struct retry_work *w = work;
	struct retry_counts at = w->at;
	int64_t begun_ms = clock_mono_ms();
	size_t done = w->done;
	int rc;

	if (db_begin(run->db, e) != 0)
		return -1;
	while (done < w->n && clock_mono_ms() - begun_ms <= JOB_TRANSACTION_MS)
		if (try_again(run, w, w->ids[done++], &at, e) != 0)
			goto fail;
	at.done += (int64_t)(done - w->done);
	if (done > 0)
		at.last = w->ids[done - 1];
	if ((rc = put_counts(run, &at, done == w->n, e)) < 0)
		goto fail;
	if (rc == 0) { /* nobody wants it any more */
		db_rollback(run->db);
		store_forget(run->store);
		return 0;
	}
	if (db_commit(run->db, e) != 0)
		goto fail;
	w->done = done;
	w->at = at;
	if (done < w->n)
		return 1;
	log_write(LOG_INFO, "dead letters tried again",
	    LOG_INT("job", run->job->id), LOG_INT("retried", at.retried),
	    LOG_INT("added", at.added), LOG_INT("failed", at.failed));
	return 0;
fail:
	db_rollback(run->db);
	store_forget(run->store);
	return -1;
}

const struct job_kind job_retry = { "dead_letter_retry", start, step, drop };
