/*
 * The events of an import, one after the other, out of its whole text: lines
 * of JSON, a list, or a legacy snapshot.  Pure; contract/database.md
 * section 12.
 */
#ifndef MODEL_IMPORT_READER_H
#define MODEL_IMPORT_READER_H

#include <stdint.h>

#include "arena.h"
#include "err.h"
#include "json_scan.h"
#include "model/event.h"

#define IMPORT_LINE_MAX ((size_t)10 * 1024 * 1024)

enum import_format {
	IMPORT_NONE, /* nothing was recognised */
	IMPORT_LINES,
	IMPORT_LEGACY_EXPORT,
	IMPORT_LEGACY_PAYLOAD
};

struct import_counts {
	int64_t failed;      /* records that are no events */
	int64_t unsupported; /* parts of a snapshot without details */
};

struct import_names;

struct import_reader {
	struct str rest; /* lines not yet read */
	struct json_scan list;
	enum { IMPORT_BY_LINE, IMPORT_BY_ELEMENT, IMPORT_BY_DETAIL } way;
	enum import_format format;
	bool legacy; /* with the warnings that a snapshot carries */
	struct import_counts counts;
	int64_t records; /* read so far, good and bad */

	struct arena names; /* of a snapshot: its endpoints and models */
	struct import_names *endpoints, *models;
	size_t endpoint, model; /* at; the next when there are no details */
	size_t detail;          /* read of the list */
	bool in_details;
};

/*
 * Begin with text, which must stay.  ERR_INPUT when nothing can be read from
 * it at all: format, legacy and counts say what is known then.
 */
int import_reader_open(
    struct import_reader *r, struct str text, struct err *e) ATTR_USE_RESULT;
void import_reader_close(struct import_reader *r);

/*
 * The next event into *ev, its texts in a.  Returns 1, 0 at the end, or -1
 * when the text cannot be read on (ERR_INPUT) or a is full (ERR_TOO_LARGE,
 * and nothing was consumed).  What is no event is counted and passed over.
 */
int import_reader_next(struct import_reader *r, int64_t now_ms, struct arena *a,
    struct usage_event *ev, struct err *e) ATTR_USE_RESULT;

/* Pass over so many records without reading them, after a restart. */
void import_reader_skip(struct import_reader *r, int64_t records);

/* "usage_service_jsonl" ...; "" for IMPORT_NONE. */
const char *import_format_name(enum import_format f);

#endif
