/*
 * What an event has beyond its columns, as table event_detail keeps it:
 * JSON {"fail_summary","response_metadata"}, compressed (docs/formats.md).
 */
#ifndef EVENT_DETAIL_H
#define EVENT_DETAIL_H

#include "arena.h"
#include "buf.h"
#include "db.h"
#include "err.h"
#include "json_tree.h"
#include "model/event.h"

struct detail_packer; /* opaque: a compressor kept for its memory */

struct detail_packer *detail_packer_new(void);
void detail_packer_free(struct detail_packer *p);

/*
 * The row's bytes into out, which is empty when ev has nothing beyond its
 * columns.  They are compressed with the dictionary that event_detail_dict()
 * names.  ERR_INTERNAL when it cannot be compressed.
 */
int event_detail_pack(struct detail_packer *p, const struct usage_event *ev,
    struct buf *out, struct err *e) ATTR_USE_RESULT;

/*
 * Number of our dictionary in this database, for the column dict_id; adds it
 * when it is not there, inside the caller's transaction.
 */
int event_detail_dict(
    struct db *db, int64_t *dict_id, struct err *e) ATTR_USE_RESULT;

struct detail_reader; /* opaque: a decompressor and the last dictionary */

/* NULL without memory. */
struct detail_reader *detail_reader_new(void);
void detail_reader_free(struct detail_reader *r);

/* A row read back; texts are views of what lies in the arena. */
struct event_detail {
	struct str fail_summary;          /* empty when absent */
	struct str response_metadata;     /* as JSON, empty when absent */
	const struct json_tree *metadata; /* the same, parsed; may be NULL */
};

/*
 * Read a row back into *out, everything in a.  dict_id as stored in the row;
 * db is where its dictionary is, always the same one for one reader.
 * ERR_INTERNAL for a broken row, ERR_TOO_LARGE when a is full.
 */
int event_detail_unpack(struct detail_reader *r, struct db *db, struct arena *a,
    struct str blob, int64_t dict_id, struct event_detail *out,
    struct err *e) ATTR_USE_RESULT;

#endif
