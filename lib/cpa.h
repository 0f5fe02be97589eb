/*
 * The calls that we make to CPA for ourselves (contract/http-api.md section
 * 16), and the shared state "refused until": five wrong keys make CPA ban
 * our address for half an hour, so a refused key is tried once and then
 * answered from memory until settings change or ten minutes pass
 * (design.md section 5.6).
 */
#ifndef CPA_H
#define CPA_H

#include <stdbool.h>
#include <stdint.h>

#include "db.h"
#include "err.h"
#include "http.h"

struct cpa_usage {
	bool statistics_enabled;
	int64_t retention_s;
	bool retention_default; /* CPA did not say: 60 was assumed */
	char version[64];       /* X-CPA-VERSION, "" : unknown */
};

#define CPA_REFUSED_MS (10 * 60 * 1000)

/*
 * GET <base>/v0/management/config.  ERR_UPSTREAM: transport (code
 * request_failed) or a status other than 2xx (code and text of section 7,
 * step 4: `management API validation failed: 401 Unauthorized`).
 * *status receives the HTTP status, 0 when none came.
 */
int cpa_fetch_config(struct http *h, const char *base, const char *key,
    int64_t timeout_ms, struct cpa_usage *out, int *status,
    struct err *e) ATTR_USE_RESULT;

/* PUT <base>/v0/management/usage-statistics-enabled {"value":true}. */
int cpa_enable_usage(struct http *h, const char *base, const char *key,
    struct err *e) ATTR_USE_RESULT;

#define CPA_RETENTION_S 3600 /* the longest that CPA takes */

/*
 * Have CPA keep its queue for an hour: its config.yaml is read, that one line
 * changed or added, and written back.  ERR_UPSTREAM, code
 * raise_cpa_retention_failed, when CPA does not play along.
 */
int cpa_raise_retention(struct http *h, const char *base, const char *key,
    struct err *e) ATTR_USE_RESULT;

/*
 * Is this key known to be refused by this CPA just now?  until_ms receives
 * the end, 0 when not.  The state is bound to a digest of URL and key, so a
 * change of either ends it.
 */
int cpa_refused(struct db *db, const char *base, const char *key,
    int64_t *until_ms, struct err *e) ATTR_USE_RESULT;
int cpa_set_refused(struct db *db, const char *base, const char *key,
    struct err *e) ATTR_USE_RESULT;
int cpa_clear_refused(struct db *db, struct err *e) ATTR_USE_RESULT;

#endif
