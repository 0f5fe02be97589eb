#include "event_detail.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <zstd.h>

#include "detail_dict.h"
#include "json_in.h"
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

/* Decompress with the dictionary that the row names. */
static size_t
inflate(struct db *db, int64_t dict_id, struct str blob, char *to, size_t n,
    struct err *e)
{
	ZSTD_DCtx *context = NULL;
	sqlite3_stmt *st;
	struct str dict;
	size_t got;

	if (dict_id == 0)
		return ZSTD_decompress(to, n, blob.p, blob.n);
	if ((st = db_stmt(db, SQL_detail_dict_get, e)) == NULL)
		return (size_t)-1;
	db_bind_i64(st, P_detail_dict_get_id, dict_id);
	if (db_step(db, st, e) != 1)
		return (size_t)-1;
	dict = db_col_blob(st, 0);
	got = (size_t)-1;
	pthread_once(&shipped_once, make_shipped);
	if ((context = ZSTD_createDCtx()) == NULL)
		;
	else if (shipped != NULL && dict.n == DETAIL_DICT_BYTES &&
		 memcmp(dict.p, detail_dict, DETAIL_DICT_BYTES) == 0)
		got = ZSTD_decompress_usingDDict(
		    context, to, n, blob.p, blob.n, shipped);
	else
		got = ZSTD_decompress_usingDict(
		    context, to, n, blob.p, blob.n, dict.p, dict.n);
	ZSTD_freeDCtx(context);
	db_reset(st);
	return got;
}

int
event_detail_unpack(struct db *db, struct arena *a, struct str blob,
    int64_t dict_id, struct str *fail_summary, struct str *response_metadata,
    struct err *e)
{
	unsigned long long size = ZSTD_getFrameContentSize(blob.p, blob.n);
	struct str text = { NULL, 0 };
	json_t *row = NULL;
	char *json;
	int rc = -1;

	*fail_summary = *response_metadata = (struct str){ NULL, 0 };
	if (size == ZSTD_CONTENTSIZE_ERROR ||
	    size == ZSTD_CONTENTSIZE_UNKNOWN || size > DETAIL_MAX_BYTES)
		return fail(e, ERR_INTERNAL, "event detail is broken");
	if ((json = arena_alloc(a, (size_t)size + 1)) == NULL)
		return fail(e, ERR_TOO_LARGE, "out of memory");
	if (inflate(db, dict_id, blob, json, (size_t)size, e) != size)
		return fail(e, ERR_INTERNAL, "event detail is broken");
	row = json_in_parse((struct str){ json, (size_t)size }, true, e);
	if (row == NULL ||
	    json_in_str(row, "fail_summary", "fail_summary", &text, e) != 0) {
		fail(e, ERR_INTERNAL, "event detail is broken");
		goto out;
	}
	if (text.n > 0) {
		fail_summary->p = arena_strdup(a, text);
		fail_summary->n = text.n;
		if (fail_summary->p == NULL) {
			fail(e, ERR_TOO_LARGE, "out of memory");
			goto out;
		}
	}
	if (json_is_object(json_in_get(row, "response_metadata"))) {
		/* the last member: its text ends before the closing brace */
		const char *at =
		    memmem(json, (size_t)size, MEMBER, sizeof MEMBER - 1);

		if (at == NULL) {
			fail(e, ERR_INTERNAL, "event detail is broken");
			goto out;
		}
		at += sizeof MEMBER - 1;
		*response_metadata =
		    (struct str){ at, (size_t)(json + size - at) - 1 };
	}
	rc = 0;
out:
	json_decref(row);
	return rc;
}
