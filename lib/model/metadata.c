#include "model/metadata_impl.h"

#include <math.h>
#include <string.h>

#include "json_out.h"
#include "model/redact.h"

#define TEXT_MAX 1024
#define JSON_MAX ((size_t)1024 * 1024) /* all texts long and escaped fit */

static const struct {
	struct str group, part, key;
	enum meta_type type;
} table[META__MAX] = {
#define META(id, group, part, key, type, read, header)              \
	{ { group, sizeof(group) - 1 }, { part, sizeof(part) - 1 }, \
		{ key, sizeof(key) - 1 }, META_TYPE_##type },
#include "model/metadata.def"
#undef META
};

/* ---- values -------------------------------------------------------------- */

struct str
meta_clean(struct str s, struct arena *a)
{
	return redact_shorten(s, TEXT_MAX, a);
}

void
meta_set_text(struct metadata *m, enum meta id, struct str s)
{
	if (s.n == 0)
		return;
	m->v[id].set = true;
	m->v[id].text = s;
}

void
meta_set_real(struct metadata *m, enum meta id, double v)
{
	m->v[id].set = true;
	m->v[id].real = v;
}

void
meta_set_whole(struct metadata *m, enum meta id, int64_t v)
{
	m->v[id].set = true;
	m->v[id].whole = v;
}

void
meta_set_flag(struct metadata *m, enum meta id, bool v)
{
	m->v[id].set = true;
	m->v[id].flag = v;
}

struct str
meta_text(const struct metadata *m, enum meta id)
{
	return m->v[id].set ? m->v[id].text : (struct str){ NULL, 0 };
}

/* What is not written is not set, so that it never replaces anything. */
static bool
is_written(const struct meta_value *v, enum meta_type type)
{
	if (!v->set)
		return false;
	switch (type) {
	case META_TYPE_TEXT:
		return v->text.n > 0;
	case META_TYPE_TIME:
		return v->whole != 0;
	case META_TYPE_TRUE:
		return v->flag;
	default:
		return true;
	}
}

/* The usage of a provider is one statement: another one replaces it. */
static bool
same_usage(const struct metadata *x, const struct metadata *y)
{
	static const enum meta ids[] = { META_provider_usage_provider,
		META_provider_usage_kind, META_provider_usage_state,
		META_provider_usage_code };

	for (size_t i = 0; i < sizeof ids / sizeof *ids; i++)
		if (!str_eq(meta_text(x, ids[i]), meta_text(y, ids[i])))
			return false;
	return true;
}

/* A time that was reported is worth more than one that was guessed. */
static void
merge_usage(struct metadata *to, const struct metadata *from)
{
	const enum meta at = META_provider_usage_recover_at_ms;
	const enum meta guessed = META_provider_usage_recover_at_estimated;
	struct meta_value kept_at = to->v[at], kept_guess = to->v[guessed];
	bool same = same_usage(to, from);
	bool keep = same && kept_at.set && kept_at.whole != 0 &&
		    !(kept_guess.set && kept_guess.flag) &&
		    from->v[guessed].set && from->v[guessed].flag;

	if (!from->v[META_provider_usage_provider].set)
		return;
	for (int i = META_provider_usage_provider; i < META__MAX; i++)
		if (!same || is_written(&from->v[i], table[i].type))
			to->v[i] = from->v[i];
	/* the guess goes with the time it was about */
	if (keep || !is_written(&from->v[at], META_TYPE_TIME)) {
		if (same) {
			to->v[at] = kept_at;
			to->v[guessed] = kept_guess;
		}
	} else
		to->v[guessed] = from->v[guessed];
}

void
metadata_merge(struct metadata *to, const struct metadata *from)
{
	for (int i = 0; i < META_provider_usage_provider; i++)
		if (is_written(&from->v[i], table[i].type))
			to->v[i] = from->v[i];
	merge_usage(to, from);
}

/* ---- from JSON ----------------------------------------------------------- */

/* Keys of metadata match without case; of several the last one counts. */
static const struct json_tree *
member(const struct json_tree *v, struct str key)
{
	const struct json_tree *found = NULL;

	if (v == NULL || v->type != TREE_OBJECT)
		return NULL;
	for (v = v->first; v != NULL; v = v->next)
		if (str_eq_nocase(v->key, key))
			found = v;
	return value_given(found) ? found : NULL;
}

/* A value into its place; false when it is of another type. */
static bool
decode(const struct json_tree *v, enum meta id, struct metadata *m,
    struct arena *a)
{
	switch (table[id].type) {
	case META_TYPE_TEXT:
		if (v->type != TREE_TEXT)
			return false;
		meta_set_text(m, id, meta_clean(v->text, a));
		return true;
	case META_TYPE_REAL:
		if (v->type != TREE_NUMBER)
			return false;
		meta_set_real(m, id, v->number);
		return true;
	case META_TYPE_WHOLE:
	case META_TYPE_TIME:
		if (v->type != TREE_NUMBER ||
		    fabs(v->number - trunc(v->number)) > 0 ||
		    fabs(v->number) >= 9.2e18)
			return false;
		meta_set_whole(m, id, (int64_t)v->number);
		return true;
	default:
		if (v->type != TREE_TRUE && v->type != TREE_FALSE)
			return false;
		meta_set_flag(m, id, v->type == TREE_TRUE);
		return true;
	}
}

/*
 * Metadata that a payload brings along.  A wrong type anywhere makes it
 * worthless as a whole.
 */
static bool
from_json(const struct json_tree *v, struct metadata *m, struct arena *a)
{
	if (v == NULL || v->type != TREE_OBJECT)
		return false;
	for (int i = 0; i < META__MAX; i++) {
		const struct json_tree *in = member(v, table[i].group);

		if (in != NULL && in->type != TREE_OBJECT)
			return false;
		if (in != NULL && table[i].part.n > 0 &&
		    (in = member(in, table[i].part)) != NULL &&
		    in->type != TREE_OBJECT)
			return false;
		if (in != NULL && (in = member(in, table[i].key)) != NULL &&
		    !decode(in, (enum meta)i, m, a))
			return false;
	}
	return true;
}

/* ---- to JSON ------------------------------------------------------------- */

static void
write_one(const struct meta_value *v, enum meta_type type, struct json_out *o)
{
	switch (type) {
	case META_TYPE_TEXT:
		json_out_str(o, v->text);
		break;
	case META_TYPE_REAL:
		json_out_double(o, v->real);
		break;
	case META_TYPE_WHOLE:
	case META_TYPE_TIME:
		json_out_int(o, v->whole);
		break;
	default:
		json_out_bool(o, v->flag);
		break;
	}
}

static struct str
to_json(const struct metadata *m, struct arena *a)
{
	struct str group = { NULL, 0 }, part = { NULL, 0 };
	struct json_out o;
	struct buf b;
	char *copy = NULL;
	size_t n;

	buf_init(&b, JSON_MAX);
	json_out_init(&o, &b, NULL, NULL);
	for (int i = 0; i < META__MAX; i++) {
		if (!is_written(&m->v[i], table[i].type))
			continue;
		if (part.n > 0 && !(str_eq(part, table[i].part) &&
				      str_eq(group, table[i].group))) {
			json_out_object_end(&o);
			part.n = 0;
		}
		if (!str_eq(group, table[i].group)) {
			if (group.n > 0)
				json_out_object_end(&o);
			else
				json_out_object(&o);
			group = table[i].group;
			json_out_key_str(&o, group);
			json_out_object(&o);
		}
		if (part.n == 0 && table[i].part.n > 0) {
			part = table[i].part;
			json_out_key_str(&o, part);
			json_out_object(&o);
		}
		json_out_key_str(&o, table[i].key);
		write_one(&m->v[i], table[i].type, &o);
	}
	while (o.depth > 0 && !o.failed)
		json_out_object_end(&o);
	n = b.n;
	if (o.failed || b.failed)
		a->failed = true; /* never half of it */
	else if (n > 0)
		copy = arena_strdup(a, buf_view(&b));
	buf_free(&b);
	return (struct str){ copy, copy == NULL ? 0 : n };
}

/* ---- all sources --------------------------------------------------------- */

/* Headers and provider's usage of a payload, in that order. */
static void
add_record(struct metadata *m, const struct record *r, int64_t base_ms,
    struct arena *a)
{
	const struct json_tree *headers = record_first(
	    r, KEYS(KEY_response_headers, KEY_responseHeaders, KEY_headers));
	struct metadata *one = arena_alloc(a, sizeof *one);

	if (one == NULL)
		return; /* a->failed says so */
	if (headers != NULL && headers->type == TREE_OBJECT)
		metadata_headers(headers, base_ms, one, a);
	provider_usage(r, base_ms, one, a);
	metadata_merge(m, one);
}

/* A payload that is kept as text inside this one (an import). */
static void
add_raw(struct metadata *m, struct str raw, int64_t base_ms, struct arena *a)
{
	const struct json_tree *v;
	struct record r;

	raw = str_trim(raw);
	if (raw.n == 0 || (v = json_tree_parse(raw, a, NULL)) == NULL ||
	    v->type != TREE_OBJECT)
		return;
	record_index(&r, v);
	add_record(m, &r, base_ms, a);
}

struct str
metadata_read(
    const struct record *r, const struct usage_event *ev, struct arena *a)
{
	const struct json_tree *given =
	    record_first(r, KEYS(KEY_response_metadata, KEY_responseMetadata));
	struct metadata m = { .v[0].set = false }, imported = m;

	if (value_given(given) && from_json(given, &imported, a))
		metadata_merge(&m, &imported);
	add_raw(&m, record_str(r, KEYS(KEY_raw_json, KEY_rawJson), a),
	    ev->ts_ms, a);
	add_record(&m, r, ev->ts_ms, a);
	metadata_quota(&m);
	return to_json(&m, a);
}

/* ---- readers ------------------------------------------------------------- */

void
header_columns_of(const struct json_tree *v, struct header_columns *out)
{
	const struct json_tree *quota, *errors, *at, *used;

	*out = (struct header_columns){ .has_quota_used_percent = false };
	if (v == NULL)
		return;
	quota = member(v, STR("quota"));
	errors = member(v, STR("errors"));
	at = member(quota, STR("recover_at_ms"));
	if (at != NULL && value_int(at) > 0)
		out->quota_recover_at_ms =
		    (struct opt_i64){ true, value_int(at) };
	used = member(quota, STR("used_percent"));
	if (used != NULL && used->type == TREE_NUMBER) {
		out->has_quota_used_percent = true;
		out->quota_used_percent = used->number;
	}
	out->quota_plan_type = json_tree_text(member(quota, STR("plan_type")));
	out->error_kind = json_tree_text(member(errors, STR("kind")));
	out->error_code = json_tree_text(member(errors, STR("code")));
	out->trace_id = json_tree_text(
	    member(member(v, STR("trace")), STR("primary_trace_id")));
}

void
event_header_columns(
    struct str json, struct arena *a, struct header_columns *out)
{
	header_columns_of(
	    json.n == 0 ? NULL : json_tree_parse(json, a, NULL), out);
}
