/*
 * Reading a payload's members as the reference does: contract/collector.md
 * section 6.1.  Keys are matched with case here, unlike in request bodies.
 */
#ifndef MODEL_RECORD_H
#define MODEL_RECORD_H

#include <jansson.h>

#include "arena.h"
#include "buf.h"
#include "str.h"

/* Up to 12 keys in order of preference, closed by NULL. */
typedef const char *const key_list[];

/*
 * Value of the first key that is present, even if it is null, empty or 0;
 * NULL when none is.
 */
json_t *record_first(const json_t *obj, key_list keys);

/*
 * A value as text, trimmed: numbers in decimal, lists and objects as the
 * reference prints them, null as "".  In a unless it is empty.
 */
struct str record_text(const json_t *v, struct arena *a);
struct str record_str(const json_t *obj, key_list keys, struct arena *a);

/* A value as a whole number: truncated, parsed from text, else 0. */
int64_t value_int(const json_t *v);
int64_t record_int(const json_t *obj, key_list keys);

/*
 * JSON text of a value, keys sorted, appended to b: section 6.12.
 */
void record_json(const json_t *v, struct buf *b, struct arena *a);

/* Keys of an object in order of their bytes, in a; NULL when out of memory. */
const char **sorted_keys(json_t *obj, struct arena *a, size_t *n);

#endif
