#include "event_read.h"

#include <stdlib.h>
#include <string.h>

#include "crypt.h"
#include "dict.h"
#include "event_detail.h"

/* Texts kept, by kind and number; a newer one takes an older one's place. */
#define TEXT_SLOTS 8192
#define IDENTITY_SLOTS 2048
/* Used within one row, none may take another's place: they are seventeen. */
#define TEXT_WAYS 4

struct text_slot {
	int64_t id; /* 0: free */
	int32_t kind;
	uint32_t used; /* row that used it last */
	char *p;
	size_t n;
};

struct identity_slot {
	int64_t id; /* 0: free */
	char *bytes;
	struct str auth_index, source, source_hash, account, label, file,
	    provider, project;
};

struct event_reader {
	struct db *db;
	struct detail_reader *details;
	uint32_t row;
	struct text_slot texts[TEXT_SLOTS];
	struct identity_slot identities[IDENTITY_SLOTS];
	/* what found no slot of its own, until the next row */
	char *loose[DICT__MAX * 2];
	size_t n_loose;
	char ts_text[40], request_id[65];
};

enum column { /* of event_get */
	COL_ID,
	COL_TS_MS,
	COL_TS_NS,
	COL_HASH16,
	COL_HASH_REST,
	COL_TS_TEXT,
	COL_CREATED_MS,
	COL_REQUEST_ID,
	COL_MODEL,
	COL_REQUESTED,
	COL_RESOLVED,
	COL_PROVIDER,
	COL_EXECUTOR,
	COL_ENDPOINT,
	COL_METHOD,
	COL_PATH,
	COL_AUTH_TYPE,
	COL_IDENTITY,
	COL_API_KEY,
	COL_CLIENT_IP,
	COL_FORWARDED_FOR,
	COL_USER_AGENT,
	COL_EFFORT,
	COL_TIER,
	COL_REQUEST_TIER,
	COL_RESPONSE_TIER,
	COL_FLAGS,
	COL_SNAPSHOT_MS,
	COL_INPUT,
	COL_OUTPUT,
	COL_REASONING,
	COL_CACHED,
	COL_CACHE,
	COL_CACHE_READ,
	COL_CACHE_CREATION,
	COL_TOTAL,
	COL_LATENCY,
	COL_TTFT,
	COL_FAIL_STATUS,
	COL_DICT_ID,
	COL_DETAIL
};

struct event_reader *
event_reader_new(struct db *db)
{
	struct event_reader *r = calloc(1, sizeof *r);

	if (r == NULL)
		return NULL;
	r->db = db;
	if ((r->details = detail_reader_new()) == NULL) {
		free(r);
		return NULL;
	}
	return r;
}

static void
drop_loose(struct event_reader *r)
{
	while (r->n_loose > 0)
		free(r->loose[--r->n_loose]);
}

void
event_reader_free(struct event_reader *r)
{
	if (r == NULL)
		return;
	drop_loose(r);
	for (size_t i = 0; i < TEXT_SLOTS; i++)
		free(r->texts[i].p);
	for (size_t i = 0; i < IDENTITY_SLOTS; i++)
		free(r->identities[i].bytes);
	detail_reader_free(r->details);
	free(r);
}

/* ---- texts --------------------------------------------------------------- */

/*
 * The slot of a text, or the one it may take: ids of a kind follow each
 * other, so kinds are spread and neighbours do not collide.
 */
static struct text_slot *
text_slot(struct event_reader *r, int32_t kind, int64_t id)
{
	size_t at = ((size_t)kind * 641 + (size_t)id) * TEXT_WAYS % TEXT_SLOTS;
	struct text_slot *free_one = NULL;

	for (size_t i = 0; i < TEXT_WAYS; i++) {
		struct text_slot *s = &r->texts[at + i];

		if (s->id == id && s->kind == kind)
			return s;
		if (s->used != r->row &&
		    (free_one == NULL || s->used < free_one->used))
			free_one = s;
	}
	return free_one;
}

/* Look a text up; the copy is the caller's.  A number without one is "". */
static int
fetch_text(struct event_reader *r, int32_t kind, int64_t id, char **p,
    size_t *n, struct err *e)
{
	sqlite3_stmt *st = db_stmt(r->db, SQL_dict_text, e);
	struct str value = { "", 0 };
	int rc;

	if (st == NULL)
		return -1;
	db_bind_i64(st, P_dict_text_kind, kind);
	db_bind_i64(st, P_dict_text_id, id);
	if ((rc = db_step(r->db, st, e)) < 0)
		return -1;
	if (rc == 1)
		value = kind == DICT_API_KEY ? db_col_blob(st, 0) :
					       db_col_str(st, 0);
	*n = value.n;
	if ((*p = malloc(value.n + 1)) != NULL) {
		if (value.n > 0)
			memcpy(*p, value.p, value.n);
		(*p)[value.n] = '\0';
	}
	db_reset(st);
	return *p != NULL ? 0 : fail(e, ERR_UNAVAILABLE, "out of memory");
}

static int
text_of(struct event_reader *r, int32_t kind, int64_t id, struct str *out,
    struct err *e)
{
	struct text_slot *s;
	char *p;
	size_t n;

	*out = (struct str){ "", 0 };
	if (id == 0)
		return 0;
	s = text_slot(r, kind, id);
	if (s != NULL && s->id == id && s->kind == kind) {
		s->used = r->row;
		*out = (struct str){ s->p, s->n };
		return 0;
	}
	if (fetch_text(r, kind, id, &p, &n, e) != 0)
		return -1;
	*out = (struct str){ p, n };
	if (s == NULL) {
		r->loose[r->n_loose++] = p;
		return 0;
	}
	free(s->p);
	*s = (struct text_slot){
		.id = id, .kind = kind, .used = r->row, .p = p, .n = n
	};
	return 0;
}

static int
read_texts(struct event_reader *r, sqlite3_stmt *st, struct usage_event *ev,
    struct err *e)
{
	struct str key;
	const struct {
		enum column col;
		enum dict_kind kind;
		struct str *to;
	} texts[] = {
		{ COL_MODEL, DICT_MODEL, &ev->model },
		{ COL_REQUESTED, DICT_MODEL, &ev->requested_model },
		{ COL_RESOLVED, DICT_MODEL, &ev->resolved_model },
		{ COL_PROVIDER, DICT_PROVIDER, &ev->provider },
		{ COL_EXECUTOR, DICT_EXECUTOR, &ev->executor_type },
		{ COL_ENDPOINT, DICT_ENDPOINT, &ev->endpoint },
		{ COL_METHOD, DICT_METHOD, &ev->method },
		{ COL_PATH, DICT_PATH, &ev->path },
		{ COL_AUTH_TYPE, DICT_AUTH_TYPE, &ev->auth_type },
		{ COL_API_KEY, DICT_API_KEY, &key },
		{ COL_CLIENT_IP, DICT_CLIENT_IP, &ev->client_ip },
		{ COL_FORWARDED_FOR, DICT_FORWARDED_FOR, &ev->x_forwarded_for },
		{ COL_USER_AGENT, DICT_USER_AGENT, &ev->user_agent },
		{ COL_EFFORT, DICT_EFFORT, &ev->reasoning_effort },
		{ COL_TIER, DICT_TIER, &ev->service_tier },
		{ COL_REQUEST_TIER, DICT_TIER, &ev->request_service_tier },
		{ COL_RESPONSE_TIER, DICT_TIER, &ev->response_service_tier },
	};

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		if (text_of(r, (int32_t)texts[i].kind,
			db_col_i64(st, (int)texts[i].col), texts[i].to, e) != 0)
			return -1;
	ev->has_api_key_hash = key.n == SHA256_BYTES;
	if (ev->has_api_key_hash)
		memcpy(ev->api_key_hash, key.p, SHA256_BYTES);
	return 0;
}

/* ---- identities ---------------------------------------------------------- */

/* The row's texts, one after the other in memory of the slot's. */
static int
fill_identity(struct identity_slot *s, sqlite3_stmt *st, struct err *e)
{
	struct str *const to[] = { &s->auth_index, &s->source, &s->source_hash,
		&s->account, &s->label, &s->file, &s->provider, &s->project };
	const int n = (int)(sizeof to / sizeof *to);
	size_t bytes = 1;
	char *p;

	for (int i = 0; i < n; i++)
		bytes += db_col_blob(st, i).n;
	if ((p = malloc(bytes)) == NULL)
		return fail(e, ERR_UNAVAILABLE, "out of memory");
	s->bytes = p;
	for (int i = 0; i < n; i++) {
		struct str v = db_col_blob(st, i);

		if (v.n > 0)
			memcpy(p, v.p, v.n);
		*to[i] = (struct str){ p, v.n };
		p += v.n;
	}
	return 0;
}

static int
identity_of(struct event_reader *r, int64_t id,
    const struct identity_slot **out, struct err *e)
{
	struct identity_slot *s = &r->identities[(size_t)id % IDENTITY_SLOTS];
	sqlite3_stmt *st;
	int rc;

	*out = s;
	if (s->id == id && id != 0)
		return 0;
	free(s->bytes);
	*s = (struct identity_slot){ .id = 0 };
	if ((st = db_stmt(r->db, SQL_identity_row, e)) == NULL)
		return -1;
	db_bind_i64(st, P_identity_row_id, id);
	if ((rc = db_step(r->db, st, e)) < 0)
		return -1;
	if (rc == 1 && fill_identity(s, st, e) != 0) {
		db_reset(st);
		return -1;
	}
	db_reset(st);
	s->id = id;
	return 0;
}

static int
read_identity(struct event_reader *r, sqlite3_stmt *st, struct usage_event *ev,
    struct err *e)
{
	const struct identity_slot *i;

	if (identity_of(r, db_col_i64(st, COL_IDENTITY), &i, e) != 0)
		return -1;
	ev->auth_index = i->auth_index;
	ev->source = i->source;
	ev->has_source_hash = i->source_hash.n == SHA256_BYTES;
	if (ev->has_source_hash)
		memcpy(ev->source_hash, i->source_hash.p, SHA256_BYTES);
	ev->account_snapshot = i->account;
	ev->auth_label_snapshot = i->label;
	ev->auth_file_snapshot = i->file;
	ev->auth_provider_snapshot = i->provider;
	ev->auth_project_id_snapshot = i->project;
	return 0;
}

/* ---- the row ------------------------------------------------------------- */

static struct opt_i64
optional(sqlite3_stmt *st, enum column col)
{
	if (db_col_is_null(st, (int)col))
		return (struct opt_i64){ false, 0 };
	return (struct opt_i64){ true, db_col_i64(st, (int)col) };
}

static void
read_numbers(sqlite3_stmt *st, struct usage_event *ev)
{
	ev->ts_ms = db_col_i64(st, COL_TS_MS);
	ev->ts_ns = (int32_t)db_col_i64(st, COL_TS_NS);
	ev->created_ms = db_col_i64(st, COL_CREATED_MS);
	ev->flags = (uint32_t)db_col_i64(st, COL_FLAGS);
	ev->auth_snapshot_at_ms = db_col_i64(st, COL_SNAPSHOT_MS);
	ev->input_tokens = db_col_i64(st, COL_INPUT);
	ev->output_tokens = db_col_i64(st, COL_OUTPUT);
	ev->reasoning_tokens = db_col_i64(st, COL_REASONING);
	ev->cached_tokens = db_col_i64(st, COL_CACHED);
	ev->cache_tokens = db_col_i64(st, COL_CACHE);
	ev->cache_read_tokens = db_col_i64(st, COL_CACHE_READ);
	ev->cache_creation_tokens = db_col_i64(st, COL_CACHE_CREATION);
	ev->total_tokens = db_col_i64(st, COL_TOTAL);
	ev->latency_ms = optional(st, COL_LATENCY);
	ev->ttft_ms = optional(st, COL_TTFT);
	ev->fail_status_code = optional(st, COL_FAIL_STATUS);
}

/* A column's text in a; what does not fit sets a->failed. */
static struct str
keep(sqlite3_stmt *st, enum column col, struct arena *a)
{
	struct str v = db_col_blob(st, (int)col);

	if (v.n > 0)
		v.p = arena_strdup(a, v);
	if (v.p == NULL)
		v.n = 0;
	return v;
}

static void
read_own_texts(struct event_reader *r, sqlite3_stmt *st, struct arena *a,
    struct usage_event *ev)
{
	struct str id = db_col_blob(st, COL_REQUEST_ID);

	ev->ts_text = keep(st, COL_TS_TEXT, a);
	ev->ts_text_given = ev->ts_text.n > 0;
	if (ev->ts_text.n == 0)
		ev->ts_text = (struct str){ r->ts_text,
			event_time_text(ev->ts_ms, ev->ts_ns, r->ts_text) };
	if (sqlite3_column_type(st, COL_REQUEST_ID) == SQLITE_BLOB &&
	    id.n <= 32) {
		hex_encode(id.p, id.n, r->request_id);
		ev->request_id = (struct str){ r->request_id, 2 * id.n };
	} else {
		ev->request_id = keep(st, COL_REQUEST_ID, a);
	}
}

/* The hash is computed again, unless it came with the event. */
static void
read_hash(sqlite3_stmt *st, struct arena *a, struct usage_event *ev)
{
	struct str key = db_col_blob(st, COL_HASH16);
	struct str rest = db_col_blob(st, COL_HASH_REST);

	if ((ev->flags & EVENT_HASH_TEXT) != 0) {
		ev->hash_text = keep(st, COL_HASH_REST, a);
		sha256(ev->hash_text.p, ev->hash_text.n, ev->hash);
	} else if (key.n + rest.n == SHA256_BYTES && rest.n > 0) {
		memcpy(ev->hash, key.p, key.n);
		memcpy(ev->hash + key.n, rest.p, rest.n);
		ev->hash_given = true;
	} else {
		event_hash(ev);
	}
}

int
event_reader_row(struct event_reader *r, sqlite3_stmt *st, struct arena *a,
    struct event_row *out, struct err *e)
{
	struct usage_event *ev = &out->ev;
	struct event_detail detail = { .metadata = NULL };

	drop_loose(r);
	r->row++;
	memset(out, 0, sizeof *out);
	out->id = db_col_i64(st, COL_ID);
	read_numbers(st, ev);
	read_own_texts(r, st, a, ev);
	if (read_texts(r, st, ev, e) != 0 || read_identity(r, st, ev, e) != 0)
		return -1;
	if (!db_col_is_null(st, COL_DETAIL) &&
	    event_detail_unpack(r->details, r->db, a,
		db_col_blob(st, COL_DETAIL), db_col_i64(st, COL_DICT_ID),
		&detail, e) != 0)
		return -1;
	ev->fail_summary = detail.fail_summary;
	ev->response_metadata_json = detail.response_metadata;
	header_columns_of(detail.metadata, &out->header);
	read_hash(st, a, ev);
	return a->failed ? fail(e, ERR_TOO_LARGE, "out of memory") : 0;
}

int
event_reader_get(struct event_reader *r, int64_t id, struct arena *a,
    struct event_row *out, struct err *e)
{
	sqlite3_stmt *st = db_stmt(r->db, SQL_event_get, e);
	int rc;

	if (st == NULL)
		return -1;
	db_bind_i64(st, P_event_get_id, id);
	rc = db_step(r->db, st, e);
	if (rc == 1 && event_reader_row(r, st, a, out, e) != 0)
		rc = -1;
	db_reset(st);
	return rc;
}

int
events_newest_id(struct db *db, int64_t *id, struct err *e)
{
	sqlite3_stmt *st = db_stmt(db, SQL_events_newest_id, e);
	int rc;

	if (st == NULL || (rc = db_step(db, st, e)) < 0)
		return -1;
	*id = rc == 1 ? db_col_i64(st, 0) : 0;
	db_reset(st);
	return 0;
}
