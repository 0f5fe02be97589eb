/*
 * What may be shown of labels that can be keys: contract/collector.md
 * section 6.4, but of a short key nothing, and nothing cut inside a character.
 */
#ifndef MODEL_MASK_H
#define MODEL_MASK_H

#include "arena.h"
#include "str.h"

/* A key: nothing of a short one, a little of both ends of a long one. In a. */
struct str mask_key(struct str key, struct arena *a);

/* True for what may be a key: a maker's prefix, or long without blanks. */
bool looks_secret(struct str s);

/* True for what is plainly a person's or file's name: e-mail, path, *.json. */
bool is_plain_label(struct str s);

#endif
