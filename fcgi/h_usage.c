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
#include "event_json.h"
#include "event_read.h"
#include "fcgi/ctx.h"
#include "fcgi/request.h"
#include "fcgi/response.h"
#include "fcgi/routes.h"
#include "model/event.h"

#define EVENTS_MAX 50000 /* the reference's own cap */
#define PAGE_EVENTS 256
#define PAGE_FULL ((size_t)768 * 1024)         /* less than a buffer keeps */
#define EVENT_ARENA ((size_t)64 * 1024 * 1024) /* of its detail */

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

/* What the pages of one answer share. */
struct pages {
	struct db *db;
	struct event_reader *reader;
	struct arena arena;
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
	if ((st = db_stmt(db, SQL_dict_text, e)) == NULL)
		return -1;
	db_bind_i64(st, P_dict_text_kind, kind);
	db_bind_i64(st, P_dict_text_id, id);
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

static void
write_tokens(struct json_out *o, const struct usage_event *ev)
{
	struct normalized_tokens t;

	event_normalized_tokens(ev, &t);
	json_out_key(o, "tokens");
	json_out_object(o);
	json_out_kint(o, "input_tokens", ev->input_tokens);
	json_out_kint(o, "output_tokens", ev->output_tokens);
	json_out_kint(o, "reasoning_tokens", ev->reasoning_tokens);
	json_out_kint(o, "cached_tokens", t.compat_cached);
	json_out_kint(o, "cache_tokens", t.compat_cached);
	json_out_kint(o, "cache_read_tokens", ev->cache_read_tokens);
	json_out_kint(o, "cache_creation_tokens", ev->cache_creation_tokens);
	json_out_kint(o, "total_tokens", ev->total_tokens);
	json_out_object_end(o);
}

static void
write_optional(struct json_out *o, const char *key, struct opt_i64 v)
{
	if (v.set)
		json_out_kint(o, key, v.v);
}

static void
write_account(struct json_out *o, const struct usage_event *ev)
{
	char hash[2 * SHA256_BYTES + 1];

	json_out_kstr(o, "source", ev->source);
	json_out_kstr_opt(o, "auth_index", ev->auth_index);
	if (ev->has_api_key_hash) {
		hex_encode(ev->api_key_hash, SHA256_BYTES, hash);
		json_out_kz(o, "api_key_hash", hash);
	}
	json_out_kstr_opt(o, "account_snapshot", ev->account_snapshot);
	json_out_kstr_opt(o, "auth_label_snapshot", ev->auth_label_snapshot);
	json_out_kstr_opt(o, "auth_file_snapshot", ev->auth_file_snapshot);
	json_out_kstr_opt(
	    o, "auth_provider_snapshot", ev->auth_provider_snapshot);
	json_out_kstr_opt(
	    o, "auth_project_id_snapshot", ev->auth_project_id_snapshot);
	json_out_kint_opt(o, "auth_snapshot_at_ms", ev->auth_snapshot_at_ms);
}

static void
write_detail(struct json_out *o, const struct usage_event *ev)
{
	const char *mode = event_cache_mode(ev);

	json_out_object(o);
	json_out_kstr(o, "timestamp", ev->ts_text);
	write_account(o, ev);
	write_optional(o, "latency_ms", ev->latency_ms);
	write_optional(o, "ttft_ms", ev->ttft_ms);
	json_out_kstr_opt(o, "requested_model",
	    ev->requested_model.n > 0 ? ev->requested_model : ev->model);
	json_out_kstr_opt(o, "resolved_model", ev->resolved_model);
	json_out_kstr_opt(o, "reasoning_effort", ev->reasoning_effort);
	json_out_kstr_opt(o, "service_tier", ev->service_tier);
	json_out_kstr_opt(o, "request_service_tier", ev->request_service_tier);
	json_out_kstr_opt(
	    o, "response_service_tier", ev->response_service_tier);
	if (mode != NULL)
		json_out_kz(o, "cache_input_mode", mode);
	json_out_kstr_opt(o, "executor_type", ev->executor_type);
	write_tokens(o, ev);
	json_out_kbool(o, "failed", (ev->flags & EVENT_FAILED) != 0);
	write_optional(o, "fail_status_code", ev->fail_status_code);
	json_out_kstr_opt(o, "fail_summary", ev->fail_summary);
	if (ev->response_metadata_json.n > 0) {
		json_out_key(o, "response_metadata");
		json_out_raw(o, ev->response_metadata_json);
	}
	json_out_object_end(o);
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

/* A page of events from *i on, all of them as of one moment. */
static int
write_page(struct pages *p, struct json_out *o, const struct usage *u,
    size_t *i, struct err *e)
{
	size_t end = u->n - *i < PAGE_EVENTS ? u->n : *i + PAGE_EVENTS;
	struct event_row row;
	int rc = 0;

	if (db_begin_read(p->db, e) != 0)
		return -1;
	for (; rc >= 0 && *i < end && o->pending->n < PAGE_FULL; ++*i) {
		turn(o, u, *i);
		arena_reset(&p->arena);
		/* one that was deleted meanwhile has no row */
		rc = event_reader_get(
		    p->reader, u->list[*i].id, &p->arena, &row, e);
		if (rc == 1)
			write_detail(o, &row.ev);
	}
	db_rollback(p->db);
	return rc < 0 ? -1 : 0;
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
write_tree(struct db *db, struct response *rs, struct json_out *o,
    const struct usage *u, struct err *e)
{
	struct pages p = { .db = db };
	int rc = 0;

	arena_init(&p.arena, EVENT_ARENA);
	if ((p.reader = event_reader_new(db)) == NULL)
		rc = fail(e, ERR_UNAVAILABLE, "out of memory");
	for (size_t i = 0; rc == 0 && i < u->n;)
		if ((rc = write_page(&p, o, u, &i, e)) != 0 ||
		    response_flush(rs) != 0)
			break;
	event_reader_free(p.reader);
	arena_free(&p.arena);
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
	if (write_tree(db, rs, o, &u, e) != 0)
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
