/*
 * The stored configuration: reading it, resolving it with the environment,
 * writing it back.  Merging a submitted one: lib/settings_merge.c.
 */
#include "settings.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "clock.h"
#include "settings_impl.h"

#define VALUE_MAX_BYTES ((size_t)256 * 1024)

int
setting_get(struct db *db, const char *key, struct arena *a, struct str *value,
    struct err *e)
{
	sqlite3_stmt *st = db_stmt(db, SQL_setting_get, e);
	struct str v;
	char *copy;
	int rc;

	if (st == NULL)
		return -1;
	db_bind_str(st, P_setting_get_key, str_of(key));
	if ((rc = db_step(db, st, e)) < 0)
		return -1;
	if (rc == 0)
		return fail(e, ERR_MISSING, "setting %s is not there", key);
	v = db_col_str(st, 0);
	copy = arena_strdup(a, v);
	*value = (struct str){ copy, v.n };
	db_reset(st);
	if (copy == NULL)
		return fail(e, ERR_TOO_LARGE, "setting %s is too large", key);
	return 0;
}

int
setting_put(struct db *db, const char *key, struct str value, struct err *e)
{
	sqlite3_stmt *st = db_stmt(db, SQL_setting_put, e);

	if (st == NULL)
		return -1;
	db_bind_str(st, P_setting_put_key, str_of(key));
	db_bind_str(st, P_setting_put_value, value);
	db_bind_i64(st, P_setting_put_now_ms, clock_now_ms());
	return db_exec(db, st, e);
}

/* ---- addresses ------------------------------------------------------------
 */

const char *
cpa_url_normalise(struct arena *a, struct str url)
{
	const char *scheme = "";

	url = str_trim(url);
	if (url.n == 0)
		return "";
	if (!str_contains(url, STR("://")))
		scheme = "http://";
	while (str_ends(url, STR("/")))
		url.n--;
	if (str_ends(url, STR("/v0/management")))
		url.n -= sizeof "/v0/management" - 1;
	if (str_ends(url, STR("/v0")))
		url.n -= sizeof "/v0" - 1;
	return arena_printf(a, "%s%.*s", scheme, STR_ARG(url));
}

/* What stands between scheme and path: user, host and port. */
static struct str
authority(struct str url, struct str *scheme)
{
	const char *p = memmem(url.p, url.n, "://", 3);
	struct str host;

	*scheme = (struct str){ url.p, 0 };
	if (p == NULL)
		return url;
	scheme->n = (size_t)(p - url.p);
	host.p = p + 3;
	host.n = (size_t)(url.p + url.n - host.p);
	for (size_t i = 0; i < host.n; i++)
		if (host.p[i] == '/' || host.p[i] == '?' || host.p[i] == '#') {
			host.n = i;
			break;
		}
	return host;
}

/*
 * A plain host and port.  Readers of URLs disagree about user names,
 * backslashes and escapes, so an address with one equals only itself.
 */
static bool
plain_host(struct str host)
{
	for (size_t i = 0; i < host.n; i++)
		if (strchr("@\\% ", host.p[i]) != NULL)
			return false;
	return host.n > 0;
}

/* The port that a scheme implies, taken off. */
static struct str
without_default_port(struct str host, struct str scheme)
{
	if (str_eq_nocase(scheme, STR("http")) && str_ends(host, STR(":80")))
		host.n -= 3;
	if (str_eq_nocase(scheme, STR("https")) && str_ends(host, STR(":443")))
		host.n -= 4;
	return host;
}

bool
cpa_url_same_host(struct str a, struct str b)
{
	struct str scheme_a, scheme_b, host_a, host_b;

	if (a.n == 0 || b.n == 0 || str_eq(a, b))
		return a.n == b.n;
	host_a = authority(a, &scheme_a);
	host_b = authority(b, &scheme_b);
	if (!plain_host(host_a) || !plain_host(host_b))
		return false;
	host_a = without_default_port(host_a, scheme_a);
	host_b = without_default_port(host_b, scheme_b);
	return str_eq_nocase(scheme_a, scheme_b) &&
	       str_eq_nocase(host_a, host_b);
}

/* ---- reading --------------------------------------------------------------
 */

void
settings_default(const struct cfg *c, struct manager_config *m)
{
	*m = (struct manager_config) {
		.cpa_url = "",
		.cpa_key = "",
		.collector_enabled = true,
		.mode = c->mode,
		.queue = c->queue,
		.pop_side = c->pop_side,
		.batch_size = c->batch_size,
		.poll_interval_ms = c->poll_interval_ms,
		.query_limit = c->query_limit,
		.tls_skip_verify = c->tls_skip_verify,
		.inspection = {
			.schedule_mode = "interval",
			.interval_minutes = 60,
			.time_zone = "",
			.target_type = "codex",
			.workers = 4,
			.delete_workers = 4,
			.timeout_ms = 15000,
			.user_agent = "codex_cli_rs/0.76.0 (Debian 13.0.0; "
				      "x86_64) WindowsTerminal",
			.xai_user_agent = "xai-grok-workspace/0.2.101",
			.xai_model = "grok-4.5",
			.xai_prompt = "Reply with exactly OK.",
			.used_percent_threshold = 100,
			.auto_action_mode = "none",
		},
		.source = SOURCE_NONE,
	};
}

/* Open a sealed key into the arena. */
static int
open_key(const struct data_key *k, struct str sealed, struct arena *a,
    const char **out, struct err *e)
{
	struct buf plain;
	int rc;

	buf_init(&plain, VALUE_MAX_BYTES);
	rc = secret_open(k, sealed, &plain, e);
	if (rc == 0 &&
	    (*out = arena_strdup(a, str_trim(buf_view(&plain)))) == NULL)
		rc = fail(e, ERR_TOO_LARGE, "out of memory");
	buf_wipe(&plain);
	return rc;
}

/*
 * manager_config_v1 over the defaults.  k NULL: the connection comes from
 * elsewhere, so a key that does not open is of no consequence.
 */
static int
load_row(struct db *db, const struct data_key *k, struct arena *a,
    struct manager_config *m, struct err *e)
{
	struct str value = { NULL, 0 }, sealed = { NULL, 0 };
	const json_t *connection = NULL;
	json_t *row = NULL;
	int rc = -1;

	if (setting_get(db, "manager_config_v1", a, &value, e) != 0)
		return e->kind == ERR_MISSING ? 0 : -1;
	if ((row = json_in_parse(value, true, e)) == NULL ||
	    settings_merge_row(row, a, m, e) != 0 ||
	    json_in_object(
		row, "cpaConnection", "cpaConnection", &connection, e) != 0 ||
	    json_in_str(connection, "managementKey", "managementKey", &sealed,
		e) != 0 ||
	    json_in_i64(row, "updatedAtMs", "updatedAtMs", &m->updated_ms, e) !=
		0) {
		e->kind = ERR_INTERNAL;
		fail_prefix(e, "setting manager_config_v1 is broken");
		goto out;
	}
	if (k != NULL && open_key(k, sealed, a, &m->cpa_key, e) != 0)
		goto out;
	m->source = SOURCE_DB;
	rc = 0;
out:
	json_decref(row);
	return rc;
}

/* The older row `setup`, used where the newer one has no connection. */
static int
load_setup(struct db *db, const struct data_key *k, struct arena *a,
    struct manager_config *m, struct err *e)
{
	struct str value = { NULL, 0 }, url = { NULL, 0 }, sealed = { NULL, 0 };
	struct str queue = { NULL, 0 }, side = { NULL, 0 };
	json_t *row = NULL;
	int rc = -1;

	if (setting_get(db, "setup", a, &value, e) != 0)
		return e->kind == ERR_MISSING ? 0 : -1;
	if ((row = json_in_parse(value, true, e)) == NULL ||
	    json_in_str(row, "cpaBaseUrl", "cpaBaseUrl", &url, e) != 0 ||
	    json_in_str(row, "managementKey", "managementKey", &sealed, e) !=
		0 ||
	    json_in_str(row, "queue", "queue", &queue, e) != 0 ||
	    json_in_str(row, "popSide", "popSide", &side, e) != 0) {
		e->kind = ERR_INTERNAL;
		fail_prefix(e, "setting setup is broken");
		goto out;
	}
	if (open_key(k, sealed, a, &m->cpa_key, e) != 0)
		goto out;
	if ((m->cpa_url = cpa_url_normalise(a, url)) == NULL ||
	    (queue.n > 0 && (m->queue = arena_strdup(a, queue)) == NULL)) {
		fail(e, ERR_TOO_LARGE, "out of memory");
		goto out;
	}
	if (side.n > 0)
		m->pop_side =
		    str_eq_nocase(side, STR("left")) ? "left" : "right";
	m->source = SOURCE_DB;
	rc = 0;
out:
	json_decref(row);
	return rc;
}

/* Connection and collection as the environment forces them. */
static int
apply_environment(
    const struct cfg *c, struct arena *a, struct manager_config *m)
{
	m->cpa_url = cpa_url_normalise(a, str_of(c->cpa_url));
	m->cpa_key = arena_strdup(a, str_of(c->cpa_key));
	if (m->cpa_url == NULL || m->cpa_key == NULL)
		return -1;
	m->mode = c->mode;
	m->queue = c->queue;
	m->pop_side = c->pop_side;
	m->batch_size = c->batch_size;
	m->poll_interval_ms = c->poll_interval_ms;
	m->query_limit = c->query_limit;
	m->tls_skip_verify = c->tls_skip_verify;
	m->source = SOURCE_ENV;
	return 0;
}

int
settings_load(struct db *db, const struct cfg *c, const struct data_key *k,
    struct arena *a, struct manager_config *out, struct err *e)
{
	bool environment = c->cpa_url != NULL && c->cpa_key != NULL;
	struct manager_config m;
	struct err local;

	if (e == NULL)
		e = &local;
	settings_default(c, &m);
	if (db == NULL && !environment)
		return fail(e, ERR_UNAVAILABLE, "no database to read from");
	if (db != NULL && load_row(db, environment ? NULL : k, a, &m, e) != 0)
		return -1;
	if (!environment && m.cpa_url[0] == '\0' && m.cpa_key[0] == '\0' &&
	    load_setup(db, k, a, &m, e) != 0)
		return -1;
	if (environment && apply_environment(c, a, &m) != 0)
		return fail(e, ERR_TOO_LARGE, "out of memory");
	*out = m;
	err_clear(e);
	return 0;
}

int
settings_load_unsealed(struct db *db, const struct cfg *c, struct arena *a,
    struct manager_config *out, struct err *e)
{
	settings_default(c, out);
	if (load_row(db, NULL, a, out, e) != 0)
		return -1;
	if (c->cpa_url != NULL && c->cpa_key != NULL &&
	    apply_environment(c, a, out) != 0)
		return fail(e, ERR_TOO_LARGE, "out of memory");
	return 0;
}

bool
settings_connected(const struct manager_config *m)
{
	return m->cpa_url[0] != '\0' && m->cpa_key[0] != '\0';
}

void
settings_wipe(struct manager_config *m)
{
	/* the arena owns the text: only its bytes are overwritten */
	union {
		const char *in;
		char *out;
	} key = { .in = m->cpa_key };

	if (m->cpa_key != NULL && m->cpa_key[0] != '\0')
		explicit_bzero(key.out, strlen(m->cpa_key));
	m->cpa_key = "";
}

/* ---- writing --------------------------------------------------------------
 */

static int
put_json(struct db *db, const char *key, struct json_out *o, struct buf *b,
    struct err *e)
{
	if (o->failed || b->failed)
		return fail(e, ERR_TOO_LARGE, "setting %s is too large", key);
	return setting_put(db, key, buf_view(b), e);
}

static int
put_setup(struct db *db, const struct manager_config *m, struct str sealed,
    struct err *e)
{
	struct json_out o;
	struct buf b;
	int rc;

	buf_init(&b, VALUE_MAX_BYTES);
	json_out_init(&o, &b, NULL, NULL);
	json_out_object(&o);
	json_out_kz(&o, "cpaBaseUrl", m->cpa_url);
	json_out_kstr(&o, "managementKey", sealed);
	json_out_kstr_opt(&o, "queue", str_of(m->queue));
	json_out_kstr_opt(&o, "popSide", str_of(m->pop_side));
	json_out_object_end(&o);
	rc = put_json(db, "setup", &o, &b, e);
	buf_free(&b);
	return rc;
}

int
settings_put_bootstrap(struct db *db, bool initialized, struct err *e)
{
	struct json_out o;
	struct buf b;
	int rc;

	buf_init(&b, VALUE_MAX_BYTES);
	json_out_init(&o, &b, NULL, NULL);
	json_out_object(&o);
	json_out_kint(&o, "version", 1);
	json_out_kz(&o, "status", initialized ? "ready" : "fresh");
	json_out_kbool(&o, "adminReady", true);
	json_out_kbool(&o, "projectInitialized", initialized);
	json_out_kbool(&o, "dataKeyReady", true);
	json_out_kbool(&o, "migratedLegacy", false);
	json_out_kbool(&o, "hasHistoricalData", false);
	json_out_kint(&o, "updatedAtMs", clock_now_ms());
	json_out_object_end(&o);
	rc = put_json(db, "bootstrap_state_v1", &o, &b, e);
	buf_free(&b);
	return rc;
}

/*
 * The connection that the row holds already, still sealed.  A connection of
 * the environment takes its place in memory only: it is not ours to store,
 * and without the environment the stored one holds again.
 */
static int
stored_connection(struct db *db, struct arena *a, const char **url,
    struct str *sealed, struct err *e)
{
	struct str value = { NULL, 0 }, text = { NULL, 0 }, key = { NULL, 0 };
	const json_t *connection = NULL;
	json_t *row = NULL;
	char *copy;
	int rc = -1;

	*url = "";
	*sealed = (struct str){ NULL, 0 };
	if (setting_get(db, "manager_config_v1", a, &value, e) != 0)
		return e->kind == ERR_MISSING ? 0 : -1;
	if ((row = json_in_parse(value, true, e)) == NULL ||
	    json_in_object(
		row, "cpaConnection", "cpaConnection", &connection, e) != 0 ||
	    json_in_str(connection, "cpaBaseUrl", "cpaBaseUrl", &text, e) !=
		0 ||
	    json_in_str(
		connection, "managementKey", "managementKey", &key, e) != 0) {
		e->kind = ERR_INTERNAL;
		fail_prefix(e, "setting manager_config_v1 is broken");
		goto out;
	}
	*url = arena_strdup(a, text);
	copy = arena_strdup(a, key);
	if (*url == NULL || copy == NULL) {
		fail(e, ERR_TOO_LARGE, "out of memory");
		goto out;
	}
	*sealed = (struct str){ copy, key.n };
	rc = 0;
out:
	json_decref(row);
	return rc;
}

/* manager_config_v1, and `setup` when the connection is ours to store. */
static int
put_config(struct db *db, const struct data_key *k,
    const struct manager_config *m, struct err *e)
{
	struct manager_config row = *m;
	struct buf sealed, value;
	struct str key;
	struct json_out o;
	struct arena a;
	int rc = -1;

	arena_init(&a, 4 * VALUE_MAX_BYTES);
	buf_init(&sealed, VALUE_MAX_BYTES);
	buf_init(&value, VALUE_MAX_BYTES);
	if (m->source == SOURCE_ENV) {
		if (stored_connection(db, &a, &row.cpa_url, &key, e) != 0)
			goto out;
	} else {
		if (secret_seal(k, str_of(m->cpa_key), &sealed, e) != 0)
			goto out;
		key = buf_view(&sealed);
	}
	json_out_init(&o, &value, NULL, NULL);
	settings_json_row(&o, &row, key, clock_now_ms());
	if (put_json(db, "manager_config_v1", &o, &value, e) == 0 &&
	    (m->source == SOURCE_ENV || !settings_connected(m) ||
		put_setup(db, m, key, e) == 0))
		rc = 0;
out:
	buf_free(&value);
	buf_free(&sealed);
	arena_free(&a);
	return rc;
}

int
settings_save(struct db *db, const struct data_key *k,
    const struct manager_config *m, bool initialized, struct err *e)
{
	struct err local;

	if (e == NULL)
		e = &local;
	if (db_begin(db, e) != 0)
		return -1;
	if (put_config(db, k, m, e) != 0 ||
	    (initialized && settings_put_bootstrap(db, true, e) != 0)) {
		db_rollback(db);
		return -1;
	}
	return db_commit(db, e);
}
