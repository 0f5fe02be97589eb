/*
 * Secrets out of texts: contract/collector.md section 6.7, and what it lets
 * through.  redact_summary() and redact_payload() stand in normalise.h.
 */
#ifndef MODEL_REDACT_H
#define MODEL_REDACT_H

#include "arena.h"
#include "json_out.h"
#include "json_tree.h"
#include "str.h"

/*
 * All patterns over valid UTF-8.  What cannot be searched, because a limit is
 * reached, becomes "[redacted]" as a whole.  A view of s, or in a.
 */
struct str redact_text(struct str s, struct arena *a);

/* The same for a payload that is no JSON: its credential's label goes, too. */
struct str redact_broken_payload(struct str s, struct arena *a);

/*
 * Redacted, trimmed, at most max_bytes and dots, all of it twice: where a
 * character was cut off, a dot fills its place.  A view of s, or in a.
 */
struct str redact_shorten(struct str s, size_t max_bytes, struct arena *a);

/*
 * Write v with sorted keys, without the values of secret keys.  texts: look
 * for secrets in all texts, too, and show credential labels masked.
 */
void redact_write(
    const struct json_tree *v, bool texts, struct json_out *o, struct arena *a);

#endif
