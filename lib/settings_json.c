/*
 * The configuration as JSON: contract/http-api.md section 8.2, members in
 * that order; "omitempty" members are left out when empty.
 */
#include "settings_impl.h"

static void
inspection(struct json_out *o, const struct inspection_config *i)
{
	json_out_key(o, "codexInspection");
	json_out_object(o);
	json_out_kbool(o, "enabled", i->enabled);
	json_out_key(o, "schedule");
	json_out_object(o);
	json_out_kstr_opt(o, "mode", str_of(i->schedule_mode));
	if (i->time_points != NULL) {
		json_out_key(o, "timePoints");
		json_out_array(o);
		for (const char **p = i->time_points; *p != NULL; p++)
			json_out_z(o, *p);
		json_out_array_end(o);
	}
	json_out_kint_opt(o, "intervalMinutes", i->interval_minutes);
	json_out_kstr_opt(o, "timeZone", str_of(i->time_zone));
	json_out_object_end(o);
	if (i->has_target_types) {
		json_out_key(o, "targetTypes");
		json_out_array(o);
		if (i->target_codex)
			json_out_z(o, "codex");
		if (i->target_xai)
			json_out_z(o, "xai");
		json_out_array_end(o);
	}
	json_out_kz(o, "targetType", i->target_type);
	json_out_kint_opt(o, "workers", i->workers);
	json_out_kint_opt(o, "deleteWorkers", i->delete_workers);
	json_out_kint_opt(o, "timeout", i->timeout_ms);
	json_out_kint_opt(o, "retries", i->retries);
	json_out_kz(o, "userAgent", i->user_agent);
	json_out_kz(o, "xaiInferenceUserAgent", i->xai_user_agent);
	if (i->xai_inference_enabled)
		json_out_kbool(o, "xaiInferenceEnabled", true);
	json_out_kz(o, "xaiInferenceModel", i->xai_model);
	json_out_kz(o, "xaiInferencePrompt", i->xai_prompt);
	if (i->used_percent_threshold != 0)
		json_out_kdouble(
		    o, "usedPercentThreshold", i->used_percent_threshold);
	json_out_kint_opt(o, "sampleSize", i->sample_size);
	json_out_kz(o, "autoActionMode", i->auto_action_mode);
	if (i->auto_recover_enabled)
		json_out_kbool(o, "autoRecoverEnabled", true);
	json_out_object_end(o);
}

static void
members(struct json_out *o, const struct manager_config *m, struct str key)
{
	json_out_key(o, "cpaConnection");
	json_out_object(o);
	json_out_kz(o, "cpaBaseUrl", m->cpa_url);
	json_out_kstr_opt(o, "managementKey", key);
	json_out_object_end(o);
	json_out_key(o, "collector");
	json_out_object(o);
	json_out_kbool(o, "enabled", m->collector_enabled);
	json_out_kz(o, "collectorMode", collector_mode_text(m->mode));
	json_out_kstr_opt(o, "queue", str_of(m->queue));
	json_out_kstr_opt(o, "popSide", str_of(m->pop_side));
	json_out_kint_opt(o, "batchSize", m->batch_size);
	json_out_kint_opt(o, "pollIntervalMs", m->poll_interval_ms);
	json_out_kint_opt(o, "queryLimit", m->query_limit);
	if (m->tls_skip_verify)
		json_out_kbool(o, "tlsSkipVerify", true);
	json_out_object_end(o);
	inspection(o, &m->inspection);
	json_out_key(o, "externalUsageService");
	json_out_object(o);
	json_out_kbool(o, "enabled", false);
	json_out_object_end(o);
}

void
settings_json(struct json_out *o, const struct manager_config *m)
{
	struct str mask = { NULL, 0 };

	if (m->cpa_key[0] != '\0')
		mask = STR(KEY_MASK);
	json_out_object(o);
	members(o, m, mask);
	json_out_object_end(o);
}

void
settings_json_row(struct json_out *o, const struct manager_config *m,
    struct str sealed_key, int64_t updated_ms)
{
	json_out_object(o);
	members(o, m, sealed_key);
	json_out_kint(o, "updatedAtMs", updated_ms);
	json_out_object_end(o);
}
