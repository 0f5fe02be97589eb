/*
 * From an answer's headers to metadata: contract/collector.md sections 6.10
 * and 6.10.2.  Only the names of headers.def are looked at.
 */
#include "model/metadata_impl.h"

#include <math.h>
#include <string.h>

#define NAME_MAX_BYTES 48 /* longer than any name of headers.def */
#define PARENT_BYTES 55

enum reading {
	READ_NONE,   /* derived, or read by a function of its own */
	READ_LABEL,  /* text */
	READ_LOWER,  /* text in lower case */
	READ_PARENT, /* traceparent */
	READ_FLAG,
	READ_REAL,
	READ_WHOLE,
	READ_COUNT /* whole and not negative */
};

static const struct {
	enum reading read;
	enum header header;
} fields[META__MAX] = {
#define META(id, group, part, key, type, read, header) \
	{ READ_##read, HEADER_##header },
#include "model/metadata.def"
#undef META
};

static const struct str names[HEADER__MAX] = {
#define HEADER(id, name) { name, sizeof(name) - 1 },
#include "model/headers.def"
#undef HEADER
};

enum header
header_find(struct str name)
{
	size_t low = 0, high = HEADER__MAX;

	while (low < high) {
		size_t middle = (low + high) / 2;
		struct str k = names[middle];
		int c = (k.n > name.n) - (k.n < name.n);

		if (c == 0 && (c = memcmp(k.p, name.p, k.n)) == 0)
			return (enum header)middle;
		if (c < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return HEADER__MAX;
}

struct str
header_name(enum header header)
{
	return names[header];
}

/* ---- the headers' texts -------------------------------------------------- */

/* What was found of a header, and under which spelling of its name. */
struct found {
	struct str name, value;
};

static enum header
header_of(struct str name)
{
	char low[NAME_MAX_BYTES];

	name = str_trim(name);
	if (name.n > sizeof low)
		return HEADER__MAX;
	for (size_t i = 0; i < name.n; i++) {
		char c = name.p[i];

		low[i] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
	}
	return header_find((struct str){ low, name.n });
}

/* The first value of a header that is not empty. */
static struct str
header_value(const struct json_tree *v, struct arena *a)
{
	struct str s = { NULL, 0 };

	if (v->type != TREE_LIST)
		return v->type == TREE_OBJECT ? s : value_text(v, a);
	for (v = v->first; v != NULL && s.n == 0; v = v->next)
		if (v->type != TREE_OBJECT && v->type != TREE_LIST)
			s = value_text(v, a);
	return s;
}

/*
 * Each known header's text.  A name that comes in several spellings counts in
 * the order of their bytes.
 */
static void
collect(const struct json_tree *headers, struct found found[HEADER__MAX],
    struct arena *a)
{
	for (const struct json_tree *v = headers->first; v != NULL;
	     v = v->next) {
		enum header h = header_of(v->key);
		struct str value;

		if (h == HEADER__MAX)
			continue;
		if (found[h].value.n > 0 && str_cmp(found[h].name, v->key) < 0)
			continue;
		value = header_value(v, a);
		/* of the very same name the last one counts, even if empty */
		if (value.n > 0 || str_eq(found[h].name, v->key))
			found[h] = (struct found){ v->key, value };
	}
}

/* ---- their values -------------------------------------------------------- */

static struct str
lower(struct str s, struct arena *a)
{
	char *p = arena_alloc(a, s.n);

	for (size_t i = 0; p != NULL && i < s.n; i++) {
		char c = s.p[i];

		p[i] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
	}
	return (struct str){ p, p == NULL ? 0 : s.n };
}

static bool
all_zero(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] != '0')
			return false;
	return true;
}

/* The trace id inside a traceparent in lower case; empty when it is none. */
static struct str
parent_trace(struct str s)
{
	static const char form[] =
	    "xx-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx-xxxxxxxxxxxxxxxx-xx";
	const struct str none = { NULL, 0 };

	if (s.n != PARENT_BYTES)
		return none;
	for (size_t i = 0; i < s.n; i++) {
		bool hex = (s.p[i] >= '0' && s.p[i] <= '9') ||
			   (s.p[i] >= 'a' && s.p[i] <= 'f');

		if (form[i] == 'x' ? !hex : s.p[i] != '-')
			return none;
	}
	if (str_starts(s, STR("ff")) || all_zero((struct str){ s.p + 3, 32 }) ||
	    all_zero((struct str){ s.p + 36, 16 }))
		return none;
	return (struct str){ s.p + 3, 32 };
}

static bool
parse_flag(struct str s, bool *out)
{
	static const char *const yes[] = { "true", "1", "yes" };
	static const char *const no[] = { "false", "0", "no" };

	for (size_t i = 0; i < 3; i++) {
		if (str_eq_nocase(s, str_of(yes[i]))) {
			*out = true;
			return true;
		}
		if (str_eq_nocase(s, str_of(no[i]))) {
			*out = false;
			return true;
		}
	}
	return false;
}

static void
read_field(enum meta id, struct str s, struct metadata *m, struct arena *a)
{
	int64_t whole;
	double real;
	bool flag;

	switch (fields[id].read) {
	case READ_NONE:
		break;
	case READ_LABEL:
		meta_set_text(m, id, meta_clean(s, a));
		break;
	case READ_LOWER:
		/* cleaned again: in lower case more looks like a key */
		s = lower(meta_clean(s, a), a);
		meta_set_text(m, id, lower(meta_clean(s, a), a));
		break;
	case READ_PARENT:
		s = lower(s, a);
		if (parent_trace(s).n > 0)
			meta_set_text(m, id, s);
		break;
	case READ_FLAG:
		if (parse_flag(s, &flag))
			meta_set_flag(m, id, flag);
		break;
	case READ_REAL:
		if (parse_real(s, &real))
			meta_set_real(m, id, real);
		break;
	case READ_WHOLE:
	case READ_COUNT:
		if (str_i64(s, &whole) == 0 &&
		    (whole >= 0 || fields[id].read == READ_WHOLE))
			meta_set_whole(m, id, whole);
		break;
	}
}

/* ---- what follows from several ------------------------------------------- */

/* When a window is reset: after so many seconds, or at a time if that is told.
 */
static void
read_reset(const struct metadata *m_in, enum meta after, enum meta at,
    struct str reset_at, int64_t base_ms, struct metadata *m)
{
	int64_t ms;

	if (m_in->v[after].set && m_in->v[after].real > 0 &&
	    seconds_after(base_ms, m_in->v[after].real, &ms))
		meta_set_whole(m, at, ms);
	if (reset_at.n > 0 && parse_time(reset_at, &ms))
		meta_set_whole(m, at, ms);
}

static void
read_retry_after(struct str s, int64_t base_ms, struct metadata *m)
{
	int64_t ms;
	double seconds;

	if (s.n == 0)
		return;
	if (parse_real(s, &seconds)) {
		if (seconds < 0)
			return;
		meta_set_real(m, META_errors_retry_after_seconds, seconds);
		if (seconds_after(base_ms, seconds, &ms))
			meta_set_whole(
			    m, META_errors_retry_after_recover_at_ms, ms);
		return;
	}
	if (!parse_time(s, &ms))
		return;
	seconds = ms > base_ms ? ((double)ms - (double)base_ms) / 1000 : 0;
	meta_set_real(m, META_errors_retry_after_seconds, seconds);
	meta_set_whole(m, META_errors_retry_after_recover_at_ms, ms);
}

/* Which error it was: section 6.10.2. */
static void
classify(struct metadata *m, struct arena *a)
{
	static const enum meta codes[] = { META_errors_ide_root_error_code,
		META_errors_ide_error_code, META_errors_authorization_error };
	static const char *const auth[] = { "token_revoked",
		"token_invalidated", "account_deactivated", "401" };
	struct str kind = { NULL, 0 }, code = { NULL, 0 };

	for (size_t i = 0; kind.n == 0 && i < 3; i++) {
		code = lower(meta_text(m, codes[i]), a);
		for (size_t k = 0; k < sizeof auth / sizeof *auth; k++)
			if (str_eq(code, str_of(auth[k])))
				kind = STR("auth");
		if (str_eq(code, STR("identity_edge_internal_error")))
			kind = STR("identity");
	}
	if (kind.n == 0) {
		code = meta_text(m, META_errors_rate_limit_bypass);
		if (code.n == 0 && m->v[META_errors_retry_after_seconds].set)
			code = STR("retry_after");
		if (code.n > 0)
			kind = STR("rate_limit");
	}
	meta_set_text(m, META_errors_kind, kind);
	meta_set_text(
	    m, META_errors_code, kind.n > 0 ? code : (struct str){ NULL, 0 });
}

static void
choose_trace(struct metadata *m)
{
	static const enum meta ids[] = { META_trace_openai_request_id,
		META_trace_request_id, META_trace_oneapi_request_id,
		META_trace_cloud_ai_companion_trace_id, META_trace_cf_ray,
		META_trace_eagle_id, META_trace_client_request_id,
		META_trace_zeabur_request_id };
	struct str id = { NULL, 0 };

	for (size_t i = 0; id.n == 0 && i < sizeof ids / sizeof *ids; i++)
		id = meta_text(m, ids[i]);
	if (id.n == 0)
		id = parent_trace(meta_text(m, META_trace_traceparent));
	meta_set_text(m, META_trace_primary_trace_id, id);
}

void
metadata_headers(const struct json_tree *headers, int64_t base_ms,
    struct metadata *m, struct arena *a)
{
	struct found found[HEADER__MAX] = { 0 };
	bool flag;

	collect(headers, found, a);
	for (int i = 0; i < META__MAX; i++)
		if (fields[i].header != HEADER_none &&
		    found[fields[i].header].value.n > 0)
			read_field(
			    (enum meta)i, found[fields[i].header].value, m, a);
	read_reset(m, META_quota_primary_reset_after_seconds,
	    META_quota_primary_reset_at_ms,
	    found[HEADER_codex_primary_reset_at].value, base_ms, m);
	read_reset(m, META_quota_secondary_reset_after_seconds,
	    META_quota_secondary_reset_at_ms,
	    found[HEADER_codex_secondary_reset_at].value, base_ms, m);
	read_retry_after(found[HEADER_retry_after].value, base_ms, m);
	if (!m->v[META_data_policy_zero_retention].set &&
	    parse_flag(found[HEADER_zero_retention].value, &flag))
		meta_set_flag(m, META_data_policy_zero_retention, flag);
	classify(m, a);
	choose_trace(m);
}
