/*
 * GET /v0/management/usage: the newest events as a tree of endpoints, models
 * and details (contract/database.md section 10).
 *
 * Which events, and where each goes, is decided first, from five numbers an
 * event; the details follow in pages, so that no statement is open while
 * bytes go to the client.  Events that come meanwhile are not seen.
 */
#include <stdlib.h>
#include <string.h>

#include "db.h"
#include "dict.h"
#include "event_detail.h"
#include "fcgi/ctx.h"
#include "fcgi/event_row.h"
#include "fcgi/request.h"
#include "fcgi/response.h"
#include "fcgi/routes.h"
#include "model/event.h"

#define EVENTS_MAX 50000 /* the reference's own cap */
#define PAGE_EVENTS 256

struct place {
	int64_t id, ts_ms;
	int64_t endpoint_id, model_id;
	struct str endpoint, model; /* what the tree is ordered by */
};

struct usage {
	struct place *list;
	size_t n;
	int64_t failures, total_tokens;
};

/* ---- which, and where -----------------------------------------------------
 */

static int
read_places(struct ctx *c, struct db *db, struct usage *u, struct err *e)
{
	sqlite3_stmt *st = db_stmt(db, SQL_usage_newest, e);
	int64_t limit = c->cfg->query_limit;
	int rc;

	if (st == NULL)
		return -1;
	if (limit <= 0 || limit > EVENTS_MAX)
		limit = EVENTS_MAX;
	u->list = arena_array(&c->arena, (size_t)limit, sizeof *u->list);
	if (u->list == NULL)
		return fail(e, ERR_UNAVAILABLE, "out of memory");
	db_bind_i64(st, P_usage_newest_limit, limit);
	while ((rc = db_step(db, st, e)) == 1) {
		struct place *p = &u->list[u->n++];

		p->id = db_col_i64(st, 0);
		p->ts_ms = db_col_i64(st, 1);
		p->endpoint_id = db_col_i64(st, 2);
		p->model_id = db_col_i64(st, 3);
		u->failures += (db_col_i64(st, 4) & EVENT_FAILED) != 0;
		u->total_tokens = (int64_t)((uint64_t)u->total_tokens +
					    (uint64_t)db_col_i64(st, 5));
	}
	return rc;
}

static int
read_text(struct ctx *c, struct db *db, enum dict_kind kind, int64_t id,
    struct str *out, struct err *e)
{
	sqlite3_stmt *st;
	int rc;

	*out = STR("-");
	if (id == 0)
		return 0;
	if ((st = db_stmt(db, SQL_usage_dict, e)) == NULL)
		return -1;
	db_bind_i64(st, P_usage_dict_kind, kind);
	db_bind_i64(st, P_usage_dict_id, id);
	if ((rc = db_step(db, st, e)) <= 0)
		return rc;
	*out = str_of(arena_strdup(&c->arena, db_col_str(st, 0)));
	db_reset(st);
	return 0;
}

static int
by_model(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	return (x->model_id > y->model_id) - (x->model_id < y->model_id);
}

static int
by_endpoint(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	return (x->endpoint_id > y->endpoint_id) -
	       (x->endpoint_id < y->endpoint_id);
}

/* Order of the answer: endpoint and model by bytes, then newest first. */
static int
by_place(const void *a, const void *b)
{
	const struct place *x = a, *y = b;
	int c = str_cmp(x->endpoint, y->endpoint);

	if (c == 0)
		c = str_cmp(x->model, y->model);
	if (c == 0)
		c = (x->ts_ms < y->ts_ms) - (x->ts_ms > y->ts_ms);
	if (c == 0)
		c = (x->id < y->id) - (x->id > y->id);
	return c;
}

/* Each text is read once: places with the same number stand together. */
static int
name_places(struct ctx *c, struct db *db, struct usage *u, struct err *e)
{
	struct place *p = u->list;

	qsort(p, u->n, sizeof *p, by_model);
	for (size_t i = 0; i < u->n; i++) {
		if (i > 0 && p[i].model_id == p[i - 1].model_id) {
			p[i].model = p[i - 1].model;
			continue;
		}
		if (read_text(
			c, db, DICT_MODEL, p[i].model_id, &p[i].model, e) != 0)
			return -1;
		p[i].model = analytics_model(p[i].model);
	}
	qsort(p, u->n, sizeof *p, by_endpoint);
	for (size_t i = 0; i < u->n; i++) {
		if (i > 0 && p[i].endpoint_id == p[i - 1].endpoint_id)
			p[i].endpoint = p[i - 1].endpoint;
		else if (read_text(c, db, DICT_ENDPOINT, p[i].endpoint_id,
			     &p[i].endpoint, e) != 0)
			return -1;
	}
	qsort(p, u->n, sizeof *p, by_place);
	return 0;
}

/* ---- details --------------------------------------------------------------
 */

enum column { /* of usage_page */
	COL_ID,
	COL_TS_MS,
	COL_TS_NS,
	COL_TS_TEXT,
	COL_FLAGS,
	COL_TOKENS,
	COL_LATENCY = COL_TOKENS + 8,
	COL_TTFT,
	COL_FAIL_STATUS,
	COL_SNAPSHOT_MS,
	COL_SOURCE,
	COL_AUTH_INDEX,
	COL_API_KEY,
	COL_ACCOUNT,
	COL_LABEL,
	COL_FILE,
	COL_PROVIDER,
	COL_PROJECT,
	COL_MODEL,
	COL_REQUESTED,
	COL_RESOLVED,
	COL_EFFORT,
	COL_TIER,
	COL_REQUEST_TIER,
	COL_RESPONSE_TIER,
	COL_EXECUTOR,
	COL_DICT_ID,
	COL_DETAIL
};

static void
write_time(struct json_out *o, sqlite3_stmt *st)
{
	struct str text = db_col_str(st, COL_TS_TEXT);
	char built[40];

	if (text.n == 0) {
		text.n = event_time_text(db_col_i64(st, COL_TS_MS),
		    (int32_t)db_col_i64(st, COL_TS_NS), built);
		text.p = built;
	}
	json_out_kstr(o, "timestamp", text);
}

static void
write_tokens(struct json_out *o, const struct usage_event *ev)
{
	struct normalized_tokens t;
	int64_t read = ev->cache_read_tokens > 0 ? ev->cache_read_tokens : 0;
	int64_t cached;

	/* what the older counters hold beyond the two that are told apart */
	event_normalized_tokens(ev, &t);
	cached = (int64_t)((uint64_t)t.cache_read - (uint64_t)read);
	json_out_key(o, "tokens");
	json_out_object(o);
	json_out_kint(o, "input_tokens", ev->input_tokens);
	json_out_kint(o, "output_tokens", ev->output_tokens);
	json_out_kint(o, "reasoning_tokens", ev->reasoning_tokens);
	json_out_kint(o, "cached_tokens", cached);
	json_out_kint(o, "cache_tokens", cached);
	json_out_kint(o, "cache_read_tokens", ev->cache_read_tokens);
	json_out_kint(o, "cache_creation_tokens", ev->cache_creation_tokens);
	json_out_kint(o, "total_tokens", ev->total_tokens);
	json_out_object_end(o);
}

static void
write_optional(struct json_out *o, const char *key, sqlite3_stmt *st, int col)
{
	if (!db_col_is_null(st, col))
		json_out_kint(o, key, db_col_i64(st, col));
}

static void
write_text(struct json_out *o, const char *key, sqlite3_stmt *st, int col)
{
	json_out_kstr_opt(o, key, db_col_str(st, col));
}

static const char *
cache_mode(uint32_t flags)
{
	if ((flags & EVENT_CACHE_MODE_EMPTY) != 0)
		return NULL;
	return (flags & EVENT_CACHE_SEPARATE) != 0 ? "separate_from_input" :
						     "included_in_input";
}

static int
write_detail(struct ctx *c, struct db *db, struct json_out *o, sqlite3_stmt *st,
    struct err *e)
{
	struct str summary = { NULL, 0 }, metadata = { NULL, 0 }, model;
	struct usage_event ev = { .ts_ms = 0 };
	char hash[65];

	event_row_tokens(st, COL_TOKENS, db_col_i64(st, COL_FLAGS), &ev);
	if (!db_col_is_null(st, COL_DETAIL) &&
	    event_detail_unpack(db, &c->arena, db_col_blob(st, COL_DETAIL),
		db_col_i64(st, COL_DICT_ID), &summary, &metadata, e) != 0)
		return -1;
	json_out_object(o);
	write_time(o, st);
	json_out_kstr(o, "source", db_col_str(st, COL_SOURCE));
	write_text(o, "auth_index", st, COL_AUTH_INDEX);
	json_out_kstr_opt(
	    o, "api_key_hash", event_row_hash(st, COL_API_KEY, hash));
	write_text(o, "account_snapshot", st, COL_ACCOUNT);
	write_text(o, "auth_label_snapshot", st, COL_LABEL);
	write_text(o, "auth_file_snapshot", st, COL_FILE);
	write_text(o, "auth_provider_snapshot", st, COL_PROVIDER);
	write_text(o, "auth_project_id_snapshot", st, COL_PROJECT);
	json_out_kint_opt(
	    o, "auth_snapshot_at_ms", db_col_i64(st, COL_SNAPSHOT_MS));
	write_optional(o, "latency_ms", st, COL_LATENCY);
	write_optional(o, "ttft_ms", st, COL_TTFT);
	model = db_col_str(st, COL_REQUESTED);
	if (model.n == 0)
		model = db_col_str(st, COL_MODEL);
	json_out_kstr_opt(o, "requested_model", model);
	write_text(o, "resolved_model", st, COL_RESOLVED);
	write_text(o, "reasoning_effort", st, COL_EFFORT);
	write_text(o, "service_tier", st, COL_TIER);
	write_text(o, "request_service_tier", st, COL_REQUEST_TIER);
	write_text(o, "response_service_tier", st, COL_RESPONSE_TIER);
	if (cache_mode(ev.flags) != NULL)
		json_out_kz(o, "cache_input_mode", cache_mode(ev.flags));
	write_text(o, "executor_type", st, COL_EXECUTOR);
	write_tokens(o, &ev);
	json_out_kbool(o, "failed", (ev.flags & EVENT_FAILED) != 0);
	json_out_kint_opt(
	    o, "fail_status_code", db_col_i64(st, COL_FAIL_STATUS));
	json_out_kstr_opt(o, "fail_summary", summary);
	if (metadata.n > 0) {
		json_out_key(o, "response_metadata");
		json_out_raw(o, metadata);
	}
	json_out_object_end(o);
	return 0;
}

/* ---- the tree -------------------------------------------------------------
 */

/* Close what ends before event i and open what begins with it. */
static void
turn(struct json_out *o, const struct usage *u, size_t i)
{
	const struct place *p = &u->list[i], *last = i > 0 ? p - 1 : NULL;
	bool endpoint = last == NULL || !str_eq(last->endpoint, p->endpoint);
	bool model = endpoint || !str_eq(last->model, p->model);

	if (last != NULL && model) {
		json_out_array_end(o);
		json_out_object_end(o);
	}
	if (last != NULL && endpoint) {
		json_out_object_end(o);
		json_out_object_end(o);
	}
	if (endpoint) {
		json_out_key_str(o, p->endpoint);
		json_out_object(o);
		json_out_key(o, "models");
		json_out_object(o);
	}
	if (model) {
		json_out_key_str(o, p->model);
		json_out_object(o);
		json_out_key(o, "details");
		json_out_array(o);
	}
}

/* The ids of a page as a JSON list, for json_each(). */
static void
list_ids(struct buf *b, const struct place *p, size_t n)
{
	buf_clear(b);
	buf_char(b, '[');
	for (size_t i = 0; i < n; i++)
		buf_printf(b, "%s%lld", i > 0 ? "," : "", (long long)p[i].id);
	buf_char(b, ']');
}

static int
write_page(struct ctx *c, struct db *db, struct json_out *o,
    const struct usage *u, size_t from, size_t n, struct buf *ids,
    struct err *e)
{
	sqlite3_stmt *st = db_stmt(db, SQL_usage_page, e);
	size_t i = from;
	int rc;

	if (st == NULL)
		return -1;
	list_ids(ids, u->list + from, n);
	if (ids->failed)
		return fail(e, ERR_UNAVAILABLE, "out of memory");
	db_bind_str(st, P_usage_page_ids, buf_view(ids));
	while ((rc = db_step(db, st, e)) == 1) {
		/* an event that was deleted meanwhile has no row */
		do
			turn(o, u, i);
		while (u->list[i++].id != db_col_i64(st, COL_ID));
		if (write_detail(c, db, o, st, e) != 0)
			break;
	}
	db_reset(st);
	if (rc != 0)
		return -1;
	for (; i < from + n; i++)
		turn(o, u, i);
	return 0;
}

static void
write_head(struct json_out *o, const struct usage *u)
{
	json_out_object(o);
	json_out_kint(o, "total_requests", (int64_t)u->n);
	json_out_kint(o, "success_count", (int64_t)u->n - u->failures);
	json_out_kint(o, "failure_count", u->failures);
	json_out_kint(o, "total_tokens", u->total_tokens);
	json_out_key(o, "apis");
	json_out_object(o);
}

static int
write_tree(struct ctx *c, struct db *db, struct response *rs,
    struct json_out *o, const struct usage *u, struct err *e)
{
	struct arena details = c->arena;
	struct buf ids;
	int rc = 0;

	/* the texts of one page are given back before the next */
	arena_init(&c->arena, REQUEST_ARENA_MAX);
	buf_init(&ids, PAGE_EVENTS * 24);
	for (size_t i = 0; i < u->n; i += PAGE_EVENTS) {
		size_t n = u->n - i < PAGE_EVENTS ? u->n - i : PAGE_EVENTS;

		arena_reset(&c->arena);
		if ((rc = write_page(c, db, o, u, i, n, &ids, e)) != 0 ||
		    response_flush(rs) != 0)
			break;
	}
	buf_free(&ids);
	arena_free(&c->arena);
	c->arena = details;
	return rc;
}

int
usage_get(struct ctx *c, struct request *rq, struct response *rs, struct err *e)
{
	struct usage u = { .list = NULL };
	struct json_out *o;
	struct db *db;

	(void)rq;
	if ((db = ctx_db(c, e)) == NULL || read_places(c, db, &u, e) != 0 ||
	    name_places(c, db, &u, e) != 0)
		return -1;
	o = response_stream(rs);
	write_head(o, &u);
	if (write_tree(c, db, rs, o, &u, e) != 0)
		return -1;
	if (u.n > 0) {
		json_out_array_end(o);
		json_out_object_end(o);
		json_out_object_end(o);
		json_out_object_end(o);
	}
	json_out_object_end(o);
	json_out_object_end(o);
	(void)json_out_done(o);
	return 0;
}
