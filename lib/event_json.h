/*
 * An event as one line of an export.  contract/database.md section 11.
 */
#ifndef EVENT_JSON_H
#define EVENT_JSON_H

#include <stdbool.h>

#include "event_read.h"
#include "json_out.h"

/*
 * Write the object of one event.  full adds what the reference leaves out
 * and reads back: the tiers asked for and given, and the cache mode.
 */
void event_json(struct json_out *o, const struct event_row *row, bool full);

/* "separate_from_input", "included_in_input", or NULL when it is not known. */
const char *event_cache_mode(const struct usage_event *ev);

/* The members header_*, those that are there. */
void event_json_header(struct json_out *o, const struct header_columns *h);

#endif
