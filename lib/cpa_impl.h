/*
 * What the calls to CPA share.
 */
#ifndef CPA_IMPL_H
#define CPA_IMPL_H

#include "buf.h"
#include "cpa.h"

#define CPA_CALL_MS 30000

/*
 * Make a call to base + path: the limits that it leaves open are set.  -1
 * with ERR_UPSTREAM, code request_failed, when no answer came.
 */
int cpa_call(struct http *h, const char *base, const char *path,
    struct http_call *c, struct http_answer *answer,
    struct err *e) ATTR_USE_RESULT;

/*
 * CPA's configuration with a retention of an hour into out: the line that is
 * there changed, or one added at the end.
 */
void cpa_retention_yaml(struct str yaml, struct buf *out);

#endif
