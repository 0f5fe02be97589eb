#include "json_split.h"

#include <string.h>

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static size_t
skip_blank(struct str all, size_t i)
{
	while (i < all.n && is_blank(all.p[i]))
		i++;
	return i;
}

/* Position of the quote that ends the string whose text begins at i. */
static size_t
string_end(struct str all, size_t i)
{
	while (i < all.n) {
		const char *quote = memchr(all.p + i, '"', all.n - i);
		size_t at, back = 0;

		if (quote == NULL)
			return all.n;
		at = (size_t)(quote - all.p);
		while (at - back > i && all.p[at - back - 1] == '\\')
			back++;
		if (back % 2 == 0)
			return at;
		i = at + 1;
	}
	return all.n;
}

/*
 * Position after the element that begins at i: the comma or the bracket that
 * ends it, or all.n when it is not complete.
 */
static size_t
element_end(struct str all, size_t i)
{
	size_t depth = 0;

	for (; i < all.n; i++) {
		switch (all.p[i]) {
		case '"':
			i = string_end(all, i + 1);
			if (i >= all.n)
				return all.n;
			break;
		case '[':
		case '{':
			depth++;
			break;
		case ']':
			if (depth == 0)
				return i;
			depth--;
			break;
		case '}':
			/* one too many belongs to a broken element */
			if (depth > 0)
				depth--;
			break;
		case ',':
			if (depth == 0)
				return i;
			break;
		default:
			break;
		}
	}
	return all.n;
}

void
json_split_init(struct json_split *s)
{
	*s = (struct json_split){ .pos = 0 };
}

/* The opening bracket, or null for an empty queue. */
static enum json_split_result
start(struct json_split *s, struct str all)
{
	size_t i = skip_blank(all, 0), n = all.n - i;

	if (n == 0)
		return JSON_SPLIT_MORE;
	if (all.p[i] == '[') {
		s->started = true;
		s->pos = i + 1;
		return JSON_SPLIT_ELEMENT;
	}
	if (memcmp(all.p + i, "null", n < 4 ? n : 4) != 0)
		return JSON_SPLIT_BAD;
	if (n < 4)
		return JSON_SPLIT_MORE;
	s->started = s->ended = true;
	s->pos = i + 4;
	return JSON_SPLIT_END;
}

enum json_split_result
json_split_next(struct json_split *s, struct str all, struct str *element)
{
	enum json_split_result r;
	size_t from, end;

	*element = (struct str){ NULL, 0 };
	if (s->ended)
		return JSON_SPLIT_END;
	if (!s->started && (r = start(s, all)) != JSON_SPLIT_ELEMENT)
		return r;
	for (;;) {
		from = skip_blank(all, s->pos);
		if (from == all.n)
			return JSON_SPLIT_MORE;
		end = element_end(all, from);
		if (end == all.n)
			return JSON_SPLIT_MORE;
		s->pos = end + 1;
		s->ended = all.p[end] == ']';
		if (end > from)
			break;
		/* nothing between two commas, or an empty array */
		if (s->ended)
			return JSON_SPLIT_END;
	}
	while (end > from && is_blank(all.p[end - 1]))
		end--;
	*element = (struct str){ all.p + from, end - from };
	return JSON_SPLIT_ELEMENT;
}
