/*
 * Any bytes as an import: reading comes to its end, what comes out are events
 * with valid texts and their own hash, and what an export writes of them is
 * read as the same events again.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "event_json.h"
#include "model/import_event.h"
#include "model/import_reader.h"
#include "model/normalise.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW_MS INT64_C(1800000000000)
#define INPUT_MAX ((size_t)64 * 1024)
#define LIMIT ((size_t)64 * 1024 * 1024)
#define EXACT (INT64_C(1) << 53)
#define EVENTS_MAX 64 /* of an input that are looked at closely */

struct seen {
	size_t n;
	unsigned char hash[EVENTS_MAX][SHA256_BYTES];
	int64_t records[EVENTS_MAX]; /* read up to and with it */
};

static void
check(bool holds)
{
	if (!holds)
		abort();
}

/* ---- one event ----------------------------------------------------------- */

static void
check_texts(const struct usage_event *ev)
{
	const struct str texts[] = { ev->ts_text, ev->hash_text, ev->request_id,
		ev->model, ev->requested_model, ev->resolved_model,
		ev->provider, ev->executor_type, ev->endpoint, ev->method,
		ev->path, ev->auth_type, ev->auth_index, ev->source,
		ev->account_snapshot, ev->auth_label_snapshot,
		ev->auth_file_snapshot, ev->auth_provider_snapshot,
		ev->auth_project_id_snapshot, ev->client_ip,
		ev->x_forwarded_for, ev->user_agent, ev->reasoning_effort,
		ev->service_tier, ev->request_service_tier,
		ev->response_service_tier, ev->fail_summary,
		ev->response_metadata_json };

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		check(utf8_valid(texts[i]));
	check(ev->ts_text.n > 0 && ev->ts_ns >= 0 && ev->ts_ns <= 999999);
	check(ev->fail_summary.n <= 4096 + 3 && ev->auth_snapshot_at_ms >= 0);
}

static void
check_hash(const struct usage_event *ev)
{
	struct usage_event again = *ev;

	if ((ev->flags & EVENT_HASH_TEXT) != 0) {
		check(ev->hash_text.n > 0 && !ev->hash_given);
		sha256(ev->hash_text.p, ev->hash_text.n, again.hash);
	} else {
		check(ev->hash_text.n == 0);
		if (ev->hash_given)
			return;
		event_hash(&again);
	}
	check(memcmp(again.hash, ev->hash, SHA256_BYTES) == 0);
}

/* Its line of an export, in a. */
static struct str
export_line(const struct usage_event *ev, struct arena *a)
{
	struct event_row row = { .ev = *ev };
	struct json_out o;
	struct buf b;
	char *copy;
	size_t n;

	event_header_columns(ev->response_metadata_json, a, &row.header);
	/* one that is not stored yet has none, and takes another each time */
	row.ev.created_ms = NOW_MS;
	buf_init(&b, LIMIT);
	json_out_init(&o, &b, NULL, NULL);
	event_json(&o, &row, true);
	check(json_out_done(&o) == 0);
	check((copy = arena_strdup(a, buf_view(&b))) != NULL);
	n = b.n;
	buf_free(&b);
	return (struct str){ copy, n };
}

/* JSON's numbers are doubles: larger ones come back a little off. */
static bool
is_inexact(int64_t v)
{
	return v >= EXACT || v <= -EXACT;
}

static void
check_again(const struct usage_event *ev, struct arena *a)
{
	struct str line = export_line(ev, a);
	struct usage_event again;
	struct err e;

	check(import_record(line, NOW_MS + 1, a, &again, &e) == 0);
	check_texts(&again);
	check_hash(&again);
	check(memcmp(again.hash, ev->hash, SHA256_BYTES) == 0);
	check(is_inexact(ev->ts_ms) || again.ts_ms == ev->ts_ms);
	check(is_inexact(ev->ts_ms) || str_eq(again.ts_text, ev->ts_text));
	check(is_inexact(ev->total_tokens) ||
	      again.total_tokens == ev->total_tokens);
	check(((again.flags ^ ev->flags) & EVENT_FAILED) == 0);
	check(str_eq(again.source, ev->source));
	check(str_eq(again.fail_summary, ev->fail_summary));
	/* and once more, nothing changes any more */
	line = export_line(&again, a);
	check(import_record(line, NOW_MS + 2, a, &again, &e) == 0);
	check(str_eq(export_line(&again, a), line));
}

/* ---- all of them --------------------------------------------------------- */

static void
read_all(struct import_reader *r, struct seen *seen)
{
	struct usage_event ev;
	struct arena a;
	struct err e;
	int rc;

	for (;;) {
		int64_t before = r->records;

		arena_init(&a, LIMIT);
		rc = import_reader_next(r, NOW_MS, &a, &ev, &e);
		if (rc == 1 && seen->n < EVENTS_MAX) {
			check(r->records > before);
			check_texts(&ev);
			check_hash(&ev);
			memcpy(seen->hash[seen->n], ev.hash, SHA256_BYTES);
			seen->records[seen->n++] = r->records;
			if (seen->n < 4)
				check_again(&ev, &a);
		}
		arena_free(&a);
		if (rc != 1)
			break;
	}
	check(rc == 0 || (e.kind == ERR_INPUT && e.text[0] != '\0'));
	check(r->counts.failed >= 0 && r->counts.unsupported >= 0);
}

/* Begun again behind some event, the others come as before. */
static void
read_rest(struct str text, const struct seen *seen, size_t from)
{
	struct import_reader r;
	struct usage_event ev;
	struct arena a;
	struct err e;

	check(import_reader_open(&r, text, &e) == 0);
	import_reader_skip(&r, seen->records[from]);
	check(r.records == seen->records[from]);
	for (size_t i = from + 1; i < seen->n; i++) {
		arena_init(&a, LIMIT);
		check(import_reader_next(&r, NOW_MS, &a, &ev, &e) == 1);
		check(memcmp(ev.hash, seen->hash[i], SHA256_BYTES) == 0);
		check(r.records == seen->records[i]);
		arena_free(&a);
	}
	import_reader_close(&r);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = { (const char *)data, size };
	static struct seen seen;
	struct import_reader r;
	struct err e;

	if (size > INPUT_MAX)
		return 0;
	seen.n = 0;
	if (import_reader_open(&r, text, &e) != 0) {
		check(e.kind == ERR_INPUT && e.text[0] != '\0');
		import_reader_close(&r);
		return 0;
	}
	read_all(&r, &seen);
	check(r.records <= (int64_t)size);
	import_reader_close(&r);
	if (seen.n > 1)
		read_rest(text, &seen, seen.n / 2 - 1);
	return 0;
}
