/*
 * Texts that come from outside made fit to be kept: contract/collector.md
 * section 6.8.
 */
#ifndef MODEL_TEXTCLEAN_H
#define MODEL_TEXTCLEAN_H

#include "arena.h"
#include "str.h"

/*
 * Text of a client (address, agent): controls and invisible characters become
 * blanks, runs of blanks one, at most max_bytes with "..." at the end.  s is
 * valid UTF-8.  A view of s, or in a.
 */
struct str clean_text(struct str s, size_t max_bytes, struct arena *a);

/* At most max_bytes, cut between characters. */
struct str cut_text(struct str s, size_t max_bytes);

/* The last max_bytes or less, begun between characters. */
struct str tail_text(struct str s, size_t max_bytes);

/* More than max_bytes cut to that, trimmed, and "..." behind it.  In a then. */
struct str shorten_text(struct str s, size_t max_bytes, struct arena *a);

/* Valid UTF-8: each byte that is none becomes U+FFFD.  s itself, or in a. */
struct str repair_text(struct str s, struct arena *a);

#endif
