/*
 * cpactl events tail | query: events for a person, or for a program.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "crypt.h"
#include "ctl/ctl.h"
#include "event_json.h"
#include "event_read.h"

#define NAME "events"
#define PAGE_EVENTS 512
#define PAGE_ARENA ((size_t)64 * 1024 * 1024)
#define LINE_MAX_BYTES ((size_t)8 * 1024 * 1024)
#define LIMIT_DEFAULT 20
#define LOOK_MS 300

struct events {
	const struct ctl_args *args;
	struct db db;
	struct event_reader *reader;
	struct arena arena;
	struct buf line;
	bool headed; /* the line of names is out */
};

/* ---- which --------------------------------------------------------------- */

static bool
is_one_of(const char *wanted, struct str a, struct str b, struct str c)
{
	struct str w = str_of(wanted);

	return wanted == NULL || str_eq_nocase(a, w) || str_eq_nocase(b, w) ||
	       str_eq_nocase(c, w);
}

static bool
is_wanted(const struct ctl_args *a, const struct usage_event *ev)
{
	struct str asked =
	    ev->requested_model.n > 0 ? ev->requested_model : ev->model;
	char hash[2 * SHA256_BYTES + 1] = "";

	if (a->failed && (ev->flags & EVENT_FAILED) == 0)
		return false;
	if (ev->has_api_key_hash)
		hex_encode(ev->api_key_hash, SHA256_BYTES, hash);
	return is_one_of(a->model, ev->model, analytics_model(asked),
		   ev->resolved_model) &&
	       is_one_of(a->provider, ev->provider, ev->auth_provider_snapshot,
		   ev->provider) &&
	       (is_one_of(a->account, ev->account_snapshot,
		    ev->auth_label_snapshot, ev->source) ||
		   is_one_of(a->account, ev->auth_index, ev->auth_file_snapshot,
		       ev->auth_index)) &&
	       (a->api_key_hash == NULL ||
		   str_starts(str_of(hash), str_of(a->api_key_hash)));
}

/* ---- how ----------------------------------------------------------------- */

static struct str
first_of(struct str a, struct str b, struct str c)
{
	return a.n > 0 ? a : b.n > 0 ? b : c;
}

static void
put_cell(struct str s, int width)
{
	char text[256];
	size_t shown = 0, bytes = 0;

	/* by characters, so that the columns stand below each other */
	while (bytes < s.n && bytes < sizeof text - 8) {
		uint32_t code;
		int n =
		    utf8_next((struct str){ s.p + bytes, s.n - bytes }, &code);

		if (++shown > (size_t)width)
			break;
		bytes += n < 1 ? 1 : (size_t)n;
	}
	(void)snprintf(text, sizeof text, "%.*s", (int)bytes, s.p);
	ctl_put_text(stdout, text);
	for (size_t i = utf8_length(str_of(text)); i < (size_t)width; i++)
		putchar(' ');
	fputs("  ", stdout);
}

static void
local_time(int64_t ms, char out[32])
{
	time_t t = (time_t)(ms / 1000);
	struct tm tm;

	if (localtime_r(&t, &tm) == NULL ||
	    strftime(out, 32, "%Y-%m-%d %H:%M:%S", &tm) == 0)
		(void)snprintf(out, 32, "%" PRId64, ms);
}

static void
put_table(struct events *v, const struct usage_event *ev)
{
	struct normalized_tokens t;
	char time_text[32], latency[24] = "-";

	if (!v->headed)
		printf("%-19s  %-24s  %-10s  %-26s  %9s  %8s  %9s  %s\n",
		    "time", "model", "provider", "account", "input", "output",
		    "ms", "outcome");
	v->headed = true;
	event_normalized_tokens(ev, &t);
	local_time(ev->ts_ms, time_text);
	if (ev->latency_ms.set)
		(void)snprintf(
		    latency, sizeof latency, "%" PRId64, ev->latency_ms.v);
	put_cell(str_of(time_text), 19);
	put_cell(ev->model, 24);
	put_cell(
	    first_of(ev->auth_provider_snapshot, ev->provider, STR("-")), 10);
	put_cell(first_of(first_of(ev->account_snapshot,
			      ev->auth_label_snapshot, ev->source),
		     ev->auth_index, STR("-")),
	    26);
	printf("%9" PRId64 "  %8" PRId64 "  %9s  ", t.total_input,
	    ev->output_tokens, latency);
	if ((ev->flags & EVENT_FAILED) == 0)
		puts("ok");
	else if (ev->fail_status_code.set)
		printf("failed %" PRId64 "\n", ev->fail_status_code.v);
	else
		puts("failed");
}

static void
put_csv_text(struct str s, bool last)
{
	/* a sheet must not take a text for a formula */
	bool formula = s.n > 0 && strchr("=+-@\t\r", *s.p) != NULL;

	putchar('"');
	if (formula)
		putchar('\'');
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"')
			putchar('"');
		putchar(s.p[i]);
	}
	fputs(last ? "\"\r\n" : "\",", stdout);
}

static void
put_csv_number(struct opt_i64 n)
{
	if (n.set)
		printf("%" PRId64, n.v);
	putchar(',');
}

static void
put_csv(struct events *v, const struct usage_event *ev)
{
	struct normalized_tokens t;
	char hash[2 * SHA256_BYTES + 1] = "";
	const int64_t counts[] = { ev->output_tokens, ev->reasoning_tokens,
		ev->total_tokens };

	if (!v->headed)
		fputs("timestamp,request_id,model,resolved_model,provider,"
		      "account,auth_index,api_key_hash,endpoint,input_tokens,"
		      "output_tokens,reasoning_tokens,total_tokens,"
		      "cache_read_tokens,cache_creation_tokens,latency_ms,"
		      "ttft_ms,failed,fail_status_code,fail_summary\r\n",
		    stdout);
	v->headed = true;
	event_normalized_tokens(ev, &t);
	if (ev->has_api_key_hash)
		hex_encode(ev->api_key_hash, SHA256_BYTES, hash);
	put_csv_text(ev->ts_text, false);
	put_csv_text(ev->request_id, false);
	put_csv_text(ev->model, false);
	put_csv_text(ev->resolved_model, false);
	put_csv_text(
	    first_of(ev->auth_provider_snapshot, ev->provider, STR("")), false);
	put_csv_text(
	    first_of(ev->account_snapshot, ev->auth_label_snapshot, ev->source),
	    false);
	put_csv_text(ev->auth_index, false);
	put_csv_text(str_of(hash), false);
	put_csv_text(ev->endpoint, false);
	printf("%" PRId64 ",", t.total_input);
	for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
		printf("%" PRId64 ",", counts[i]);
	printf("%" PRId64 ",%" PRId64 ",", t.cache_read, t.cache_creation);
	put_csv_number(ev->latency_ms);
	put_csv_number(ev->ttft_ms);
	printf("%s,", (ev->flags & EVENT_FAILED) != 0 ? "true" : "false");
	put_csv_number(ev->fail_status_code);
	put_csv_text(ev->fail_summary, true);
}

static void
put_event(struct events *v, const struct event_row *row)
{
	struct json_out o;

	switch (v->args->format) {
	case FORMAT_TABLE:
		put_table(v, &row->ev);
		break;
	case FORMAT_CSV:
		put_csv(v, &row->ev);
		break;
	case FORMAT_JSON:
		buf_clear(&v->line);
		json_out_init(&o, &v->line, NULL, NULL);
		event_json(&o, row, true);
		(void)json_out_done(&o);
		fwrite(v->line.p, 1, v->line.n, stdout);
		break;
	}
}

/* ---- query --------------------------------------------------------------- */

/*
 * A page of events from before one on; *n of them, *left more to be shown.
 */
static int
query_page(struct events *v, int64_t *before_ms, int64_t *before_id,
    int64_t *left, int *n, struct err *e)
{
	sqlite3_stmt *st = db_stmt(&v->db, SQL_events_descending, e);
	struct event_row row;
	int rc;

	*n = 0;
	if (st == NULL)
		return -1;
	arena_reset(&v->arena);
	db_bind_i64(st, P_events_descending_from_ms,
	    v->args->from_set ? v->args->from_ms : INT64_MIN);
	db_bind_i64(st, P_events_descending_before_ms, *before_ms);
	db_bind_i64(st, P_events_descending_before_id, *before_id);
	db_bind_i64(st, P_events_descending_limit, PAGE_EVENTS);
	while (*left > 0 && (rc = db_step(&v->db, st, e)) == 1) {
		if (event_reader_get(
			v->reader, db_col_i64(st, 0), &v->arena, &row, e) < 0) {
			rc = -1;
			break;
		}
		*before_ms = row.ev.ts_ms;
		*before_id = row.id;
		++*n;
		if (is_wanted(v->args, &row.ev)) {
			put_event(v, &row);
			--*left;
		}
	}
	db_reset(st);
	return *left == 0 ? 0 : rc;
}

/* Newest first, down to the limit or the beginning. */
static int
query(struct events *v, struct err *e)
{
	int64_t before_ms = v->args->to_set ? v->args->to_ms : INT64_MAX;
	int64_t before_id = v->args->to_set ? 0 : INT64_MAX;
	int64_t left =
	    v->args->limit_set ? v->args->limit : (int64_t)LIMIT_DEFAULT;
	int n = PAGE_EVENTS;

	while (left > 0 && n == PAGE_EVENTS)
		if (query_page(v, &before_ms, &before_id, &left, &n, e) != 0)
			return -1;
	if (!v->headed && v->args->format == FORMAT_TABLE)
		puts("no events");
	return 0;
}

/* ---- tail ---------------------------------------------------------------- */

static int
show_after(struct events *v, int64_t *after_id, struct err *e)
{
	struct event_row row;
	int rc, n;

	do {
		sqlite3_stmt *st = db_stmt(&v->db, SQL_events_arrived, e);

		if (st == NULL)
			return -1;
		arena_reset(&v->arena);
		db_bind_i64(st, P_events_arrived_after_id, *after_id);
		db_bind_i64(st, P_events_arrived_limit, PAGE_EVENTS);
		n = 0;
		while ((rc = db_step(&v->db, st, e)) == 1) {
			if (event_reader_get(v->reader, db_col_i64(st, 0),
				&v->arena, &row, e) < 0) {
				rc = -1;
				break;
			}
			if (is_wanted(v->args, &row.ev))
				put_event(v, &row);
			*after_id = row.id;
			n++;
		}
		db_reset(st);
		if (rc < 0)
			return -1;
	} while (n == PAGE_EVENTS);
	return fflush(stdout) == EOF ? fail(e, ERR_INTERNAL, "output") : 0;
}

/* The last ones in the order of arrival, then those that come. */
static int
tail(struct events *v, struct err *e)
{
	const struct timespec pause = { 0, (long)LOOK_MS * 1000000 };
	int64_t newest, after_id, version, seen = -1;

	if (events_newest_id(&v->db, &newest, e) != 0)
		return -1;
	after_id = newest - (v->args->limit_set ? v->args->limit :
						  (int64_t)LIMIT_DEFAULT);
	if (show_after(v, &after_id, e) != 0)
		return -1;
	while (v->args->follow) {
		nanosleep(&pause, NULL);
		if (db_data_version(&v->db, &version, e) != 0)
			return -1;
		if (version == seen)
			continue;
		seen = version;
		if (show_after(v, &after_id, e) != 0)
			return -1;
	}
	return 0;
}

int
ctl_events(const struct cfg *c, const struct ctl_args *a)
{
	struct events v = { .args = a };
	bool tails = strcmp(a->words[0], "tail") == 0;
	int code = EXIT_FAILED;
	struct err e;

	if (!tails && strcmp(a->words[0], "query") != 0) {
		ctl_fail(NAME, "tail or query, not %s", a->words[0]);
		return EXIT_USAGE;
	}
	arena_init(&v.arena, PAGE_ARENA);
	buf_init(&v.line, LINE_MAX_BYTES);
	if (ctl_open(NAME, c, &v.db, DB_READ) != 0)
		goto out;
	if ((v.reader = event_reader_new(&v.db)) == NULL)
		ctl_fail(NAME, "out of memory");
	else if ((tails ? tail(&v, &e) : query(&v, &e)) != 0)
		ctl_fail(NAME, "%s", e.text);
	else
		code = EXIT_OK;
out:
	event_reader_free(v.reader);
	buf_free(&v.line);
	arena_free(&v.arena);
	db_close(&v.db);
	return code;
}
