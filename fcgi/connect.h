/*
 * Proving a connection to CPA before it is saved: what /setup and the
 * configuration have in common.
 */
#ifndef CONNECT_H
#define CONNECT_H

#include "fcgi/ctx.h"
#include "fcgi/response.h"
#include "settings.h"

/*
 * Ask CPA with the URL and key of m: is the key right, and, when events are
 * collected, do poll interval and retention go together.  With `publish`
 * CPA's usage publishing is switched on; with `raise` CPA is told to keep its
 * queue for an hour.  A key that is known to be refused
 * is not tried: 502 cpa_key_refused with Retry-After.  A key that CPA takes
 * ends an earlier refusal.
 */
int connect_prove(struct ctx *c, struct response *rs,
    const struct manager_config *m, bool publish, bool raise,
    struct err *e) ATTR_USE_RESULT;

/* Save m, sealed with the data key, and end an earlier refusal. */
int connect_save(struct ctx *c, const struct manager_config *m,
    bool initialized, struct err *e) ATTR_USE_RESULT;

#endif
