/*
 * Times in payloads: contract/collector.md section 6.3.
 */
#ifndef MODEL_TIMESTAMP_H
#define MODEL_TIMESTAMP_H

#include <stdbool.h>
#include <stdint.h>

#include "json_tree.h"
#include "str.h"

struct timestamp {
	int64_t ms;
	int32_t ns; /* below the millisecond */
};

/* A value of a payload as a time; false when it is none. */
bool timestamp_of(const struct json_tree *v, struct timestamp *out);

/*
 * RFC 3339 with any number of digits after the second (a comma serves as
 * well), or "YYYY-MM-DD HH:MM:SS", or the same with a T; without a zone UTC.
 */
bool timestamp_parse(struct str s, struct timestamp *out);

#endif
