#include "ingest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "collector_state.h"
#include "crypt.h"
#include "event_detail.h"
#include "intern.h"
#include "json_split.h"
#include "json_tree.h"
#include "model/normalise.h"

#define EVENTS_MAX 1000   /* of one transaction */
#define TRANSACTION_MS 40 /* leaves room for the commit itself */
#define ARENA_FULL ((size_t)8 * 1024 * 1024) /* enough for one transaction */
#define ARENA_MAX ((size_t)160 * 1024 * 1024)
#define WINDOW_MAX ((size_t)80 * 1024 * 1024) /* the largest element */
#define DEAD_MAX ((size_t)64 * 1024)          /* kept of a dead letter */
#define DETAIL_MAX ((size_t)8 * 1024 * 1024)

struct item { /* what an event was made of */
	struct str text;
	int64_t element; /* place within the batch */
};

struct dead_letter {
	struct str payload, reason;
	int64_t element;
};

struct ingest {
	struct intern *intern;
	struct detail_packer *packer;
	struct buf detail;
	struct buf window; /* answer, from the first element not yet taken */
	struct json_split split;
	struct arena arena; /* of the events of one transaction */
	struct usage_event events[EVENTS_MAX];
	struct item items[EVENTS_MAX];
	size_t n_events, n_dead;
	struct dead_letter dead[2 * EVENTS_MAX]; /* each event may become one */
	int64_t element; /* elements of the batch taken so far */
	bool over;       /* no more elements */
	bool whole;      /* ... because the list has ended */
};

struct ingest *
ingest_new(void)
{
	struct ingest *in = calloc(1, sizeof *in);

	if (in == NULL)
		return NULL;
	in->intern = intern_new();
	in->packer = detail_packer_new();
	buf_init(&in->detail, DETAIL_MAX);
	buf_init(&in->window, WINDOW_MAX);
	arena_init(&in->arena, ARENA_MAX);
	if (in->intern == NULL || in->packer == NULL) {
		ingest_free(in);
		return NULL;
	}
	return in;
}

void
ingest_free(struct ingest *in)
{
	if (in == NULL)
		return;
	intern_free(in->intern);
	detail_packer_free(in->packer);
	buf_free(&in->detail);
	buf_free(&in->window);
	arena_free(&in->arena);
	free(in);
}

void
ingest_forget(struct ingest *in)
{
	intern_clear(in->intern);
}

/* ---- elements ---- */

static bool
is_damaged(const struct err *e)
{
	return strcmp(err_code(e), "spool_damaged") == 0;
}

static void
add_dead(
    struct ingest *in, struct str payload, int64_t element, const char *reason)
{
	struct dead_letter *dead = &in->dead[in->n_dead++];

	dead->element = element;
	dead->payload = redact_payload(payload, DEAD_MAX, &in->arena);
	dead->reason = str_of(arena_strdup(&in->arena, str_of(reason)));
}

/* An event keeps what it was made of, in case the database refuses it. */
static void
keep_item(struct ingest *in, struct str text)
{
	struct item *item = &in->items[in->n_events];

	item->text = text;
	item->element = in->element;
}

/* The text of an element that is a JSON string; *item stays for others. */
static int
unquote(struct ingest *in, struct str *item, struct err *e)
{
	const struct json_tree *v;

	if (item->n == 0 || item->p[0] != '"')
		return 0;
	if ((v = json_tree_parse(*item, &in->arena, e)) == NULL)
		return -1;
	*item = json_tree_text(v);
	return 0;
}

static void
take(struct ingest *in, struct str element, int64_t now_ms,
    struct ingest_result *result)
{
	struct str item = element;
	struct err e;

	in->element++;
	if (str_eq(element, STR("null")))
		return;
	/* an event's texts are views of it, and the window moves on */
	if ((item.p = arena_strdup(&in->arena, element)) == NULL) {
		add_dead(in, element, in->element, "payload is too large");
		return;
	}
	if (unquote(in, &item, &e) != 0) {
		add_dead(in, item, in->element, e.text);
		return;
	}
	switch (normalise(
	    item, now_ms, &in->arena, &in->events[in->n_events], &e)) {
	case PAYLOAD_EVENT:
		keep_item(in, item);
		in->n_events++;
		break;
	case PAYLOAD_REFRESH:
		result->refresh = true;
		break;
	case PAYLOAD_DEAD:
		add_dead(in, item, in->element, e.text);
		break;
	case PAYLOAD_BLANK:
	case PAYLOAD_CONTROL:
		break;
	}
}

/* The answer, or the rest of it, is not what was agreed. */
static void
refuse_rest(struct ingest *in, struct str rest, const char *reason,
    struct ingest_result *result)
{
	in->element++;
	add_dead(in, rest, in->element, reason);
	text_set(result->problem, sizeof result->problem, reason);
	in->over = true;
}

/*
 * Have more of the answer: at least as much again as is there, or a large
 * element that arrived in small pieces would be looked through for each.
 */
static int
read_more(struct ingest *in, struct spool *spool, struct spool_batch *b,
    struct err *e)
{
	size_t before = in->window.n;
	int rc;

	do
		rc = spool_read(spool, b, &in->window, e);
	while (rc == 1 && in->window.n < 2 * before);
	/* what ended it shows again at the next call */
	return in->window.n > before ? 1 : rc;
}

/* The elements that did not come whole are lost; the table of gaps says so. */
static void
end_early(struct ingest *in, const char *problem, struct ingest_result *result)
{
	text_set(result->problem, sizeof result->problem, problem);
	in->over = true;
}

/* Take elements until a transaction is full or the batch is over. */
static int
gather(struct ingest *in, struct spool *spool, struct spool_batch *b,
    struct ingest_result *result, struct err *e)
{
	struct str element;
	int rc;

	while (!in->over && in->n_events < EVENTS_MAX &&
	       in->n_dead < EVENTS_MAX && in->arena.used_bytes < ARENA_FULL) {
		switch (json_split_next(
		    &in->split, buf_view(&in->window), &element)) {
		case JSON_SPLIT_ELEMENT:
			take(in, element, b->end_ms, result);
			break;
		case JSON_SPLIT_END:
			in->over = in->whole = true;
			break;
		case JSON_SPLIT_BAD:
			/* all of it, for a person to look at */
			while ((rc = spool_read(spool, b, &in->window, e)) == 1)
				;
			if (rc < 0 && e->kind != ERR_TOO_LARGE &&
			    !is_damaged(e))
				return -1;
			refuse_rest(in, buf_view(&in->window),
			    "usage queue answer is not a JSON array", result);
			break;
		case JSON_SPLIT_MORE:
			buf_consume(&in->window, in->split.pos);
			in->split.pos = 0;
			rc = read_more(in, spool, b, e);
			if (rc == 1)
				break;
			if (rc == 0)
				end_early(in, "unexpected EOF", result);
			else if (e->kind == ERR_TOO_LARGE)
				refuse_rest(
				    in, buf_view(&in->window), e->text, result);
			else if (is_damaged(e))
				end_early(in, e->text, result);
			else
				return -1;
			break;
		}
	}
	return 0;
}

/* ---- rows ---- */

static bool
is_lower_hex(struct str s)
{
	if (s.n == 0 || s.n % 2 != 0 || s.n > 64)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!((s.p[i] >= '0' && s.p[i] <= '9') ||
			(s.p[i] >= 'a' && s.p[i] <= 'f')))
			return false;
	return true;
}

/* Half the bytes for the usual id, which is hexadecimal. */
static void
bind_request_id(sqlite3_stmt *st, struct str id, unsigned char raw[32])
{
	if (is_lower_hex(id) && hex_decode(id, raw, id.n / 2) == 0)
		db_bind_blob(st, P_event_add_request_id, raw, id.n / 2);
	else if (id.n > 0)
		db_bind_str(st, P_event_add_request_id, id);
}

static void
bind_optional(sqlite3_stmt *st, int at, struct opt_i64 v)
{
	if (v.set)
		db_bind_i64(st, at, v.v);
}

/* Bind the numbers of the event's texts. */
static int
bind_texts(struct ingest *in, struct db *db, sqlite3_stmt *st,
    const struct usage_event *ev, struct err *e)
{
	struct str key = { NULL, 0 };
	int64_t id;

	if (ev->has_api_key_hash)
		key = (struct str){ (const char *)ev->api_key_hash,
			SHA256_BYTES };
	const struct {
		int at;
		enum dict_kind kind;
		struct str text;
	} texts[] = {
		{ P_event_add_model_id, DICT_MODEL, ev->model },
		{ P_event_add_requested_model_id, DICT_MODEL,
		    ev->requested_model },
		{ P_event_add_resolved_model_id, DICT_MODEL,
		    ev->resolved_model },
		{ P_event_add_provider_id, DICT_PROVIDER, ev->provider },
		{ P_event_add_executor_id, DICT_EXECUTOR, ev->executor_type },
		{ P_event_add_endpoint_id, DICT_ENDPOINT, ev->endpoint },
		{ P_event_add_method_id, DICT_METHOD, ev->method },
		{ P_event_add_path_id, DICT_PATH, ev->path },
		{ P_event_add_auth_type_id, DICT_AUTH_TYPE, ev->auth_type },
		{ P_event_add_api_key_id, DICT_API_KEY, key },
		{ P_event_add_client_ip_id, DICT_CLIENT_IP, ev->client_ip },
		{ P_event_add_forwarded_for_id, DICT_FORWARDED_FOR,
		    ev->x_forwarded_for },
		{ P_event_add_user_agent_id, DICT_USER_AGENT, ev->user_agent },
		{ P_event_add_effort_id, DICT_EFFORT, ev->reasoning_effort },
		{ P_event_add_service_tier_id, DICT_TIER, ev->service_tier },
		{ P_event_add_request_tier_id, DICT_TIER,
		    ev->request_service_tier },
		{ P_event_add_response_tier_id, DICT_TIER,
		    ev->response_service_tier },
	};

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		if (intern_text(in->intern, db, texts[i].kind, texts[i].text,
			&id, e) != 0)
			return -1;
		db_bind_i64(st, texts[i].at, id);
	}
	if (intern_identity(in->intern, db, ev, &id, e) != 0)
		return -1;
	db_bind_i64(st, P_event_add_identity_id, id);
	return 0;
}

static void
bind_numbers(sqlite3_stmt *st, const struct usage_event *ev, int64_t now_ms)
{
	db_bind_i64(st, P_event_add_ts_ms, ev->ts_ms);
	db_bind_i64(st, P_event_add_ts_ns, ev->ts_ns);
	db_bind_blob(st, P_event_add_hash16, ev->hash, 16);
	db_bind_i64(st, P_event_add_created_ms, now_ms);
	db_bind_i64(st, P_event_add_flags, ev->flags);
	if (ev->auth_snapshot_at_ms > 0)
		db_bind_i64(
		    st, P_event_add_snapshot_ms, ev->auth_snapshot_at_ms);
	db_bind_i64(st, P_event_add_input_tokens, ev->input_tokens);
	db_bind_i64(st, P_event_add_output_tokens, ev->output_tokens);
	db_bind_i64(st, P_event_add_reasoning_tokens, ev->reasoning_tokens);
	db_bind_i64(st, P_event_add_cached_tokens, ev->cached_tokens);
	db_bind_i64(st, P_event_add_cache_tokens, ev->cache_tokens);
	db_bind_i64(st, P_event_add_cache_read_tokens, ev->cache_read_tokens);
	db_bind_i64(
	    st, P_event_add_cache_creation_tokens, ev->cache_creation_tokens);
	db_bind_i64(st, P_event_add_total_tokens, ev->total_tokens);
	bind_optional(st, P_event_add_latency_ms, ev->latency_ms);
	bind_optional(st, P_event_add_ttft_ms, ev->ttft_ms);
	bind_optional(st, P_event_add_fail_status, ev->fail_status_code);
}

static int
store_event(struct ingest *in, struct db *db, const struct usage_event *ev,
    int64_t now_ms, struct ingest_result *result, struct err *e)
{
	sqlite3_stmt *st = db_stmt(db, SQL_event_add, e);
	unsigned char raw[32];
	int64_t id;

	if (st == NULL || bind_texts(in, db, st, ev, e) != 0)
		return -1;
	bind_numbers(st, ev, now_ms);
	bind_request_id(st, ev->request_id, raw);
	if (db_exec(db, st, e) != 0)
		return -1;
	if (sqlite3_changes(db->handle) == 0) {
		result->skipped++;
		return 0;
	}
	result->inserted++;
	id = sqlite3_last_insert_rowid(db->handle);
	if (event_detail_pack(in->packer, ev, &in->detail, e) != 0)
		return -1;
	if (in->detail.n == 0)
		return 0;
	if ((st = db_stmt(db, SQL_detail_add, e)) == NULL)
		return -1;
	db_bind_i64(st, P_detail_add_event_id, id);
	db_bind_i64(st, P_detail_add_dict_id, 0);
	db_bind_blob(st, P_detail_add_data, in->detail.p, in->detail.n);
	return db_exec(db, st, e);
}

/* Names a place in the spool for ever: a replay finds its row there already. */
static void
place_digest(const struct spool_batch *b, int64_t element, char what,
    unsigned char out[SHA256_BYTES])
{
	struct {
		unsigned char id[16];
		int64_t offset, element, what;
	} place = { .offset = b->at.offset, .element = element, .what = what };

	memcpy(place.id, b->id, sizeof place.id);
	sha256(&place, sizeof place, out);
}

static int
store_dead(struct db *db, const struct spool_batch *b,
    const struct dead_letter *dead, struct ingest_result *result, struct err *e)
{
	sqlite3_stmt *st = db_stmt(db, SQL_dead_letter_add, e);
	unsigned char digest[SHA256_BYTES];

	if (st == NULL)
		return -1;
	place_digest(b, dead->element, 'd', digest);
	db_bind_i64(st, P_dead_letter_add_created_ms, b->end_ms);
	db_bind_str(st, P_dead_letter_add_reason, dead->reason);
	db_bind_blob(
	    st, P_dead_letter_add_payload, dead->payload.p, dead->payload.n);
	db_bind_blob(st, P_dead_letter_add_digest, digest, sizeof digest);
	if (db_exec(db, st, e) != 0)
		return -1;
	result->dead += sqlite3_changes(db->handle);
	return 0;
}

static const char *
gap_detail(const struct spool_batch *b)
{
	switch (b->how) {
	case SPOOL_END_KILLED:
		return "collectord ended while an answer was on its way";
	case SPOOL_END_LOST:
		return "the spool is damaged on the disk";
	case SPOOL_END_OK:
	case SPOOL_END_BROKEN:
		break;
	}
	return "the answer of CPA broke off";
}

/*
 * Enter what may be missing, when the list has not come to its end; not when
 * as many elements came as were asked for, since CPA gives no more.
 */
static int
store_gap(struct ingest *in, struct db *db, const struct spool_batch *b,
    struct ingest_result *result, struct err *e)
{
	int64_t missing = (int64_t)b->count - in->element;
	unsigned char digest[SHA256_BYTES];
	sqlite3_stmt *st;

	if (in->whole || (b->count > 0 && missing <= 0))
		return 0;
	if ((st = db_stmt(db, SQL_gap_add, e)) == NULL)
		return -1;
	place_digest(b, 0, 'g', digest);
	db_bind_i64(st, P_gap_add_from_ms, b->asked_ms);
	db_bind_i64(st, P_gap_add_to_ms, b->end_ms);
	db_bind_str(st, P_gap_add_reason, STR("pop_in_doubt"));
	if (b->count > 0) /* else nobody knows */
		db_bind_i64(st, P_gap_add_in_doubt, missing);
	db_bind_str(st, P_gap_add_detail, str_of(gap_detail(b)));
	db_bind_i64(st, P_gap_add_created_ms, clock_now_ms());
	db_bind_blob(st, P_gap_add_digest, digest, sizeof digest);
	result->gap = true;
	return db_exec(db, st, e);
}

static int
add_counter(struct db *db, const char *name, int64_t delta, struct err *e)
{
	sqlite3_stmt *st;

	if (delta == 0)
		return 0;
	if ((st = db_stmt(db, SQL_counter_add, e)) == NULL)
		return -1;
	db_bind_str(st, P_counter_add_name, str_of(name));
	db_bind_i64(st, P_counter_add_delta, delta);
	return db_exec(db, st, e);
}

static int
move_position(struct db *db, struct spool_position to, struct err *e)
{
	sqlite3_stmt *st = db_stmt(db, SQL_spool_position_put, e);

	if (st == NULL)
		return -1;
	db_bind_i64(st, P_spool_position_put_segment, to.segment);
	db_bind_i64(st, P_spool_position_put_offset, to.offset);
	return db_exec(db, st, e);
}

/*
 * Is it this event alone that cannot be stored?  Then it would fail for ever;
 * any other trouble is waited for.
 */
static bool
is_refusal(struct db *db, const struct err *e)
{
	if (e->kind != ERR_INTERNAL || sqlite3_get_autocommit(db->handle))
		return false;
	switch (sqlite3_errcode(db->handle) & 0xff) {
	case SQLITE_CONSTRAINT:
	case SQLITE_TOOBIG:
	case SQLITE_MISMATCH:
		return true;
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE: /* it was not the database, but the packing */
		return true;
	default:
		return false;
	}
}

/*
 * One transaction: events from *done on until it has lasted long enough, the
 * dead letters with the last of them, and the end of the batch when it has
 * come.
 */
static int
store(struct ingest *in, struct db *db, const struct spool_batch *b,
    size_t *done, struct ingest_result *result,
    int (*before_commit)(struct db *db, void *arg, struct err *e), void *arg,
    struct err *e)
{
	struct ingest_result part = { .inserted = 0 };
	int64_t begun_ms, now_ms = clock_now_ms();
	size_t i = *done;

	if (db_begin(db, e) != 0)
		return -1;
	begun_ms = clock_mono_ms();
	for (; i < in->n_events; i++) {
		if (i % 32 == 31 && clock_mono_ms() - begun_ms > TRANSACTION_MS)
			break;
		if (store_event(in, db, &in->events[i], now_ms, &part, e) == 0)
			continue;
		if (!is_refusal(db, e))
			goto fail;
		add_dead(in, in->items[i].text, in->items[i].element, e->text);
	}
	for (size_t j = 0; i == in->n_events && j < in->n_dead; j++)
		if (store_dead(db, b, &in->dead[j], &part, e) != 0)
			goto fail;
	if (add_counter(db, "events", part.inserted, e) != 0 ||
	    add_counter(db, "dead_letters", part.dead, e) != 0)
		goto fail;
	if (in->over && i == in->n_events &&
	    (store_gap(in, db, b, result, e) != 0 ||
		move_position(db, b->after, e) != 0))
		goto fail;
	result->inserted += part.inserted;
	result->skipped += part.skipped;
	result->dead += part.dead;
	if (in->over && i == in->n_events && before_commit != NULL &&
	    before_commit(db, arg, e) != 0)
		goto undo;
	if (db_commit(db, e) != 0)
		goto undo;
	*done = i;
	return 0;
undo:
	result->inserted -= part.inserted;
	result->skipped -= part.skipped;
	result->dead -= part.dead;
fail:
	db_rollback(db);
	/* numbers that were given out in it may be given out again */
	intern_clear(in->intern);
	return -1;
}

int
ingest_batch(struct ingest *in, struct db *db, struct spool *spool,
    const struct spool_batch *batch, struct ingest_result *result,
    int (*before_commit)(struct db *db, void *arg, struct err *e), void *arg,
    struct err *e)
{
	struct spool_batch b = *batch;
	int rc = -1;

	*result = (struct ingest_result){ .inserted = 0 };
	buf_clear(&in->window);
	json_split_init(&in->split);
	in->element = 0;
	in->over = !b.has_data;
	in->whole = false;
	do {
		size_t done = 0;

		arena_reset(&in->arena);
		in->n_events = in->n_dead = 0;
		if (gather(in, spool, &b, result, e) != 0)
			goto out;
		do
			if (store(in, db, &b, &done, result, before_commit, arg,
				e) != 0)
				goto out;
		while (done < in->n_events);
	} while (!in->over);
	rc = 0;
out:
	arena_reset(&in->arena);
	buf_clear(&in->window);
	return rc;
}
