#include "model/mask.h"

#include <string.h>

#include "model/normalise.h"
#include "model/textclean.h"

#define MASKED_BELOW 16 /* a shorter key shows nothing, a longer one 4 + 4 */
#define SHOWN_BYTES 4
#define LOCAL_BYTES 3  /* shown of an address before its @ */
#define SECRET_FROM 32 /* a text so long without blanks is taken for a key */

/* What mask_key() made, or the reference, which cuts bytes. */
static bool
is_masked(struct str s)
{
	const size_t longest = 2 + SHOWN_BYTES + 3 + SHOWN_BYTES;

	return str_eq(s, STR("m:****")) ||
	       (str_starts(s, STR("m:")) && s.n <= longest &&
		   str_contains(s, STR("...")));
}

struct str
mask_key(struct str key, struct arena *a)
{
	struct str head, tail;

	if (key.n == 0 || is_masked(key))
		return key;
	if (key.n < MASKED_BELOW)
		return STR("m:****");
	head = cut_text(key, SHOWN_BYTES);
	tail = tail_text(key, SHOWN_BYTES);
	return str_of(
	    arena_printf(a, "m:%.*s...%.*s", STR_ARG(head), STR_ARG(tail)));
}

/* How keys of known makers begin. */
static bool
has_key_prefix(struct str s)
{
	static const char *const prefixes[] = { "sk-", "AIza", "sess-", "ghp_",
		"github_pat_", "hf_", "pk_", "rk_", "xai-", "gsk_", "nvapi-",
		"AKIA", "ya29.", "eyJ" };

	for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
		if (str_starts(s, str_of(prefixes[i])))
			return true;
	return false;
}

bool
looks_secret(struct str s)
{
	if (memchr(s.p, ' ', s.n) != NULL || memchr(s.p, '/', s.n) != NULL ||
	    memchr(s.p, '\\', s.n) != NULL)
		return false;
	return has_key_prefix(s) || s.n >= SECRET_FROM;
}

/* name@host.domain without blanks */
static bool
is_email(struct str s)
{
	const char *at = memchr(s.p, '@', s.n);
	struct str host;

	if (at == NULL || at == s.p || memchr(s.p, ' ', s.n) != NULL)
		return false;
	host = (struct str){ at + 1, (size_t)(s.p + s.n - at - 1) };
	return memchr(host.p, '.', host.n) != NULL;
}

bool
is_plain_label(struct str s)
{
	if (s.n == 0 || has_key_prefix(s))
		return false;
	return is_email(s) || memchr(s.p, ' ', s.n) != NULL || *s.p == '/' ||
	       str_ends(s, STR(".json"));
}

struct str
mask_source(struct str source, struct arena *a)
{
	struct str s = str_trim(source), local, rest;
	const char *at;

	if (s.n == 0)
		return s;
	if ((at = memchr(s.p, '@', s.n)) == NULL)
		return looks_secret(s) ? mask_key(s, a) : s;
	local = (struct str){ s.p, (size_t)(at - s.p) };
	/* a mask of ours that comes in again stays as it is */
	if (local.n <= LOCAL_BYTES + 3 && str_ends(local, STR("***")))
		return s;
	local = cut_text(local, LOCAL_BYTES);
	rest = (struct str){ at + 1, (size_t)(s.p + s.n - at - 1) };
	return str_of(
	    arena_printf(a, "%.*s***@%.*s", STR_ARG(local), STR_ARG(rest)));
}
