/*
 * POST /v0/management/monitoring/analytics, as far as it pages through
 * events (contract/analytics.md sections 3 and 4.14).  A section, filter or
 * search that is not answered yet is refused by its name.
 */
#include <stdlib.h>

#include "clock.h"
#include "db.h"
#include "event_json.h"
#include "event_read.h"
#include "fcgi/ctx.h"
#include "fcgi/request.h"
#include "fcgi/response.h"
#include "fcgi/routes.h"
#include "json_in.h"
#include "timezone.h"

#define LIMIT_DEFAULT 100
#define LIMIT_MAX 50000
#define DAY_MS ((int64_t)24 * 3600 * 1000)
#define PAGE_EVENTS 512
#define PAGE_FULL ((size_t)768 * 1024) /* less than a buffer keeps */
#define EVENT_ARENA ((size_t)64 * 1024 * 1024)

struct query {
	int64_t from_ms, to_ms;
	bool wants_page;
	int64_t limit;
	int64_t before_ms, before_id; /* 0: from the newest on */
	bool by_hour;
};

struct page {
	struct db *db;
	struct event_reader *reader;
	struct arena arena;
	int64_t before_ms, before_id; /* the last one read */
	int64_t written;
	bool more;
};

/* ---- the request --------------------------------------------------------- */

static int
not_yet(const char *of, const char *field, struct err *e)
{
	return fail_code(e, ERR_INPUT, "not_supported",
	    "%s%s is not supported by this version", of, field);
}

/* A member that asks for nothing: false, 0, "", [] or {}. */
static bool
asks_nothing(const json_t *v)
{
	return json_is_false(v) ||
	       (json_is_integer(v) && json_integer_value(v) <= 0) ||
	       (json_is_string(v) && str_trim(json_in_text(v)).n == 0) ||
	       (json_is_array(v) && json_array_size(v) == 0) ||
	       (json_is_object(v) && json_object_size(v) == 0);
}

static int
check_include(const json_t *include, struct err *e)
{
	static const char *const sections[] = { "summary", "summary_comparison",
		"timeline", "hourly_distribution", "heatmap", "anomaly_points",
		"model_share", "model_stats", "channel_share",
		"failure_sources", "account_stats", "credential_stats",
		"credential_timeline", "api_key_timeline", "api_key_stats",
		"filter_options", "filter_selectors", "task_buckets",
		"recent_failures", "drilldown_preview" };

	for (size_t i = 0; i < sizeof sections / sizeof *sections; i++) {
		const json_t *v = json_in_get(include, sections[i]);

		if (v != NULL && !asks_nothing(v))
			return not_yet("include.", sections[i], e);
	}
	return 0;
}

/* Filters that let everything through are none. */
static int
check_filters(const json_t *filters, struct err *e)
{
	const char *key;
	json_t *v;
	/* the walk hands out values that may be changed; these are not */
	json_t *walked = (json_t *)(uintptr_t)filters;

	json_object_foreach (walked, key, v) {
		/* of this one, false is what leaves something out */
		bool all = str_eq_nocase(str_of(key), STR("include_failed")) ?
			       json_is_true(v) :
			       asks_nothing(v);

		if (!all && !json_is_null(v))
			return not_yet("filters.", key, e);
	}
	return 0;
}

static int
check_search(const json_t *body, struct err *e)
{
	static const char *const fields[] = { "search_query",
		"search_api_key_hash" };

	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
		struct str text = { NULL, 0 };

		if (json_in_str(body, fields[i], fields[i], &text, e) != 0)
			return -1;
		if (str_trim(text).n > 0)
			return not_yet("", fields[i], e);
	}
	return 0;
}

static int
read_page_query(const json_t *include, struct query *q, struct err *e)
{
	const json_t *page = NULL;

	if (json_in_object(
		include, "events_page", "include.events_page", &page, e) != 0)
		return -1;
	q->wants_page = page != NULL;
	if (json_in_i64(page, "limit", "events_page.limit", &q->limit, e) !=
		0 ||
	    json_in_i64(page, "before_ms", "events_page.before_ms",
		&q->before_ms, e) != 0 ||
	    json_in_i64(page, "before_id", "events_page.before_id",
		&q->before_id, e) != 0)
		return -1;
	if (q->limit > LIMIT_MAX)
		return fail(e, ERR_INPUT,
		    "events_page.limit must be less than or equal to %d",
		    LIMIT_MAX);
	if (q->limit <= 0)
		q->limit = LIMIT_DEFAULT;
	return 0;
}

static int
check_zone(const json_t *body, struct err *e)
{
	struct str zone = { NULL, 0 };

	if (json_in_str(body, "time_zone", "time_zone", &zone, e) != 0)
		return -1;
	zone = str_trim(zone);
	if (zone.n > 0 && !timezone_exists(zone))
		return fail_code(e, ERR_INPUT, "invalid_time_zone",
		    "invalid time zone: %.*s", STR_ARG(zone));
	return 0;
}

static int
read_body(const json_t *body, struct query *q, struct err *e)
{
	const json_t *include = NULL, *filters = NULL;
	struct str granularity = { NULL, 0 };

	if (json_in_i64(body, "from_ms", "from_ms", &q->from_ms, e) != 0 ||
	    json_in_i64(body, "to_ms", "to_ms", &q->to_ms, e) != 0 ||
	    json_in_object(body, "include", "include", &include, e) != 0 ||
	    json_in_object(body, "filters", "filters", &filters, e) != 0 ||
	    json_in_str(include, "granularity", "include.granularity",
		&granularity, e) != 0)
		return -1;
	if (q->from_ms <= 0 || q->to_ms <= 0 || q->from_ms >= q->to_ms)
		return fail(e, ERR_INPUT,
		    "from_ms and to_ms are required and from_ms must be less "
		    "than to_ms");
	q->by_hour = str_eq(granularity, STR("hour")) ||
		     (!str_eq(granularity, STR("day")) &&
			 q->to_ms - q->from_ms <= DAY_MS);
	if (read_page_query(include, q, e) != 0 || check_zone(body, e) != 0 ||
	    check_include(include, e) != 0 || check_filters(filters, e) != 0 ||
	    check_search(body, e) != 0)
		return -1;
	return 0;
}

/* ---- an event ------------------------------------------------------------ */

static void
write_hash(struct json_out *o, const char *key, bool is_set,
    const unsigned char hash[SHA256_BYTES])
{
	char hex[2 * SHA256_BYTES + 1] = "";

	if (is_set)
		hex_encode(hash, SHA256_BYTES, hex);
	json_out_kz(o, key, hex);
}

static void
write_optional(struct json_out *o, const char *key, struct opt_i64 v)
{
	json_out_key(o, key);
	if (v.set)
		json_out_int(o, v.v);
	else
		json_out_null(o);
}

static void
write_request(struct json_out *o, const struct usage_event *ev)
{
	struct str asked =
	    ev->requested_model.n > 0 ? ev->requested_model : ev->model;
	char hex[65];

	json_out_kstr_opt(o, "request_id", ev->request_id);
	json_out_kstr(o, "event_hash", event_hash_text(ev, hex));
	json_out_kint(o, "timestamp_ms", ev->ts_ms);
	json_out_kstr(o, "model", ev->model);
	json_out_kstr_opt(o, "analytics_model", analytics_model(asked));
	json_out_kstr_opt(o, "requested_model", asked);
	json_out_kstr_opt(o, "resolved_model", ev->resolved_model);
	json_out_kstr(o, "endpoint", ev->endpoint);
	json_out_kstr(o, "method", ev->method);
	json_out_kstr(o, "path", ev->path);
	json_out_kstr_opt(o, "client_ip", ev->client_ip);
	json_out_kstr_opt(o, "x_forwarded_for", ev->x_forwarded_for);
	json_out_kstr_opt(o, "user_agent", ev->user_agent);
}

static void
write_account(struct json_out *o, const struct usage_event *ev)
{
	json_out_kstr(o, "auth_index", ev->auth_index);
	json_out_kstr(o, "source", ev->source);
	write_hash(o, "source_hash", ev->has_source_hash, ev->source_hash);
	write_hash(o, "api_key_hash", ev->has_api_key_hash, ev->api_key_hash);
	json_out_kstr(o, "account_snapshot", ev->account_snapshot);
	json_out_kstr(o, "auth_label_snapshot", ev->auth_label_snapshot);
	json_out_kstr_opt(o, "auth_file_snapshot", ev->auth_file_snapshot);
	json_out_kstr(o, "auth_provider_snapshot",
	    ev->auth_provider_snapshot.n > 0 ? ev->auth_provider_snapshot :
					       ev->provider);
	json_out_kstr_opt(
	    o, "auth_project_id_snapshot", ev->auth_project_id_snapshot);
}

static void
write_counts(struct json_out *o, const struct usage_event *ev)
{
	struct normalized_tokens t;

	event_normalized_tokens(ev, &t);
	json_out_kint(o, "input_tokens", t.total_input);
	json_out_kint(o, "output_tokens", ev->output_tokens);
	json_out_kint(o, "cached_tokens", t.compat_cached);
	json_out_kint(o, "cache_read_tokens", ev->cache_read_tokens);
	json_out_kint(o, "cache_creation_tokens", ev->cache_creation_tokens);
	json_out_kint(o, "reasoning_tokens", ev->reasoning_tokens);
	json_out_kint(o, "total_tokens", ev->total_tokens);
	write_optional(o, "latency_ms", ev->latency_ms);
	write_optional(o, "ttft_ms", ev->ttft_ms);
}

static void
write_item(struct json_out *o, const struct event_row *row)
{
	const struct usage_event *ev = &row->ev;

	json_out_object(o);
	write_request(o, ev);
	write_account(o, ev);
	json_out_kstr_opt(o, "reasoning_effort", ev->reasoning_effort);
	json_out_kstr_opt(o, "service_tier", ev->service_tier);
	json_out_kstr_opt(o, "executor_type", ev->executor_type);
	write_counts(o, ev);
	json_out_kbool(o, "failed", (ev->flags & EVENT_FAILED) != 0);
	if (ev->fail_status_code.set)
		json_out_kint(o, "fail_status_code", ev->fail_status_code.v);
	json_out_kstr_opt(o, "fail_summary", ev->fail_summary);
	if (ev->response_metadata_json.n > 0) {
		json_out_key(o, "response_metadata");
		json_out_raw(o, ev->response_metadata_json);
	}
	event_json_header(o, &row->header);
	json_out_object_end(o);
}

/* ---- the page ------------------------------------------------------------ */

/*
 * Up to n events from behind the last one on; *got of them.  One more than
 * are to be written tells whether there are more.
 */
static int
read_some(struct page *p, const struct query *q, struct json_out *o, int64_t n,
    int64_t *got, struct err *e)
{
	sqlite3_stmt *st = db_stmt(p->db, SQL_events_descending, e);
	struct event_row row;
	int rc = 0;

	*got = 0;
	if (st == NULL)
		return -1;
	db_bind_i64(st, P_events_descending_from_ms, q->from_ms);
	db_bind_i64(st, P_events_descending_before_ms, p->before_ms);
	db_bind_i64(st, P_events_descending_before_id, p->before_id);
	db_bind_i64(st, P_events_descending_limit, n);
	while (o->pending->n < PAGE_FULL && (rc = db_step(p->db, st, e)) == 1) {
		int64_t id = db_col_i64(st, 0);

		++*got;
		arena_reset(&p->arena);
		if (p->written == q->limit) {
			p->more = true;
			break;
		}
		if (event_reader_get(p->reader, id, &p->arena, &row, e) < 0) {
			rc = -1;
			break;
		}
		write_item(o, &row);
		p->before_ms = row.ev.ts_ms;
		p->before_id = row.id;
		p->written++;
	}
	db_reset(st);
	return rc < 0 ? -1 : 0;
}

static int
count_events(struct db *db, const struct query *q, int64_t *n, struct err *e)
{
	sqlite3_stmt *st = db_stmt(db, SQL_events_between, e);
	int rc;

	if (st == NULL)
		return -1;
	db_bind_i64(st, P_events_between_from_ms, q->from_ms);
	db_bind_i64(st, P_events_between_to_ms, q->to_ms);
	if ((rc = db_step(db, st, e)) < 0)
		return -1;
	*n = rc == 1 ? db_col_i64(st, 0) : 0;
	db_reset(st);
	return 0;
}

/* Where the page begins: the cursor, or the end of the range if before it. */
static void
start_page(struct page *p, const struct query *q)
{
	p->before_ms = q->to_ms; /* which is no longer within */
	p->before_id = 0;
	if (q->before_ms > 0 && q->before_ms < q->to_ms) {
		p->before_ms = q->before_ms;
		p->before_id = q->before_id > 0 ? q->before_id : 0;
	}
}

static int
write_page(struct db *db, const struct query *q, struct response *rs,
    struct json_out *o, struct err *e)
{
	struct page p = { .db = db };
	int64_t total, got, n;
	bool full;
	int rc = -1;

	arena_init(&p.arena, EVENT_ARENA);
	if ((p.reader = event_reader_new(db)) == NULL) {
		fail(e, ERR_UNAVAILABLE, "out of memory");
		goto out;
	}
	if (count_events(db, q, &total, e) != 0)
		goto out;
	start_page(&p, q);
	json_out_key(o, "events");
	json_out_object(o);
	json_out_key(o, "items");
	json_out_array(o);
	do {
		n = q->limit - p.written + 1;
		n = n < PAGE_EVENTS ? n : PAGE_EVENTS;
		if (read_some(&p, q, o, n, &got, e) != 0)
			goto out;
		full = o->pending->n >= PAGE_FULL;
		if (response_flush(rs) != 0) {
			rc = 0;
			goto out;
		}
	} while ((got == n || full) && !p.more);
	json_out_array_end(o);
	json_out_kint(o, "next_before_ms", p.more ? p.before_ms : 0);
	json_out_kint(o, "next_before_id", p.more ? p.before_id : 0);
	json_out_kbool(o, "has_more", p.more);
	json_out_kint(o, "total_count", total);
	json_out_object_end(o);
	rc = 0;
out:
	event_reader_free(p.reader);
	arena_free(&p.arena);
	return rc;
}

int
analytics_post(
    struct ctx *c, struct request *rq, struct response *rs, struct err *e)
{
	json_t *body = request_json(rq, e);
	struct query q = { .limit = 0 };
	struct json_out *o;
	struct db *db;
	int rc;

	if (body == NULL)
		return -1;
	rc = read_body(body, &q, e);
	json_decref(body);
	if (rc != 0 || (db = ctx_db(c, e)) == NULL)
		return -1;
	o = response_stream(rs);
	json_out_object(o);
	json_out_kint(o, "generated_at_ms", clock_now_ms());
	json_out_kz(o, "granularity", q.by_hour ? "hour" : "day");
	if (q.wants_page && write_page(db, &q, rs, o, e) != 0)
		return -1;
	if (rs->gone)
		return 0;
	json_out_object_end(o);
	(void)json_out_done(o);
	return 0;
}
