#include "json_split.h"

#include <string.h>

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

void
json_split_init(struct json_split *s)
{
	*s = (struct json_split){ 0 };
}

/* Before the first element: blanks, then the bracket or null. */
static enum json_split_result
start(struct json_split *s, struct str all)
{
	struct str rest, null = STR("null");

	while (s->pos < all.n && is_blank(all.p[s->pos]))
		s->pos++;
	rest = (struct str){ all.p + s->pos, all.n - s->pos };
	if (rest.n == 0)
		return JSON_SPLIT_MORE;
	if (rest.p[0] == '[') {
		s->started = true;
		s->pos++;
		return JSON_SPLIT_ELEMENT;
	}
	if (str_starts(rest, null)) {
		s->started = s->ended = true;
		s->pos += null.n;
		return JSON_SPLIT_END;
	}
	return str_starts(null, rest) ? JSON_SPLIT_MORE : JSON_SPLIT_BAD;
}

/*
 * Go on to the comma or bracket that ends the element, and stand on it.
 * Returns false when the bytes end before.
 */
static bool
find_end(struct json_split *s, struct str all)
{
	for (; s->pos + s->scan < all.n; s->scan++) {
		char c = all.p[s->pos + s->scan];

		if (s->in_string) {
			if (s->escaped)
				s->escaped = false;
			else if (c == '\\')
				s->escaped = true;
			else if (c == '"')
				s->in_string = false;
			continue;
		}
		switch (c) {
		case '"':
			s->in_string = true;
			break;
		case '[':
		case '{':
			s->depth++;
			break;
		case ']':
			if (s->depth == 0)
				return true;
			s->depth--;
			break;
		case '}':
			/* one too many belongs to a bad element */
			if (s->depth > 0)
				s->depth--;
			break;
		case ',':
			if (s->depth == 0)
				return true;
			break;
		default:
			break;
		}
	}
	return false;
}

static struct str
trim(struct str s)
{
	while (s.n > 0 && is_blank(s.p[0])) {
		s.p++;
		s.n--;
	}
	while (s.n > 0 && is_blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

enum json_split_result
json_split_next(struct json_split *s, struct str all, struct str *element)
{
	enum json_split_result r;

	*element = (struct str){ NULL, 0 };
	if (!s->started && (r = start(s, all)) != JSON_SPLIT_ELEMENT)
		return r;
	while (!s->ended) {
		struct str e;

		if (!find_end(s, all))
			return JSON_SPLIT_MORE;
		e = (struct str){ all.p + s->pos, s->scan };
		s->ended = all.p[s->pos + s->scan] == ']';
		s->pos += s->scan + 1;
		s->scan = 0;
		e = trim(e);
		if (e.n > 0) {
			*element = e;
			return JSON_SPLIT_ELEMENT;
		}
	}
	return JSON_SPLIT_END;
}
