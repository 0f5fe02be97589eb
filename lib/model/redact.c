#include "model/redact.h"

#include <stdlib.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <pthread.h>

#include "model/normalise.h"
#include "model/textclean.h"

#define SUMMARY_MAX 4096
#define MATCH_LIMIT 1000000 /* a text cannot make a pattern run for long */
#define INPUT_MAX ((size_t)64 * 1024) /* more of a text is not looked at */
#define LOWERED_BYTES 512
#define SCRATCH_MAX ((size_t)4 * 1024 * 1024)

/* ---- the rules ----------------------------------------------------------- */

/*
 * From a key to its value, in JSON, JSON inside a JSON text, a header or a
 * query: the key's closing quote, colon or equals sign, the value's opening
 * quote.  What stands before the value is kept as group 1.
 */
#define KEYED(key) "(?i)(" key "\\\\*[\"']?\\s*[:=]\\s*(?:\\\\*[\"'])?)"
/*
 * The value, told by what stands before it: to the closing quote, to the end
 * of a list, or as far as plain reaches.
 */
#define VALUE(plain)                                                \
	"(?:(?<=\\\\[\"'])[^\"'\\\\]*+(?:\\\\[^\"'][^\"'\\\\]*+)*+" \
	"|(?<=\")[^\"\\\\]*+(?s:\\\\.[^\"\\\\]*+)*+"                \
	"|(?<=')[^'\\\\]*+(?s:\\\\.[^'\\\\]*+)*+"                   \
	"|(?<![\"'])(?:\\[(?:[^\"\\]]++|\"[^\"\\\\]*+"              \
	"(?s:\\\\.[^\"\\\\]*+)*+\"?)*+\\]?|" plain "))"
/* A backslash belongs to a plain value unless it escapes what ends one. */
#define PLAIN(ends) "(?:[^\\\\" ends "]|\\\\(?![\"'nrt\\\\]))++"

#define NOT_IN_WORD "(?<![A-Za-z0-9_-])"

/* Classes of bytes without which a rule cannot match. */
enum needs {
	NEED_SIGN = 1, /* : or = */
	NEED_AT = 2,   /* @ */
	NEED_DASH = 4,
	NEED_LINE = 8, /* _ */
	NEED_DOT = 16,
	NEED_A = 32, /* A or a */
	NEED_B = 64  /* B or b */
};

/*
 * A pattern is tried only on a text that has the bytes it needs and one of
 * the literals (lower case; the text is lowered for the search).
 */
static const struct rule {
	unsigned needs;
	const char *literals[4];
	const char *pattern, *replacement;
} rules[] = {
	/* a label is a key at times; which, a broken payload does not tell */
	{ NEED_SIGN, { "source", "key" },
	    KEYED("\\\\*[\"'](?:source|key)\\b") VALUE(PLAIN("\"',\\s&}\\[")),
	    "$1[redacted]" },
	/* a scheme and what follows it; Digest has a list of its own */
	{ NEED_SIGN, { "authorization" },
	    KEYED("\\b(?:proxy-)?authorization") VALUE(
		"(?:digest\\s[^\\r\\n{}]*+|"
		"(?:[a-z][a-z0-9_-]*+[ \\t]++)?" PLAIN("\\s,\"'{}\\[\\]") ")"),
	    "$1[redacted]" },
	/* not the words that follow it in a challenge or in prose */
	{ NEED_B, { "bearer" },
	    "(?i)\\bbearer\\s+"
	    "(?!(?:realm|scope|error|error_description)=)"
	    "(?!(?:tokens?|auth|authentication|authorization|header|scheme|is|"
	    "was|and|or|not|for|in)(?![A-Za-z0-9._~+/=-]))"
	    "[A-Za-z0-9._~+/=-]+",
	    "Bearer [redacted]" },
	{ NEED_SIGN, { "token" },
	    KEYED("\\b(?:access|refresh|id|auth|session|security)[-_]?token\\b")
		VALUE(PLAIN("\"',\\s&}\\[")),
	    "$1[redacted]" },
	{ NEED_SIGN, { "secret", "password", "passwd" },
	    KEYED("\\b[A-Za-z0-9_-]*(?:secret|password|passwd)(?:[-_]?key)?\\b")
		VALUE(PLAIN("\"',\\s&}\\[")),
	    "$1[redacted]" },
	{ NEED_SIGN, { "api" },
	    KEYED("\\b(?:x-)?(?:goog-)?api[-_ ]?key\\b(?: provided)?")
		VALUE(PLAIN("\"',\\s&}\\[")),
	    "$1[redacted]" },
	{ NEED_SIGN, { "?", "&", "u0026" },
	    "(?i)((?:[?&]|\\\\u0026)(?:key|token|sig|signature|code|auth)=)"
	    "[^&\\s\"'\\\\]+",
	    "$1[redacted]" },
	{ NEED_DASH, { "sk-", "sess-" }, "(?:sk|sess)-[A-Za-z0-9_-]{6,}",
	    "[redacted]" },
	{ NEED_LINE, { "ghp_", "github_pat_" },
	    "ghp_[A-Za-z0-9]{6,}|github_pat_[A-Za-z0-9_]{20,}", "[redacted]" },
	{ NEED_LINE, { "hf_", "pk_", "rk_" }, "(?:hf|pk|rk)_[A-Za-z0-9]{6,}",
	    "[redacted]" },
	{ NEED_A, { "aiza" }, "AIza[0-9A-Za-z_-]{8,}", "[redacted]" },
	{ NEED_A, { "akia" }, NOT_IN_WORD "AKIA[0-9A-Z]{12,}", "[redacted]" },
	{ NEED_DASH | NEED_LINE | NEED_DOT,
	    { "xai-", "gsk_", "nvapi-", "ya29." },
	    NOT_IN_WORD "(?:xai-|gsk_|nvapi-|ya29\\.)[A-Za-z0-9_-]{12,}",
	    "[redacted]" },
	{ NEED_DOT, { "eyj" },
	    NOT_IN_WORD "eyJ[A-Za-z0-9_-]{8,}+\\.[A-Za-z0-9_-]{8,}+"
			"(?:\\.[A-Za-z0-9_-]*+)?",
	    "[redacted]" },
	{ NEED_SIGN, { "cookie" },
	    KEYED("\\b(?:set-)?cookie2?") VALUE(PLAIN("\\r\\n\"{}")),
	    "$1[redacted]" },
	{ NEED_AT, { "@" }, "(://)[^/\\s\"'@:]*+:[^/\\s\"'@]*+@",
	    "$1[redacted]@" },
	/* the host is looked at only: it may be the name of the next one */
	{ NEED_AT, { "@" },
	    "(?<![A-Za-z0-9._%+-])"
	    "([A-Za-z0-9._%+-])[A-Za-z0-9._%+-]*+"
	    "(?=@[A-Za-z0-9.-]+\\.[A-Za-z]{2,})",
	    "$1***" },
};

#define RULES (sizeof rules / sizeof *rules)
#define PAYLOAD_RULES 1 /* so many at the start are for payloads only */

static pcre2_code *compiled[RULES];
static pcre2_match_context *limits;
static pthread_once_t compile_once = PTHREAD_ONCE_INIT;

/* A pattern that is not there makes its texts "[redacted]". */
static void
compile_all(void)
{
	PCRE2_SIZE offset;
	int code;

	if ((limits = pcre2_match_context_create(NULL)) == NULL)
		return;
	(void)pcre2_set_match_limit(limits, MATCH_LIMIT);
	for (size_t i = 0; i < RULES; i++) {
		compiled[i] = pcre2_compile((PCRE2_SPTR)rules[i].pattern,
		    PCRE2_ZERO_TERMINATED, PCRE2_UTF, &code, &offset, NULL);
		/* where code cannot be made at run time it is interpreted */
		if (compiled[i] != NULL)
			(void)pcre2_jit_compile(
			    compiled[i], PCRE2_JIT_COMPLETE);
	}
}

/* ---- which rules can match ----------------------------------------------- */

static unsigned
needs_met(struct str s)
{
	static const unsigned char classes[256] = { [':'] = NEED_SIGN,
		['='] = NEED_SIGN,
		['@'] = NEED_AT,
		['-'] = NEED_DASH,
		['_'] = NEED_LINE,
		['.'] = NEED_DOT,
		['A'] = NEED_A,
		['a'] = NEED_A,
		['B'] = NEED_B,
		['b'] = NEED_B };
	unsigned met = 0;

	for (size_t i = 0; i < s.n; i++)
		met |= classes[(unsigned char)s.p[i]];
	return met;
}

/* U+017F and U+212A are s and k to a pattern that ignores case. */
static bool
has_odd_case(struct str s)
{
	return str_contains(s, STR("\xc5\xbf")) ||
	       str_contains(s, STR("\xe2\x84\xaa"));
}

/* s in lower case, in room if that holds it, else in a. */
static struct str
lowered(struct str s, char room[LOWERED_BYTES], struct arena *a)
{
	char *p = s.n <= LOWERED_BYTES ? room : arena_alloc(a, s.n);

	for (size_t i = 0; p != NULL && i < s.n; i++) {
		char c = s.p[i];

		p[i] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
	}
	return (struct str){ p, p == NULL ? 0 : s.n };
}

static bool
can_match(const struct rule *rule, unsigned met, bool odd, struct str low)
{
	if ((rule->needs & met) == 0)
		return false;
	if (odd)
		return true;
	for (size_t i = 0; i < 4 && rule->literals[i] != NULL; i++)
		if (str_contains(low, str_of(rule->literals[i])))
			return true;
	return false;
}

/* ---- applying them ------------------------------------------------------- */

static struct str
apply(size_t i, struct str s, struct arena *a, bool *failed)
{
	PCRE2_SIZE n = s.n + s.n / 4 + 64;
	int rc = PCRE2_ERROR_NOMEMORY;
	char *to;

	/* a second time with as much room as the first one asked for */
	for (int pass = 0; pass < 2 && compiled[i] != NULL; pass++) {
		if ((to = arena_alloc(a, n)) == NULL)
			break;
		rc = pcre2_substitute(compiled[i], (PCRE2_SPTR)s.p, s.n, 0,
		    PCRE2_SUBSTITUTE_GLOBAL | PCRE2_SUBSTITUTE_OVERFLOW_LENGTH |
			PCRE2_NO_UTF_CHECK,
		    NULL, limits, (PCRE2_SPTR)rules[i].replacement,
		    PCRE2_ZERO_TERMINATED, (PCRE2_UCHAR *)to, &n);
		if (rc == 0)
			return s;
		if (rc > 0)
			return (struct str){ to, n };
		if (rc != PCRE2_ERROR_NOMEMORY)
			break;
	}
	*failed = true;
	return STR("[redacted]");
}

/*
 * A long text is looked at up to a blank, so that no secret is cut into a
 * piece that no rule knows.
 */
static struct str
bounded(struct str s)
{
	size_t n;

	if (s.n <= INPUT_MAX)
		return s;
	s = cut_text(s, INPUT_MAX);
	for (n = s.n; n > s.n / 2; n--)
		if (s.p[n - 1] == ' ' || s.p[n - 1] == '\n' ||
		    s.p[n - 1] == ',')
			return (struct str){ s.p, n };
	return s;
}

static struct str
redact_with(struct str s, unsigned met, bool payload, struct arena *a)
{
	char room[LOWERED_BYTES];
	bool failed = false, odd;
	struct str low;

	pthread_once(&compile_once, compile_all);
	odd = has_odd_case(s);
	low = lowered(s, room, a);
	for (size_t i = payload ? 0 : PAYLOAD_RULES; i < RULES && !failed; i++)
		if (can_match(&rules[i], met, odd, low))
			s = apply(i, s, a, &failed);
	return s;
}

static struct str
redact(struct str s, bool payload, struct arena *a)
{
	struct arena scratch;
	struct str out;
	unsigned met;
	char *copy;

	s = bounded(s);
	if ((met = needs_met(s)) == 0)
		return s;
	arena_init(&scratch, SCRATCH_MAX);
	out = redact_with(s, met, payload, &scratch);
	if (scratch.failed)
		out = STR("[redacted]");
	if (out.p != s.p) {
		copy = arena_strdup(a, out);
		out = (struct str){ copy, copy == NULL ? 0 : out.n };
	}
	arena_free(&scratch);
	return out;
}

struct str
redact_text(struct str s, struct arena *a)
{
	return redact(s, false, a);
}

struct str
redact_broken_payload(struct str s, struct arena *a)
{
	return redact(s, true, a);
}

struct str
redact_shorten(struct str s, size_t max_bytes, struct arena *a)
{
	struct str before;

	/* twice, as the reference does: a cut may leave a mark of ours open */
	for (int pass = 0; pass < 2; pass++) {
		before = s;
		s = str_trim(redact_text(str_trim(s), a));
		s = shorten_text(s, max_bytes, a);
		if (s.p == before.p && s.n == before.n)
			break;
	}
	return s;
}

struct str
redact_summary(struct str text, struct arena *a)
{
	return redact_shorten(repair_text(text, a), SUMMARY_MAX, a);
}
