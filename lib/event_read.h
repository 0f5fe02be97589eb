/*
 * Events out of the database: a row of event_get as a struct usage_event, its
 * numbers turned into texts again.
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
 * The event that st, which has the columns of event_get, stands on.  Texts
 * are in a or the reader's own; they live until the next event is read.
 * ERR_INTERNAL for a broken row, ERR_TOO_LARGE when a is full.
 */
int event_reader_row(struct event_reader *r, sqlite3_stmt *st, struct arena *a,
    struct event_row *out, struct err *e) ATTR_USE_RESULT;

/*
 * The event of that id: 1, 0 when there is none, -1; else as
 * event_reader_row().
 *
 * Call it while the statement that gave the id is open: SQLite takes a lock
 * for each statement that stands alone, which costs more than the event.
 */
int event_reader_get(struct event_reader *r, int64_t id, struct arena *a,
    struct event_row *out, struct err *e) ATTR_USE_RESULT;

/* The greatest id there is: what came later is not seen by a reading. */
int events_newest_id(struct db *db, int64_t *id, struct err *e) ATTR_USE_RESULT;

#endif
