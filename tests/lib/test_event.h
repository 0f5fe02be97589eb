/*
 * An event against the row that the reference stored for the same payload.
 */
#ifndef TEST_EVENT_H
#define TEST_EVENT_H

#include <jansson.h>
#include <math.h>
#include <string.h>

#include "json_in.h"
#include "model/metadata.h"
#include "test_cmocka.h"

struct wanted {
	const char *name;
	json_t *row;         /* columns as the reference stored them; absent
				ones are null */
	const json_t *ours;  /* those that differ here on purpose, or NULL */
	const json_t *clock; /* names of those that depend on the clock, or NULL
			      */
	json_t *seen;        /* names of those that were compared */
};

/* What a column is to be; NULL where any value will do. */
static inline const json_t *
wanted_column(const struct wanted *w, const char *column)
{
	const json_t *v = json_object_get(w->ours, column);

	json_object_set_new(w->seen, column, json_true());
	for (size_t i = 0; i < json_array_size(w->clock); i++)
		if (strcmp(json_string_value(json_array_get(w->clock, i)),
			column) == 0)
			return NULL;
	if (v == NULL)
		v = json_object_get(w->row, column);
	return v == NULL ? json_null() : v;
}

static inline int
differs(const char *name, const char *column, struct str want, struct str have)
{
	if (str_eq(have, want))
		return 0;
	print_error("%s: %s is \"%.*s\", want \"%.*s\"\n", name, column,
	    STR_ARG(have), STR_ARG(want));
	return 1;
}

static inline int
compare_text(const struct wanted *w, const char *column, struct str have)
{
	const json_t *v = wanted_column(w, column);

	if (v == NULL)
		return 0;
	/* bytes that are no text ("$hex") need an expectation of our own */
	if (!json_is_string(v) && !json_is_null(v)) {
		print_error("%s: %s is to be no text\n", w->name, column);
		return 1;
	}
	return differs(w->name, column, json_in_text(v), have);
}

static inline int
compare_int(const struct wanted *w, const char *column, bool set, int64_t have)
{
	const json_t *v = wanted_column(w, column);

	if (v == NULL || (json_is_null(v) && !set) ||
	    (json_is_integer(v) && set && json_integer_value(v) == have))
		return 0;
	print_error("%s: %s is %s%lld, want %s%lld\n", w->name, column,
	    set ? "" : "NULL ", (long long)have, json_is_null(v) ? "NULL " : "",
	    (long long)json_integer_value(v));
	return 1;
}

static inline int
compare_real(const struct wanted *w, const char *column, bool set, double have)
{
	const json_t *v = wanted_column(w, column);

	if (v == NULL || (json_is_null(v) && !set) ||
	    (json_is_number(v) && set &&
		fabs(json_number_value(v) - have) <= 0))
		return 0;
	print_error("%s: %s is %s%g, want %s%g\n", w->name, column,
	    set ? "" : "NULL ", have, json_is_null(v) ? "NULL " : "",
	    json_number_value(v));
	return 1;
}

static inline int
compare_hash(const struct wanted *w, const char *column, bool set,
    const unsigned char *hash)
{
	char hex[2 * SHA256_BYTES + 1] = "";

	if (set)
		hex_encode(hash, SHA256_BYTES, hex);
	return compare_text(w, column, str_of(hex));
}

static inline int
compare_header_columns(const struct wanted *w, struct str json)
{
	struct header_columns h;
	struct arena a;
	int bad = 0;

	arena_init(&a, 1024 * 1024);
	event_header_columns(json, &a, &h);
	bad += compare_int(w, "header_quota_recover_at_ms",
	    h.quota_recover_at_ms.set, h.quota_recover_at_ms.v);
	bad += compare_real(w, "header_quota_used_percent",
	    h.has_quota_used_percent, h.quota_used_percent);
	bad += compare_text(w, "header_quota_plan_type", h.quota_plan_type);
	bad += compare_text(w, "header_error_kind", h.error_kind);
	bad += compare_text(w, "header_error_code", h.error_code);
	bad += compare_text(w, "header_trace_id", h.trace_id);
	arena_free(&a);
	return bad;
}

/* The reference has a summary of successes, too, which we do not keep. */
static inline int
compare_summary(const struct wanted *w, const struct usage_event *ev)
{
	if ((ev->flags & EVENT_FAILED) != 0)
		return compare_text(w, "fail_summary", ev->fail_summary);
	(void)wanted_column(w, "fail_summary");
	return differs(w->name, "fail_summary", STR(""), ev->fail_summary);
}

/* All columns; returns how many are not as they should be. */
static inline int
compare_event(const struct wanted *w, const struct usage_event *ev)
{
	const struct {
		const char *column;
		struct str text;
	} texts[] = {
		{ "request_id", ev->request_id },
		{ "timestamp", ev->ts_text },
		{ "provider", ev->provider },
		{ "executor_type", ev->executor_type },
		{ "model", ev->model },
		{ "requested_model", ev->requested_model },
		{ "resolved_model", ev->resolved_model },
		{ "endpoint", ev->endpoint },
		{ "method", ev->method },
		{ "path", ev->path },
		{ "auth_type", ev->auth_type },
		{ "auth_index", ev->auth_index },
		{ "account_snapshot", ev->account_snapshot },
		{ "auth_label_snapshot", ev->auth_label_snapshot },
		{ "auth_file_snapshot", ev->auth_file_snapshot },
		{ "auth_provider_snapshot", ev->auth_provider_snapshot },
		{ "auth_project_id_snapshot", ev->auth_project_id_snapshot },
		{ "source", ev->source },
		{ "client_ip", ev->client_ip },
		{ "x_forwarded_for", ev->x_forwarded_for },
		{ "user_agent", ev->user_agent },
		{ "reasoning_effort", ev->reasoning_effort },
		{ "service_tier", ev->service_tier },
		{ "request_service_tier", ev->request_service_tier },
		{ "response_service_tier", ev->response_service_tier },
		{ "cache_input_mode", (ev->flags & EVENT_CACHE_SEPARATE) != 0 ?
					  STR("separate_from_input") :
					  STR("included_in_input") },
		{ "response_metadata_json", ev->response_metadata_json },
	};
	struct normalized_tokens t;
	int bad = 0;

	event_normalized_tokens(ev, &t);
	const struct {
		const char *column;
		bool set;
		int64_t v;
	} numbers[] = {
		{ "timestamp_ms", true, ev->ts_ms },
		{ "input_tokens", true, ev->input_tokens },
		{ "output_tokens", true, ev->output_tokens },
		{ "reasoning_tokens", true, ev->reasoning_tokens },
		{ "cached_tokens", true, ev->cached_tokens },
		{ "cache_tokens", true, ev->cache_tokens },
		{ "cache_read_tokens", true, ev->cache_read_tokens },
		{ "cache_creation_tokens", true, ev->cache_creation_tokens },
		{ "total_tokens", true, ev->total_tokens },
		{ "normalized_uncached_input_tokens", true, t.uncached_input },
		{ "normalized_total_input_tokens", true, t.total_input },
		{ "normalized_cache_read_tokens", true, t.cache_read },
		{ "normalized_cache_creation_tokens", true, t.cache_creation },
		{ "latency_ms", ev->latency_ms.set, ev->latency_ms.v },
		{ "ttft_ms", ev->ttft_ms.set, ev->ttft_ms.v },
		{ "failed", true, (ev->flags & EVENT_FAILED) != 0 },
		{ "fail_status_code", ev->fail_status_code.set,
		    ev->fail_status_code.v },
		{ "auth_snapshot_at_ms", ev->auth_snapshot_at_ms > 0,
		    ev->auth_snapshot_at_ms },
	};

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		bad += compare_text(w, texts[i].column, texts[i].text);
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		bad += compare_int(
		    w, numbers[i].column, numbers[i].set, numbers[i].v);
	bad += compare_hash(w, "event_hash", true, ev->hash);
	bad += compare_hash(
	    w, "source_hash", ev->has_source_hash, ev->source_hash);
	bad += compare_hash(
	    w, "api_key_hash", ev->has_api_key_hash, ev->api_key_hash);
	bad += compare_summary(w, ev);
	bad += compare_header_columns(w, ev->response_metadata_json);
	return bad;
}

/*
 * raw_json and fail_body are not kept (docs/deviations.md), created_at_ms is no
 * part of an event.
 */
static inline bool
is_compared(const char *column)
{
	return strcmp(column, "raw_json") != 0 &&
	       strcmp(column, "fail_body") != 0 &&
	       strcmp(column, "created_at_ms") != 0;
}

/* How many columns of the row compare_event() left out and should not have. */
static inline int
count_missed(const struct wanted *w)
{
	const char *column;
	const json_t *v;
	int missed = 0;

	json_object_foreach (w->row, column, v)
		if (is_compared(column) &&
		    json_object_get(w->seen, column) == NULL) {
			print_error(
			    "%s: nothing compares %s\n", w->name, column);
			missed++;
		}
	return missed;
}

#endif
