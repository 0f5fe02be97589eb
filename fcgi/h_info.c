/*
 * GET /usage-service/info: what a page needs to know before anybody has
 * logged in.  Always 200: with a database that cannot be used it says what
 * is known without one.
 */
#include "fcgi/ctx.h"
#include "fcgi/response.h"
#include "fcgi/routes.h"
#include "fcgi/service.h"
#include "json_in.h"

struct info {
	bool admin_ready, initialized, data_key_ready, historical;
	struct str migration; /* bootstrap status, "" : unknown */
	struct err database, data_key, settings; /* ERR_NONE: fine */
};

static void
read_bootstrap(struct ctx *c, struct db *db, struct info *in)
{
	struct str row, status = { "", 0 };
	json_t *state;
	bool initialized = false;

	in->migration = in->initialized ? STR("ready") : STR("fresh");
	if (setting_get(db, "bootstrap_state_v1", &c->arena, &row, NULL) != 0)
		return;
	state = json_in_parse(row, true, NULL);
	(void)json_in_bool(state, "projectInitialized", "projectInitialized",
	    &initialized, NULL);
	(void)json_in_bool(state, "hasHistoricalData", "hasHistoricalData",
	    &in->historical, NULL);
	(void)json_in_str(state, "status", "status", &status, NULL);
	if (status.n > 0)
		in->migration = str_of(arena_strdup(&c->arena, status));
	in->initialized = in->initialized || initialized;
	json_decref(state);
}

static void
collect(struct ctx *c, struct info *in)
{
	struct db *db = ctx_db(c, &in->database);
	struct manager_config m;
	struct str row;

	if (db == NULL)
		return;
	in->admin_ready = setting_get(db, "admin_credential_v1", &c->arena,
			      &row, &in->database) == 0;
	if (in->database.kind == ERR_MISSING)
		err_clear(&in->database);
	in->data_key_ready = ctx_key(c, &in->data_key) != NULL;
	if (ctx_settings(c, &m, &in->settings) == 0) {
		in->initialized = settings_connected(&m);
		settings_wipe(&m);
	}
	read_bootstrap(c, db, in);
}

int
info_get(struct ctx *c, struct request *rq, struct response *rs, struct err *e)
{
	struct info in = { .migration = { "", 0 } };
	struct json_out *o;

	(void)rq;
	(void)e;
	collect(c, &in);
	ctx_hide_paths(c, &in.database);
	o = response_json(rs, 200);
	json_out_object(o);
	json_out_kz(o, "service", SERVICE_ID);
	json_out_kz(o, "mode", "embedded");
	json_out_kint(o, "startedAt", c->app->started_ms);
	json_out_kbool(o, "configured", in.initialized);
	json_out_kbool(o, "adminReady", in.admin_ready);
	json_out_kbool(o, "projectInitialized", in.initialized);
	json_out_kbool(o, "setupRequired", in.admin_ready && !in.initialized);
	json_out_kstr_opt(o, "migrationStatus", in.migration);
	json_out_kbool(o, "dataKeyReady", in.data_key_ready);
	json_out_kbool(o, "hasHistoricalData", in.historical);
	json_out_kz(o, "implementation", IMPLEMENTATION_ID);
	json_out_kz(o, "version", CPA_MANAGER_VERSION);
	json_out_kbool(o, "databaseReady", in.database.kind == ERR_NONE);
	json_out_kstr_opt(o, "databaseError", str_of(in.database.text));
	if (c->app->demo_key != NULL) {
		json_out_key(o, "demo");
		json_out_object(o);
		json_out_kz(o, "adminKey", c->app->demo_key);
		json_out_object_end(o);
	}
	json_out_object_end(o);
	(void)json_out_done(o);
	return 0;
}
