/*
 * The writer: takes batches from the spool into the database, keeps the
 * state row, and tells the reader what the settings say.
 *
 * Nothing that happens to the database ends it: it says what is wrong, waits,
 * opens the database again, and the spool keeps what comes in meanwhile.
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "accounts.h"
#include "bootstrap.h"
#include "clock.h"
#include "collector_state.h"
#include "cpa.h"
#include "daemon.h"
#include "ingest.h"
#include "jobs.h"
#include "log.h"
#include "notify.h"
#include "settings.h"
#include "upkeep.h"

#define TICK_MS 200   /* settings and state are looked at so often */
#define STATE_MS 1000 /* the row is written at most so often */
#define RETRY_FIRST_MS 250
#define RETRY_LAST_MS 5000
#define UPKEEP_MS 10   /* between two steps of upkeep */
#define HOLD_MS 20     /* between two looks at a WAL that is too large */
#define CACHE_KIB 8192 /* the index is touched all over */
#define SETTINGS_ARENA ((size_t)2 * 1024 * 1024)

struct writer {
	struct daemon *d;
	struct db db;
	bool ready; /* the database is open and was read */
	struct data_key key;
	struct ingest *ingest;
	struct jobs *jobs;
	struct upkeep upkeep;
	struct spool_position position;
	int64_t data_version, looked_ms; /* settings as of */
	struct source_config source;
	bool source_known;
	bool jobs_due;        /* there may be one */
	bool upkeep_waits;    /* more of it is to be done soon */
	bool refusal_pending; /* to be stored once the database allows it */
	int64_t retry_ms;
	struct stat file; /* the database's: has it been replaced? */

	struct collector_state state;
	char trouble[480];           /* of the writer itself, "" : none */
	bool changed;                /* the row is out of date */
	int64_t spool_written_bytes; /* as the row has it */
	unsigned told;               /* version of the reader's state in it */
	int64_t written_ms;
};

static void
trouble(struct writer *w, const char *text)
{
	if (strcmp(w->trouble, text) == 0)
		return;
	text_set(w->trouble, sizeof w->trouble, text);
	w->changed = true;
	if (text[0] != '\0') {
		log_write(LOG_ERROR, "events wait in the spool",
		    LOG_Z("error", text),
		    LOG_INT("bytes", spool_waiting_bytes(&w->d->spool)));
		notify_status(text);
	} else {
		log_line(LOG_INFO, "events are stored again");
		notify_status("collecting");
	}
}

/* ---- settings ---- */

static int
read_settings(struct writer *w, struct err *e)
{
	struct source_config s = { .enabled = false };
	struct manager_config m;
	struct arena a;
	int rc = -1;

	arena_init(&a, SETTINGS_ARENA);
	if (settings_load(
		w->ready ? &w->db : NULL, &w->d->cfg, &w->key, &a, &m, e) != 0)
		goto out;
	s.enabled = settings_connected(&m) && m.collector_enabled;
	if (strlen(m.cpa_url) >= sizeof s.base ||
	    strlen(m.cpa_key) >= sizeof s.key) {
		fail(e, ERR_INPUT, "CPA's address or key is too long");
		goto wipe;
	}
	text_set(s.base, sizeof s.base, m.cpa_url);
	text_set(s.key, sizeof s.key, m.cpa_key);
	text_set(s.mode, sizeof s.mode, collector_mode_text(m.mode));
	text_set(s.queue, sizeof s.queue, m.queue);
	text_set(s.side, sizeof s.side, m.pop_side);
	s.batch_size = m.batch_size;
	s.poll_interval_ms = m.poll_interval_ms;
	s.tls_skip_verify = m.tls_skip_verify;
	if (s.enabled && w->ready &&
	    cpa_refused(&w->db, s.base, s.key, &s.refused_until_ms, e) != 0)
		goto wipe;
	if (w->refusal_pending && s.refused_until_ms == 0)
		s.refused_until_ms = clock_now_ms() + CPA_REFUSED_MS;
	w->source = s;
	text_set(w->state.upstream, sizeof w->state.upstream, s.base);
	text_set(w->state.mode, sizeof w->state.mode, s.mode);
	text_set(w->state.queue, sizeof w->state.queue, s.queue);
	w->state.refused_until_ms = s.refused_until_ms;
	w->changed = true;
	w->source_known = true;
	daemon_source_set(w->d, &s);
	rc = 0;
wipe:
	settings_wipe(&m);
	explicit_bzero(s.key, sizeof s.key);
out:
	arena_free(&a);
	return rc;
}

/* Somebody has put another file in the database's place, or taken it away. */
static bool
file_replaced(struct writer *w)
{
	struct stat now;

	return stat(w->d->cfg.db_path, &now) == -1 ||
	       now.st_ino != w->file.st_ino || now.st_dev != w->file.st_dev;
}

static void
close_database(struct writer *w)
{
	db_close(&w->db);
	data_key_wipe(&w->key);
	w->ready = false;
}

static int
read_position(struct writer *w, struct err *e)
{
	sqlite3_stmt *st = db_stmt(&w->db, SQL_spool_position_get, e);
	struct spool_position p = { 0, 0 };
	int rc;

	if (st == NULL || (rc = db_step(&w->db, st, e)) < 0)
		return -1;
	if (rc == 1) {
		p.segment = db_col_i64(st, 0);
		p.offset = db_col_i64(st, 1);
		db_reset(st);
	}
	w->position = p;
	return 0;
}

static int
open_database(struct writer *w, struct err *e)
{
	struct collector_state old;
	struct err key_error;

	if (bootstrap_db(&w->d->cfg, &w->db, e) != 0)
		return -1;
	ingest_forget(w->ingest);
	jobs_forget(w->jobs, w->d->cfg.import_dir);
	w->upkeep = (struct upkeep){ .phase = UPKEEP_REST };
	db_set_cache(&w->db, CACHE_KIB);
	/* without the data key events are stored all the same */
	if (bootstrap_data_key(&w->d->cfg, &w->db, &w->key, &key_error) != 0)
		log_write(
		    LOG_ERROR, "data key", LOG_Z("error", key_error.text));
	if (stat(w->d->cfg.db_path, &w->file) == -1 ||
	    read_position(w, e) != 0 ||
	    collector_state_read(&w->db, &old, e) != 0 ||
	    db_data_version(&w->db, &w->data_version, e) != 0) {
		db_close(&w->db);
		return -1;
	}
	if (w->state.last_consumed_ms == 0)
		w->state.last_consumed_ms = old.last_consumed_ms;
	if (w->state.last_inserted_ms == 0)
		w->state.last_inserted_ms = old.last_inserted_ms;
	/* so that what waits is counted from there */
	spool_release(&w->d->spool, w->position);
	w->ready = true;
	return 0;
}

/* SIGHUP: the configuration as it is now; a broken one changes nothing. */
static void
reload(struct writer *w)
{
	struct cfg fresh;
	struct err e;

	if (cfg_load(&fresh, w->d->data_dir, &e) != 0) {
		log_write(LOG_ERROR, "configuration not taken over",
		    LOG_Z("error", e.text));
		return;
	}
	close_database(w);
	cfg_free(&w->d->cfg);
	w->d->cfg = fresh;
	log_line(LOG_INFO, "configuration read again");
}

/*
 * Have the database open and the settings known; looks at most every TICK_MS.
 */
static int
refresh(struct writer *w, struct err *e)
{
	int64_t now_ms = clock_mono_ms(), version;
	bool opened = false;

	if (atomic_exchange(&w->d->reload, false))
		reload(w);
	if (w->ready && now_ms - w->looked_ms < TICK_MS)
		return 0;
	w->looked_ms = now_ms;
	if (w->ready && file_replaced(w)) {
		log_line(LOG_WARN, "database file was replaced: opening anew");
		close_database(w);
	}
	if (!w->ready) {
		if (open_database(w, e) != 0) {
			/* CPA forgets within a minute: do not wait for it */
			if (!w->source_known)
				(void)read_settings(w, NULL);
			return -1;
		}
		opened = true;
	}
	if (w->refusal_pending && w->source.enabled) {
		if (cpa_set_refused(&w->db, w->source.base, w->source.key, e) !=
		    0)
			return -1;
		w->refusal_pending = false;
		opened = true;
	}
	if (db_data_version(&w->db, &version, e) != 0)
		return -1;
	if (!opened && version == w->data_version)
		return 0;
	w->jobs_due = true; /* somebody has written something */
	/* another data key may have come with the settings */
	if (!opened && !w->key.present &&
	    bootstrap_data_key(&w->d->cfg, &w->db, &w->key, e) != 0)
		log_write(LOG_ERROR, "data key", LOG_Z("error", e->text));
	if (read_settings(w, e) != 0) {
		/* collection goes on with what was known */
		log_write(LOG_ERROR, "settings", LOG_Z("error", e->text));
		daemon_tell(w->d, "error", NULL, e->text,
		    "Enter the CPA connection again.");
	}
	w->data_version = version;
	return 0;
}

/* ---- state ---- */

/* Bring the row's content up to date with the reader. */
static void
gather_state(struct writer *w)
{
	struct collector_state *s = &w->state;
	struct source_state reader;
	unsigned version;

	daemon_state(w->d, &reader, &version);
	w->refusal_pending |= reader.key_refused;
	if (version != w->told) {
		w->told = version;
		w->changed = true;
	}
	text_set(s->collector, sizeof s->collector, reader.collector);
	text_set(s->transport, sizeof s->transport, reader.transport);
	text_set(s->last_error, sizeof s->last_error, reader.error);
	text_set(s->hint, sizeof s->hint, reader.hint);
	if (reader.last_consumed_ms > s->last_consumed_ms)
		s->last_consumed_ms = reader.last_consumed_ms;
	if (w->db.slowest_ms > s->slowest_transaction_ms) {
		s->slowest_transaction_ms = w->db.slowest_ms;
		w->changed = true;
	}
	s->spool_bytes = spool_waiting_bytes(&w->d->spool);
	w->changed |= s->spool_bytes != w->spool_written_bytes;
	if (w->trouble[0] != '\0') {
		text_set(s->collector, sizeof s->collector, "error");
		snprintf(s->last_error, sizeof s->last_error, "store: %s",
		    w->trouble);
		text_set(s->hint, sizeof s->hint,
		    "Events are kept in the spool until then.");
	}
}

static int
put_state(struct writer *w, struct err *e)
{
	if (collector_state_write(&w->db, &w->state, e) != 0)
		return -1;
	w->written_ms = clock_mono_ms();
	w->spool_written_bytes = w->state.spool_bytes;
	w->changed = false;
	return 0;
}

/* Between batches: the row, when it is out of date and old enough. */
static int
write_state(struct writer *w, struct err *e)
{
	gather_state(w);
	if (!w->changed || clock_mono_ms() - w->written_ms < STATE_MS)
		return 0;
	return put_state(w, e);
}

struct commit {
	struct writer *w;
	const struct spool_batch *batch;
	const struct ingest_result *result;
};

/*
 * With a batch, in its transaction: when it is time, and always when nothing
 * more is waiting, so that what was published shows at once.
 */
static int
with_batch(struct db *db, void *arg, struct err *e)
{
	struct commit *c = arg;
	struct writer *w = c->w;
	struct collector_state base = w->state;
	bool last = spool_waiting_bytes(&w->d->spool) <=
		    c->batch->after.offset - c->batch->at.offset;
	int rc = 0;

	(void)db;
	if (!last && clock_mono_ms() - w->written_ms < STATE_MS)
		return 0;
	gather_state(w);
	w->state.total_inserted += c->result->inserted;
	w->state.total_skipped += c->result->skipped;
	if (c->result->inserted > 0 || c->result->skipped > 0)
		w->state.last_inserted_ms = clock_now_ms();
	if (last)
		w->state.spool_bytes = 0;
	rc = put_state(w, e);
	/* counted for good once the transaction is through */
	w->state.total_inserted = base.total_inserted;
	w->state.total_skipped = base.total_skipped;
	w->state.last_inserted_ms = base.last_inserted_ms;
	return rc;
}

/* ---- batches ---- */

/* What the reader has noticed goes into the ledger of gaps. */
static int
enter_gaps(struct writer *w, struct err *e)
{
	struct daemon_gap gap;

	while (daemon_gap(w->d, &gap)) {
		if (store_outage(&w->db, gap.from_ms, gap.to_ms, gap.reason,
			gap.detail, e) != 0)
			return -1;
		daemon_gap_done(w->d);
		log_write(LOG_WARN, "events may be missing, see the gaps",
		    LOG_Z("reason", gap.reason), LOG_Z("detail", gap.detail));
	}
	return 0;
}

static const struct account_list *
hold_accounts(void *arg)
{
	struct daemon *d = arg;

	return accounts_hold(d->accounts);
}

static int
take_batch(struct writer *w, const struct spool_batch *b, struct err *e)
{
	struct ingest_result result;
	struct commit commit = { .w = w, .batch = b, .result = &result };
	int rc;

	rc = ingest_batch(w->ingest, &w->db, &w->d->spool, b, &result,
	    with_batch, &commit, e);
	accounts_release(w->d->accounts);
	if (rc != 0)
		return -1;
	if (result.refresh)
		accounts_drop(w->d->accounts);
	w->state.total_inserted += result.inserted;
	w->state.total_skipped += result.skipped;
	if (result.inserted > 0 || result.skipped > 0)
		w->state.last_inserted_ms = clock_now_ms();
	w->position = b->after;
	spool_release(&w->d->spool, w->position);
	if (result.problem[0] != '\0')
		log_write(LOG_WARN, "answer of the queue is not usable",
		    LOG_Z("problem", result.problem));
	if (result.gap)
		log_write(LOG_WARN, "a batch is in doubt, see the gaps",
		    LOG_INT("asked_for", b->count),
		    LOG_INT("stored", result.inserted + result.skipped));
	if (result.dead > 0)
		log_write(
		    LOG_WARN, "dead letters", LOG_INT("count", result.dead));
	return 0;
}

/* Whatever goes wrong with it must not stop collection. */
static void
keep_up(struct writer *w, bool idle)
{
	struct err e;
	int rc = upkeep_step(&w->upkeep, &w->db, &w->d->cfg, idle, &e);

	w->upkeep_waits = rc > 0;
	if (rc < 0)
		log_write(LOG_WARN, "upkeep", LOG_Z("error", e.text));
}

/*
 * One round.  Returns 1 when there may be more to do at once, 0 when there is
 * nothing, -1 with *e when the database or the spool does not play along.
 */
static int
work(struct writer *w, struct err *e)
{
	struct spool_batch b;
	int rc, job = 0;

	if (refresh(w, e) != 0)
		return -1;
	if (!atomic_load(&w->d->stopping) && wal_hold(&w->upkeep.wal, &w->db)) {
		daemon_pause(w->d, HOLD_MS);
		return 0;
	}
	if ((rc = spool_next(&w->d->spool, &w->position, &b, e)) < 0)
		return -1;
	if ((rc == 1 && take_batch(w, &b, e) != 0) || enter_gaps(w, e) != 0)
		return -1;
	/* jobs go on under load as well, a step a batch; not at the end */
	if (w->jobs_due && !atomic_load(&w->d->stopping)) {
		job = jobs_step(w->jobs, &w->db, ingest_store(w->ingest), e);
		if (job < 0)
			return -1;
		w->jobs_due = job > 0;
	}
	keep_up(w, rc == 0 && job == 0);
	if (rc == 1)
		return 1;
	spool_release(&w->d->spool, w->position);
	return write_state(w, e) != 0 ? -1 : job;
}

void *
writer_main(void *arg)
{
	struct daemon *d = arg;
	struct writer w = { .d = d, .retry_ms = RETRY_FIRST_MS };
	bool busy, done;
	struct err e;
	int rc;

	w.state.started_ms = clock_now_ms();
	text_set(w.state.version, sizeof w.state.version, CPA_MANAGER_VERSION);
	w.ingest = ingest_new();
	w.jobs = jobs_new(d->cfg.import_dir);
	if (w.ingest == NULL || w.jobs == NULL) {
		log_line(LOG_ERROR, "writer: out of memory");
		atomic_store(&d->failed, true);
		return NULL;
	}
	ingest_use_accounts(w.ingest, hold_accounts, d);
	for (done = false; !done;) {
		atomic_store(&d->writer_alive_ms, clock_mono_ms());
		/* asked before the round: what came since is seen by the next
		 */
		done = atomic_load(&d->reader_done);
		rc = work(&w, &e);
		if (rc >= 0) {
			trouble(&w, "");
			w.retry_ms = RETRY_FIRST_MS;
			if (rc > 0)
				done = false;
			else if (!done)
				spool_wait(&d->spool, w.position,
				    w.upkeep_waits ? UPKEEP_MS : TICK_MS);
			continue;
		}
		trouble(&w, e.text);
		busy = w.db.handle != NULL &&
		       (sqlite3_errcode(w.db.handle) & 0xff) == SQLITE_BUSY;
		if (!busy)
			close_database(&w);
		/* at the end there is no time to wait: the spool keeps it */
		if (!done) {
			daemon_pause(d, w.retry_ms);
			/* for a lock SQLite has waited already */
			if (!busy)
				w.retry_ms *= 2;
			if (w.retry_ms > RETRY_LAST_MS)
				w.retry_ms = RETRY_LAST_MS;
		}
	}
	if (w.ready) {
		gather_state(&w);
		text_set(
		    w.state.collector, sizeof w.state.collector, "stopped");
		if (put_state(&w, &e) != 0)
			log_write(LOG_WARN, "state", LOG_Z("error", e.text));
	}
	jobs_free(w.jobs);
	close_database(&w);
	ingest_free(w.ingest);
	explicit_bzero(&w.source, sizeof w.source);
	return NULL;
}
