/*
 * The checks that read every event.  They go by id in pieces, up to the event
 * that was the last when they began: collectord may add more meanwhile.
 */
#include "ctl/verify.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "dict.h"
#include "event_detail.h"
#include "model/event.h"

#define DETAIL_ARENA ((size_t)16 * 1024 * 1024)
#define ID_LIMIT ((int64_t)1 << 28) /* 32 MiB of bits */

/* ---- sets of ids ---------------------------------------------------------
 */

int
id_set_add(struct id_set *s, int64_t id, struct err *e)
{
	size_t at = (size_t)id / 8, size = s->size_bytes;
	unsigned char *more;

	if (id < 1 || id >= ID_LIMIT)
		return 0;
	if (at >= size) {
		size = size < 512 ? 1024 : 2 * size;
		size = at >= size ? at + 1 : size;
		if ((more = realloc(s->bits, size)) == NULL)
			return fail(e, ERR_UNAVAILABLE, "out of memory");
		memset(more + s->size_bytes, 0, size - s->size_bytes);
		s->bits = more;
		s->size_bytes = size;
	}
	s->bits[at] |= (unsigned char)(1u << (id % 8));
	return 0;
}

bool
id_set_has(const struct id_set *s, int64_t id)
{
	return id >= 1 && (uint64_t)id / 8 < s->size_bytes &&
	       (s->bits[id / 8] >> (id % 8) & 1) != 0;
}

void
id_set_free(struct id_set *s)
{
	free(s->bits);
	*s = (struct id_set){ .bits = NULL };
}

/* ---- going through the events --------------------------------------------
 */

int
verify_last_event(struct verify *v, int64_t *last, struct err *e)
{
	sqlite3_stmt *st = db_stmt(v->db, SQL_ctl_last_event, e);
	int rc;

	*last = 0;
	if (st == NULL || (rc = db_step(v->db, st, e)) < 0)
		return -1;
	if (rc == 1)
		*last = db_col_i64(st, 0);
	db_reset(st);
	return 0;
}

/* All of them take the same parameters, and give the id first. */
#define AFTER ((int)P_ctl_event_ids_after)
#define LAST ((int)P_ctl_event_ids_last)
static_assert(
    AFTER == (int)P_ctl_hashed_after && LAST == (int)P_ctl_hashed_last,
    "parameters of ctl_hashed");
static_assert(
    AFTER == (int)P_ctl_details_after && LAST == (int)P_ctl_details_last,
    "parameters of ctl_details");

typedef void row_check(struct verify *v, sqlite3_stmt *st, void *arg);

/* Have each row of a statement checked, piece by piece, up to `last`. */
static int
each_row(struct verify *v, enum stmt_id id, int64_t last, row_check *check,
    void *arg, struct err *e)
{
	int64_t after = 0, before;
	sqlite3_stmt *st;
	int rc;

	do {
		before = after;
		if ((st = db_stmt(v->db, id, e)) == NULL)
			return -1;
		db_bind_i64(st, AFTER, after);
		db_bind_i64(st, LAST, last);
		while ((rc = db_step(v->db, st, e)) == 1) {
			after = db_col_i64(st, 0);
			check(v, st, arg);
		}
		if (rc < 0)
			return -1;
		verify_progress(v, after, last);
	} while (after > before);
	return 0;
}

/* ---- dictionaries --------------------------------------------------------
 */

/* Columns of ctl_event_ids from the third on. */
static const struct {
	enum dict_kind kind;
	const char *what;
} texts[] = {
	{ DICT_MODEL, "model" },
	{ DICT_MODEL, "requested model" },
	{ DICT_MODEL, "resolved model" },
	{ DICT_PROVIDER, "provider" },
	{ DICT_EXECUTOR, "executor" },
	{ DICT_ENDPOINT, "endpoint" },
	{ DICT_METHOD, "method" },
	{ DICT_PATH, "path" },
	{ DICT_AUTH_TYPE, "kind of credential" },
	{ DICT_API_KEY, "API key" },
	{ DICT_CLIENT_IP, "client address" },
	{ DICT_FORWARDED_FOR, "forwarded address" },
	{ DICT_USER_AGENT, "user agent" },
	{ DICT_EFFORT, "effort" },
	{ DICT_TIER, "service tier" },
	{ DICT_TIER, "requested tier" },
	{ DICT_TIER, "tier of the response" },
};

#define TEXTS (sizeof texts / sizeof *texts)

struct known {
	struct id_set identities, dict[DICT__MAX];
};

static int
read_known(struct verify *v, struct known *known, struct err *e)
{
	sqlite3_stmt *st = db_stmt(v->db, SQL_ctl_dict_ids, e);
	int rc;

	if (st == NULL)
		return -1;
	while ((rc = db_step(v->db, st, e)) == 1) {
		int64_t kind = db_col_i64(st, 0);

		if (kind < 1 || kind >= DICT__MAX)
			verify_found(v,
			    "the dictionary has a kind %" PRId64
			    " that is not known",
			    kind);
		else if (id_set_add(&known->dict[kind], db_col_i64(st, 1), e) !=
			 0)
			return -1;
	}
	if (rc < 0 || (st = db_stmt(v->db, SQL_ctl_identity_ids, e)) == NULL)
		return -1;
	while ((rc = db_step(v->db, st, e)) == 1)
		if (id_set_add(&known->identities, db_col_i64(st, 0), e) != 0)
			return -1;
	return rc;
}

static void
check_ids(struct verify *v, sqlite3_stmt *st, void *arg)
{
	const struct known *known = arg;
	int64_t event = db_col_i64(st, 0), id = db_col_i64(st, 1);

	if (!id_set_has(&known->identities, id))
		verify_found(v,
		    "event %" PRId64 " names identity %" PRId64
		    ", which is missing",
		    event, id);
	for (size_t i = 0; i < TEXTS; i++) {
		id = db_col_i64(st, (int)i + 2);
		if (id != 0 && !id_set_has(&known->dict[texts[i].kind], id))
			verify_found(v,
			    "event %" PRId64 " names %s %" PRId64
			    ", which is missing",
			    event, texts[i].what, id);
	}
}

int
verify_dictionaries(struct verify *v, struct err *e)
{
	struct known known = { .identities = { .bits = NULL } };
	int64_t last;
	int rc = -1;

	/* in this order: what these events name is there already */
	if (verify_last_event(v, &last, e) == 0 &&
	    read_known(v, &known, e) == 0)
		rc = each_row(v, SQL_ctl_event_ids, last, check_ids, &known, e);
	id_set_free(&known.identities);
	for (int i = 0; i < DICT__MAX; i++)
		id_set_free(&known.dict[i]);
	return rc;
}

/* ---- details -------------------------------------------------------------
 */

struct details {
	struct detail_reader *reader;
	struct arena arena;
};

static void
check_detail(struct verify *v, sqlite3_stmt *st, void *arg)
{
	struct details *d = arg;
	struct event_detail detail;
	struct err why;

	arena_reset(&d->arena);
	if (event_detail_unpack(d->reader, v->db, &d->arena, db_col_blob(st, 2),
		db_col_i64(st, 1), &detail, &why) != 0)
		verify_found(v, "detail of event %" PRId64 ": %s",
		    db_col_i64(st, 0), why.text);
}

int
verify_details(struct verify *v, struct err *e)
{
	struct details d = { .reader = detail_reader_new() };
	int64_t last;
	int rc = -1;

	arena_init(&d.arena, DETAIL_ARENA);
	if (d.reader == NULL)
		fail(e, ERR_UNAVAILABLE, "out of memory");
	else if (verify_last_event(v, &last, e) == 0)
		rc = each_row(v, SQL_ctl_details, last, check_detail, &d, e);
	detail_reader_free(d.reader);
	arena_free(&d.arena);
	return rc;
}

/* ---- hashes --------------------------------------------------------------
 */

/* The event as far as its hash needs it, from a row of ctl_hashed. */
static void
read_hashed(sqlite3_stmt *st, struct usage_event *ev, char time_text[40],
    char request_id[2 * 32 + 1])
{
	struct str id = db_col_blob(st, 6), source = db_col_blob(st, 10);

	*ev = (struct usage_event){
		.ts_ms = db_col_i64(st, 1),
		.ts_ns = (int32_t)db_col_i64(st, 2),
		.ts_text = db_col_str(st, 3),
		.request_id = id,
		.endpoint = db_col_str(st, 7),
		.model = db_col_str(st, 8),
		.auth_index = db_col_str(st, 9),
		.has_source_hash = source.n == SHA256_BYTES,
		.input_tokens = db_col_i64(st, 11),
		.output_tokens = db_col_i64(st, 12),
		.reasoning_tokens = db_col_i64(st, 13),
		.cached_tokens = db_col_i64(st, 14),
		.cache_tokens = db_col_i64(st, 15),
		.flags = (uint32_t)db_col_i64(st, 16),
		.latency_ms = { !db_col_is_null(st, 17), db_col_i64(st, 17) },
	};
	if (ev->has_source_hash)
		memcpy(ev->source_hash, source.p, SHA256_BYTES);
	if (ev->ts_text.n == 0)
		ev->ts_text = (struct str){ time_text,
			event_time_text(ev->ts_ms, ev->ts_ns, time_text) };
	/* bytes stand for the usual id, which is hexadecimal */
	if (sqlite3_column_type(st, 6) == SQLITE_BLOB && id.n <= 32) {
		hex_encode(id.p, id.n, request_id);
		ev->request_id = (struct str){ request_id, 2 * id.n };
	}
}

static void
check_hash(struct verify *v, sqlite3_stmt *st, void *arg)
{
	char time_text[40], request_id[2 * 32 + 1];
	struct usage_event ev;
	struct str hash;

	(void)arg;
	/* a whole hash was given with an event: it is not ours to recompute */
	if (!db_col_is_null(st, 5))
		return;
	read_hashed(st, &ev, time_text, request_id);
	event_hash(&ev);
	hash = db_col_blob(st, 4);
	if (hash.n != 16 || memcmp(hash.p, ev.hash, 16) != 0)
		verify_found(v, "event %" PRId64 " does not match its hash",
		    db_col_i64(st, 0));
}

int
verify_hashes(struct verify *v, struct err *e)
{
	int64_t last;

	if (verify_last_event(v, &last, e) != 0)
		return -1;
	return each_row(v, SQL_ctl_hashed, last, check_hash, NULL, e);
}
