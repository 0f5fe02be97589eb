#include "model/normalise.h"

#include <strings.h>

#include "json_in.h"
#include "model/mask.h"
#include "model/record.h"
#include "model/timestamp.h"
#include "model/tokens.h"

#define CLIENT_IP_MAX 64
#define FORWARDED_FOR_MAX 2048
#define USER_AGENT_MAX 1024
#define HEADERS_MAX ((size_t)1024 * 1024)

#define KEYS(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* ---- control messages -----------------------------------------------------
 */

/*
 * An object of booleans only (null counts as false) with the one key
 * `refresh` or `support_refresh`, which is true.  Anything else is an event.
 */
static enum payload_kind
control(json_t *v)
{
	json_t *only;

	if (json_object_size(v) != 1)
		return PAYLOAD_EVENT;
	only = json_object_get(v, "refresh");
	if (json_is_true(only))
		return PAYLOAD_REFRESH;
	only = json_object_get(v, "support_refresh");
	return json_is_true(only) ? PAYLOAD_CONTROL : PAYLOAD_EVENT;
}

/* ---- endpoint -------------------------------------------------------------
 */

static bool
is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* "METHOD path": the two parts, when the text is of that form. */
static bool
split_endpoint(struct str endpoint, struct str *method, struct str *path)
{
	static const char *const methods[] = { "GET", "POST", "PUT", "PATCH",
		"DELETE", "OPTIONS", "HEAD" };

	for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
		struct str m = str_of(methods[i]), rest;
		size_t n = 0;

		if (!str_starts(endpoint, m) || endpoint.n == m.n ||
		    !is_blank(endpoint.p[m.n]))
			continue;
		rest = (struct str){ endpoint.p + m.n, endpoint.n - m.n };
		while (rest.n > 0 && is_blank(*rest.p)) {
			rest.p++;
			rest.n--;
		}
		while (n < rest.n && !is_blank(rest.p[n]))
			n++;
		if (n == 0)
			return false;
		*method = m;
		*path = (struct str){ rest.p, n };
		return true;
	}
	return false;
}

static struct str
upper(struct str s, struct arena *a)
{
	char *p = s.n == 0 ? NULL : arena_strdup(a, s);

	for (size_t i = 0; p != NULL && i < s.n; i++)
		if (p[i] >= 'a' && p[i] <= 'z')
			p[i] = (char)(p[i] - 32);
	return (struct str){ p, p == NULL ? 0 : s.n };
}

static void
read_endpoint(const json_t *r, struct arena *a, struct usage_event *ev)
{
	struct str method = { NULL, 0 }, path = { NULL, 0 };

	ev->endpoint =
	    record_str(r, KEYS("endpoint", "api", "request", "operation"), a);
	ev->method = upper(
	    record_str(r, KEYS("method", "http_method", "httpMethod"), a), a);
	ev->path =
	    record_str(r, KEYS("path", "url_path", "urlPath", "route"), a);
	if (ev->endpoint.n > 0 &&
	    split_endpoint(ev->endpoint, &method, &path)) {
		if (ev->method.n == 0)
			ev->method = method;
		if (ev->path.n == 0)
			ev->path = path;
	}
	if (ev->endpoint.n > 0)
		return;
	if (ev->method.n > 0 && ev->path.n > 0)
		ev->endpoint = str_of(arena_printf(
		    a, "%.*s %.*s", STR_ARG(ev->method), STR_ARG(ev->path)));
	else
		ev->endpoint = STR("-");
}

/* ---- who ------------------------------------------------------------------
 */

/*
 * The label as it may be shown.  The same text as the client's key, or the
 * label of a credential that is a key itself, is a key however it looks.
 */
static struct str
shown_source(struct str source, struct str api_key,
    const struct usage_event *ev, struct arena *a)
{
	bool key = str_eq(source, api_key) ||
		   (str_eq_nocase(ev->auth_type, STR("apikey")) &&
		       !str_contains_nocase(ev->provider, STR("vertex")));

	if (key && !str_contains(source, STR("@")) &&
	    !str_contains(source, STR("/")) && !str_contains(source, STR(" ")))
		return mask_key(source, a);
	return mask_source(source, a);
}

static void
read_credential(const json_t *r, struct arena *a, struct usage_event *ev)
{
	struct str api_key = record_str(r, KEYS("api_key", "apiKey", "key"), a);
	struct str source = record_str(r,
	    KEYS("source", "api_key", "apiKey", "key", "account", "email"), a);

	ev->auth_index =
	    record_str(r, KEYS("auth_index", "authIndex", "AuthIndex"), a);
	ev->has_source_hash = source.n > 0;
	if (source.n > 0)
		sha256(source.p, source.n, ev->source_hash);
	ev->source = shown_source(source, api_key, ev, a);
	ev->has_api_key_hash = api_key.n > 0;
	if (api_key.n > 0)
		sha256(api_key.p, api_key.n, ev->api_key_hash);
	ev->account_snapshot =
	    record_str(r, KEYS("account_snapshot", "accountSnapshot"), a);
	ev->auth_label_snapshot =
	    record_str(r, KEYS("auth_label_snapshot", "authLabelSnapshot"), a);
	ev->auth_file_snapshot =
	    record_str(r, KEYS("auth_file_snapshot", "authFileSnapshot"), a);
	ev->auth_provider_snapshot = record_str(
	    r, KEYS("auth_provider_snapshot", "authProviderSnapshot"), a);
	ev->auth_project_id_snapshot = record_str(r,
	    KEYS("auth_project_id_snapshot", "authProjectIdSnapshot",
		"project_id", "projectId"),
	    a);
	ev->auth_snapshot_at_ms =
	    record_int(r, KEYS("auth_snapshot_at_ms", "authSnapshotAtMs"));
	if (ev->auth_snapshot_at_ms < 0)
		ev->auth_snapshot_at_ms = 0;
}

static void
read_client(const json_t *r, struct arena *a, struct usage_event *ev)
{
	ev->client_ip = clean_text(
	    record_str(r, KEYS("client_ip", "clientIp"), a), CLIENT_IP_MAX, a);
	ev->x_forwarded_for = clean_text(
	    record_str(r, KEYS("x_forwarded_for", "xForwardedFor"), a),
	    FORWARDED_FOR_MAX, a);
	ev->user_agent =
	    clean_text(record_str(r, KEYS("user_agent", "userAgent"), a),
		USER_AGENT_MAX, a);
}

/* ---- failure --------------------------------------------------------------
 */

static bool
is_failed(const json_t *r)
{
	const json_t *v =
	    record_first(r, KEYS("failed", "is_failed", "isFailed"));

	if (json_is_boolean(v))
		return json_is_true(v);
	v = record_first(r, KEYS("success", "ok"));
	if (json_is_boolean(v))
		return json_is_false(v);
	v = record_first(r, KEYS("status", "status_code", "statusCode",
				"http_status", "httpStatus"));
	if (value_int(v) >= 400)
		return true;
	v = record_first(r, KEYS("error", "error_message", "errorMessage"));
	return v != NULL && !json_is_null(v);
}

/* The failure's text, with the answer's headers as the reference adds them. */
static struct str
failure_text(const json_t *r, const json_t *fail_object, struct arena *a)
{
	const json_t *headers = record_first(
	    r, KEYS("response_headers", "responseHeaders", "headers"));
	struct str body = record_str(fail_object, KEYS("body"), a);
	const char *whole;
	struct buf b;

	if (body.n == 0)
		body = record_str(r, KEYS("fail_body", "failBody"), a);
	if (headers == NULL || json_is_null(headers) ||
	    (json_is_object(headers) && json_object_size(headers) == 0) ||
	    (json_is_array(headers) && json_array_size(headers) == 0))
		return body;
	buf_init(&b, HEADERS_MAX);
	record_json(headers, &b, a);
	whole = arena_printf(a, "%.*s%s%.*s", STR_ARG(body),
	    body.n > 0 ? "\n" : "", STR_ARG(buf_view(&b)));
	buf_free(&b);
	return str_of(whole);
}

static void
read_failure(const json_t *r, struct arena *a, struct usage_event *ev)
{
	const json_t *fail_object = json_object_get(r, "fail");
	int64_t status = 0;

	if (is_failed(r))
		ev->flags |= EVENT_FAILED;
	if (json_is_object(fail_object))
		status =
		    record_int(fail_object, KEYS("status_code", "statusCode"));
	if (status == 0)
		status =
		    record_int(r, KEYS("fail_status_code", "failStatusCode"));
	if (status > 0)
		ev->fail_status_code = (struct opt_i64){ true, status };
	if ((ev->flags & EVENT_FAILED) != 0)
		ev->fail_summary =
		    redact_summary(failure_text(r, fail_object, a), a);
}

/* ---- the whole ------------------------------------------------------------
 */

static struct opt_i64
optional_int(const json_t *r, const char *const *keys)
{
	const json_t *v = record_first(r, keys);

	if (v == NULL || json_is_null(v))
		return (struct opt_i64){ false, 0 };
	return (struct opt_i64){ true, value_int(v) };
}

static void
read_time(
    const json_t *r, int64_t now_ms, struct arena *a, struct usage_event *ev)
{
	const json_t *v =
	    record_first(r, KEYS("timestamp", "time", "created_at", "createdAt",
				"created", "request_time", "requestTime"));
	struct timestamp t = { now_ms, 0 };
	char text[40];
	size_t n;

	ev->ts_given = v != NULL && timestamp_of(v, &t);
	ev->ts_ms = t.ms;
	ev->ts_ns = t.ns;
	n = event_time_text(t.ms, t.ns, text);
	ev->ts_text.p = arena_strdup(a, (struct str){ text, n });
	ev->ts_text.n = ev->ts_text.p == NULL ? 0 : n;
}

static void
read_model(const json_t *r, struct arena *a, struct usage_event *ev)
{
	ev->provider =
	    record_str(r, KEYS("provider", "type", "auth_type", "authType"), a);
	ev->executor_type =
	    record_str(r, KEYS("executor_type", "executorType"), a);
	ev->auth_type = record_str(r, KEYS("auth_type", "authType"), a);
	ev->requested_model = record_str(
	    r, KEYS("alias", "requested_model", "requestedModel"), a);
	ev->resolved_model = record_str(r,
	    KEYS("resolved_model", "resolvedModel", "model", "model_name",
		"modelName"),
	    a);
	ev->model = ev->requested_model.n > 0 ? ev->requested_model :
		    ev->resolved_model.n > 0  ? ev->resolved_model :
						STR("-");
}

static void
read_tiers(const json_t *r, struct arena *a, struct usage_event *ev)
{
	ev->reasoning_effort =
	    record_str(r, KEYS("reasoning_effort", "reasoningEffort"), a);
	ev->request_service_tier = record_str(r,
	    KEYS("request_service_tier", "requestServiceTier", "service_tier",
		"serviceTier"),
	    a);
	ev->response_service_tier = record_str(
	    r, KEYS("response_service_tier", "responseServiceTier"), a);
	ev->service_tier = effective_tier(ev, a);
	if (ev->request_service_tier.n == 0)
		ev->request_service_tier = ev->service_tier;
}

static void
read_event(
    const json_t *r, int64_t now_ms, struct arena *a, struct usage_event *ev)
{
	*ev = (struct usage_event){ .ts_ms = 0 };
	ev->request_id =
	    record_str(r, KEYS("request_id", "requestId", "id"), a);
	read_time(r, now_ms, a, ev);
	read_model(r, a, ev);
	read_endpoint(r, a, ev);
	read_credential(r, a, ev);
	read_client(r, a, ev);
	read_tiers(r, a, ev);
	tokens_read(r, a, ev);
	ev->latency_ms =
	    optional_int(r, KEYS("latency_ms", "latencyMs", "duration_ms",
				"durationMs", "elapsed_ms", "elapsedMs"));
	ev->ttft_ms =
	    optional_int(r, KEYS("ttft_ms", "ttftMs", "time_to_first_token_ms",
				"timeToFirstTokenMs"));
	read_failure(r, a, ev);
	event_hash(ev);
}

enum payload_kind
normalise(struct str item, int64_t now_ms, struct arena *a,
    struct usage_event *ev, struct err *e)
{
	bool failed_before = a->failed;
	enum payload_kind kind;
	json_t *r;

	if (str_trim(item).n == 0)
		return PAYLOAD_BLANK;
	if ((r = json_in_parse(item, true, e)) == NULL)
		return PAYLOAD_DEAD;
	if (!json_is_object(r)) {
		fail(e, ERR_INPUT, "usage payload is not a JSON object");
		json_decref(r);
		return PAYLOAD_DEAD;
	}
	kind = control(r);
	if (kind == PAYLOAD_EVENT) {
		a->failed = false;
		read_event(r, now_ms, a, ev);
		/* a text that did not fit reads as empty: never store that */
		if (a->failed) {
			fail(e, ERR_TOO_LARGE, "payload is too large");
			kind = PAYLOAD_DEAD;
		}
		a->failed = failed_before;
	}
	json_decref(r);
	return kind;
}
