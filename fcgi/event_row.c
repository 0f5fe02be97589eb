#include "fcgi/event_row.h"

#include "db.h"

void
event_row_tokens(
    sqlite3_stmt *st, int first, int64_t flags, struct usage_event *ev)
{
	ev->flags = (uint32_t)flags;
	ev->input_tokens = db_col_i64(st, first);
	ev->output_tokens = db_col_i64(st, first + 1);
	ev->reasoning_tokens = db_col_i64(st, first + 2);
	ev->cached_tokens = db_col_i64(st, first + 3);
	ev->cache_tokens = db_col_i64(st, first + 4);
	ev->cache_read_tokens = db_col_i64(st, first + 5);
	ev->cache_creation_tokens = db_col_i64(st, first + 6);
	ev->total_tokens = db_col_i64(st, first + 7);
}

struct str
event_row_hash(sqlite3_stmt *st, int col, char out[65])
{
	struct str blob = db_col_blob(st, col);

	if (blob.n == 0 || blob.n > SHA256_BYTES)
		return (struct str){ "", 0 };
	hex_encode(blob.p, blob.n, out);
	return (struct str){ out, 2 * blob.n };
}

void
event_row_kint(struct json_out *o, const char *key, sqlite3_stmt *st, int col)
{
	json_out_key(o, key);
	if (db_col_is_null(st, col))
		json_out_null(o);
	else
		json_out_int(o, db_col_i64(st, col));
}
