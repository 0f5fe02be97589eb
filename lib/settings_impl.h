/*
 * What the files of lib/settings*.c share.
 */
#ifndef SETTINGS_IMPL_H
#define SETTINGS_IMPL_H

#include "settings.h"

/* The configuration of a process that nobody has set anything in. */
void settings_default(const struct cfg *c, struct manager_config *m);

/*
 * Put a stored row over *m: all but the connection's key.  Texts are copied
 * into a.
 */
int settings_merge_row(const json_t *row, struct arena *a,
    struct manager_config *m, struct err *e) ATTR_USE_RESULT;

/* The row as it is stored: with the sealed key and the time. */
void settings_json_row(struct json_out *o, const struct manager_config *m,
    struct str sealed_key, int64_t updated_ms);

/* Set bootstrap_state_v1: is there a connection to CPA? */
int settings_put_bootstrap(
    struct db *db, bool initialized, struct err *e) ATTR_USE_RESULT;

/* Does the system know this time zone? */
bool time_zone_known(struct str name);

#endif
