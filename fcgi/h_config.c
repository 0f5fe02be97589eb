/*
 * /usage-service/config: the stored configuration (contract/http-api.md
 * section 8).
 */
#include <string.h>

#include "cpa.h"
#include "fcgi/connect.h"
#include "fcgi/request.h"
#include "fcgi/routes.h"
#include "json_in.h"

#define LOOK_MS 5000 /* for CPA's own settings, which are only shown */

static const char *
source_text(enum config_source s)
{
	return s == SOURCE_ENV ? "env" : s == SOURCE_DB ? "db" : "";
}

/*
 * CPA's side of it, when it can be had: left out when CPA does not answer,
 * and not asked for with a key that it is known to refuse.
 */
static void
write_cpa_usage(
    struct ctx *c, struct json_out *o, const struct manager_config *m)
{
	struct cpa_usage usage;
	int64_t until_ms = 0;
	int status = 0;

	if (!settings_connected(m) ||
	    cpa_refused(&c->db, m->cpa_url, m->cpa_key, &until_ms, NULL) != 0 ||
	    until_ms != 0)
		return;
	if (cpa_fetch_config(c->http, m->cpa_url, m->cpa_key, LOOK_MS, &usage,
		&status, NULL) != 0) {
		if ((status == 401 || status == 403) &&
		    cpa_set_refused(&c->db, m->cpa_url, m->cpa_key, NULL) != 0)
			return;
		return;
	}
	json_out_key(o, "cpaUsage");
	json_out_object(o);
	json_out_kbool(o, "usageStatisticsEnabled", usage.statistics_enabled);
	json_out_kint(o, "redisUsageQueueRetentionSeconds", usage.retention_s);
	json_out_kbool(o, "retentionSourceDefault", usage.retention_default);
	json_out_object_end(o);
}

int
config_get(
    struct ctx *c, struct request *rq, struct response *rs, struct err *e)
{
	struct manager_config m;
	struct json_out *o;

	(void)rq;
	if (ctx_settings(c, &m, e) != 0)
		return -1;
	o = response_json(rs, 200);
	json_out_object(o);
	json_out_key(o, "config");
	settings_json(o, &m);
	json_out_kz(o, "source", source_text(m.source));
	write_cpa_usage(c, o, &m);
	json_out_object_end(o);
	(void)json_out_done(o);
	settings_wipe(&m);
	return 0;
}

/* Step 3: what the environment gives cannot be changed here. */
static int
refuse_env(const struct manager_config *base, const struct manager_config *m,
    struct err *e)
{
	if (base->source != SOURCE_ENV)
		return 0;
	if (strcmp(m->cpa_url, base->cpa_url) == 0 &&
	    strcmp(m->cpa_key, base->cpa_key) == 0 &&
	    m->collector_enabled == base->collector_enabled &&
	    m->mode == base->mode && strcmp(m->queue, base->queue) == 0 &&
	    strcmp(m->pop_side, base->pop_side) == 0 &&
	    m->batch_size == base->batch_size &&
	    m->poll_interval_ms == base->poll_interval_ms &&
	    m->tls_skip_verify == base->tls_skip_verify)
		return 0;
	return fail_code(e, ERR_CONFLICT, "connection_env_managed",
	    "connection setup is managed by environment variables");
}

/* Step 4: a connection must be whole, and proved. */
static int
prove(struct ctx *c, struct response *rs, const struct manager_config *m,
    bool raise, struct err *e)
{
	bool url = m->cpa_url[0] != '\0', key = m->cpa_key[0] != '\0';

	if (url != key)
		return fail_code(e, ERR_INPUT, "cpa_connection_required",
		    "cpaBaseUrl and managementKey are required");
	if (url)
		return connect_prove(c, rs, m, m->collector_enabled, raise, e);
	if (m->collector_enabled)
		return fail_code(e, ERR_INPUT,
		    "cpa_connection_required_for_monitoring",
		    "cpaBaseUrl and managementKey are required when request "
		    "monitoring is enabled");
	return 0;
}

/*
 * A connection that the environment gives is not written down: the stored
 * one, if there is any, stays as it is.
 */
static int
save(struct ctx *c, const struct manager_config *m, struct err *e)
{
	struct manager_config stored = *m, kept;
	struct cfg plain = *c->cfg;
	int rc;

	if (m->source != SOURCE_ENV)
		return connect_save(c, m, false, e);
	plain.cpa_url = plain.cpa_key = NULL;
	if (settings_load(&c->db, &plain, &c->key, &c->arena, &kept, e) != 0)
		return -1;
	stored.cpa_url = kept.cpa_url;
	stored.cpa_key = kept.cpa_key;
	rc = connect_save(c, &stored, false, e);
	settings_wipe(&kept);
	return rc;
}

int
config_put(
    struct ctx *c, struct request *rq, struct response *rs, struct err *e)
{
	struct manager_config base, m = { .cpa_key = "" };
	const json_t *submitted = NULL;
	struct json_out *o;
	bool raise = false;
	json_t *body;
	int rc = -1;

	if ((body = request_json(rq, e)) == NULL)
		return -1;
	if (json_in_object(body, "config", "config", &submitted, e) != 0 ||
	    json_in_bool(body, "x_raise_retention", "x_raise_retention", &raise,
		e) != 0 ||
	    ctx_settings(c, &base, e) != 0)
		goto out;
	m = base;
	if (settings_merge(submitted, &base, &c->arena, &m, e) != 0 ||
	    refuse_env(&base, &m, e) != 0 || prove(c, rs, &m, raise, e) != 0 ||
	    save(c, &m, e) != 0)
		goto wipe;
	m.source = base.source == SOURCE_ENV ? SOURCE_ENV : SOURCE_DB;
	o = response_json(rs, 200);
	json_out_object(o);
	json_out_key(o, "config");
	settings_json(o, &m);
	json_out_kz(o, "source", source_text(m.source));
	json_out_object_end(o);
	(void)json_out_done(o);
	rc = 0;
wipe:
	settings_wipe(&m);
	settings_wipe(&base);
out:
	json_decref(body);
	return rc;
}
