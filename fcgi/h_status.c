/*
 * GET /status: is everything well, and if not, what is to be done.
 *
 * The answer has the reference's fields (contract/http-api.md section 5.2),
 * with the parts of it that we do not need as constants, and ours.  When the
 * database cannot be read the status is 503, and the body still says what is
 * known without it.
 */
#include <sys/stat.h>

#include "clock.h"
#include "collector_state.h"
#include "fcgi/ctx.h"
#include "fcgi/response.h"
#include "fcgi/routes.h"
#include "fcgi/service.h"

struct status {
	struct collector_state collector;
	bool alive; /* collectord holds its lock */
	int64_t events, dead_letters, gaps, last_gap_ms;
	int64_t journal_limit_bytes, page_bytes;
	struct err database, data_key; /* ERR_NONE: fine */
};

static int
read_counts(struct db *db, struct status *s, struct err *e)
{
	sqlite3_stmt *st = db_stmt(db, SQL_status_counts, e);

	if (st == NULL || db_step(db, st, e) != 1)
		return -1;
	s->events = db_col_i64(st, 0);
	s->dead_letters = db_col_i64(st, 1);
	s->gaps = db_col_i64(st, 2);
	s->last_gap_ms = db_col_i64(st, 3);
	db_reset(st);
	return 0;
}

static int
read_pragma(struct db *db, enum stmt_id id, int64_t *out, struct err *e)
{
	sqlite3_stmt *st = db_stmt(db, id, e);

	if (st == NULL || db_step(db, st, e) != 1)
		return -1;
	*out = db_col_i64(st, 0);
	db_reset(st);
	return 0;
}

static void
collect(struct ctx *c, struct status *s)
{
	struct err *e = &s->database;
	struct db *db;

	s->alive = daemon_alive(c->cfg->lock_path);
	if ((db = ctx_db(c, e)) == NULL)
		return;
	if (collector_state_read(db, &s->collector, e) != 0 ||
	    read_counts(db, s, e) != 0 ||
	    read_pragma(db, SQL_status_journal_limit, &s->journal_limit_bytes,
		e) != 0 ||
	    read_pragma(db, SQL_status_page_size, &s->page_bytes, e) != 0) {
		ctx_db_close(c);
		return;
	}
	if (ctx_key(c, &s->data_key) != NULL)
		err_clear(&s->data_key);
}

static int64_t
file_bytes(struct ctx *c, const char *suffix, int64_t *mtime_ms)
{
	const char *path =
	    arena_printf(&c->arena, "%s%s", c->cfg->db_path, suffix);
	struct stat sb;

	/* never open them: closing would drop SQLite's own locks */
	if (path == NULL || stat(path, &sb) != 0)
		return 0;
	*mtime_ms =
	    (int64_t)sb.st_mtim.tv_sec * 1000 + sb.st_mtim.tv_nsec / 1000000;
	return sb.st_size;
}

/*
 * Checkpoints are made by whoever commits, in SQLite itself, passively; the
 * database file is written by nothing else, so its time is theirs.
 */
static void
write_database(struct ctx *c, struct json_out *o, const struct status *s)
{
	int64_t db_ms = 0, other_ms;
	int64_t db = file_bytes(c, "", &db_ms);
	int64_t wal = file_bytes(c, "-wal", &other_ms);
	int64_t shm = file_bytes(c, "-shm", &other_ms);

	json_out_key(o, "database");
	json_out_object(o);
	json_out_kint(o, "databaseBytes", db);
	json_out_kint(o, "walBytes", wal);
	json_out_kint(o, "shmBytes", shm);
	json_out_kint(o, "totalBytes", db + wal + shm);
	json_out_kint(o, "journalSizeLimitBytes", s->journal_limit_bytes);
	json_out_key(o, "checkpoint");
	json_out_object(o);
	json_out_kz(o, "mode", "passive");
	json_out_kint(o, "busy", 0);
	json_out_kint(o, "logFrames",
	    wal > 32 && s->page_bytes > 0 ? (wal - 32) / (s->page_bytes + 24) :
					    0);
	json_out_kint(o, "checkpointedFrames", 0);
	json_out_kint(o, "executedAtMs", db_ms);
	json_out_kint(o, "durationMs", 0);
	json_out_object_end(o);
	json_out_object_end(o);
}

/* What to do about the collector; "" : nothing. */
static const char *
collector_hint(const struct status *s)
{
	if (s->alive)
		return s->collector.hint;
	if (s->collector.started_ms == 0)
		return "collectord was never started with this database; "
		       "start it";
	return "collectord does not run, so no event is collected; start it";
}

static void
write_collector(struct json_out *o, const struct status *s)
{
	const struct collector_state *k = &s->collector;

	json_out_key(o, "collector");
	json_out_object(o);
	json_out_kz(o, "collector", s->alive ? k->collector : "stopped");
	json_out_kz(o, "upstream", k->upstream);
	json_out_kz(o, "mode", k->mode);
	json_out_kz(o, "transport", k->transport);
	json_out_kz(o, "queue", k->queue);
	json_out_kint(o, "lastConsumedAt", k->last_consumed_ms);
	json_out_kint(o, "lastInsertedAt", k->last_inserted_ms);
	json_out_kint(o, "totalInserted", k->total_inserted);
	json_out_kint(o, "totalSkipped", k->total_skipped);
	json_out_kint(o, "deadLetters", s->dead_letters);
	json_out_kstr_opt(o, "lastError", str_of(k->last_error));
	json_out_kstr_opt(o, "x_hint", str_of(collector_hint(s)));
	json_out_kbool(o, "x_alive", s->alive);
	json_out_kint_opt(o, "x_startedAt", k->started_ms);
	json_out_kint(o, "x_spoolBytes", k->spool_bytes);
	json_out_kint(o, "x_slowestTransactionMs", k->slowest_transaction_ms);
	if (k->refused_until_ms > clock_now_ms())
		json_out_kint(o, "x_refusedUntil", k->refused_until_ms);
	json_out_kstr_opt(o, "x_version", str_of(k->version));
	json_out_object_end(o);
}

/* Nothing is ever migrated behind a running service here. */
static void
write_migration(struct json_out *o)
{
	json_out_key(o, "dataMigration");
	json_out_object(o);
	json_out_kz(o, "name", "usage_cache_accounting_v2");
	json_out_kz(o, "status", "completed");
	json_out_kint(o, "lastEventId", 0);
	json_out_kint(o, "targetEventId", 0);
	json_out_kint(o, "processedRows", 0);
	json_out_kint(o, "changedRows", 0);
	json_out_kint(o, "appliedRows", 0);
	json_out_kint(o, "updatedAtMs", 0);
	json_out_object_end(o);
}

static void
write_maintenance(struct json_out *o)
{
	json_out_key(o, "databaseMaintenance");
	json_out_object(o);
	json_out_kbool(o, "required", false);
	json_out_kbool(o, "performanceDegraded", false);
	json_out_kint(o, "deferredIndexes", 0);
	json_out_kint(o, "offlineJobs", 0);
	json_out_key(o, "reasons");
	json_out_array(o);
	json_out_array_end(o);
	json_out_object_end(o);
}

static void
write_status(struct ctx *c, struct json_out *o, const struct status *s)
{
	bool db_ready = s->database.kind == ERR_NONE;

	json_out_object(o);
	if (!db_ready) {
		json_out_kz(o, "code", err_code(&s->database));
		json_out_kz(o, "error", s->database.text);
	}
	write_collector(o, s);
	write_migration(o);
	write_database(c, o, s);
	write_maintenance(o);
	json_out_kz(o, "dbPath", c->cfg->db_path);
	json_out_kint(o, "deadLetters", s->dead_letters);
	json_out_kint(o, "events", s->events);
	json_out_kz(o, "service", SERVICE_ID);

	json_out_kz(o, "implementation", IMPLEMENTATION_ID);
	json_out_kz(o, "version", CPA_MANAGER_VERSION);
	json_out_kint(o, "startedAt", c->app->started_ms);
	json_out_kint(o, "eventCount", s->events);
	json_out_kint(o, "lastConsumedAt", s->collector.last_consumed_ms);
	json_out_kint(o, "lastInsertedAt", s->collector.last_inserted_ms);
	json_out_kint(o, "gaps", s->gaps);
	json_out_kint_opt(o, "lastGapAt", s->last_gap_ms);
	json_out_kbool(o, "databaseReady", db_ready);
	json_out_kbool(
	    o, "dataKeyReady", db_ready && s->data_key.kind == ERR_NONE);
	json_out_kstr_opt(o, "dataKeyError", str_of(s->data_key.text));
	json_out_object_end(o);
}

int
status_get(
    struct ctx *c, struct request *rq, struct response *rs, struct err *e)
{
	struct status s = { .collector = { .collector = "stopped" } };
	struct json_out *o;

	(void)e;
	if (str_eq(request_query(rq, "scope"), STR("database-maintenance"))) {
		o = response_json(rs, 200);
		json_out_object(o);
		write_maintenance(o);
		json_out_object_end(o);
		(void)json_out_done(o);
		return 0;
	}
	collect(c, &s);
	o = response_json(rs,
	    s.database.kind == ERR_NONE ? 200 : err_status(s.database.kind));
	write_status(c, o, &s);
	(void)json_out_done(o);
	return 0;
}
