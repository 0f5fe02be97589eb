/*
 * What several answers take from rows of `events` and its dictionaries.
 */
#ifndef EVENT_ROW_H
#define EVENT_ROW_H

#include <sqlite3.h>

#include "json_out.h"
#include "model/event.h"
#include "str.h"

/*
 * The token columns of a row, which stand in this order from column `first`
 * on: input, output, reasoning, cached, cache, cache_read, cache_creation,
 * total.  flags is the row's column of that name.
 */
void event_row_tokens(
    sqlite3_stmt *st, int first, int64_t flags, struct usage_event *ev);

/* A hash column (BLOB) as hexadecimal; empty for NULL.  out holds 65 bytes. */
struct str event_row_hash(sqlite3_stmt *st, int col, char out[65]);

/* Key and integer, null when the column is NULL. */
void event_row_kint(
    struct json_out *o, const char *key, sqlite3_stmt *st, int col);

#endif
