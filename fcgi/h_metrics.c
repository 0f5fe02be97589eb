/*
 * GET /metrics: figures for Prometheus, in its text format
 * (prometheus.io/docs/instrumenting/exposition_formats, version 0.0.4).
 * Who may ask is configured apart from everything else, see auth.c.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "collector_state.h"
#include "fcgi/ctx.h"
#include "fcgi/response.h"
#include "fcgi/routes.h"

struct figures {
	struct collector_state collector;
	bool alive, database;
	int64_t events, dead_letters, gaps;
	int64_t database_bytes, wal_bytes;
};

static int64_t
file_bytes(struct ctx *c, const char *suffix)
{
	const char *path =
	    arena_printf(&c->arena, "%s%s", c->cfg->db_path, suffix);
	struct stat sb;

	return path != NULL && stat(path, &sb) == 0 ? sb.st_size : 0;
}

static void
collect(struct ctx *c, struct figures *f)
{
	struct db *db = ctx_db(c, NULL);
	sqlite3_stmt *st;

	f->alive = daemon_alive(c->cfg->lock_path);
	f->database_bytes = file_bytes(c, "");
	f->wal_bytes = file_bytes(c, "-wal");
	if (db == NULL || collector_state_read(db, &f->collector, NULL) != 0 ||
	    (st = db_stmt(db, SQL_status_counts, NULL)) == NULL)
		return;
	if (db_step(db, st, NULL) == 1) {
		f->database = true;
		f->events = db_col_i64(st, 0);
		f->dead_letters = db_col_i64(st, 1);
		f->gaps = db_col_i64(st, 2);
	}
	db_reset(st);
}

static void
put(struct buf *b, const char *name, const char *type, const char *help,
    int64_t value)
{
	buf_printf(b,
	    "# HELP cpa_manager_%s %s\n# TYPE cpa_manager_%s %s\n"
	    "cpa_manager_%s %" PRId64 "\n",
	    name, help, name, type, name, value);
}

static void
put_requests(struct buf *b, struct app *app)
{
	const char *name = "http_requests_total";

	buf_printf(b,
	    "# HELP cpa_manager_%s Requests since the application started, by "
	    "who may ask.\n# TYPE cpa_manager_%s counter\n",
	    name, name);
	for (int class = 0; class < AUTH__MAX; class ++)
		for (int status = 2; status <= 5; status++)
			buf_printf(b,
			    "cpa_manager_%s{class=\"%s\",status=\"%dxx\"} "
			    "%" PRIu64 "\n",
			    name, auth_class_text((enum auth_class) class),
			    status,
			    (uint64_t)atomic_load(
				&app->answers[class][status]));
}

static void
put_collector(struct buf *b, const struct figures *f)
{
	const struct collector_state *k = &f->collector;

	put(b, "collector_up", "gauge", "Does collectord run?", f->alive);
	put(b, "collector_collecting", "gauge",
	    "Does it reach CPA and store what comes?",
	    f->alive && strcmp(k->collector, "running") == 0);
	put(b, "events_inserted_total", "counter",
	    "Events stored since collectord started.", k->total_inserted);
	put(b, "events_skipped_total", "counter",
	    "Events that were there already.", k->total_skipped);
	put(b, "last_consumed_timestamp_seconds", "gauge",
	    "When CPA last handed something out.", k->last_consumed_ms / 1000);
	put(b, "last_inserted_timestamp_seconds", "gauge",
	    "When an event was last stored.", k->last_inserted_ms / 1000);
	put(b, "spool_bytes", "gauge", "Received and not yet stored.",
	    k->spool_bytes);
	put(b, "slowest_transaction_milliseconds", "gauge",
	    "The longest that collectord kept the database locked.",
	    k->slowest_transaction_ms);
}

int
metrics_get(
    struct ctx *c, struct request *rq, struct response *rs, struct err *e)
{
	struct figures f = { .alive = false };
	struct buf *b = rs->body;

	(void)rq;
	(void)e;
	collect(c, &f);
	response_lines(rs, "text/plain; version=0.0.4; charset=utf-8");
	put(b, "database_up", "gauge", "Can the database be read?", f.database);
	put_collector(b, &f);
	put(b, "events", "gauge", "Events stored.", f.events);
	put(b, "dead_letters", "gauge", "Payloads that were no events.",
	    f.dead_letters);
	put(b, "gaps", "gauge", "Stretches of time with events in doubt.",
	    f.gaps);
	put(b, "database_bytes", "gauge", "Size of the database file.",
	    f.database_bytes);
	put(b, "wal_bytes", "gauge", "Size of its write-ahead log.",
	    f.wal_bytes);
	put_requests(b, c->app);
	return 0;
}
