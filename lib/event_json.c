#include "event_json.h"

#include "crypt.h"

const char *
event_cache_mode(const struct usage_event *ev)
{
	if ((ev->flags & EVENT_CACHE_MODE_EMPTY) != 0)
		return NULL;
	return (ev->flags & EVENT_CACHE_SEPARATE) != 0 ? "separate_from_input" :
							 "included_in_input";
}

void
event_json_header(struct json_out *o, const struct header_columns *h)
{
	if (h->quota_recover_at_ms.set)
		json_out_kint(
		    o, "header_quota_recover_at_ms", h->quota_recover_at_ms.v);
	if (h->has_quota_used_percent)
		json_out_kdouble(
		    o, "header_quota_used_percent", h->quota_used_percent);
	json_out_kstr_opt(o, "header_quota_plan_type", h->quota_plan_type);
	json_out_kstr_opt(o, "header_error_kind", h->error_kind);
	json_out_kstr_opt(o, "header_error_code", h->error_code);
	json_out_kstr_opt(o, "header_trace_id", h->trace_id);
}

static void
write_hash(struct json_out *o, const char *key, bool is_set,
    const unsigned char hash[SHA256_BYTES])
{
	char hex[2 * SHA256_BYTES + 1];

	if (!is_set)
		return;
	hex_encode(hash, SHA256_BYTES, hex);
	json_out_kstr(o, key, (struct str){ hex, 2 * SHA256_BYTES });
}

static void
write_optional(struct json_out *o, const char *key, struct opt_i64 v)
{
	if (v.set)
		json_out_kint(o, key, v.v);
}

/* What was asked for, of whom, when. */
static void
write_request(struct json_out *o, const struct usage_event *ev)
{
	struct str model = ev->requested_model;
	char hex[65];

	json_out_kstr_opt(o, "request_id", ev->request_id);
	json_out_kstr(o, "event_hash", event_hash_text(ev, hex));
	json_out_kint(o, "timestamp_ms", ev->ts_ms);
	json_out_kstr(o, "timestamp", ev->ts_text);
	json_out_kstr_opt(o, "provider", ev->provider);
	json_out_kstr_opt(o, "executor_type", ev->executor_type);
	json_out_kstr(o, "model", ev->model);
	json_out_kstr_opt(o, "analytics_model",
	    analytics_model(model.n > 0 ? model : ev->model));
	json_out_kstr_opt(o, "requested_model", ev->requested_model);
	json_out_kstr_opt(o, "resolved_model", ev->resolved_model);
	json_out_kstr_opt(o, "endpoint", ev->endpoint);
	json_out_kstr_opt(o, "method", ev->method);
	json_out_kstr_opt(o, "path", ev->path);
}

static void
write_account(struct json_out *o, const struct usage_event *ev)
{
	json_out_kstr_opt(o, "auth_type", ev->auth_type);
	json_out_kstr_opt(o, "auth_index", ev->auth_index);
	json_out_kstr_opt(o, "source", ev->source);
	write_hash(o, "source_hash", ev->has_source_hash, ev->source_hash);
	write_hash(o, "api_key_hash", ev->has_api_key_hash, ev->api_key_hash);
	json_out_kstr_opt(o, "account_snapshot", ev->account_snapshot);
	json_out_kstr_opt(o, "auth_label_snapshot", ev->auth_label_snapshot);
	json_out_kstr_opt(o, "auth_file_snapshot", ev->auth_file_snapshot);
	json_out_kstr_opt(
	    o, "auth_provider_snapshot", ev->auth_provider_snapshot);
	json_out_kstr_opt(
	    o, "auth_project_id_snapshot", ev->auth_project_id_snapshot);
	json_out_kint_opt(o, "auth_snapshot_at_ms", ev->auth_snapshot_at_ms);
}

static void
write_counts(struct json_out *o, const struct usage_event *ev)
{
	json_out_kint(o, "input_tokens", ev->input_tokens);
	json_out_kint(o, "output_tokens", ev->output_tokens);
	json_out_kint(o, "reasoning_tokens", ev->reasoning_tokens);
	json_out_kint(o, "cached_tokens", ev->cached_tokens);
	json_out_kint(o, "cache_tokens", ev->cache_tokens);
	json_out_kint(o, "cache_read_tokens", ev->cache_read_tokens);
	json_out_kint(o, "cache_creation_tokens", ev->cache_creation_tokens);
	json_out_kint(o, "total_tokens", ev->total_tokens);
	write_optional(o, "latency_ms", ev->latency_ms);
	write_optional(o, "ttft_ms", ev->ttft_ms);
}

void
event_json(struct json_out *o, const struct event_row *row, bool full)
{
	const struct usage_event *ev = &row->ev;

	json_out_object(o);
	write_request(o, ev);
	write_account(o, ev);
	json_out_kstr_opt(o, "reasoning_effort", ev->reasoning_effort);
	json_out_kstr_opt(o, "service_tier", ev->service_tier);
	if (full) {
		json_out_kstr_opt(
		    o, "request_service_tier", ev->request_service_tier);
		json_out_kstr_opt(
		    o, "response_service_tier", ev->response_service_tier);
		if (event_cache_mode(ev) != NULL)
			json_out_kz(
			    o, "cache_input_mode", event_cache_mode(ev));
	}
	write_counts(o, ev);
	json_out_kbool(o, "failed", (ev->flags & EVENT_FAILED) != 0);
	write_optional(o, "fail_status_code", ev->fail_status_code);
	json_out_kstr_opt(o, "fail_summary", ev->fail_summary);
	event_json_header(o, &row->header);
	json_out_kint(o, "created_at_ms", ev->created_ms);
	if (ev->response_metadata_json.n > 0) {
		json_out_key(o, "response_metadata");
		json_out_raw(o, ev->response_metadata_json);
	}
	json_out_object_end(o);
}
