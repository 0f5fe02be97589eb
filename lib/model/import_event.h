/*
 * One record of an import as a usage event: what an export wrote, a payload
 * of CPA's queue, or a detail of a legacy snapshot.  Pure.
 * contract/database.md section 12.
 */
#ifndef MODEL_IMPORT_EVENT_H
#define MODEL_IMPORT_EVENT_H

#include "model/event.h"

/*
 * An exported event (it has a hash) or a payload.  now_ms stands in for a
 * missing time.  Texts of ev are in a.  ERR_INPUT: it is neither, and why;
 * ERR_TOO_LARGE when a is full.
 */
int import_record(struct str item, int64_t now_ms, struct arena *a,
    struct usage_event *ev, struct err *e) ATTR_USE_RESULT;

/* Where a detail stands in a snapshot; names in the order of their bytes. */
struct legacy_place {
	struct str endpoint, model;
	size_t endpoint_no, model_no; /* from 1 */
	size_t detail_no;             /* from 0 */
};

/* A detail of a legacy snapshot; errors as import_record(). */
int import_legacy_detail(const struct legacy_place *at, struct str detail,
    int64_t now_ms, struct arena *a, struct usage_event *ev,
    struct err *e) ATTR_USE_RESULT;

#endif
