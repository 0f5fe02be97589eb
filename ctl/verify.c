/*
 * cpactl verify: is what is stored sound?  Reads only; a line for each check.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bootstrap.h"
#include "ctl/ctl.h"
#include "event_detail.h"
#include "model/event.h"

#define DETAIL_ARENA ((size_t)16 * 1024 * 1024)

struct check {
	const char *what;
	/* Returns 0 and "" or what is wrong in text, -1 with *e. */
	int (*run)(
	    const struct cfg *c, struct db *db, char text[512], struct err *e);
};

static int
one_number(struct db *db, enum stmt_id id, int64_t *out, struct err *e)
{
	sqlite3_stmt *st = db_stmt(db, id, e);

	if (st == NULL || db_step(db, st, e) != 1)
		return -1;
	*out = db_col_i64(st, 0);
	db_reset(st);
	return 0;
}

static int
integrity(const struct cfg *c, struct db *db, char text[512], struct err *e)
{
	sqlite3_stmt *st = db_stmt(db, SQL_meta_integrity, e);
	struct str line;
	int rc;

	(void)c;
	if (st == NULL || (rc = db_step(db, st, e)) < 0)
		return -1;
	line = rc == 1 ? db_col_str(st, 0) : STR("no answer");
	if (!str_eq(line, STR("ok")))
		snprintf(text, 512, "%.*s", STR_ARG(line));
	db_reset(st);
	return 0;
}

static int
foreign_keys(const struct cfg *c, struct db *db, char text[512], struct err *e)
{
	sqlite3_stmt *st = db_stmt(db, SQL_meta_foreign_keys, e);
	int rc;

	(void)c;
	if (st == NULL || (rc = db_step(db, st, e)) < 0)
		return -1;
	if (rc == 1)
		snprintf(text, 512, "a row of %.*s belongs to nothing",
		    STR_ARG(db_col_str(st, 0)));
	db_reset(st);
	return 0;
}

static int
dictionaries(const struct cfg *c, struct db *db, char text[512], struct err *e)
{
	int64_t dict, identity;

	(void)c;
	if (one_number(db, SQL_ctl_missing_dict, &dict, e) != 0 ||
	    one_number(db, SQL_ctl_missing_identity, &identity, e) != 0)
		return -1;
	if (dict != 0)
		snprintf(text, 512, "%" PRId64 " texts are missing", dict);
	else if (identity != 0)
		snprintf(
		    text, 512, "%" PRId64 " events name no identity", identity);
	return 0;
}

static int
details(const struct cfg *c, struct db *db, char text[512], struct err *e)
{
	int64_t after = 0, last = -1;
	struct str summary, metadata;
	sqlite3_stmt *st;
	struct arena a;
	int rc = 0;

	(void)c;
	arena_init(&a, DETAIL_ARENA);
	while (after != last && text[0] == '\0') {
		last = after;
		if ((st = db_stmt(db, SQL_ctl_details, e)) == NULL) {
			rc = -1;
			break;
		}
		db_bind_i64(st, P_ctl_details_after, after);
		while ((rc = db_step(db, st, e)) == 1) {
			after = db_col_i64(st, 0);
			arena_reset(&a);
			if (event_detail_unpack(db, &a, db_col_blob(st, 2),
				db_col_i64(st, 1), &summary, &metadata,
				NULL) != 0)
				snprintf(text, 512,
				    "detail of event %" PRId64 " is broken",
				    after);
		}
		if (rc < 0)
			break;
	}
	arena_free(&a);
	return rc;
}

static int
counter_of(struct db *db, const char *name, int64_t *out, struct err *e)
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
counters(const struct cfg *c, struct db *db, char text[512], struct err *e)
{
	int64_t events, dead, kept_events, kept_dead;

	(void)c;
	/* one view of the database, though collectord may be at work */
	if (sqlite3_exec(db->handle, "BEGIN", NULL, NULL, NULL) != SQLITE_OK)
		return db_fail(db, "begin", e);
	if (one_number(db, SQL_ctl_count_events, &events, e) != 0 ||
	    one_number(db, SQL_ctl_count_dead, &dead, e) != 0 ||
	    counter_of(db, "events", &kept_events, e) != 0 ||
	    counter_of(db, "dead_letters", &kept_dead, e) != 0) {
		db_rollback(db);
		return -1;
	}
	db_rollback(db);
	if (events != kept_events)
		snprintf(text, 512,
		    "%" PRId64 " events are stored, the counter says %" PRId64,
		    events, kept_events);
	else if (dead != kept_dead)
		snprintf(text, 512,
		    "%" PRId64
		    " dead letters are stored, the counter says %" PRId64,
		    dead, kept_dead);
	return 0;
}

/* The event as far as its hash needs it, from a row of ctl_hashes. */
static void
read_hashed(sqlite3_stmt *st, struct usage_event *ev, char time_text[40],
    char request_id[65])
{
	struct str id = db_col_blob(st, 6), source = db_col_blob(st, 10);

	*ev = (struct usage_event){
		.ts_ms = db_col_i64(st, 1),
		.ts_ns = (int32_t)db_col_i64(st, 2),
		.endpoint = db_col_str(st, 7),
		.model = db_col_str(st, 8),
		.auth_index = db_col_str(st, 9),
		.has_source_hash = source.n == SHA256_BYTES,
		.input_tokens = db_col_i64(st, 11),
		.output_tokens = db_col_i64(st, 12),
		.reasoning_tokens = db_col_i64(st, 13),
		.cached_tokens = db_col_i64(st, 14),
		.cache_tokens = db_col_i64(st, 15),
		.flags = (uint32_t)db_col_i64(st, 16),
		.latency_ms = { !db_col_is_null(st, 17), db_col_i64(st, 17) },
	};
	if (ev->has_source_hash)
		memcpy(ev->source_hash, source.p, SHA256_BYTES);
	ev->ts_text = db_col_str(st, 3);
	if (ev->ts_text.n == 0)
		ev->ts_text = (struct str){ time_text,
			event_time_text(ev->ts_ms, ev->ts_ns, time_text) };
	ev->request_id = id;
	if (sqlite3_column_type(st, 6) == SQLITE_BLOB && id.n <= 32) {
		hex_encode(id.p, id.n, request_id);
		ev->request_id = (struct str){ request_id, 2 * id.n };
	}
}

static int
hashes(const struct cfg *c, struct db *db, char text[512], struct err *e)
{
	char time_text[40], request_id[65];
	int64_t after = 0, last = -1;
	struct usage_event ev;
	sqlite3_stmt *st;
	struct str hash;
	int rc = 0;

	(void)c;
	while (after != last && text[0] == '\0') {
		last = after;
		if ((st = db_stmt(db, SQL_ctl_hashes, e)) == NULL)
			return -1;
		db_bind_i64(st, P_ctl_hashes_after, after);
		while ((rc = db_step(db, st, e)) == 1) {
			after = db_col_i64(st, 0);
			/* a given hash that is not ours to recompute */
			if (!db_col_is_null(st, 5))
				continue;
			read_hashed(st, &ev, time_text, request_id);
			event_hash(&ev);
			hash = db_col_blob(st, 4);
			if (hash.n != 16 || memcmp(hash.p, ev.hash, 16) != 0)
				snprintf(text, 512,
				    "event %" PRId64 " does not match its hash",
				    after);
		}
		if (rc < 0)
			return -1;
	}
	return 0;
}

static int
secrets(const struct cfg *c, struct db *db, char text[512], struct err *e)
{
	struct data_key k;
	struct err why;

	(void)e;
	if (bootstrap_check_secrets(c, db, &k, &why) != 0)
		snprintf(text, 512, "%s", why.text);
	data_key_wipe(&k);
	return 0;
}

static const struct check checks[] = {
	{ "database file", integrity },
	{ "references", foreign_keys },
	{ "dictionaries", dictionaries },
	{ "event details", details },
	{ "event hashes", hashes },
	{ "counters", counters },
	{ "stored secrets", secrets },
};

int
ctl_verify(const struct cfg *c, int argc, char **argv)
{
	int code = EXIT_OK;
	struct db db;

	if (argc > 1)
		return ctl_usage("verify", argv[1]);
	if (ctl_open(c, &db, DB_READ) != 0)
		return EXIT_FAILED;
	for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
		char text[512] = "";
		struct err e;

		printf("%-16s ", checks[i].what);
		fflush(stdout);
		if (checks[i].run(c, &db, text, &e) != 0)
			snprintf(text, sizeof text, "%s", e.text);
		puts(text[0] == '\0' ? "ok" : text);
		if (text[0] != '\0')
			code = EXIT_FAILED;
	}
	db_close(&db);
	return code;
}
