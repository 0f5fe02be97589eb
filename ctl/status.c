/*
 * cpactl status: what is stored and what collectord does.  The exit code
 * tells whether anything is being collected, so that a script can ask.
 */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "buf.h"
#include "clock.h"
#include "collector_state.h"
#include "ctl/ctl.h"
#include "json_out.h"

#define NAME "status"
#define JSON_MAX ((size_t)64 * 1024)
#define MIB 1048576.0

struct report {
	struct collector_state collector;
	bool alive; /* collectord holds its lock */
	int64_t now_ms;
	int64_t schema, events, dead_letters;
	int64_t gaps, in_doubt, gaps_unknown; /* of unknown extent */
	int64_t database_bytes, wal_bytes;
};

static int64_t
file_bytes(const char *path, const char *suffix)
{
	char name[PATH_MAX + 8];
	struct stat st;

	(void)snprintf(name, sizeof name, "%s%s", path, suffix);
	return stat(name, &st) == 0 ? st.st_size : 0;
}

static int
gather(const struct cfg *c, struct db *db, struct report *r, struct err *e)
{
	sqlite3_stmt *st;
	int rc;

	r->now_ms = clock_now_ms();
	r->alive = daemon_alive(c->lock_path);
	r->database_bytes = file_bytes(c->db_path, "");
	r->wal_bytes = file_bytes(c->db_path, "-wal");
	if (collector_state_read(db, &r->collector, e) != 0 ||
	    (st = db_stmt(db, SQL_ctl_status, e)) == NULL ||
	    (rc = db_step(db, st, e)) < 0)
		return -1;
	if (rc == 1) {
		r->schema = db_col_i64(st, 0);
		r->events = db_col_i64(st, 1);
		r->dead_letters = db_col_i64(st, 2);
		r->gaps = db_col_i64(st, 3);
		r->in_doubt = db_col_i64(st, 4);
		r->gaps_unknown = db_col_i64(st, 5);
	}
	db_reset(st);
	return 0;
}

/* The row outlives the daemon that wrote it. */
static const char *
state_of(const struct report *r)
{
	if (!r->alive)
		return "stopped";
	return strcmp(r->collector.collector, "stopped") == 0 ?
		   "starting" :
		   r->collector.collector;
}

static bool
is_well(const struct report *r)
{
	return r->alive && strcmp(r->collector.collector, "error") != 0;
}

static const char *
hint_of(const struct report *r)
{
	if (r->alive)
		return r->collector.hint;
	return r->collector.started_ms == 0 ?
		   "collectord was never started with this database; start "
		   "it" :
		   "start collectord; until then no event is collected";
}

/* How long ago, in the largest unit that says enough. */
static void
age_text(int64_t ms, char out[32])
{
	static const struct {
		int64_t ms;
		const char *name;
	} units[] = {
		{ 86400000, "d" },
		{ 3600000, "h" },
		{ 60000, "min" },
		{ 1000, "s" },
	};
	size_t i = 0;

	while (i < 3 && ms < 2 * units[i].ms)
		i++;
	(void)snprintf(out, 32, "%" PRId64 " %s ago",
	    ms < 0 ? 0 : ms / units[i].ms, units[i].name);
}

static void
put_label(const char *label)
{
	printf("%-15s ", label);
}

/* "2026-11-24 08:00:00 +0100 (3 s ago)", "never" for 0. */
static void
put_time(const char *label, int64_t ms, int64_t now_ms)
{
	time_t s = (time_t)(ms / 1000);
	char text[48], age[32];
	struct tm tm;

	put_label(label);
	if (ms == 0 || localtime_r(&s, &tm) == NULL ||
	    strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S %z", &tm) == 0) {
		puts("never");
		return;
	}
	age_text(now_ms - ms, age);
	printf("%s (%s)\n", text, age);
}

/* Nothing for an empty text. */
static void
put_line(const char *label, const char *text)
{
	if (text[0] == '\0')
		return;
	put_label(label);
	ctl_put_text(stdout, text);
	putchar('\n');
}

static void
put_number(const char *label, int64_t v)
{
	put_label(label);
	printf("%" PRId64 "\n", v);
}

static void
put_gaps(const struct report *r)
{
	put_label("gaps");
	printf("%" PRId64, r->gaps);
	if (r->gaps > 0)
		printf(" (at most %" PRId64 " events in doubt", r->in_doubt);
	if (r->gaps_unknown > 0)
		printf(", and %" PRId64 " of unknown extent", r->gaps_unknown);
	puts(r->gaps > 0 ? ")" : "");
}

static void
print_table(const struct cfg *c, const struct report *r)
{
	const struct collector_state *k = &r->collector;

	put_line("database", c->db_path);
	put_label("size");
	printf("%.1f MiB, write-ahead log %.1f MiB\n",
	    (double)r->database_bytes / MIB, (double)r->wal_bytes / MIB);
	put_number("schema", r->schema);
	put_number("events", r->events);
	put_number("dead letters", r->dead_letters);
	put_gaps(r);
	put_line("collector", state_of(r));
	if (r->alive)
		put_time("since", k->started_ms, r->now_ms);
	put_line("CPA", k->upstream);
	put_line("transport", k->transport);
	put_time("last received", k->last_consumed_ms, r->now_ms);
	put_time("last stored", k->last_inserted_ms, r->now_ms);
	put_label("spool");
	printf("%" PRId64 " bytes\n", k->spool_bytes);
	put_line("last error", k->last_error);
	put_line("what to do", hint_of(r));
}

static int
print_json(const struct cfg *c, const struct report *r)
{
	const struct collector_state *k = &r->collector;
	struct json_out o;
	struct buf b;
	int rc;

	buf_init(&b, JSON_MAX);
	json_out_init(&o, &b, NULL, NULL);
	json_out_object(&o);
	json_out_kz(&o, "database", c->db_path);
	json_out_kint(&o, "databaseBytes", r->database_bytes);
	json_out_kint(&o, "walBytes", r->wal_bytes);
	json_out_kint(&o, "schema", r->schema);
	json_out_kint(&o, "events", r->events);
	json_out_kint(&o, "deadLetters", r->dead_letters);
	json_out_kint(&o, "gaps", r->gaps);
	json_out_kint(&o, "inDoubt", r->in_doubt);
	json_out_kint(&o, "gapsOfUnknownExtent", r->gaps_unknown);
	json_out_kz(&o, "collector", state_of(r));
	json_out_kz(&o, "version", k->version);
	json_out_kint(&o, "startedAt", k->started_ms);
	json_out_kz(&o, "upstream", k->upstream);
	json_out_kz(&o, "mode", k->mode);
	json_out_kz(&o, "transport", k->transport);
	json_out_kz(&o, "queue", k->queue);
	json_out_kint(&o, "lastConsumedAt", k->last_consumed_ms);
	json_out_kint(&o, "lastInsertedAt", k->last_inserted_ms);
	json_out_kint(&o, "totalInserted", k->total_inserted);
	json_out_kint(&o, "totalSkipped", k->total_skipped);
	json_out_kint(&o, "spoolBytes", k->spool_bytes);
	json_out_kint(&o, "refusedUntil", k->refused_until_ms);
	json_out_kz(&o, "lastError", k->last_error);
	json_out_kz(&o, "hint", hint_of(r));
	json_out_object_end(&o);
	rc = json_out_done(&o);
	if (rc == 0)
		fputs(buf_text(&b), stdout);
	buf_free(&b);
	return rc;
}

int
ctl_status(const struct cfg *c, const struct ctl_args *a)
{
	struct report r = { .alive = false };
	struct db db;
	struct err e;
	int rc;

	if (ctl_open(NAME, c, &db, DB_READ) != 0)
		return EXIT_FAILED;
	rc = gather(c, &db, &r, &e);
	db_close(&db);
	if (rc != 0)
		return ctl_fail(NAME, "%s", e.text);
	if (!a->json)
		print_table(c, &r);
	else if (print_json(c, &r) != 0)
		return ctl_fail(NAME, "out of memory");
	return is_well(&r) ? EXIT_OK : EXIT_UNWELL;
}
