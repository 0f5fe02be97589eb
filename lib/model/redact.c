/*
 * Secrets out of texts: contract/collector.md section 6.7, and what it lets
 * through (header lists, other schemes than Bearer, short values).
 *
 * A pattern is tried only where a literal of it occurs; most texts hold none.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <pthread.h>

#include "json_in.h"
#include "json_out.h"
#include "model/mask.h"
#include "model/normalise.h"
#include "model/record.h"

#define SUMMARY_MAX 4096
#define MATCH_LIMIT 200000 /* a text cannot make a pattern run for long */
#define INPUT_MAX ((size_t)256 * 1024) /* more of a text is not looked at */

static const struct {
	const char *literal; /* lower case; NULL: always tried */
	const char *pattern, *replacement;
} rules[] = {
	{ "authorization",
	    "(?i)(\\b(?:proxy-)?authorization\\\\?\"?\\s*[:=]\\s*\\[?\\s*\\\\?"
	    "\"?)"
	    "(?:(?:bearer|basic|digest|token)\\s+)?[^\\s,\"'{}\\]\\\\]+",
	    "$1[redacted]" },
	{ "bearer", "(?i)\\bbearer\\s+[A-Za-z0-9._~+/=-]+",
	    "Bearer [redacted]" },
	{ "_token",
	    "(?i)\\b(access_token|refresh_token|id_token)\\b"
	    "(\\s*\\\\?[\"']?\\s*[:=]\\s*\\\\?[\"']?)[^\"',\\s&}\\\\]+",
	    "$1$2[redacted]" },
	/* folding makes K and long s letters of these words, too */
	{ "_to",
	    "(?i)\\b(acce[s\\x{17f}]{2}_to[k\\x{212a}]en)\\b"
	    "(\\s*[\"']?\\s*[:=]\\s*[\"']?)[^\"',\\s&}\\[]+",
	    "$1$2[redacted]" },
	{ "key",
	    "(?i)\\b((?:x-)?api[-_ ]?key)\\b"
	    "(\\s*\\\\?[\"']?\\s*[:=]\\s*\\[?\\s*\\\\?[\"']?)"
	    "[^\"',\\s&}\\]\\[\\\\]+",
	    "$1$2[redacted]" },
	{ "-", "sk-(?:proj-|ant-)?[A-Za-z0-9_-]{6,}", "[redacted]" },
	{ "sess-", "sess-[A-Za-z0-9_-]{6,}", "[redacted]" },
	{ "gh", "ghp_[A-Za-z0-9]{6,}", "[redacted]" },
	{ "github_pat_", "github_pat_[A-Za-z0-9_]{20,}", "[redacted]" },
	{ "aiza", "AIza[0-9A-Za-z_-]{8,}", "[redacted]" },
	{ "_", "(?:hf|pk|rk)_[A-Za-z0-9]{6,}", "[redacted]" },
	{ "cookie", "(?i)(\"?(?:set-cookie2?|cookie)\"?\\s*:\\s*)\\[[^\\]]*\\]",
	    "$1[\"[redacted]\"]" },
	{ "cookie", "(?i)(\"?(?:set-cookie2?|cookie)\"?\\s*:\\s*\")[^\"]*(\")",
	    "$1[redacted]$2" },
	{ NULL,
	    "(?i)\\b(set-coo[k\\x{212a}]ie2?|coo[k\\x{212a}]ie)"
	    "\\s*:\\s*[^,\\r\\n\"}\\[]+",
	    "$1: [redacted]" },
	{ "@",
	    "([A-Za-z0-9._%+\\-])([A-Za-z0-9._%+\\-]*)"
	    "(@[A-Za-z0-9.\\-]+\\.[A-Za-z]{2,})",
	    "$1***$3" },
};

#define RULES (sizeof rules / sizeof *rules)

static pcre2_code *compiled[RULES];
static pthread_once_t compile_once = PTHREAD_ONCE_INIT;
static pcre2_match_context *limits;

static void
compile_all(void)
{
	PCRE2_SIZE offset;
	int code;

	limits = pcre2_match_context_create(NULL);
	if (limits != NULL)
		pcre2_set_match_limit(limits, MATCH_LIMIT);
	for (size_t i = 0; i < RULES; i++) {
		compiled[i] = pcre2_compile((PCRE2_SPTR)rules[i].pattern,
		    PCRE2_ZERO_TERMINATED, PCRE2_UTF, &code, &offset, NULL);
		if (compiled[i] == NULL)
			abort(); /* a constant of ours: a unit test runs it */
		pcre2_jit_compile(compiled[i], PCRE2_JIT_COMPLETE);
	}
}

static struct str
apply(size_t rule, struct str s, struct arena *a, bool *failed)
{
	PCRE2_SIZE n = s.n + s.n / 2 + 64;
	char *to;
	int rc;

	for (int tries = 0; tries < 2; tries++) {
		if ((to = arena_alloc(a, n)) == NULL)
			break;
		rc = pcre2_substitute(compiled[rule], (PCRE2_SPTR)s.p, s.n, 0,
		    PCRE2_SUBSTITUTE_GLOBAL | PCRE2_SUBSTITUTE_OVERFLOW_LENGTH |
			PCRE2_NO_UTF_CHECK,
		    NULL, limits, (PCRE2_SPTR)rules[rule].replacement,
		    PCRE2_ZERO_TERMINATED, (PCRE2_UCHAR *)to, &n);
		if (rc == 0)
			return s;
		if (rc > 0)
			return (struct str){ to, n };
		if (rc != PCRE2_ERROR_NOMEMORY)
			break;
	}
	/* what could not be searched is not shown */
	*failed = true;
	return STR("[redacted]");
}

/* All rules over valid UTF-8. */
static struct str
redact_text(struct str s, struct arena *a)
{
	bool failed = false;

	pthread_once(&compile_once, compile_all);
	s = cut_text(s, INPUT_MAX);
	for (size_t i = 0; i < RULES && s.n > 0 && !failed; i++)
		if (rules[i].literal == NULL ||
		    str_contains_nocase(s, str_of(rules[i].literal)))
			s = apply(i, s, a, &failed);
	return s;
}

struct str
redact_summary(struct str text, struct arena *a)
{
	struct str s = str_trim(redact_text(str_trim(text), a));

	if (s.n <= SUMMARY_MAX)
		return s;
	s = str_trim(cut_text(s, SUMMARY_MAX - 3));
	return str_of(arena_printf(a, "%.*s...", STR_ARG(s)));
}

/* ---- payloads -------------------------------------------------------------
 */

/* A key whose value is a secret, whatever it is (section 6.11). */
static bool
secret_key(const char *key)
{
	static const char *const names[] = { "api_key", "apikey", "x_api_key",
		"authorization", "proxy_authorization", "cookie", "set_cookie",
		"set_cookie2", "access_token", "refresh_token", "id_token",
		"token", "key", "source", "password" };
	char name[64];
	size_t n = 0;

	for (; n < sizeof name - 1 && key[n] != '\0'; n++) {
		char c = (char)tolower((unsigned char)key[n]);

		name[n] = c == '-' || c == ' ' ? '_' : c;
	}
	name[n] = '\0';
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return strstr(name, "secret") != NULL;
}

static void
write_redacted(json_t *v, struct json_out *o, struct arena *a)
{
	const char **keys;
	size_t n;

	switch (json_typeof(v)) {
	case JSON_OBJECT:
		json_out_object(o);
		if ((keys = sorted_keys(v, a, &n)) == NULL)
			n = 0;
		for (size_t i = 0; i < n; i++) {
			json_out_key(o, keys[i]);
			if (secret_key(keys[i]))
				json_out_z(o, "[redacted]");
			else
				write_redacted(
				    json_object_get(v, keys[i]), o, a);
		}
		json_out_object_end(o);
		break;
	case JSON_ARRAY:
		json_out_array(o);
		for (size_t i = 0; i < json_array_size(v); i++)
			write_redacted(json_array_get(v, i), o, a);
		json_out_array_end(o);
		break;
	case JSON_STRING:
		json_out_str(o, redact_text(json_in_text(v), a));
		break;
	default: {
		struct buf b;

		buf_init(&b, 64);
		record_json(v, &b, a);
		json_out_raw(o, buf_view(&b));
		buf_free(&b);
		break;
	}
	}
}

/* Valid UTF-8 with a sign in place of each byte that was none. */
static struct str
repaired(struct str s, struct arena *a)
{
	struct str all = s;
	uint32_t code;
	char *to;
	size_t n = 0;
	int c;

	if (utf8_valid(s))
		return s;
	if (s.n > SIZE_MAX / 3 || (to = arena_alloc(a, 3 * s.n)) == NULL)
		return STR("");
	while (all.n > 0) {
		if ((c = utf8_next(all, &code)) > 0)
			memcpy(to + n, all.p, (size_t)c);
		else
			memcpy(to + n, "\xef\xbf\xbd", 3);
		n += c > 0 ? (size_t)c : 3;
		all.p += c > 0 ? c : 1;
		all.n -= c > 0 ? (size_t)c : 1;
	}
	return (struct str){ to, n };
}

struct str
redact_payload(struct str item, size_t limit, struct arena *a)
{
	json_t *v = json_in_parse(item, true, NULL);
	struct json_out o;
	struct str s = { NULL, 0 };
	struct buf b;
	char *copy;

	if (json_is_object(v) || json_is_array(v)) {
		buf_init(&b, INPUT_MAX);
		json_out_init(&o, &b, NULL, NULL);
		write_redacted(v, &o, a);
		if (!o.failed && !b.failed &&
		    (copy = arena_strdup(a, buf_view(&b))) != NULL)
			s = (struct str){ copy, b.n };
		buf_free(&b);
	}
	json_decref(v);
	if (s.n == 0)
		s = redact_text(repaired(item.n > INPUT_MAX ?
					     (struct str){ item.p, INPUT_MAX } :
					     item,
				    a),
		    a);
	return cut_text(s, limit);
}
