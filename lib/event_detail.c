#include "event_detail.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <zstd.h>

#include "detail_dict.h"
#include "json_out.h"

#define LEVEL 3
#define MEMBER "\"response_metadata\":"
#define DETAIL_MAX_BYTES ((size_t)4 * 1024 * 1024) /* of one event, as JSON */

struct detail_packer {
	ZSTD_CCtx *context;
	ZSTD_CDict *dict;
	struct buf json;
};

/* Our dictionary for reading, made once; NULL without memory. */
static ZSTD_DDict *shipped;
static pthread_once_t shipped_once = PTHREAD_ONCE_INIT;

static void
make_shipped(void)
{
	shipped = ZSTD_createDDict(detail_dict, DETAIL_DICT_BYTES);
}

struct detail_packer *
detail_packer_new(void)
{
	struct detail_packer *p = calloc(1, sizeof *p);

	if (p == NULL)
		return NULL;
	p->context = ZSTD_createCCtx();
	p->dict = ZSTD_createCDict(detail_dict, DETAIL_DICT_BYTES, LEVEL);
	buf_init(&p->json, DETAIL_MAX_BYTES);
	if (p->context == NULL || p->dict == NULL ||
	    ZSTD_isError(ZSTD_CCtx_refCDict(p->context, p->dict))) {
		detail_packer_free(p);
		return NULL;
	}
	/* a few bytes each that would cost more than they tell */
	ZSTD_CCtx_setParameter(p->context, ZSTD_c_checksumFlag, 0);
	ZSTD_CCtx_setParameter(p->context, ZSTD_c_dictIDFlag, 0);
	return p;
}

void
detail_packer_free(struct detail_packer *p)
{
	if (p == NULL)
		return;
	ZSTD_freeCCtx(p->context);
	ZSTD_freeCDict(p->dict);
	buf_free(&p->json);
	free(p);
}

int
event_detail_pack(struct detail_packer *p, const struct usage_event *ev,
    struct buf *out, struct err *e)
{
	struct json_out o;
	size_t n, bound;
	char *to;

	buf_clear(out);
	if (ev->fail_summary.n == 0 && ev->response_metadata_json.n == 0)
		return 0;
	buf_clear(&p->json);
	json_out_init(&o, &p->json, NULL, NULL);
	json_out_object(&o);
	json_out_kstr_opt(&o, "fail_summary", ev->fail_summary);
	if (ev->response_metadata_json.n > 0) {
		json_out_key(&o, "response_metadata");
		json_out_raw(&o, ev->response_metadata_json);
	}
	json_out_object_end(&o);
	if (o.failed || p->json.failed)
		return fail(e, ERR_INTERNAL, "event detail is too large");
	bound = ZSTD_compressBound(p->json.n);
	if ((to = buf_reserve(out, bound)) == NULL)
		return fail(e, ERR_UNAVAILABLE, "out of memory");
	n = ZSTD_compress2(p->context, to, bound, p->json.p, p->json.n);
	if (ZSTD_isError(n))
		return fail(
		    e, ERR_INTERNAL, "event detail: %s", ZSTD_getErrorName(n));
	buf_commit(out, n);
	return 0;
}

int
event_detail_dict(struct db *db, int64_t *dict_id, struct err *e)
{
	sqlite3_stmt *st = db_stmt(db, SQL_detail_dict_find, e);
	int rc;

	if (st == NULL)
		return -1;
	db_bind_blob(
	    st, P_detail_dict_find_data, detail_dict, DETAIL_DICT_BYTES);
	if ((rc = db_step(db, st, e)) < 0)
		return -1;
	if (rc == 0) {
		if ((st = db_stmt(db, SQL_detail_dict_add, e)) == NULL)
			return -1;
		db_bind_blob(
		    st, P_detail_dict_add_data, detail_dict, DETAIL_DICT_BYTES);
		if (db_step(db, st, e) != 1)
			return -1;
	}
	*dict_id = db_col_i64(st, 0);
	/* RETURNING has done its work only when the statement has ended */
	return db_exec(db, st, e);
}

/* ---- reading ------------------------------------------------------------- */

struct detail_reader {
	ZSTD_DCtx *context;
	int64_t dict_id;   /* of the row read last, 0: none */
	ZSTD_DDict *other; /* that dictionary, when it is not ours */
};

struct detail_reader *
detail_reader_new(void)
{
	struct detail_reader *r = calloc(1, sizeof *r);

	if (r == NULL)
		return NULL;
	pthread_once(&shipped_once, make_shipped);
	if (shipped == NULL || (r->context = ZSTD_createDCtx()) == NULL) {
		free(r);
		return NULL;
	}
	return r;
}

void
detail_reader_free(struct detail_reader *r)
{
	if (r == NULL)
		return;
	ZSTD_freeDCtx(r->context);
	ZSTD_freeDDict(r->other);
	free(r);
}

/* Have the dictionary at hand that a row names. */
static int
load_dict(
    struct detail_reader *r, struct db *db, int64_t dict_id, struct err *e)
{
	sqlite3_stmt *st = db_stmt(db, SQL_detail_dict_get, e);
	struct str dict;
	int rc;

	if (st == NULL)
		return -1;
	db_bind_i64(st, P_detail_dict_get_id, dict_id);
	if ((rc = db_step(db, st, e)) < 0)
		return -1;
	if (rc == 0)
		return fail(e, ERR_INTERNAL, "event detail has no dictionary");
	dict = db_col_blob(st, 0);
	ZSTD_freeDDict(r->other);
	r->other = NULL;
	r->dict_id = 0;
	if (dict.n != DETAIL_DICT_BYTES ||
	    memcmp(dict.p, detail_dict, DETAIL_DICT_BYTES) != 0) {
		r->other = ZSTD_createDDict(dict.p, dict.n);
		if (r->other == NULL) {
			db_reset(st);
			return fail(e, ERR_UNAVAILABLE, "out of memory");
		}
	}
	r->dict_id = dict_id;
	db_reset(st);
	return 0;
}

/* The row's JSON, in a. */
static int
inflate(struct detail_reader *r, struct db *db, struct arena *a,
    struct str blob, int64_t dict_id, struct str *json, struct err *e)
{
	unsigned long long size = ZSTD_getFrameContentSize(blob.p, blob.n);
	size_t got;
	char *to;

	if (size == ZSTD_CONTENTSIZE_ERROR ||
	    size == ZSTD_CONTENTSIZE_UNKNOWN || size > DETAIL_MAX_BYTES)
		return fail(e, ERR_INTERNAL, "event detail is broken");
	if ((to = arena_alloc(a, (size_t)size + 1)) == NULL)
		return fail(e, ERR_TOO_LARGE, "out of memory");
	if (dict_id != 0 && dict_id != r->dict_id &&
	    load_dict(r, db, dict_id, e) != 0)
		return -1;
	if (dict_id == 0)
		got = ZSTD_decompressDCtx(
		    r->context, to, (size_t)size, blob.p, blob.n);
	else
		got = ZSTD_decompress_usingDDict(r->context, to, (size_t)size,
		    blob.p, blob.n, r->other != NULL ? r->other : shipped);
	if (got != size)
		return fail(e, ERR_INTERNAL, "event detail is broken");
	*json = (struct str){ to, got };
	return 0;
}

int
event_detail_unpack(struct detail_reader *r, struct db *db, struct arena *a,
    struct str blob, int64_t dict_id, struct event_detail *out, struct err *e)
{
	const struct json_tree *row, *summary, *metadata;
	struct str json = { "", 0 };
	const char *at;

	*out = (struct event_detail){ .metadata = NULL };
	if (inflate(r, db, a, blob, dict_id, &json, e) != 0)
		return -1;
	row = json_tree_parse(json, a, e);
	if (row == NULL && e != NULL && e->kind == ERR_TOO_LARGE)
		return -1;
	if (row == NULL || row->type != TREE_OBJECT)
		return fail(e, ERR_INTERNAL, "event detail is broken");
	summary = json_tree_get(row, STR("fail_summary"));
	metadata = json_tree_get(row, STR("response_metadata"));
	if ((summary != NULL && summary->type != TREE_TEXT) ||
	    (metadata != NULL && metadata->type != TREE_OBJECT))
		return fail(e, ERR_INTERNAL, "event detail is broken");
	out->fail_summary = json_tree_text(summary);
	if ((out->metadata = metadata) == NULL)
		return 0;
	/* the last member: its text ends before the closing brace */
	at = memmem(json.p, json.n, MEMBER, sizeof MEMBER - 1);
	if (at == NULL)
		return fail(e, ERR_INTERNAL, "event detail is broken");
	at += sizeof MEMBER - 1;
	out->response_metadata =
	    (struct str){ at, (size_t)(json.p + json.n - at) - 1 };
	return 0;
}
