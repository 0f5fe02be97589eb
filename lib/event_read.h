/*
 * Events out of the database: a row of sql/read_events.sql as a struct
 * usage_event, its numbers turned into texts again.
 */
#ifndef EVENT_READ_H
#define EVENT_READ_H

#include <stdint.h>

#include "arena.h"
#include "db.h"
#include "err.h"
#include "model/event.h"
#include "model/metadata.h"

struct event_reader; /* opaque: texts of the dictionaries, a decompressor */

/*
 * For one connection and one database; the texts that rows name are kept, so
 * that each is looked up once.  NULL without memory.
 */
struct event_reader *event_reader_new(struct db *db);
void event_reader_free(struct event_reader *r);

struct event_row {
	int64_t id;
	struct usage_event ev;
	struct header_columns header;
};

/*
 * The row that st stands on.  Texts are in a, views of st, or the reader's
 * own: they live until the statement steps or the next row is read, whichever
 * comes first.  ERR_INTERNAL for a broken row, ERR_TOO_LARGE when a is full.
 */
int event_reader_row(struct event_reader *r, sqlite3_stmt *st, struct arena *a,
    struct event_row *out, struct err *e) ATTR_USE_RESULT;

/* The greatest id there is: what came later is not seen by a reading. */
int events_newest_id(struct db *db, int64_t *id, struct err *e) ATTR_USE_RESULT;

#endif
