#include "fcgi/connect.h"

#include <stdio.h>
#include <unistd.h>

#include "bootstrap.h"
#include "clock.h"
#include "cpa.h"
#include "fcgi/limits.h"
#include "log.h"

#define TIMEOUT_MS 30000

static int
known_refused(struct ctx *c, struct response *rs,
    const struct manager_config *m, struct err *e)
{
	int64_t until_ms;
	char seconds[24];
	struct db *db = ctx_db(c, e);

	if (db == NULL ||
	    cpa_refused(db, m->cpa_url, m->cpa_key, &until_ms, e) != 0)
		return -1;
	if (until_ms == 0)
		return 0;
	snprintf(seconds, sizeof seconds, "%lld",
	    (long long)((until_ms - clock_now_ms() + 999) / 1000));
	response_header(rs, "Retry-After", seconds);
	return fail_code(e, ERR_UPSTREAM, "cpa_key_refused",
	    "CPA has refused this management key; it is not tried again for "
	    "%s s, since CPA bans addresses that try wrong keys. Enter the "
	    "right key.",
	    seconds);
}

/* Poll interval and retention: an event must not expire between two polls. */
static int
check_retention(const struct manager_config *m, const struct cpa_usage *usage,
    struct err *e)
{
	if (usage->retention_s <= 0)
		return fail_code(e, ERR_INPUT, "cpa_usage_retention_invalid",
		    "CPA redis-usage-queue-retention-seconds must be greater "
		    "than 0");
	if (m->poll_interval_ms / 1000 > usage->retention_s ||
	    m->poll_interval_ms > usage->retention_s * 1000)
		return fail_code(e, ERR_INPUT,
		    "poll_interval_exceeds_retention",
		    "pollIntervalMs must be less than or equal to CPA "
		    "redis-usage-queue-retention-seconds (%lld seconds)",
		    (long long)usage->retention_s);
	return 0;
}

int
connect_prove(struct ctx *c, struct response *rs,
    const struct manager_config *m, bool publish, bool raise, struct err *e)
{
	struct cpa_usage usage;
	struct db *db;
	int status = 0;

	if (known_refused(c, rs, m, e) != 0)
		return -1;
	if (cpa_fetch_config(c->http, m->cpa_url, m->cpa_key, TIMEOUT_MS,
		&usage, &status, e) != 0) {
		struct err kept = *e;

		if ((status == 401 || status == 403) &&
		    (db = ctx_db(c, e)) != NULL &&
		    cpa_set_refused(db, m->cpa_url, m->cpa_key, e) != 0)
			return -1;
		*e = kept;
		return -1;
	}
	if (raise && usage.retention_s < CPA_RETENTION_S) {
		if (cpa_raise_retention(c->http, m->cpa_url, m->cpa_key, e) !=
		    0)
			return -1;
		usage.retention_s = CPA_RETENTION_S;
	}
	if (m->collector_enabled && check_retention(m, &usage, e) != 0)
		return -1;
	if (publish &&
	    cpa_enable_usage(c->http, m->cpa_url, m->cpa_key, e) != 0)
		return -1;
	return 0;
}

/*
 * The key to seal with.  When the stored secrets cannot be opened any more,
 * because data.key is lost or is another, the connection that is being saved
 * is the only secret there is: it replaces them, under the key that is there
 * or a new one.  *made: a new file was written, which must not stay unless
 * the secrets are replaced.
 */
static int
sealing_key(struct ctx *c, struct data_key *k, bool *made, struct err *e)
{
	const struct data_key *usual = ctx_key(c, e);

	*made = false;
	if (usual != NULL) {
		*k = *usual;
		return 0;
	}
	if (e->kind != ERR_UNAVAILABLE || c->db.handle == NULL)
		return -1;
	if (c->cfg->data_key_text != NULL)
		return data_key_parse(
		    str_of(c->cfg->data_key_text), true, k, e);
	if (data_key_load(c->cfg->data_key_path, k, e) == 0)
		return 0;
	if (e->kind != ERR_MISSING) {
		struct err why = *e;

		return fail_code(e, ERR_UNAVAILABLE, "data_key_broken",
		    "data key %s cannot be used (%s); move the file away and "
		    "run the setup again",
		    c->cfg->data_key_path, why.text);
	}
	if (data_key_create(c->cfg->data_key_path, k, e) != 0)
		return -1;
	*made = true;
	log_write(LOG_WARN,
	    "the data key is lost; a new one seals the connection that was "
	    "entered",
	    LOG_Z("path", c->cfg->data_key_path));
	return 0;
}

int
connect_save(struct ctx *c, const struct manager_config *m, bool initialized,
    struct err *e)
{
	struct db *db = ctx_db(c, e);
	struct data_key k;
	bool made;
	int rc;

	if (db == NULL || sealing_key(c, &k, &made, e) != 0)
		return -1;
	ctx_set_deadline(c, STATEMENT_TIME_MS);
	rc = settings_save(db, &k, m, initialized, e);
	data_key_wipe(&k);
	if (rc != 0 && made)
		(void)unlink(c->cfg->data_key_path);
	if (rc == 0)
		rc = cpa_clear_refused(db, e);
	return rc;
}
