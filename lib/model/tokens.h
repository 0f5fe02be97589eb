/*
 * Tokens, cache mode and service tier of a payload: contract/collector.md
 * sections 6.5 and 6.6.
 */
#ifndef MODEL_TOKENS_H
#define MODEL_TOKENS_H

#include "model/event.h"
#include "model/record.h"

/*
 * Fill the token columns and the cache mode's flag of ev, whose texts
 * (executor, provider, models) are known already.  hint (may be NULL) is what
 * an import brings along besides: its mode and its total stand in where r has
 * none.  a is for working.
 */
void tokens_read(const struct record *r, const struct record *hint,
    struct arena *a, struct usage_event *ev);

/* Does the tier that was asked for count, whatever was given?  With Codex. */
bool asked_tier_counts(const struct usage_event *ev);

/* The tier that counts: what was asked for with Codex, else what was given. */
struct str effective_tier(const struct usage_event *ev);

#endif
