#include "model/textclean.h"

#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <pthread.h>

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

struct str
tail_text(struct str s, size_t max_bytes)
{
	size_t from = s.n <= max_bytes ? 0 : s.n - max_bytes;

	while (from < s.n && (s.p[from] & 0xc0) == 0x80)
		from++;
	return (struct str){ s.p + from, s.n - from };
}

struct str
shorten_text(struct str s, size_t max_bytes, struct arena *a)
{
	struct str head;
	char *p;

	if (s.n <= max_bytes)
		return s;
	head = str_trim(cut_text(s, max_bytes));
	if ((p = arena_alloc(a, head.n + 3)) == NULL)
		return (struct str){ NULL, 0 };
	memcpy(p, head.p, head.n);
	memcpy(p + head.n, "...", 3);
	return (struct str){ p, head.n + 3 };
}

struct str
repair_text(struct str s, struct arena *a)
{
	char *to;
	size_t n = 0;
	uint32_t code;
	int c;

	if (utf8_valid(s))
		return s;
	if (s.n > SIZE_MAX / 3 || (to = arena_alloc(a, 3 * s.n)) == NULL)
		return (struct str){ NULL, 0 };
	while (s.n > 0) {
		if ((c = utf8_next(s, &code)) > 0)
			memcpy(to + n, s.p, (size_t)c);
		else
			memcpy(to + n, "\xef\xbf\xbd", 3);
		n += c > 0 ? (size_t)c : 3;
		s.p += c > 0 ? c : 1;
		s.n -= c > 0 ? (size_t)c : 1;
	}
	return (struct str){ to, n };
}

/* ---- text of clients ------------------------------------------------------
 */

/*
 * PCRE2 is linked for the redaction anyway and knows the categories of all
 * characters; a table of our own would be a second Unicode to keep up to date.
 */
static pcre2_code *blank_pattern;
static pthread_once_t blank_once = PTHREAD_ONCE_INIT;

/* White space, and whatever is not a letter, mark, number, sign or blank. */
static void
blank_compile(void)
{
	PCRE2_SIZE offset;
	int code;

	blank_pattern = pcre2_compile((PCRE2_SPTR) "[\\p{Z}\\p{C}]+",
	    PCRE2_ZERO_TERMINATED, PCRE2_UTF, &code, &offset, NULL);
	if (blank_pattern != NULL)
		/* where code cannot be made at run time it is interpreted */
		(void)pcre2_jit_compile(blank_pattern, PCRE2_JIT_COMPLETE);
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
