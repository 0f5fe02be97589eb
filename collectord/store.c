/*
 * One row each: binding what an event, a dead letter or a gap says.
 */
#include "store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "collector_state.h"
#include "crypt.h"
#include "event_detail.h"
#include "intern.h"

#define HASH_KEY_BYTES 16 /* of the hash, in the key */
#define DETAIL_MAX ((size_t)8 * 1024 * 1024)

struct store {
	struct intern *intern;
	struct detail_packer *packer;
	struct buf detail;
	int64_t dict_id; /* of the packer's dictionary, 0: not known */
};

struct store *
store_new(void)
{
	struct store *s = calloc(1, sizeof *s);

	if (s == NULL)
		return NULL;
	s->intern = intern_new();
	s->packer = detail_packer_new();
	buf_init(&s->detail, DETAIL_MAX);
	if (s->intern == NULL || s->packer == NULL) {
		store_free(s);
		return NULL;
	}
	return s;
}

void
store_free(struct store *s)
{
	if (s == NULL)
		return;
	intern_free(s->intern);
	detail_packer_free(s->packer);
	buf_free(&s->detail);
	free(s);
}

void
store_forget(struct store *s)
{
	intern_clear(s->intern);
	s->dict_id = 0;
}

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

/* What an imported event has and cannot be computed again. */
static void
bind_given(sqlite3_stmt *st, const struct usage_event *ev)
{
	if ((ev->flags & EVENT_HASH_TEXT) != 0)
		db_bind_blob(st, P_event_add_hash_rest, ev->hash_text.p,
		    ev->hash_text.n);
	else if (ev->hash_given)
		db_bind_blob(st, P_event_add_hash_rest,
		    ev->hash + HASH_KEY_BYTES, SHA256_BYTES - HASH_KEY_BYTES);
	if (ev->ts_text_given)
		db_bind_str(st, P_event_add_ts_text, ev->ts_text);
}

/* Has this event come before, without a time that could find it again? */
static int
is_known_undated(
    struct db *db, const struct usage_event *ev, bool *known, struct err *e)
{
	sqlite3_stmt *st = db_stmt(db, SQL_undated_get, e);
	int rc;

	if (st == NULL)
		return -1;
	db_bind_blob(st, P_undated_get_hash16, ev->hash, HASH_KEY_BYTES);
	if ((rc = db_step(db, st, e)) < 0)
		return -1;
	*known = rc == 1;
	db_reset(st);
	return 0;
}

static int
add_undated(
    struct db *db, const struct usage_event *ev, int64_t id, struct err *e)
{
	sqlite3_stmt *st = db_stmt(db, SQL_undated_add, e);

	if (st == NULL)
		return -1;
	db_bind_blob(st, P_undated_add_hash16, ev->hash, HASH_KEY_BYTES);
	db_bind_i64(st, P_undated_add_event_id, id);
	return db_exec(db, st, e);
}

static void
bind_optional(sqlite3_stmt *st, int at, struct opt_i64 v)
{
	if (v.set)
		db_bind_i64(st, at, v.v);
}

/* Bind the numbers of the event's texts. */
static int
bind_texts(struct store *s, struct db *db, sqlite3_stmt *st,
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
		if (intern_text(s->intern, db, texts[i].kind, texts[i].text,
			&id, e) != 0)
			return -1;
		db_bind_i64(st, texts[i].at, id);
	}
	if (intern_identity(s->intern, db, ev, &id, e) != 0)
		return -1;
	db_bind_i64(st, P_event_add_identity_id, id);
	return 0;
}

static void
bind_numbers(sqlite3_stmt *st, const struct usage_event *ev, int64_t now_ms)
{
	db_bind_i64(st, P_event_add_ts_ms, ev->ts_ms);
	db_bind_i64(st, P_event_add_ts_ns, ev->ts_ns);
	db_bind_blob(st, P_event_add_hash16, ev->hash, HASH_KEY_BYTES);
	db_bind_i64(st, P_event_add_created_ms,
	    ev->created_ms > 0 ? ev->created_ms : now_ms);
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
add_detail(struct store *s, struct db *db, const struct usage_event *ev,
    int64_t id, struct err *e)
{
	sqlite3_stmt *st;

	if (event_detail_pack(s->packer, ev, &s->detail, e) != 0)
		return -1;
	if (s->detail.n == 0)
		return 0;
	if (s->dict_id == 0 && event_detail_dict(db, &s->dict_id, e) != 0)
		return -1;
	if ((st = db_stmt(db, SQL_detail_add, e)) == NULL)
		return -1;
	db_bind_i64(st, P_detail_add_event_id, id);
	db_bind_i64(st, P_detail_add_dict_id, s->dict_id);
	db_bind_blob(st, P_detail_add_data, s->detail.p, s->detail.n);
	return db_exec(db, st, e);
}

int
store_event(struct store *s, struct db *db, const struct usage_event *ev,
    int64_t now_ms, bool *inserted, struct err *e)
{
	unsigned char raw[32];
	bool known = false;
	sqlite3_stmt *st;
	int64_t id;

	*inserted = false;
	if (ev->undated && is_known_undated(db, ev, &known, e) != 0)
		return -1;
	if (known)
		return 0;
	if ((st = db_stmt(db, SQL_event_add, e)) == NULL ||
	    bind_texts(s, db, st, ev, e) != 0)
		return -1;
	bind_numbers(st, ev, now_ms);
	bind_request_id(st, ev->request_id, raw);
	bind_given(st, ev);
	if (db_exec(db, st, e) != 0)
		return -1;
	if (sqlite3_changes(db->handle) == 0)
		return 0;
	*inserted = true;
	id = sqlite3_last_insert_rowid(db->handle);
	if (ev->undated && add_undated(db, ev, id, e) != 0)
		return -1;
	return add_detail(s, db, ev, id, e);
}

bool
store_is_refusal(struct db *db, const struct err *e)
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

int
store_dead(struct db *db, const struct spool_batch *b, int64_t element,
    struct str payload, struct str reason, bool *inserted, struct err *e)
{
	sqlite3_stmt *st = db_stmt(db, SQL_dead_letter_add, e);
	unsigned char digest[SHA256_BYTES];

	*inserted = false;
	if (st == NULL)
		return -1;
	place_digest(b, element, 'd', digest);
	db_bind_i64(st, P_dead_letter_add_created_ms, b->end_ms);
	db_bind_str(st, P_dead_letter_add_reason, reason);
	db_bind_blob(st, P_dead_letter_add_payload, payload.p, payload.n);
	db_bind_blob(st, P_dead_letter_add_digest, digest, sizeof digest);
	if (db_exec(db, st, e) != 0)
		return -1;
	*inserted = sqlite3_changes(db->handle) > 0;
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
	case SPOOL_END_DROPPED:
		return "the subscription broke off: what CPA sent last may "
		       "not have come";
	case SPOOL_END_OK:
	case SPOOL_END_BROKEN:
		break;
	}
	return "the answer of CPA broke off";
}

int
store_gap(
    struct db *db, const struct spool_batch *b, int64_t in_doubt, struct err *e)
{
	sqlite3_stmt *st = db_stmt(db, SQL_gap_add, e);
	unsigned char digest[SHA256_BYTES];

	if (st == NULL)
		return -1;
	place_digest(b, 0, 'g', digest);
	db_bind_i64(st, P_gap_add_from_ms, b->asked_ms);
	db_bind_i64(st, P_gap_add_to_ms, b->end_ms);
	db_bind_str(st, P_gap_add_reason,
	    b->how == SPOOL_END_DROPPED ? STR("subscription_dropped") :
					  STR("pop_in_doubt"));
	if (in_doubt >= 0)
		db_bind_i64(st, P_gap_add_in_doubt, in_doubt);
	db_bind_str(st, P_gap_add_detail, str_of(gap_detail(b)));
	db_bind_i64(st, P_gap_add_created_ms, clock_now_ms());
	db_bind_blob(st, P_gap_add_digest, digest, sizeof digest);
	return db_exec(db, st, e);
}

int
store_outage(struct db *db, int64_t from_ms, int64_t to_ms, const char *reason,
    const char *detail, struct err *e)
{
	sqlite3_stmt *st = db_stmt(db, SQL_gap_add, e);
	unsigned char digest[SHA256_BYTES];
	char text[128];
	int n;

	if (st == NULL)
		return -1;
	n = snprintf(text, sizeof text, "%lld|%lld|%s", (long long)from_ms,
	    (long long)to_ms, reason);
	sha256(text, (size_t)n, digest);
	db_bind_i64(st, P_gap_add_from_ms, from_ms);
	db_bind_i64(st, P_gap_add_to_ms, to_ms);
	db_bind_str(st, P_gap_add_reason, str_of(reason));
	db_bind_str(st, P_gap_add_detail, str_of(detail));
	db_bind_i64(st, P_gap_add_created_ms, clock_now_ms());
	db_bind_blob(st, P_gap_add_digest, digest, sizeof digest);
	return db_exec(db, st, e);
}

int
store_counter(struct db *db, const char *name, int64_t delta, struct err *e)
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

int
store_position(struct db *db, struct spool_position to, struct err *e)
{
	sqlite3_stmt *st = db_stmt(db, SQL_spool_position_put, e);

	if (st == NULL)
		return -1;
	db_bind_i64(st, P_spool_position_put_segment, to.segment);
	db_bind_i64(st, P_spool_position_put_offset, to.offset);
	return db_exec(db, st, e);
}
