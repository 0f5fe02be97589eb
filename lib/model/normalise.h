/*
 * From a payload of CPA's queue to a usage event: pure, no I/O, no clock but
 * the one passed in.  contract/collector.md sections 4 and 6.
 */
#ifndef MODEL_NORMALISE_H
#define MODEL_NORMALISE_H

#include "model/event.h"

enum payload_kind {
	PAYLOAD_EVENT,   /* *ev is filled */
	PAYLOAD_BLANK,   /* nothing but white space: ignored */
	PAYLOAD_REFRESH, /* control message: account list changed */
	PAYLOAD_CONTROL, /* another control message: ignored */
	PAYLOAD_DEAD     /* no event: *e says why, as the reference words it */
};

/*
 * Judge one item of the queue and, when it is an event, normalise it.
 * now_ms stands in for a missing time.  Everything is allocated from a;
 * when its cap is reached the payload is PAYLOAD_DEAD with ERR_TOO_LARGE.
 */
enum payload_kind normalise(struct str item, int64_t now_ms, struct arena *a,
    struct usage_event *ev, struct err *e);

/*
 * Text with every secret that section 6.7 knows, and more, replaced: at most
 * 4096 bytes and the dots that tell of a cut.  Any bytes are accepted.  A view
 * of text, or in a.
 */
struct str redact_summary(struct str text, struct arena *a);

/*
 * A payload as it may be kept for a person to look at: secrets under known
 * keys and secrets in text replaced, cut to limit bytes; any bytes are
 * accepted.  In a.
 */
struct str redact_payload(struct str item, size_t limit, struct arena *a);

/*
 * A credential label as it may be shown: section 6.4, but nothing of a short
 * key, and never half a character.  A view of source, or in a.
 */
struct str mask_source(struct str source, struct arena *a);

#endif
