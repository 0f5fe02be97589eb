#include "model/mask.h"

#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <pthread.h>

#include "model/normalise.h"

#define MASKED_BELOW 12 /* shorter keys show nothing */
#define ENDS_FROM 16   /* from here on four characters at both ends, else two */
#define SECRET_FROM 32 /* a text so long without blanks is taken for a key */

struct str
cut_text(struct str s, size_t max_bytes)
{
	if (s.n <= max_bytes)
		return s;
	s.n = max_bytes;
	while (s.n > 0 && (s.p[s.n] & 0xc0) == 0x80)
		s.n--;
	return s;
}

/* The last max_bytes, begun between characters. */
static struct str
tail_text(struct str s, size_t max_bytes)
{
	size_t from = s.n <= max_bytes ? 0 : s.n - max_bytes;

	while (from < s.n && (s.p[from] & 0xc0) == 0x80)
		from++;
	return (struct str){ s.p + from, s.n - from };
}

struct str
mask_key(struct str key, struct arena *a)
{
	size_t ends = key.n >= ENDS_FROM ? 4 : 2;
	struct str head, tail;

	if (key.n == 0)
		return key;
	if (key.n < MASKED_BELOW)
		return STR("m:****");
	head = cut_text(key, ends);
	tail = tail_text(key, ends);
	return str_of(
	    arena_printf(a, "m:%.*s...%.*s", STR_ARG(head), STR_ARG(tail)));
}

static bool
looks_secret(struct str s)
{
	if (memchr(s.p, ' ', s.n) != NULL || memchr(s.p, '/', s.n) != NULL ||
	    memchr(s.p, '\\', s.n) != NULL)
		return false;
	return str_starts(s, STR("sk-")) || str_starts(s, STR("AIza")) ||
	       s.n >= SECRET_FROM;
}

struct str
mask_source(struct str source, struct arena *a)
{
	struct str s = str_trim(source), local, rest;
	const char *at;

	if (s.n == 0)
		return s;
	if ((at = memchr(s.p, '@', s.n)) != NULL) {
		local = (struct str){ s.p, (size_t)(at - s.p) };
		rest = (struct str){ at + 1, (size_t)(s.p + s.n - at - 1) };
		local = cut_text(local, 3);
		return str_of(arena_printf(
		    a, "%.*s***@%.*s", STR_ARG(local), STR_ARG(rest)));
	}
	return looks_secret(s) ? mask_key(s, a) : s;
}

/* ---- text of clients ------------------------------------------------------
 */

static pcre2_code *blank_pattern;
static pthread_once_t blank_once = PTHREAD_ONCE_INIT;

/* White space, and whatever is not a letter, mark, number, sign or blank. */
static void
blank_compile(void)
{
	static const char text[] = "(?:[^\\p{L}\\p{M}\\p{N}\\p{P}\\p{S}\\p{Zs}]"
				   "|\\p{Z}|\\s)+";
	PCRE2_SIZE offset;
	int code;

	blank_pattern = pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED,
	    PCRE2_UTF | PCRE2_UCP, &code, &offset, NULL);
}

/* Plain ASCII without two blanks in a row needs nothing done. */
static bool
is_clean(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c < ' ' || c > '~' ||
		    (c == ' ' && i + 1 < s.n && s.p[i + 1] == ' '))
			return false;
	}
	return true;
}

static struct str
collapse(struct str s, struct arena *a)
{
	PCRE2_SIZE n = s.n + 1;
	char *to;
	int rc;

	pthread_once(&blank_once, blank_compile);
	if (blank_pattern == NULL || (to = arena_alloc(a, n)) == NULL)
		return (struct str){ NULL, 0 };
	rc = pcre2_substitute(blank_pattern, (PCRE2_SPTR)s.p, s.n, 0,
	    PCRE2_SUBSTITUTE_GLOBAL, NULL, NULL, (PCRE2_SPTR) " ", 1,
	    (PCRE2_UCHAR *)to, &n);
	if (rc < 0)
		return (struct str){ NULL, 0 };
	return (struct str){ to, n };
}

struct str
clean_text(struct str s, size_t max_bytes, struct arena *a)
{
	s = str_trim(s);
	if (!is_clean(s))
		s = str_trim(collapse(s, a));
	if (s.n <= max_bytes)
		return s;
	s = str_trim(cut_text(s, max_bytes - 3));
	return str_of(arena_printf(a, "%.*s...", STR_ARG(s)));
}
