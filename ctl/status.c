/*
 * cpactl status: what is stored and what collectord does.  Exit code 3 when
 * nothing is being collected, so that a script can ask.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "buf.h"
#include "clock.h"
#include "collector_state.h"
#include "ctl/ctl.h"
#include "json_out.h"

struct report {
	struct collector_state collector;
	bool alive;
	int64_t events, dead_letters, gaps, in_doubt;
	int64_t database_bytes, wal_bytes;
};

static int64_t
file_bytes(const char *path, const char *suffix)
{
	char name[4096];
	struct stat st;

	snprintf(name, sizeof name, "%s%s", path, suffix);
	return stat(name, &st) == 0 ? st.st_size : 0;
}

static int
counter(struct db *db, const char *name, int64_t *out, struct err *e)
{
	sqlite3_stmt *st = db_stmt(db, SQL_counter_get, e);

	if (st == NULL)
		return -1;
	db_bind_str(st, P_counter_get_name, str_of(name));
	if (db_step(db, st, e) != 1)
		return -1;
	*out = db_col_i64(st, 0);
	db_reset(st);
	return 0;
}

static int
gather(const struct cfg *c, struct db *db, struct report *r, struct err *e)
{
	sqlite3_stmt *st;

	r->alive = daemon_alive(c->lock_path);
	r->database_bytes = file_bytes(c->db_path, "");
	r->wal_bytes = file_bytes(c->db_path, "-wal");
	if (collector_state_read(db, &r->collector, e) != 0 ||
	    counter(db, "events", &r->events, e) != 0 ||
	    counter(db, "dead_letters", &r->dead_letters, e) != 0 ||
	    (st = db_stmt(db, SQL_gap_count, e)) == NULL ||
	    db_step(db, st, e) != 1)
		return -1;
	r->gaps = db_col_i64(st, 0);
	r->in_doubt = db_col_i64(st, 1);
	db_reset(st);
	return 0;
}

static bool
is_well(const struct report *r)
{
	return r->alive && strcmp(r->collector.collector, "error") != 0;
}

static const char *
state_of(const struct report *r)
{
	return r->alive ? r->collector.collector : "stopped";
}

/* "2026-11-24 08:00:00 (3 s ago)", "never" for 0. */
static void
print_time(const char *label, int64_t ms)
{
	time_t s = (time_t)(ms / 1000);
	char text[32];
	struct tm tm;

	if (ms == 0 || localtime_r(&s, &tm) == NULL ||
	    strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &tm) == 0) {
		printf("%-16s never\n", label);
		return;
	}
	printf("%-16s %s (%" PRId64 " s ago)\n", label, text,
	    (clock_now_ms() - ms) / 1000);
}

static void
print_text(const char *label, const char *text)
{
	if (text[0] != '\0')
		printf("%-16s %s\n", label, text);
}

static void
print_table(const struct cfg *c, const struct report *r)
{
	printf("%-16s %s (%.1f MiB, WAL %.1f MiB, schema %d)\n", "database",
	    c->db_path, (double)r->database_bytes / 1048576,
	    (double)r->wal_bytes / 1048576, SCHEMA_VERSION);
	printf("%-16s %" PRId64 "\n", "events", r->events);
	printf("%-16s %" PRId64 "\n", "dead letters", r->dead_letters);
	printf("%-16s %" PRId64 " (at most %" PRId64 " events in doubt)\n",
	    "gaps", r->gaps, r->in_doubt);
	printf("%-16s %s\n", "collector", state_of(r));
	print_text("CPA", r->collector.upstream);
	print_text("transport", r->collector.transport);
	print_time("last received", r->collector.last_consumed_ms);
	print_time("last stored", r->collector.last_inserted_ms);
	printf("%-16s %" PRId64 " bytes\n", "spool", r->collector.spool_bytes);
	print_text("last error", r->collector.last_error);
	print_text(
	    "what to do", r->alive ? r->collector.hint : "start collectord");
}

static int
print_json(const struct cfg *c, const struct report *r)
{
	struct json_out o;
	struct buf b;
	int rc;

	buf_init(&b, 65536);
	json_out_init(&o, &b, NULL, NULL);
	json_out_object(&o);
	json_out_kz(&o, "database", c->db_path);
	json_out_kint(&o, "databaseBytes", r->database_bytes);
	json_out_kint(&o, "walBytes", r->wal_bytes);
	json_out_kint(&o, "schema", SCHEMA_VERSION);
	json_out_kint(&o, "events", r->events);
	json_out_kint(&o, "deadLetters", r->dead_letters);
	json_out_kint(&o, "gaps", r->gaps);
	json_out_kint(&o, "inDoubt", r->in_doubt);
	json_out_kz(&o, "collector", state_of(r));
	json_out_kz(&o, "upstream", r->collector.upstream);
	json_out_kz(&o, "transport", r->collector.transport);
	json_out_kint(&o, "lastConsumedAt", r->collector.last_consumed_ms);
	json_out_kint(&o, "lastInsertedAt", r->collector.last_inserted_ms);
	json_out_kint(&o, "spoolBytes", r->collector.spool_bytes);
	json_out_kz(&o, "lastError", r->collector.last_error);
	json_out_kz(&o, "hint", r->collector.hint);
	json_out_object_end(&o);
	rc = json_out_done(&o);
	fputs(buf_text(&b), stdout);
	buf_free(&b);
	return rc;
}

int
ctl_status(const struct cfg *c, int argc, char **argv)
{
	bool json = argc == 2 && strcmp(argv[1], "--json") == 0;
	struct report r;
	struct db db;
	struct err e;
	int rc;

	if (argc > 1 && !json)
		return ctl_usage("status", argv[1]);
	if (ctl_open(c, &db, DB_READ) != 0)
		return EXIT_FAILED;
	rc = gather(c, &db, &r, &e);
	db_close(&db);
	if (rc != 0)
		return ctl_fail("status", e.text);
	if (json) {
		if (print_json(c, &r) != 0)
			return ctl_fail("status", "out of memory");
	} else
		print_table(c, &r);
	return is_well(&r) ? EXIT_OK : EXIT_UNWELL;
}
