/*
 * cpactl events tail | query: events for a person, or for a program.
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "ctl/event_put.h"
#include "event_read.h"

#define NAME "events"
#define PAGE_EVENTS 512
#define ROW_ARENA ((size_t)64 * 1024 * 1024)
#define LIMIT_DEFAULT 20
#define LOOK_MS 300

struct events {
	const struct ctl_args *args;
	struct db db;
	struct event_reader *reader;
	struct arena arena; /* of one row */
	struct event_put put;
	int64_t ms, id; /* of the row that was read last */
	int64_t left;   /* how many more are wanted */
};

/* ---- which --------------------------------------------------------------- */

static bool
is_one_of(const char *wanted, struct str a, struct str b, struct str c)
{
	struct str w = str_of(wanted);

	return wanted == NULL || str_eq_nocase(a, w) || str_eq_nocase(b, w) ||
	       str_eq_nocase(c, w);
}

/* The models asked for, with and without the effort, and the one given. */
static bool
is_model(const char *wanted, const struct usage_event *ev)
{
	struct str asked =
	    ev->requested_model.n > 0 ? ev->requested_model : ev->model;

	return is_one_of(
		   wanted, ev->model, ev->resolved_model, ev->resolved_model) ||
	       is_one_of(wanted, asked, analytics_model(asked), asked);
}

static bool
is_account(const char *wanted, const struct usage_event *ev)
{
	return is_one_of(wanted, ev->account_snapshot, ev->auth_label_snapshot,
		   ev->source) ||
	       is_one_of(wanted, ev->auth_index, ev->auth_file_snapshot,
		   ev->auth_index);
}

/* How the hash begins, in either case. */
static bool
is_api_key(const char *wanted, const struct usage_event *ev)
{
	char text[API_KEY_HASH_TEXT];
	struct str w = str_of(wanted), hash = api_key_hash_text(ev, text);

	hash.n = hash.n < w.n ? hash.n : w.n;
	return wanted == NULL || str_eq_nocase(hash, w);
}

static bool
is_wanted(const struct ctl_args *a, const struct usage_event *ev)
{
	return (!a->failed || (ev->flags & EVENT_FAILED) != 0) &&
	       is_model(a->model, ev) &&
	       is_one_of(a->provider, ev->provider, ev->auth_provider_snapshot,
		   ev->provider) &&
	       is_account(a->account, ev) && is_api_key(a->api_key_hash, ev);
}

/*
 * The rows of st, as long as more are wanted and the output takes them; *n of
 * them, wanted or not.
 */
static int
read_rows(struct events *v, sqlite3_stmt *st, bool show, int *n, struct err *e)
{
	struct event_row row;
	int rc = 0;

	*n = 0;
	while (v->left > 0 && !ferror(stdout) &&
	       (rc = db_step(&v->db, st, e)) == 1) {
		arena_reset(&v->arena);
		if (event_reader_get(
			v->reader, db_col_i64(st, 0), &v->arena, &row, e) < 0) {
			rc = -1;
			break;
		}
		v->ms = row.ev.ts_ms;
		v->id = row.id;
		++*n;
		if (!is_wanted(v->args, &row.ev))
			continue;
		if (show && (rc = event_put(&v->put, &row, e)) != 0)
			break;
		v->left--;
	}
	db_reset(st);
	return rc < 0 ? -1 : 0;
}

/* ---- query --------------------------------------------------------------- */

/* Newest first, down to the limit or the beginning. */
static int
query(struct events *v, struct err *e)
{
	int n;

	v->ms = v->args->to_set ? v->args->to_ms : INT64_MAX;
	v->id = v->args->to_set ? 0 : INT64_MAX;
	do {
		sqlite3_stmt *st = db_stmt(&v->db, SQL_events_descending, e);

		if (st == NULL)
			return -1;
		db_bind_i64(st, P_events_descending_from_ms,
		    v->args->from_set ? v->args->from_ms : INT64_MIN);
		db_bind_i64(st, P_events_descending_before_ms, v->ms);
		db_bind_i64(st, P_events_descending_before_id, v->id);
		db_bind_i64(st, P_events_descending_limit, PAGE_EVENTS);
		if (read_rows(v, st, true, &n, e) != 0)
			return -1;
	} while (n == PAGE_EVENTS);
	return 0;
}

/* ---- tail ---------------------------------------------------------------- */

/* Go back until so many that are wanted have arrived since. */
static int
find_start(struct events *v, struct err *e)
{
	int n;

	v->id = INT64_MAX;
	do {
		sqlite3_stmt *st = db_stmt(&v->db, SQL_events_arrived_last, e);

		if (st == NULL)
			return -1;
		db_bind_i64(st, P_events_arrived_last_before_id, v->id);
		db_bind_i64(st, P_events_arrived_last_limit, PAGE_EVENTS);
		if (read_rows(v, st, false, &n, e) != 0)
			return -1;
	} while (n == PAGE_EVENTS);
	/* before the last row read, or before what will be the first */
	v->id = v->id == INT64_MAX ? 0 : v->id - 1;
	return 0;
}

/* What has arrived behind the last row read. */
static int
show_arrived(struct events *v, struct err *e)
{
	int n;

	v->left = INT64_MAX;
	do {
		sqlite3_stmt *st = db_stmt(&v->db, SQL_events_arrived, e);

		if (st == NULL)
			return -1;
		db_bind_i64(st, P_events_arrived_after_id, v->id);
		db_bind_i64(st, P_events_arrived_limit, PAGE_EVENTS);
		if (read_rows(v, st, true, &n, e) != 0)
			return -1;
	} while (n == PAGE_EVENTS);
	return 0;
}

/* Wait a little.  False when nobody reads the output any more. */
static bool
wait_a_little(void)
{
	struct pollfd out = { .fd = STDOUT_FILENO };

	return poll(&out, 1, LOOK_MS) <= 0;
}

/* The last ones in the order of arrival, then those that come. */
static int
tail(struct events *v, struct err *e)
{
	int64_t version, seen = -1;

	if (v->args->follow)
		event_put_heading(&v->put);
	if (find_start(v, e) != 0 || show_arrived(v, e) != 0)
		return -1;
	while (v->args->follow && fflush(stdout) == 0 && wait_a_little()) {
		if (db_data_version(&v->db, &version, e) != 0)
			return -1;
		if (version != seen && show_arrived(v, e) != 0)
			return -1;
		seen = version;
	}
	return 0;
}

/* ---- the command --------------------------------------------------------- */

static bool
is_tail(const struct ctl_args *a)
{
	return strcmp(a->words[0], "tail") == 0;
}

static int
check_arguments(const struct ctl_args *a)
{
	const char *wrong = NULL;

	if (!is_tail(a) && strcmp(a->words[0], "query") != 0) {
		ctl_fail(NAME, "\"%s\": must be tail or query", a->words[0]);
		return EXIT_USAGE;
	}
	if (is_tail(a) && (a->from_set || a->to_set))
		wrong = a->from_set ? "--from is for query, not for tail" :
				      "--to is for query, not for tail";
	else if (!is_tail(a) && a->follow)
		wrong = "--follow is for tail, not for query";
	if (wrong == NULL)
		return EXIT_OK;
	ctl_fail(NAME, "%s", wrong);
	return EXIT_USAGE;
}

int
ctl_events(const struct cfg *c, const struct ctl_args *a)
{
	struct events v = { .args = a };
	int code = check_arguments(a);
	struct err e;

	if (code != EXIT_OK)
		return code;
	code = EXIT_FAILED;
	v.left = a->limit_set ? a->limit : LIMIT_DEFAULT;
	arena_init(&v.arena, ROW_ARENA);
	event_put_init(&v.put, a->format);
	if (ctl_open(NAME, c, &v.db, DB_READ) != 0)
		goto out;
	if (a->format == FORMAT_CSV)
		event_put_heading(&v.put);
	if ((v.reader = event_reader_new(&v.db)) == NULL)
		ctl_fail(NAME, "out of memory");
	else if ((is_tail(a) ? tail(&v, &e) : query(&v, &e)) != 0)
		ctl_fail(NAME, "%s", e.text);
	else
		code = EXIT_OK;
	if (code == EXIT_OK && a->format == FORMAT_TABLE && !v.put.headed)
		puts("no events");
out:
	event_reader_free(v.reader);
	event_put_free(&v.put);
	arena_free(&v.arena);
	db_close(&v.db);
	return code;
}
