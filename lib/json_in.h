/*
 * Reading JSON: jansson with limits, text repaired before it sees it, and
 * getters that match keys without case and name the field when they refuse.
 *
 * Numbers that do not fit an int64 become doubles; NUL is allowed in texts;
 * invalid UTF-8 and lone surrogate escapes become U+FFFD, as the reference's
 * decoder does (contract/collector.md section 5).
 */
#ifndef JSON_IN_H
#define JSON_IN_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "arena.h"
#include "err.h"
#include "str.h"

#define JSON_DEPTH_MAX 2048

/*
 * Parse one JSON value; what follows it is ignored unless whole is true.
 * Returns a reference that the caller drops with json_decref(), or NULL with
 * *e (ERR_INPUT): "EOF" for an empty text, "unexpected EOF" for a cut one,
 * otherwise what is wrong and where.  Allocates a copy only to repair.
 */
json_t *json_in_parse(
    struct str text, bool whole, struct err *e) ATTR_USE_RESULT;

/*
 * Member of an object by key, ASCII case ignored, the last of several; NULL
 * when absent, when the value is null, or when obj is not an object.
 */
json_t *json_in_get(const json_t *obj, const char *key);

/* View of a JSON text; empty for any other type.  Lives as long as v. */
struct str json_in_text(const json_t *v);

/*
 * Typed members.  Absent or null: returns 0 and leaves *out alone.  Wrong
 * type: -1 with *e naming `path` (what the client calls the field).
 * json_in_bool also accepts nothing but true and false; json_in_i64 refuses
 * fractions; json_in_strings gives an arena array of views.
 */
int json_in_str(const json_t *obj, const char *key, const char *path,
    struct str *out, struct err *e);
int json_in_i64(const json_t *obj, const char *key, const char *path,
    int64_t *out, struct err *e);
int json_in_double(const json_t *obj, const char *key, const char *path,
    double *out, struct err *e);
int json_in_bool(const json_t *obj, const char *key, const char *path,
    bool *out, struct err *e);
int json_in_object(const json_t *obj, const char *key, const char *path,
    const json_t **out, struct err *e);
int json_in_strings(const json_t *obj, const char *key, const char *path,
    struct arena *a, struct str **out, size_t *n, bool *present, struct err *e);

#endif
