/*
 * POST /setup: connect to CPA (contract/http-api.md section 7).  May be
 * repeated at any time.
 */
#include <string.h>

#include "fcgi/connect.h"
#include "fcgi/request.h"
#include "fcgi/routes.h"
#include "json_in.h"

struct setup {
	struct str url, key, mode, queue, side;
	int64_t batch_size, poll_interval_ms, query_limit;
	bool tls_skip_verify, monitoring, publish, raise;
};

static int
read_body(const json_t *body, const struct manager_config *base,
    struct setup *s, struct err *e)
{
	struct str other = { NULL, 0 };
	bool publish_given = false;

	*s = (struct setup){
		.tls_skip_verify = base->tls_skip_verify,
		.monitoring = true,
	};
	if (json_in_str(body, "cpaBaseUrl", "cpaBaseUrl", &s->url, e) != 0 ||
	    json_in_str(body, "cpaManagementKey", "cpaManagementKey", &s->key,
		e) != 0 ||
	    json_in_str(body, "managementKey", "managementKey", &other, e) !=
		0 ||
	    json_in_str(body, "collectorMode", "collectorMode", &s->mode, e) !=
		0 ||
	    json_in_str(body, "queue", "queue", &s->queue, e) != 0 ||
	    json_in_str(body, "popSide", "popSide", &s->side, e) != 0 ||
	    json_in_i64(body, "batchSize", "batchSize", &s->batch_size, e) !=
		0 ||
	    json_in_i64(body, "pollIntervalMs", "pollIntervalMs",
		&s->poll_interval_ms, e) != 0 ||
	    json_in_i64(body, "queryLimit", "queryLimit", &s->query_limit, e) !=
		0 ||
	    json_in_bool(body, "tlsSkipVerify", "tlsSkipVerify",
		&s->tls_skip_verify, e) != 0 ||
	    json_in_bool(body, "requestMonitoringEnabled",
		"requestMonitoringEnabled", &s->monitoring, e) != 0 ||
	    json_in_bool(body, "x_raise_retention", "x_raise_retention",
		&s->raise, e) != 0)
		return -1;
	publish_given =
	    json_in_get(body, "ensureUsageStatisticsEnabled") != NULL;
	s->publish = s->monitoring;
	if (publish_given &&
	    json_in_bool(body, "ensureUsageStatisticsEnabled",
		"ensureUsageStatisticsEnabled", &s->publish, e) != 0)
		return -1;
	s->publish = s->publish && s->monitoring;
	s->url = str_trim(s->url);
	s->key = str_trim(s->key);
	if (s->key.n == 0)
		s->key = str_trim(other);
	return 0;
}

/*
 * The configuration that this setup asks for: what it leaves out stays as it
 * is.  A key that is left out, or is the mask, stays too, for the same host.
 */
static int
apply(struct ctx *c, const struct setup *s, const struct manager_config *base,
    struct manager_config *m, struct err *e)
{
	bool keep = str_eq(s->key, STR(KEY_MASK)) ||
		    (s->key.n == 0 && base->cpa_key[0] != '\0');

	*m = *base;
	if (s->url.n == 0 || (s->key.n == 0 && !keep) ||
	    (keep && base->cpa_key[0] == '\0'))
		return fail_code(e, ERR_INPUT, "cpa_connection_required",
		    "cpaBaseUrl and managementKey are required");
	if (memchr(s->url.p, '\0', s->url.n) != NULL ||
	    (s->key.n > 0 && memchr(s->key.p, '\0', s->key.n) != NULL))
		return fail(e, ERR_INPUT,
		    "cpaBaseUrl and cpaManagementKey must not hold a NUL");
	m->cpa_url = cpa_url_normalise(&c->arena, s->url);
	if (!keep)
		m->cpa_key = arena_strdup(&c->arena, s->key);
	if (s->queue.n > 0)
		m->queue = arena_strdup(&c->arena, s->queue);
	if (m->cpa_url == NULL || m->cpa_key == NULL || m->queue == NULL)
		return fail(e, ERR_UNAVAILABLE, "out of memory");
	if (keep &&
	    !cpa_url_same_host(str_of(m->cpa_url), str_of(base->cpa_url)))
		return fail_code(e, ERR_INPUT, "cpa_key_required",
		    "cpaManagementKey must be typed again when cpaBaseUrl "
		    "names another host");
	if (str_trim(s->mode).n > 0)
		m->mode = collector_mode_parse(s->mode);
	if (str_eq_nocase(s->side, STR("left")))
		m->pop_side = "left";
	else if (str_eq_nocase(s->side, STR("right")))
		m->pop_side = "right";
	if (s->batch_size > 0)
		m->batch_size = s->batch_size;
	if (s->poll_interval_ms > 0)
		m->poll_interval_ms = s->poll_interval_ms;
	if (s->query_limit > 0)
		m->query_limit = s->query_limit;
	m->tls_skip_verify = s->tls_skip_verify;
	m->collector_enabled = s->monitoring;
	return 0;
}

/* Steps 2 and 3: what is given from outside, or belongs to another CPA. */
static int
refuse(const struct setup *s, const struct manager_config *base,
    const struct manager_config *m, struct err *e)
{
	if (base->source == SOURCE_ENV &&
	    (strcmp(m->cpa_url, base->cpa_url) != 0 ||
		strcmp(m->cpa_key, base->cpa_key) != 0 ||
		strcmp(m->queue, base->queue) != 0 ||
		strcmp(m->pop_side, base->pop_side) != 0))
		return fail_code(e, ERR_CONFLICT, "setup_env_managed",
		    "setup is managed by environment variables");
	if (base->cpa_key[0] != '\0' &&
	    !str_eq(s->key, str_of(base->cpa_key)) &&
	    strcmp(m->cpa_key, base->cpa_key) != 0 &&
	    strcmp(m->cpa_url, base->cpa_url) != 0)
		return fail_code(e, ERR_DENIED,
		    "invalid_existing_management_key",
		    "invalid management key for existing setup");
	return 0;
}

/*
 * What is stored now; a stored key that cannot be opened any more is no
 * reason to refuse a new one, it is the way out.
 */
static int
load_base(struct ctx *c, struct manager_config *base, struct err *e)
{
	if (ctx_settings(c, base, e) == 0)
		return 0;
	if (c->db.handle == NULL)
		return -1;
	return settings_load_unsealed(&c->db, c->cfg, &c->arena, base, e);
}

int
setup_post(
    struct ctx *c, struct request *rq, struct response *rs, struct err *e)
{
	struct manager_config base, m;
	struct setup s;
	struct json_out *o;
	json_t *body;
	int rc = -1;

	if ((body = request_json(rq, e)) == NULL)
		return -1;
	if (load_base(c, &base, e) != 0)
		goto out;
	m = base;
	if (read_body(body, &base, &s, e) != 0 ||
	    apply(c, &s, &base, &m, e) != 0 || refuse(&s, &base, &m, e) != 0 ||
	    connect_prove(c, rs, &m, s.publish, s.raise, e) != 0)
		goto wipe;
	/* a key from the environment is not written down */
	if (base.source != SOURCE_ENV && connect_save(c, &m, true, e) != 0)
		goto wipe;
	o = response_json(rs, 200);
	json_out_object(o);
	json_out_kbool(o, "ok", true);
	json_out_kz(o, "upstream", m.cpa_url);
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
