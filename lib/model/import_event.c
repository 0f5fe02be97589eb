#include "model/import_event.h"

#include <string.h>

#include "json_out.h"
#include "model/metadata.h"
#include "model/normalise_impl.h"
#include "model/record.h"
#include "model/redact.h"
#include "model/timestamp.h"
#include "model/tokens.h"

#define LEGACY_RAW_MAX ((size_t)8 * 1024 * 1024)

/* ---- an exported event --------------------------------------------------- */

/* A text that is a SHA-256 as such; anything else by its digest. */
static bool
read_hash(struct str text, unsigned char out[SHA256_BYTES])
{
	if (text.n == 0)
		return false;
	if (hex_decode(text, out, SHA256_BYTES) != 0)
		sha256(text.p, text.n, out);
	return true;
}

/*
 * The time of an exported event is two members that belong together; when one
 * is missing it is a payload's time, and else that of the import.
 */
static void
read_time(const struct record *r, int64_t now_ms, struct arena *a,
    struct usage_event *ev)
{
	struct str text = record_str(r, KEYS(KEY_timestamp), a);
	struct timestamp t = { now_ms, 0 }, parsed;
	char built[40];
	size_t n;

	ev->ts_ms = record_int(r, KEYS(KEY_timestamp_ms, KEY_timestampMs));
	ev->ts_given = true;
	if (ev->ts_ms <= 0 || text.n == 0) {
		ev->ts_given = timestamp_of(
		    record_first(
			r, KEYS(KEY_timestamp, KEY_time, KEY_created_at,
			       KEY_createdAt, KEY_created, KEY_request_time,
			       KEY_requestTime)),
		    &t);
		if (!ev->ts_given && ev->ts_ms != 0) {
			t.ms = ev->ts_ms;
			ev->ts_given = true;
		}
		ev->ts_ms = t.ms;
		ev->ts_ns = t.ns;
		text.n = 0;
	} else if (timestamp_parse(text, &parsed) && parsed.ms == ev->ts_ms) {
		ev->ts_ns = parsed.ns;
	}
	n = event_time_text(ev->ts_ms, ev->ts_ns, built);
	ev->ts_text_given =
	    text.n > 0 && !str_eq(text, (struct str){ built, n });
	ev->ts_text = text;
	if (!ev->ts_text_given) {
		ev->ts_text.p = arena_strdup(a, (struct str){ built, n });
		ev->ts_text.n = ev->ts_text.p == NULL ? 0 : n;
	}
}

static void
read_model(const struct record *r, struct arena *a, struct usage_event *ev)
{
	ev->requested_model =
	    record_str(r, KEYS(KEY_requested_model, KEY_requestedModel), a);
	ev->resolved_model =
	    record_str(r, KEYS(KEY_resolved_model, KEY_resolvedModel), a);
	ev->model = record_str(r, KEYS(KEY_model), a);
	if (ev->model.n == 0)
		ev->model = ev->requested_model.n > 0 ? ev->requested_model :
			    ev->resolved_model.n > 0  ? ev->resolved_model :
							STR("-");
	ev->endpoint = record_str(r, KEYS(KEY_endpoint), a);
	if (ev->endpoint.n == 0)
		ev->endpoint = STR("-");
	ev->method = record_str(r, KEYS(KEY_method), a);
	ev->path = record_str(r, KEYS(KEY_path), a);
}

static void
read_account(const struct record *r, struct arena *a, struct usage_event *ev)
{
	const struct {
		struct str *to;
		unsigned char keys[3];
	} texts[] = {
		{ &ev->provider, { KEY_provider, KEY__MAX } },
		{ &ev->executor_type,
		    { KEY_executor_type, KEY_executorType, KEY__MAX } },
		{ &ev->auth_type, { KEY_auth_type, KEY_authType, KEY__MAX } },
		{ &ev->auth_index,
		    { KEY_auth_index, KEY_authIndex, KEY__MAX } },
		{ &ev->account_snapshot,
		    { KEY_account_snapshot, KEY_accountSnapshot, KEY__MAX } },
		{ &ev->auth_label_snapshot,
		    { KEY_auth_label_snapshot, KEY_authLabelSnapshot,
			KEY__MAX } },
		{ &ev->auth_file_snapshot,
		    { KEY_auth_file_snapshot, KEY_authFileSnapshot,
			KEY__MAX } },
		{ &ev->auth_provider_snapshot,
		    { KEY_auth_provider_snapshot, KEY_authProviderSnapshot,
			KEY__MAX } },
		{ &ev->auth_project_id_snapshot,
		    { KEY_auth_project_id_snapshot, KEY_authProjectIdSnapshot,
			KEY__MAX } },
		{ &ev->reasoning_effort,
		    { KEY_reasoning_effort, KEY_reasoningEffort, KEY__MAX } },
	};
	struct str source = record_str(r, KEYS(KEY_source), a);

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		*texts[i].to = record_str(r, texts[i].keys, a);
	ev->source = shown_source(source, (struct str){ NULL, 0 }, ev, a);
	ev->has_source_hash =
	    read_hash(record_str(r, KEYS(KEY_source_hash, KEY_sourceHash), a),
		ev->source_hash);
	ev->has_api_key_hash =
	    read_hash(record_str(r, KEYS(KEY_api_key_hash, KEY_apiKeyHash), a),
		ev->api_key_hash);
	ev->auth_snapshot_at_ms =
	    record_int(r, KEYS(KEY_auth_snapshot_at_ms, KEY_authSnapshotAtMs));
	if (ev->auth_snapshot_at_ms < 0)
		ev->auth_snapshot_at_ms = 0;
}

/* A tier that only says what counted stands for what was asked for. */
static void
read_tiers(const struct record *r, struct arena *a, struct usage_event *ev)
{
	struct str counted =
	    record_str(r, KEYS(KEY_service_tier, KEY_serviceTier), a);

	ev->request_service_tier = record_str(
	    r, KEYS(KEY_request_service_tier, KEY_requestServiceTier), a);
	ev->response_service_tier = record_str(
	    r, KEYS(KEY_response_service_tier, KEY_responseServiceTier), a);
	if (ev->request_service_tier.n == 0)
		ev->request_service_tier = counted;
	ev->service_tier = effective_tier(ev);
	/* a third one counts before what was asked for, unless with Codex */
	if (counted.n > 0 && ev->response_service_tier.n == 0 &&
	    !asked_tier_counts(ev))
		ev->service_tier = counted;
}

static bool
says_failed(const struct json_tree *v)
{
	static const char *const words[] = { "1", "true", "yes", "on" };

	if (v == NULL)
		return false;
	if (v->type == TREE_NUMBER)
		return v->number < 0 || v->number > 0;
	for (size_t i = 0;
	     v->type == TREE_TEXT && i < sizeof words / sizeof *words; i++)
		if (str_eq_nocase(str_trim(v->text), str_of(words[i])))
			return true;
	return v->type == TREE_TRUE;
}

static void
read_failure(const struct record *r, struct arena *a, struct usage_event *ev)
{
	int64_t status =
	    record_int(r, KEYS(KEY_fail_status_code, KEY_failStatusCode));
	struct str text =
	    record_str(r, KEYS(KEY_fail_summary, KEY_failSummary), a);

	if (says_failed(record_first(r, KEYS(KEY_failed))))
		ev->flags |= EVENT_FAILED;
	if (status > 0)
		ev->fail_status_code = (struct opt_i64){ true, status };
	if (text.n == 0 && (ev->flags & EVENT_FAILED) != 0)
		text = record_str(r, KEYS(KEY_fail_body, KEY_failBody), a);
	ev->fail_summary = redact_summary(text, a);
}

/*
 * The hash as given, however it was made: what an export brought must be
 * known again.  One that its fields give is not kept.
 */
static void
read_event_hash(struct str given, struct usage_event *ev)
{
	unsigned char hash[SHA256_BYTES];

	event_hash(ev);
	if (hex_decode(given, hash, SHA256_BYTES) != 0) {
		ev->flags |= EVENT_HASH_TEXT;
		ev->hash_text = given;
		sha256(given.p, given.n, ev->hash);
	} else {
		ev->hash_given = memcmp(hash, ev->hash, SHA256_BYTES) != 0;
		memcpy(ev->hash, hash, SHA256_BYTES);
	}
	ev->undated = !ev->ts_given;
}

/* What the reference keeps beside an event that it imported. */
static const struct record *
read_hint(const struct record *r, struct record *hint, struct arena *a)
{
	struct str raw = record_str(r, KEYS(KEY_raw_json, KEY_rawJson), a);
	const struct json_tree *v =
	    raw.n > 0 ? json_tree_parse(raw, a, NULL) : NULL;

	if (v == NULL || v->type != TREE_OBJECT)
		return NULL;
	record_index(hint, v);
	return hint;
}

static void
read_exported(const struct record *r, struct str hash, int64_t now_ms,
    struct arena *a, struct usage_event *ev)
{
	struct record hint;

	*ev = (struct usage_event){ .ts_ms = 0 };
	ev->request_id = record_str(r, KEYS(KEY_request_id, KEY_requestId), a);
	read_time(r, now_ms, a, ev);
	read_model(r, a, ev);
	read_account(r, a, ev);
	read_tiers(r, a, ev);
	read_failure(r, a, ev);
	tokens_read(r, read_hint(r, &hint, a), a, ev);
	ev->latency_ms = optional_int(r, KEYS(KEY_latency_ms, KEY_latencyMs));
	ev->ttft_ms = optional_int(r, KEYS(KEY_ttft_ms, KEY_ttftMs));
	ev->created_ms =
	    record_int(r, KEYS(KEY_created_at_ms, KEY_createdAtMs));
	ev->response_metadata_json = metadata_read(r, ev, a);
	read_event_hash(hash, ev);
}

/* An object from an import, laid out in r; work holds its tree. */
static int
parse_object(
    struct str item, struct arena *work, struct record *r, struct err *e)
{
	const struct json_tree *v = json_tree_parse(item, work, e);

	if (v == NULL)
		return -1;
	if (v->type != TREE_OBJECT)
		return fail(e, ERR_INPUT, "usage payload is not a JSON object");
	record_index(r, v);
	return 0;
}

int
import_record(struct str item, int64_t now_ms, struct arena *a,
    struct usage_event *ev, struct err *e)
{
	struct arena work;
	struct record r;
	struct str hash;
	int rc = -1;

	item = str_trim(item);
	arena_init(&work, TREE_BYTES(item));
	if (parse_object(item, &work, &r, e) != 0)
		goto out;
	hash = record_str(&r, KEYS(KEY_event_hash, KEY_eventHash), &work);
	if (hash.n > 0)
		read_exported(&r, hash, now_ms, &work, ev);
	else
		read_payload(&r, now_ms, &work, ev);
	rc = keep_event(ev, &work, a, e);
out:
	arena_free(&work);
	return rc;
}

/* ---- a detail of a legacy snapshot --------------------------------------- */

/*
 * An id for a detail without one, from what it says and where it stands, so
 * that the same file gives the same events again.
 */
static struct str
legacy_id(const struct legacy_place *at, const struct json_tree *detail,
    const struct usage_event *ev, struct arena *a)
{
	unsigned char digest[SHA256_BYTES];
	char hex[2 * SHA256_BYTES + 1];
	struct str whole;
	struct json_out o;
	struct buf b;
	char *id;

	buf_init(&b, LEGACY_RAW_MAX);
	buf_printf(&b, "legacy|%zu|%zu|%zu|", at->endpoint_no, at->model_no,
	    at->detail_no);
	buf_str(&b, at->endpoint);
	buf_char(&b, '|');
	buf_str(&b, at->model);
	buf_char(&b, '|');
	buf_str(&b, ev->ts_text);
	buf_char(&b, '|');
	json_out_init(&o, &b, NULL, NULL);
	json_out_object(&o);
	json_out_key(&o, "detail");
	redact_write(detail, false, &o, a);
	json_out_kstr(&o, "endpoint", at->endpoint);
	json_out_kz(&o, "format", "legacy_usage_export");
	json_out_kstr(&o, "model", at->model);
	json_out_object_end(&o);
	whole = buf_view(&b);
	sha256(whole.p, whole.n, digest);
	buf_free(&b);
	hex_encode(digest, SHA256_BYTES, hex);
	id = arena_printf(a, "legacy:%.16s", hex);
	return str_of(id);
}

/* Was a time given, whatever it may be? */
static bool
has_time(const struct record *r, struct arena *a)
{
	return record_str(r,
		   KEYS(KEY_timestamp, KEY_time, KEY_created_at, KEY_createdAt),
		   a)
		   .n > 0;
}

static void
read_legacy(const struct legacy_place *at, const struct json_tree *detail,
    const struct record *r, int64_t now_ms, struct arena *a,
    struct usage_event *ev)
{
	unsigned char hash[SHA256_BYTES];
	struct str asked, text;

	read_payload(r, now_ms, a, ev);
	ev->endpoint = at->endpoint;
	ev->method = ev->path = (struct str){ NULL, 0 };
	(void)split_endpoint(ev->endpoint, &ev->method, &ev->path);
	asked = record_str(
	    r, KEYS(KEY_requested_model, KEY_requestedModel, KEY_alias), a);
	ev->requested_model = asked;
	ev->model = asked.n > 0 ? asked : at->model;
	if (read_hash(record_str(r, KEYS(KEY_api_key_hash, KEY_apiKeyHash), a),
		hash)) {
		ev->has_api_key_hash = true;
		memcpy(ev->api_key_hash, hash, sizeof hash);
	}
	text = record_str(r, KEYS(KEY_fail_summary, KEY_failSummary), a);
	if (ev->fail_summary.n == 0 && text.n > 0)
		ev->fail_summary = redact_summary(text, a);
	/* where it stands tells the model that counts */
	tokens_read(r, NULL, a, ev);
	if (ev->request_id.n == 0)
		ev->request_id = legacy_id(at, detail, ev, a);
	event_hash(ev);
	memcpy(hash, ev->hash, sizeof hash);
	asked = ev->model;
	ev->model = at->model;
	event_hash(ev);
	ev->model = asked;
	ev->hash_given = memcmp(hash, ev->hash, sizeof hash) != 0;
}

int
import_legacy_detail(const struct legacy_place *at, struct str detail,
    int64_t now_ms, struct arena *a, struct usage_event *ev, struct err *e)
{
	const struct json_tree *v;
	struct arena work;
	struct record r;
	int rc = -1;

	detail = str_trim(detail);
	arena_init(&work, TREE_BYTES(detail));
	if ((v = json_tree_parse(detail, &work, e)) == NULL)
		goto out;
	if (v->type != TREE_OBJECT) {
		fail(e, ERR_INPUT, "a detail is not a JSON object");
		goto out;
	}
	record_index(&r, v);
	if (!has_time(&r, &work)) {
		fail(e, ERR_INPUT, "a detail has no timestamp");
		goto out;
	}
	read_legacy(at, v, &r, now_ms, &work, ev);
	rc = keep_event(ev, &work, a, e);
out:
	arena_free(&work);
	return rc;
}
