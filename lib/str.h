/*
 * Views of text, and the small parsers over them.  A view is not owned and
 * not NUL-terminated.
 */
#ifndef STR_H
#define STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attr.h"

struct str {
	const char *p;
	size_t n;
};

#define STR(literal) ((struct str){ (literal), sizeof(literal) - 1 })
#define STR_ARG(s) (int)(s).n, (s).p /* for "%.*s" */

/* View of a NUL-terminated text; NULL gives the empty view. */
struct str str_of(const char *z);

bool str_eq(struct str a, struct str b);
bool str_eq_nocase(struct str a, struct str b); /* ASCII letters only */
bool str_starts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
bool str_contains(struct str s, struct str part);
bool str_contains_nocase(
    struct str s, struct str part);      /* ASCII; part in lower case */
int str_cmp(struct str a, struct str b); /* by bytes */

/* Without leading and trailing white space as Unicode defines it. */
struct str str_trim(struct str s);

/*
 * Decimal integer with optional sign and nothing else.  Returns 0, or -1
 * when the text is no integer or does not fit; *out is untouched then.
 */
int str_i64(struct str s, int64_t *out) ATTR_USE_RESULT;

/* Copy z into to, cut between characters when it does not fit. */
void text_set(char *to, size_t size_bytes, const char *z);

/* Lower-case hexadecimal of n bytes into out, which holds 2n+1. */
void hex_encode(const void *bytes, size_t n, char *out);
/* Returns 0, or -1 unless s is exactly 2n hexadecimal digits. */
int hex_decode(struct str s, void *out, size_t n) ATTR_USE_RESULT;

/*
 * Length in bytes of the UTF-8 character at the start of s (1..4), 0 when
 * s is empty, -1 when the bytes are not valid UTF-8 there.
 */
int utf8_next(struct str s, uint32_t *code);
bool utf8_valid(struct str s);
/* Characters of s; a byte that is no part of one counts as one. */
size_t utf8_length(struct str s);

#endif
