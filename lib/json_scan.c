#include "json_scan.h"

#include <string.h>

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void
skip_space(struct json_scan *s)
{
	while (s->p < s->end && is_space(*s->p))
		s->p++;
}

/* Past a text, from its opening quote on. */
static bool
skip_text(struct json_scan *s)
{
	for (s->p++; s->p < s->end; s->p++) {
		if (*s->p == '"') {
			s->p++;
			return true;
		}
		if (*s->p == '\\' && s->p + 1 < s->end)
			s->p++;
	}
	s->p = s->end;
	return false;
}

/* Past an object or a list, from its opening bracket on. */
static bool
skip_nested(struct json_scan *s)
{
	size_t depth = 0;

	while (s->p < s->end) {
		char c = *s->p;

		if (c == '"') {
			if (!skip_text(s))
				return false;
			continue;
		}
		s->p++;
		if (c == '{' || c == '[')
			depth++;
		else if ((c == '}' || c == ']') && --depth == 0)
			return true;
	}
	return false;
}

static enum json_scan_result
skip_value(struct json_scan *s, struct str *value)
{
	const char *from;
	bool whole = true;

	skip_space(s);
	from = s->p;
	if (s->p == s->end)
		return JSON_SCAN_CUT;
	if (*s->p == '"')
		whole = skip_text(s);
	else if (*s->p == '{' || *s->p == '[')
		whole = skip_nested(s);
	else
		while (s->p < s->end && !is_space(*s->p) &&
		       memchr(",:]}[{\"", *s->p, 7) == NULL)
			s->p++;
	*value = (struct str){ from, (size_t)(s->p - from) };
	if (!whole)
		return JSON_SCAN_CUT;
	return value->n > 0 ? JSON_SCAN_PART : JSON_SCAN_BAD;
}

void
json_scan_init(struct json_scan *s, struct str v)
{
	*s = (struct json_scan){ .p = v.p, .end = v.p + v.n };
	if (v.n > 0)
		s->p++;
}

/* To the next part, past the comma that stands before all but the first. */
static enum json_scan_result
to_part(struct json_scan *s, char closing)
{
	skip_space(s);
	if (s->p == s->end)
		return JSON_SCAN_CUT;
	if (*s->p == closing) {
		s->p++;
		return JSON_SCAN_END;
	}
	if (!s->begun) {
		s->begun = true;
		return JSON_SCAN_PART;
	}
	if (*s->p != ',')
		return JSON_SCAN_BAD;
	s->p++;
	return JSON_SCAN_PART;
}

enum json_scan_result
json_scan_element(struct json_scan *s, struct str *element)
{
	enum json_scan_result rc = to_part(s, ']');

	return rc == JSON_SCAN_PART ? skip_value(s, element) : rc;
}

enum json_scan_result
json_scan_member(struct json_scan *s, struct str *key, struct str *value)
{
	enum json_scan_result rc = to_part(s, '}');

	if (rc != JSON_SCAN_PART || (rc = skip_value(s, key)) != JSON_SCAN_PART)
		return rc;
	if (*key->p != '"')
		return JSON_SCAN_BAD;
	skip_space(s);
	if (s->p == s->end)
		return JSON_SCAN_CUT;
	if (*s->p != ':')
		return JSON_SCAN_BAD;
	s->p++;
	return skip_value(s, value);
}

enum json_scan_result
json_scan_value(struct str text, struct str *value)
{
	struct json_scan s = { .p = text.p, .end = text.p + text.n };

	*value = (struct str){ text.p, 0 };
	return skip_value(&s, value);
}
