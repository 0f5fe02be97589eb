/*
 * Times as people type them.
 */
#ifndef CTL_WHEN_H
#define CTL_WHEN_H

#include <stdint.h>

#include "attr.h"

/*
 * "2026-11-24", "2026-11-24T08:00:00Z" (RFC 3339; without a zone UTC), "90m",
 * "24h", "7d" (so long before now_ms), or Unix milliseconds since 1973 (less is
 * meant as a year, or as seconds).  Returns 0, or -1 for anything else.
 */
int when_parse(
    const char *text, int64_t now_ms, int64_t *out_ms) ATTR_USE_RESULT;

#endif
