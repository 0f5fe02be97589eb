/*
 * Keys of known makers, found without patterns.
 */
#ifndef TEST_KEY_H
#define TEST_KEY_H

#include "str.h"

static inline bool
in_key(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
	       (c >= 'a' && c <= 'z') || c == '-' || c == '_';
}

/* A maker's prefix with so much behind it that it begins a key. */
static inline bool
has_key(struct str s)
{
	static const struct {
		struct str prefix;
		size_t least;
	} makers[] = { { { "sk-", 3 }, 6 }, { { "sess-", 5 }, 6 },
		{ { "AIza", 4 }, 8 } };

	for (; s.n > 0; s.p++, s.n--)
		for (size_t i = 0; i < sizeof makers / sizeof *makers; i++) {
			size_t n = makers[i].prefix.n, from = n;

			if (!str_starts(s, makers[i].prefix))
				continue;
			while (n < s.n && in_key(s.p[n]))
				n++;
			if (n - from >= makers[i].least)
				return true;
		}
	return false;
}

#endif
