/*
 * GET /v0/management/overview: all that the page's first screen shows, in
 * one answer: today's sums, requests by the hour, the newest events.
 */
#include <string.h>

#include "clock.h"
#include "db.h"
#include "event_detail.h"
#include "fcgi/ctx.h"
#include "fcgi/event_row.h"
#include "fcgi/response.h"
#include "fcgi/routes.h"

#define HOUR_MS INT64_C(3600000)
#define DAY_MS (24 * HOUR_MS)
#define HOURS_MAX 168
#define EVENTS_MAX 500
#define TIME_MAX INT64_C(253402300799999) /* the end of the year 9999 */

struct hour {
	int64_t requests, failures, total_tokens;
};

struct overview {
	int64_t now_ms, day_ms, hours, limit;
	int64_t first_hour_ms; /* start of hour[0] */

	int64_t requests, failures, input, output, cached, reasoning, total;
	int64_t latency_sum_ms, latency_n;
	struct hour hour[HOURS_MAX];
};

static int
read_query(const struct request *rq, struct overview *v, struct err *e)
{
	v->now_ms = clock_now_ms();
	v->day_ms = v->now_ms - DAY_MS;
	v->hours = 24;
	v->limit = 100;
	if (request_query_i64(rq, "day_start_ms", 0, TIME_MAX, &v->day_ms, e) !=
		0 ||
	    request_query_i64(rq, "hours", 1, HOURS_MAX, &v->hours, e) != 0 ||
	    request_query_i64(rq, "limit", 0, EVENTS_MAX, &v->limit, e) != 0)
		return -1;
	return 0;
}

/*
 * Hours begin where the day began, so that a zone that is half an hour off
 * gets its own full hours; the last one holds the present.
 */
static void
align_hours(struct overview *v)
{
	int64_t since = (v->now_ms - v->day_ms) % HOUR_MS;

	if (since < 0)
		since += HOUR_MS;
	v->first_hour_ms = v->now_ms - since - (v->hours - 1) * HOUR_MS;
}

static void
count(struct overview *v, int64_t ts_ms, const struct usage_event *ev,
    const int64_t *latency_ms)
{
	bool failed = ev->flags & EVENT_FAILED;
	int64_t at = ts_ms - v->first_hour_ms;

	if (at >= 0 && at / HOUR_MS < v->hours) {
		struct hour *h = &v->hour[at / HOUR_MS];

		h->requests++;
		h->failures += failed;
		h->total_tokens += ev->total_tokens;
	}
	if (ts_ms >= v->day_ms) {
		struct normalized_tokens n;

		event_normalized_tokens(ev, &n);
		v->requests++;
		v->failures += failed;
		v->input += n.total_input;
		v->output += ev->output_tokens;
		v->cached += n.cache_read;
		v->reasoning += ev->reasoning_tokens;
		v->total += ev->total_tokens;
		if (latency_ms != NULL) {
			v->latency_sum_ms += *latency_ms;
			v->latency_n++;
		}
	}
}

static int
read_sums(struct db *db, struct overview *v, struct err *e)
{
	int64_t from_ms =
	    v->day_ms < v->first_hour_ms ? v->day_ms : v->first_hour_ms;
	sqlite3_stmt *st = db_stmt(db, SQL_overview_since, e);
	struct usage_event ev = { .ts_ms = 0 };
	int rc;

	if (st == NULL)
		return -1;
	db_bind_i64(st, P_overview_since_from_ms, from_ms);
	while ((rc = db_step(db, st, e)) == 1) {
		int64_t latency_ms = db_col_i64(st, 10);

		event_row_tokens(st, 2, db_col_i64(st, 1), &ev);
		count(v, db_col_i64(st, 0), &ev,
		    db_col_is_null(st, 10) ? NULL : &latency_ms);
	}
	return rc;
}

static void
write_today(struct json_out *o, const struct overview *v)
{
	json_out_key(o, "today");
	json_out_object(o);
	json_out_kint(o, "requests", v->requests);
	json_out_kint(o, "failures", v->failures);
	json_out_kint(o, "inputTokens", v->input);
	json_out_kint(o, "outputTokens", v->output);
	json_out_kint(o, "cachedTokens", v->cached);
	json_out_kint(o, "reasoningTokens", v->reasoning);
	json_out_kint(o, "totalTokens", v->total);
	json_out_key(o, "averageLatencyMs");
	if (v->latency_n > 0)
		json_out_double(
		    o, (double)v->latency_sum_ms / (double)v->latency_n);
	else
		json_out_null(o);
	json_out_object_end(o);
}

static void
write_hours(struct json_out *o, const struct overview *v)
{
	json_out_key(o, "hours");
	json_out_array(o);
	for (int64_t i = 0; i < v->hours; i++) {
		const struct hour *h = &v->hour[i];

		json_out_object(o);
		json_out_kint(o, "startMs", v->first_hour_ms + i * HOUR_MS);
		json_out_kint(o, "requests", h->requests);
		json_out_kint(o, "failures", h->failures);
		json_out_kint(o, "totalTokens", h->total_tokens);
		json_out_object_end(o);
	}
	json_out_array_end(o);
}

static int
write_total(struct db *db, struct json_out *o, struct err *e)
{
	sqlite3_stmt *st = db_stmt(db, SQL_overview_range, e);

	if (st == NULL || db_step(db, st, e) != 1)
		return -1;
	json_out_key(o, "total");
	json_out_object(o);
	json_out_kint(o, "events", db_col_i64(st, 0));
	event_row_kint(o, "firstMs", st, 1);
	event_row_kint(o, "lastMs", st, 2);
	json_out_object_end(o);
	db_reset(st);
	return 0;
}

/* The first name of the payer that is not empty. */
static struct str
payer(sqlite3_stmt *st, int first)
{
	struct str s = { "", 0 };

	for (int col = first; col < first + 4 && s.n == 0; col++)
		s = db_col_str(st, col);
	return s;
}

static int
write_event(struct ctx *c, struct db *db, struct detail_reader *details,
    struct json_out *o, sqlite3_stmt *st, struct err *e)
{
	struct usage_event ev = { .ts_ms = db_col_i64(st, 1) };
	struct normalized_tokens n;
	struct event_detail detail = { .fail_summary = { "", 0 } };
	char hash[65];

	event_row_tokens(st, 3, db_col_i64(st, 2), &ev);
	event_normalized_tokens(&ev, &n);
	if (!db_col_is_null(st, 24) &&
	    event_detail_unpack(details, db, &c->arena, db_col_blob(st, 24),
		db_col_i64(st, 23), &detail, e) != 0)
		return -1;
	json_out_object(o);
	json_out_kint(o, "id", db_col_i64(st, 0));
	json_out_kint(o, "tsMs", ev.ts_ms);
	json_out_kstr(o, "model", db_col_str(st, 14));
	json_out_kstr(o, "provider", db_col_str(st, 15));
	json_out_kstr(o, "account", payer(st, 18));
	json_out_kstr(o, "apiKeyHash", event_row_hash(st, 17, hash));
	json_out_kstr(o, "apiKeyAlias", db_col_str(st, 22));
	json_out_kstr(o, "endpoint", db_col_str(st, 16));
	json_out_kbool(o, "failed", ev.flags & EVENT_FAILED);
	event_row_kint(o, "failStatus", st, 13);
	json_out_kstr(o, "failSummary", detail.fail_summary);
	json_out_kint(o, "inputTokens", n.total_input);
	json_out_kint(o, "outputTokens", ev.output_tokens);
	json_out_kint(o, "cachedTokens", n.cache_read);
	json_out_kint(o, "reasoningTokens", ev.reasoning_tokens);
	json_out_kint(o, "totalTokens", ev.total_tokens);
	event_row_kint(o, "latencyMs", st, 11);
	event_row_kint(o, "ttftMs", st, 12);
	json_out_object_end(o);
	return 0;
}

static int
write_events(struct ctx *c, struct db *db, struct json_out *o,
    const struct overview *v, struct err *e)
{
	sqlite3_stmt *st = db_stmt(db, SQL_overview_newest, e);
	struct detail_reader *details;
	int rc;

	if (st == NULL)
		return -1;
	if ((details = detail_reader_new()) == NULL)
		return fail(e, ERR_UNAVAILABLE, "out of memory");
	json_out_key(o, "events");
	json_out_array(o);
	db_bind_i64(st, P_overview_newest_limit, v->limit);
	while ((rc = db_step(db, st, e)) == 1)
		if ((rc = write_event(c, db, details, o, st, e)) != 0)
			break;
	db_reset(st);
	json_out_array_end(o);
	detail_reader_free(details);
	return rc;
}

int
overview_get(
    struct ctx *c, struct request *rq, struct response *rs, struct err *e)
{
	struct overview *v = arena_alloc(&c->arena, sizeof *v);
	struct db *db;
	struct json_out *o;

	if (v == NULL)
		return fail(e, ERR_UNAVAILABLE, "out of memory");
	if (read_query(rq, v, e) != 0)
		return -1;
	align_hours(v);
	if ((db = ctx_db(c, e)) == NULL || read_sums(db, v, e) != 0)
		return -1;
	o = response_json(rs, 200);
	json_out_object(o);
	json_out_kint(o, "nowMs", v->now_ms);
	json_out_kint(o, "dayStartMs", v->day_ms);
	write_today(o, v);
	if (write_total(db, o, e) != 0)
		return -1;
	write_hours(o, v);
	if (write_events(c, db, o, v, e) != 0)
		return -1;
	json_out_object_end(o);
	(void)json_out_done(o);
	return 0;
}
