/*
 * What a provider says in a failure's text about its free usage:
 * contract/collector.md section 6.10.3.  Only xAI says it so far.
 */
#include "model/metadata_impl.h"

#include <string.h>

#define EXHAUSTED "subscription:free-usage-exhausted"
#define DAY_MS (INT64_C(24) * 3600 * 1000)
#define NAME_MAX_BYTES 32

/* ---- is it xAI's ----------------------------------------------------------
 */

/* Lower case, `drop` left out, and each `from` as `to`. */
static struct str
squeezed(struct str s, const char *drop, char from, char to,
    char out[NAME_MAX_BYTES])
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (c >= 'A' && c <= 'Z')
			c = (char)(c + 32);
		if (c != '\0' && strchr(drop, c) != NULL)
			continue;
		if (n == NAME_MAX_BYTES)
			return (struct str){ NULL, 0 };
		out[n++] = c == from ? to : c;
	}
	return (struct str){ out, n };
}

static bool
is_xai(struct str s)
{
	char text[NAME_MAX_BYTES];

	s = squeezed(s, "", '_', '-', text);
	return str_eq(s, STR("xai")) || str_eq(s, STR("x-ai"));
}

static bool
empty_or_grok(struct str s)
{
	return s.n == 0 || str_eq_nocase(s, STR("grok"));
}

/* A compatible provider that calls itself grok is none. */
static bool
native_xai(const struct record *r, struct arena *a)
{
	struct str provider = record_str(r, KEYS(KEY_provider, KEY_type), a);
	struct str account = record_str(
	    r, KEYS(KEY_auth_provider_snapshot, KEY_authProviderSnapshot), a);
	struct str executor =
	    record_str(r, KEYS(KEY_executor_type, KEY_executorType), a);
	char text[NAME_MAX_BYTES];

	if (is_xai(provider) || is_xai(account))
		return true;
	return str_eq(squeezed(executor, "-_ ", '\0', '\0', text),
		   STR("xaiexecutor")) &&
	       empty_or_grok(provider) && empty_or_grok(account);
}

/* ---- the body -------------------------------------------------------------
 */

/* True when an object anywhere in v has the code. */
static bool
has_code(const struct json_tree *v)
{
	if (v->type != TREE_OBJECT && v->type != TREE_LIST)
		return false;
	if (str_eq_nocase(
		str_trim(json_tree_text(json_tree_get(v, STR("code")))),
		STR(EXHAUSTED)))
		return true;
	for (v = v->first; v != NULL; v = v->next)
		if (has_code(v))
			return true;
	return false;
}

static bool
absolute_time(const struct json_tree *v, int64_t *out_ms, struct arena *a)
{
	if (v == NULL || (v->type != TREE_TEXT && v->type != TREE_NUMBER))
		return false;
	return parse_time(value_text(v, a), out_ms) && *out_ms > 0;
}

static bool
relative_time(const struct json_tree *v, int64_t base_ms, int64_t *out_ms,
    struct arena *a)
{
	double seconds;

	if (v == NULL || (v->type != TREE_TEXT && v->type != TREE_NUMBER))
		return false;
	return parse_real(value_text(v, a), &seconds) && seconds > 0 &&
	       seconds_after(base_ms, seconds, out_ms);
}

/*
 * When usage begins again, wherever the body says so: an object's own keys in
 * their order, then its members by key.
 */
static bool
find_time(const struct json_tree *v, bool absolute, int64_t base_ms,
    int64_t *out_ms, struct arena *a)
{
	static const char *const at[] = { "reset_at", "resetAt", "resets_at",
		"resetsAt", "period_end", "periodEnd", "billing_period_end",
		"billingPeriodEnd", NULL };
	static const char *const after[] = { "reset_after_seconds",
		"resetAfterSeconds", NULL };
	struct json_tree_place *members;
	size_t n;

	if (v->type == TREE_LIST) {
		for (v = v->first; v != NULL; v = v->next)
			if (find_time(v, absolute, base_ms, out_ms, a))
				return true;
		return false;
	}
	if (v->type != TREE_OBJECT)
		return false;
	for (const char *const *k = absolute ? at : after; *k != NULL; k++) {
		const struct json_tree *own = json_tree_get(v, str_of(*k));

		if (absolute ? absolute_time(own, out_ms, a) :
			       relative_time(own, base_ms, out_ms, a))
			return true;
	}
	if ((members = json_tree_sorted(v, a, &n)) == NULL)
		return false;
	for (size_t i = 0; i < n; i++)
		if (find_time(members[i].v, absolute, base_ms, out_ms, a))
			return true;
	return false;
}

/* ---- the sentence ---------------------------------------------------------
 */

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\f' || c == '\r';
}

static bool
is_name(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	       (c >= 'A' && c <= 'Z');
}

static void
skip_space(struct str *s)
{
	while (s->n > 0 && is_space(*s->p)) {
		s->p++;
		s->n--;
	}
}

/* Behind the first occurrence of part, ASCII case ignored; part is lower. */
static bool
find_behind(struct str *s, struct str part)
{
	for (; s->n >= part.n; s->p++, s->n--)
		if (str_eq_nocase((struct str){ s->p, part.n }, part)) {
			s->p += part.n;
			s->n -= part.n;
			return true;
		}
	return false;
}

/* "free usage for model NAME" */
static struct str
model_named(struct str body)
{
	while (find_behind(&body, STR("free usage for model"))) {
		struct str s = body;
		size_t n = 0;

		skip_space(&s);
		if (s.p == body.p || s.n == 0 || !is_name(*s.p))
			continue;
		while (n < s.n &&
		       (is_name(s.p[n]) ||
			   (s.p[n] != '\0' && strchr("._:-", s.p[n]) != NULL)))
			n++;
		return (struct str){ s.p, n };
	}
	return (struct str){ NULL, 0 };
}

/* A number with commas among its digits, which is taken off s. */
static bool
take_number(struct str *s, int64_t *out)
{
	char digits[24];
	size_t n = 0;

	if (s->n == 0 || *s->p < '0' || *s->p > '9')
		return false;
	for (; s->n > 0 && (*s->p == ',' || (*s->p >= '0' && *s->p <= '9'));
	     s->p++, s->n--)
		if (*s->p != ',') {
			if (n == sizeof digits)
				return false;
			digits[n++] = *s->p;
		}
	return str_i64((struct str){ digits, n }, out) == 0;
}

static bool
take_char(struct str *s, char c)
{
	skip_space(s);
	if (s->n == 0 || *s->p != c)
		return false;
	s->p++;
	s->n--;
	skip_space(s);
	return true;
}

/* "tokens (actual/limit): 1,050,000/1,000,000" */
static bool
tokens_named(struct str body, int64_t *actual, int64_t *limit)
{
	while (find_behind(&body, STR("tokens"))) {
		struct str s = body;

		skip_space(&s);
		if (!str_eq_nocase((struct str){ s.p, s.n < 14 ? s.n : 14 },
			STR("(actual/limit)")))
			continue;
		s.p += 14;
		s.n -= 14;
		if (take_char(&s, ':') && take_number(&s, actual) &&
		    take_char(&s, '/') && take_number(&s, limit))
			return true;
	}
	return false;
}

/* ---- the whole ------------------------------------------------------------
 */

static struct str
failure_body(const struct record *r, int64_t *status, struct arena *a)
{
	struct record in_fail;
	struct str body;

	record_index(&in_fail, r->v[KEY_fail]);
	*status = record_int(&in_fail, KEYS(KEY_status_code, KEY_statusCode));
	if (*status == 0)
		*status =
		    record_int(r, KEYS(KEY_fail_status_code, KEY_failStatusCode,
				      KEY_status_code, KEY_statusCode));
	body = record_str(&in_fail, KEYS(KEY_body), a);
	if (body.n == 0)
		body = record_str(r, KEYS(KEY_fail_body, KEY_failBody), a);
	return body;
}

static void
set_recovery(const struct json_tree *v, int64_t base_ms, struct metadata *m,
    struct arena *a)
{
	int64_t ms;

	if (!find_time(v, true, base_ms, &ms, a) &&
	    !find_time(v, false, base_ms, &ms, a)) {
		ms = base_ms + DAY_MS;
		meta_set_flag(
		    m, META_provider_usage_recover_at_estimated, true);
	}
	meta_set_whole(m, META_provider_usage_recover_at_ms, ms);
}

void
provider_usage(const struct record *r, int64_t base_ms, struct metadata *m,
    struct arena *a)
{
	const struct json_tree *v;
	int64_t status, actual, limit;
	struct str body;

	/* nearly every event ends here: it is no failure of xAI's */
	body = failure_body(r, &status, a);
	if ((status != 402 && status != 429) || body.n == 0 ||
	    !native_xai(r, a) ||
	    !str_contains_nocase(body, STR("free-usage-exhausted")) ||
	    (v = json_tree_parse(body, a, NULL)) == NULL || !has_code(v))
		return;
	meta_set_text(m, META_provider_usage_provider, STR("xai"));
	meta_set_text(m, META_provider_usage_kind, STR("included_free_usage"));
	meta_set_text(m, META_provider_usage_state, STR("exhausted"));
	meta_set_text(m, META_provider_usage_code, STR(EXHAUSTED));
	meta_set_text(
	    m, META_provider_usage_model, meta_clean(model_named(body), a));
	meta_set_text(m, META_provider_usage_unit, STR("tokens"));
	if (tokens_named(body, &actual, &limit) && limit > 0) {
		meta_set_whole(m, META_provider_usage_actual, actual);
		meta_set_whole(m, META_provider_usage_limit, limit);
		meta_set_whole(m, META_provider_usage_remaining,
		    limit > actual ? limit - actual : 0);
		meta_set_whole(m, META_provider_usage_overage,
		    actual > limit ? actual - limit : 0);
	}
	meta_set_text(m, META_provider_usage_window_kind, STR("rolling_24h"));
	meta_set_whole(m, META_provider_usage_observed_at_ms, base_ms);
	set_recovery(v, base_ms, m, a);
	meta_set_text(m, META_provider_usage_source, STR("response_body"));
}
