#include "model/normalise.h"

#include <stddef.h>
#include <string.h>

#include "model/mask.h"
#include "model/metadata.h"
#include "model/normalise_impl.h"
#include "model/record.h"
#include "model/redact.h"
#include "model/textclean.h"
#include "model/timestamp.h"
#include "model/tokens.h"

#define CLIENT_IP_MAX 64
#define FORWARDED_FOR_MAX 2048
#define USER_AGENT_MAX 1024
#define FAILURE_MAX ((size_t)1024 * 1024)

/* ---- control messages ---------------------------------------------------- */

/*
 * An object of booleans only (null counts as false) with the one key
 * `refresh` or `support_refresh`, which is true.  Anything else is an event.
 */
static enum payload_kind
control(const struct json_tree *v)
{
	if (v->n != 1 || v->first->type != TREE_TRUE)
		return PAYLOAD_EVENT;
	if (str_eq(v->first->key, STR("refresh")))
		return PAYLOAD_REFRESH;
	if (str_eq(v->first->key, STR("support_refresh")))
		return PAYLOAD_CONTROL;
	return PAYLOAD_EVENT;
}

/* ---- endpoint ------------------------------------------------------------ */

static bool
is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

bool
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
read_endpoint(const struct record *r, struct arena *a, struct usage_event *ev)
{
	struct str method = { NULL, 0 }, path = { NULL, 0 };

	ev->endpoint = record_str(
	    r, KEYS(KEY_endpoint, KEY_api, KEY_request, KEY_operation), a);
	ev->method = upper(
	    record_str(r, KEYS(KEY_method, KEY_http_method, KEY_httpMethod), a),
	    a);
	ev->path = record_str(
	    r, KEYS(KEY_path, KEY_url_path, KEY_urlPath, KEY_route), a);
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

/* ---- who ----------------------------------------------------------------- */

struct str
shown_source(struct str source, struct str api_key,
    const struct usage_event *ev, struct arena *a)
{
	if (str_eq(source, api_key))
		return mask_key(source, a);
	if (str_eq_nocase(ev->auth_type, STR("apikey")) &&
	    !str_contains_nocase(ev->provider, STR("vertex")) &&
	    !is_plain_label(source))
		return mask_key(source, a);
	return mask_source(source, a);
}

static void
read_credential(const struct record *r, struct arena *a, struct usage_event *ev)
{
	struct str api_key =
	    record_str(r, KEYS(KEY_api_key, KEY_apiKey, KEY_key), a);
	struct str source = record_str(r,
	    KEYS(KEY_source, KEY_api_key, KEY_apiKey, KEY_key, KEY_account,
		KEY_email),
	    a);

	ev->auth_index = record_str(
	    r, KEYS(KEY_auth_index, KEY_authIndex, KEY_AuthIndex), a);
	ev->has_source_hash = source.n > 0;
	if (source.n > 0)
		sha256(source.p, source.n, ev->source_hash);
	ev->source = shown_source(source, api_key, ev, a);
	ev->has_api_key_hash = api_key.n > 0;
	if (api_key.n > 0)
		sha256(api_key.p, api_key.n, ev->api_key_hash);
	ev->account_snapshot =
	    record_str(r, KEYS(KEY_account_snapshot, KEY_accountSnapshot), a);
	ev->auth_label_snapshot = record_str(
	    r, KEYS(KEY_auth_label_snapshot, KEY_authLabelSnapshot), a);
	ev->auth_file_snapshot = record_str(
	    r, KEYS(KEY_auth_file_snapshot, KEY_authFileSnapshot), a);
	ev->auth_provider_snapshot = record_str(
	    r, KEYS(KEY_auth_provider_snapshot, KEY_authProviderSnapshot), a);
	ev->auth_project_id_snapshot = record_str(r,
	    KEYS(KEY_auth_project_id_snapshot, KEY_authProjectIdSnapshot,
		KEY_project_id, KEY_projectId),
	    a);
	ev->auth_snapshot_at_ms =
	    record_int(r, KEYS(KEY_auth_snapshot_at_ms, KEY_authSnapshotAtMs));
	if (ev->auth_snapshot_at_ms < 0)
		ev->auth_snapshot_at_ms = 0;
}

static void
read_client(const struct record *r, struct arena *a, struct usage_event *ev)
{
	ev->client_ip =
	    clean_text(record_str(r, KEYS(KEY_client_ip, KEY_clientIp), a),
		CLIENT_IP_MAX, a);
	ev->x_forwarded_for = clean_text(
	    record_str(r, KEYS(KEY_x_forwarded_for, KEY_xForwardedFor), a),
	    FORWARDED_FOR_MAX, a);
	ev->user_agent =
	    clean_text(record_str(r, KEYS(KEY_user_agent, KEY_userAgent), a),
		USER_AGENT_MAX, a);
}

/* ---- failure ------------------------------------------------------------- */

static bool
is_boolean(const struct json_tree *v)
{
	return v != NULL && (v->type == TREE_TRUE || v->type == TREE_FALSE);
}

bool
is_failed(const struct record *r)
{
	const struct json_tree *v =
	    record_first(r, KEYS(KEY_failed, KEY_is_failed, KEY_isFailed));

	if (is_boolean(v))
		return v->type == TREE_TRUE;
	v = record_first(r, KEYS(KEY_success, KEY_ok));
	if (is_boolean(v))
		return v->type == TREE_FALSE;
	if (record_int(r, KEYS(KEY_status, KEY_status_code, KEY_statusCode,
			      KEY_http_status, KEY_httpStatus)) >= 400)
		return true;
	return value_given(record_first(
	    r, KEYS(KEY_error, KEY_error_message, KEY_errorMessage)));
}

/*
 * The failure's text, and after it the answer's headers, as the reference
 * has them, without the values of those that carry secrets.
 */
static struct str
failure_text(const struct record *r, struct str body, struct arena *a)
{
	const struct json_tree *headers = record_first(
	    r, KEYS(KEY_response_headers, KEY_responseHeaders, KEY_headers));
	struct json_out o;
	struct buf b;
	char *copy;

	if (!value_given(headers) ||
	    ((headers->type == TREE_OBJECT || headers->type == TREE_LIST) &&
		headers->n == 0))
		return body;
	buf_init(&b, FAILURE_MAX);
	buf_str(&b, body);
	if (body.n > 0)
		buf_char(&b, '\n');
	json_out_init(&o, &b, NULL, NULL);
	redact_write(headers, false, &o, a);
	/* headers nested too deep, or too many, are cut: so is the summary */
	copy = arena_strdup(a, buf_view(&b));
	body = (struct str){ copy, copy == NULL ? 0 : b.n };
	buf_free(&b);
	return body;
}

static void
read_failure(const struct record *r, struct arena *a, struct usage_event *ev)
{
	struct record in_fail;
	int64_t status;
	struct str body;

	record_index(&in_fail, r->v[KEY_fail]);
	status = record_int(&in_fail, KEYS(KEY_status_code, KEY_statusCode));
	if (status == 0)
		status = record_int(
		    r, KEYS(KEY_fail_status_code, KEY_failStatusCode));
	if (status > 0)
		ev->fail_status_code = (struct opt_i64){ true, status };
	if (!is_failed(r))
		return;
	ev->flags |= EVENT_FAILED;
	body = record_str(&in_fail, KEYS(KEY_body), a);
	if (body.n == 0)
		body = record_str(r, KEYS(KEY_fail_body, KEY_failBody), a);
	ev->fail_summary = redact_summary(failure_text(r, body, a), a);
}

/* ---- the whole ----------------------------------------------------------- */

struct opt_i64
optional_int(const struct record *r, const unsigned char *keys)
{
	const struct json_tree *v = record_first(r, keys);

	if (!value_given(v))
		return (struct opt_i64){ false, 0 };
	return (struct opt_i64){ true, value_int(v) };
}

static void
read_time(const struct record *r, int64_t now_ms, struct arena *a,
    struct usage_event *ev)
{
	const struct json_tree *v = record_first(
	    r, KEYS(KEY_timestamp, KEY_time, KEY_created_at, KEY_createdAt,
		   KEY_created, KEY_request_time, KEY_requestTime));
	struct timestamp t = { now_ms, 0 };
	char text[40];
	size_t n;

	ev->ts_given = timestamp_of(v, &t);
	ev->ts_ms = t.ms;
	ev->ts_ns = t.ns;
	n = event_time_text(t.ms, t.ns, text);
	ev->ts_text.p = arena_strdup(a, (struct str){ text, n });
	ev->ts_text.n = ev->ts_text.p == NULL ? 0 : n;
}

static void
read_model(const struct record *r, struct arena *a, struct usage_event *ev)
{
	ev->provider = record_str(
	    r, KEYS(KEY_provider, KEY_type, KEY_auth_type, KEY_authType), a);
	ev->executor_type =
	    record_str(r, KEYS(KEY_executor_type, KEY_executorType), a);
	ev->auth_type = record_str(r, KEYS(KEY_auth_type, KEY_authType), a);
	ev->requested_model = record_str(
	    r, KEYS(KEY_alias, KEY_requested_model, KEY_requestedModel), a);
	ev->resolved_model = record_str(r,
	    KEYS(KEY_resolved_model, KEY_resolvedModel, KEY_model,
		KEY_model_name, KEY_modelName),
	    a);
	ev->model = ev->requested_model.n > 0 ? ev->requested_model :
		    ev->resolved_model.n > 0  ? ev->resolved_model :
						STR("-");
}

static void
read_tiers(const struct record *r, struct arena *a, struct usage_event *ev)
{
	ev->reasoning_effort =
	    record_str(r, KEYS(KEY_reasoning_effort, KEY_reasoningEffort), a);
	ev->request_service_tier = record_str(r,
	    KEYS(KEY_request_service_tier, KEY_requestServiceTier,
		KEY_service_tier, KEY_serviceTier),
	    a);
	ev->response_service_tier = record_str(
	    r, KEYS(KEY_response_service_tier, KEY_responseServiceTier), a);
	ev->service_tier = effective_tier(ev);
	if (ev->request_service_tier.n == 0)
		ev->request_service_tier = ev->service_tier;
}

void
read_payload(const struct record *r, int64_t now_ms, struct arena *a,
    struct usage_event *ev)
{
	*ev = (struct usage_event){ .ts_ms = 0 };
	ev->request_id =
	    record_str(r, KEYS(KEY_request_id, KEY_requestId, KEY_id), a);
	read_time(r, now_ms, a, ev);
	read_model(r, a, ev);
	read_endpoint(r, a, ev);
	read_credential(r, a, ev);
	read_client(r, a, ev);
	read_tiers(r, a, ev);
	tokens_read(r, NULL, a, ev);
	ev->latency_ms =
	    optional_int(r, KEYS(KEY_latency_ms, KEY_latencyMs, KEY_duration_ms,
				KEY_durationMs, KEY_elapsed_ms, KEY_elapsedMs));
	ev->ttft_ms = optional_int(
	    r, KEYS(KEY_ttft_ms, KEY_ttftMs, KEY_time_to_first_token_ms,
		   KEY_timeToFirstTokenMs));
	read_failure(r, a, ev);
	ev->response_metadata_json = metadata_read(r, ev, a);
	event_hash(ev);
}

/* Copy the texts of ev, whose bytes go with the tree, into a. */
static void
keep_texts(struct usage_event *ev, struct arena *a)
{
	static const size_t texts[] = {
#define AT(field) offsetof(struct usage_event, field)
		AT(ts_text),
		AT(hash_text),
		AT(request_id),
		AT(model),
		AT(requested_model),
		AT(resolved_model),
		AT(provider),
		AT(executor_type),
		AT(endpoint),
		AT(method),
		AT(path),
		AT(auth_type),
		AT(auth_index),
		AT(source),
		AT(account_snapshot),
		AT(auth_label_snapshot),
		AT(auth_file_snapshot),
		AT(auth_provider_snapshot),
		AT(auth_project_id_snapshot),
		AT(client_ip),
		AT(x_forwarded_for),
		AT(user_agent),
		AT(reasoning_effort),
		AT(service_tier),
		AT(request_service_tier),
		AT(response_service_tier),
		AT(fail_summary),
		AT(response_metadata_json),
#undef AT
	};
	const size_t n = sizeof texts / sizeof *texts;
	size_t bytes = 0;
	char *to;

	for (size_t i = 0; i < n; i++)
		bytes += ((struct str *)(void *)((char *)ev + texts[i]))->n;
	if ((to = arena_alloc(a, bytes)) == NULL)
		return; /* a->failed says so */
	for (size_t i = 0; i < n; i++) {
		struct str *s = (void *)((char *)ev + texts[i]);

		if (s->n > 0)
			memcpy(to, s->p, s->n);
		s->p = to;
		to += s->n;
	}
}

int
keep_event(struct usage_event *ev, const struct arena *work, struct arena *a,
    struct err *e)
{
	bool failed_before = a->failed, failed;

	a->failed = false;
	keep_texts(ev, a);
	/* a text that did not fit reads as empty: never store that */
	failed = work->failed || a->failed;
	a->failed = failed_before;
	return failed ? fail(e, ERR_TOO_LARGE, "payload is too large") : 0;
}

enum payload_kind
normalise(struct str item, int64_t now_ms, struct arena *a,
    struct usage_event *ev, struct err *e)
{
	enum payload_kind kind = PAYLOAD_DEAD;
	const struct json_tree *v;
	struct arena work;
	struct record r;

	item = str_trim(item);
	if (item.n == 0)
		return PAYLOAD_BLANK;
	arena_init(&work, TREE_BYTES(item));
	if ((v = json_tree_parse(item, &work, e)) == NULL)
		goto out;
	if (v->type != TREE_OBJECT) {
		fail(e, ERR_INPUT, "usage payload is not a JSON object");
		goto out;
	}
	if ((kind = control(v)) != PAYLOAD_EVENT)
		goto out;
	record_index(&r, v);
	read_payload(&r, now_ms, &work, ev);
	if (keep_event(ev, &work, a, e) != 0)
		kind = PAYLOAD_DEAD;
out:
	arena_free(&work);
	return kind;
}
