#include "json_tree.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_MAX 512 /* digits of a number that strtod() is asked about */

struct parser {
	const char *p, *end, *begin;
	struct arena *a;
	const char *problem; /* a literal; NULL as long as all is well */
	unsigned depth;
};

static bool parse_value(struct parser *s, struct json_tree *v);

static bool
refuse(struct parser *s, const char *problem)
{
	if (s->problem == NULL)
		s->problem = problem;
	return false;
}

static bool
refuse_here(struct parser *s)
{
	return refuse(s, s->p == s->end ? "unexpected end of JSON input" :
					  "invalid character");
}

static void
skip_space(struct parser *s)
{
	while (s->p < s->end && (*s->p == ' ' || *s->p == '\n' ||
				    *s->p == '\r' || *s->p == '\t'))
		s->p++;
}

/* ---- texts --------------------------------------------------------------- */

static int
hex4(const char *p, const char *end)
{
	unsigned char raw[2];

	if (end - p < 4 || hex_decode((struct str){ p, 4 }, raw, 2) != 0)
		return -1;
	return raw[0] << 8 | raw[1];
}

static char *
put_utf8(char *to, uint32_t c)
{
	if (c < 0x80) {
		*to++ = (char)c;
	} else if (c < 0x800) {
		*to++ = (char)(0xc0 | c >> 6);
		*to++ = (char)(0x80 | (c & 0x3f));
	} else if (c < 0x10000) {
		*to++ = (char)(0xe0 | c >> 12);
		*to++ = (char)(0x80 | (c >> 6 & 0x3f));
		*to++ = (char)(0x80 | (c & 0x3f));
	} else {
		*to++ = (char)(0xf0 | c >> 18);
		*to++ = (char)(0x80 | (c >> 12 & 0x3f));
		*to++ = (char)(0x80 | (c >> 6 & 0x3f));
		*to++ = (char)(0x80 | (c & 0x3f));
	}
	return to;
}

/* The escape at p, behind its backslash, to *to; NULL when it is none. */
static const char *
unescape(const char *p, const char *end, char **to)
{
	static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
	const char *found;
	int code, low;

	if (*p != 'u') {
		if (*p == '\0' || (found = strchr(from, *p)) == NULL)
			return NULL;
		*(*to)++ = into[found - from];
		return p + 1;
	}
	if ((code = hex4(p + 1, end)) < 0)
		return NULL;
	p += 5;
	if (code < 0xd800 || code > 0xdfff) {
		*to = put_utf8(*to, (uint32_t)code);
		return p;
	}
	/* half a pair stands for U+FFFD, and so does each half alone */
	if (code < 0xdc00 && end - p >= 6 && p[0] == '\\' && p[1] == 'u' &&
	    (low = hex4(p + 2, end)) >= 0xdc00 && low <= 0xdfff) {
		*to =
		    put_utf8(*to, 0x10000 + ((uint32_t)(code - 0xd800) << 10) +
				      (uint32_t)(low - 0xdc00));
		return p + 6;
	}
	*to = put_utf8(*to, 0xfffd);
	return p;
}

/*
 * Copy raw, the inside of a text, with escapes resolved and invalid bytes
 * replaced.  No escape grows; an invalid byte becomes three.
 */
static bool
decode(struct parser *s, struct str raw, struct str *out)
{
	const char *p = raw.p, *end = raw.p + raw.n;
	char *copy, *to;
	uint32_t code;
	int n;

	if (raw.n > SIZE_MAX / 3 ||
	    (copy = arena_alloc(s->a, utf8_valid(raw) ? raw.n : 3 * raw.n)) ==
		NULL)
		return refuse(s, "too large");
	for (to = copy; p < end;) {
		if (*p == '\\') {
			if ((p = unescape(p + 1, end, &to)) == NULL)
				return refuse(s, "invalid escape in a text");
			continue;
		}
		n = utf8_next((struct str){ p, (size_t)(end - p) }, &code);
		if (n > 0) {
			memcpy(to, p, (size_t)n);
			to += n;
		} else
			to = put_utf8(to, 0xfffd);
		p += n > 0 ? n : 1;
	}
	*out = (struct str){ copy, (size_t)(to - copy) };
	return true;
}

/* What ends the quick part of a text: quote, backslash, control, non-ASCII. */
static bool
is_plain(char c)
{
	return (unsigned char)c >= ' ' && (unsigned char)c < 0x80 && c != '"' &&
	       c != '\\';
}

static bool
parse_text(struct parser *s, struct str *out)
{
	const char *from = s->p + 1, *p = from;
	bool escaped = false, foreign = false;

	for (;;) {
		while (p < s->end && is_plain(*p))
			p++;
		s->p = p;
		if (p == s->end)
			return refuse_here(s);
		if (*p == '"')
			break;
		if ((unsigned char)*p < ' ')
			return refuse(s, "control character in a text");
		if (*p == '\\') {
			escaped = true;
			if (++p == s->end) {
				s->p = p;
				return refuse_here(s);
			}
		} else
			foreign = true;
		p++;
	}
	s->p = p + 1;
	*out = (struct str){ from, (size_t)(p - from) };
	if (escaped || (foreign && !utf8_valid(*out)))
		return decode(s, *out, out);
	return true;
}

/* ---- numbers ------------------------------------------------------------- */

static bool
is_digit(const struct parser *s)
{
	return s->p < s->end && *s->p >= '0' && *s->p <= '9';
}

static bool
parse_digits(struct parser *s)
{
	if (!is_digit(s))
		return refuse_here(s);
	while (is_digit(s))
		s->p++;
	return true;
}

/* The text of a number, which has been checked, as a double. */
static bool
to_double(struct parser *s, struct str text, double *out)
{
	char local[NUMBER_MAX + 1];
	const char *z = local;

	if (text.n <= NUMBER_MAX) {
		memcpy(local, text.p, text.n);
		local[text.n] = '\0';
	} else if ((z = arena_strdup(s->a, text)) == NULL)
		return refuse(s, "too large");
	*out = strtod(z, NULL);
	return isfinite(*out) ? true : refuse(s, "number out of range");
}

static bool
parse_number(struct parser *s, double *out)
{
	const char *from = s->p, *digits;
	bool minus = *s->p == '-', whole = true;
	int64_t v = 0;

	if (minus)
		s->p++;
	digits = s->p;
	if (is_digit(s) && *s->p == '0')
		s->p++;
	else if (!parse_digits(s))
		return false;
	if (s->p < s->end && *s->p == '.') {
		whole = false;
		s->p++;
		if (!parse_digits(s))
			return false;
	}
	if (s->p < s->end && (*s->p == 'e' || *s->p == 'E')) {
		whole = false;
		s->p++;
		if (s->p < s->end && (*s->p == '+' || *s->p == '-'))
			s->p++;
		if (!parse_digits(s))
			return false;
	}
	/* up to 15 digits are exact */
	if (!whole || s->p - digits > 15)
		return to_double(
		    s, (struct str){ from, (size_t)(s->p - from) }, out);
	for (; digits < s->p; digits++)
		v = v * 10 + (*digits - '0');
	*out = minus ? -(double)v : (double)v;
	return true;
}

/* ---- lists and objects --------------------------------------------------- */

static struct json_tree *
add_child(struct parser *s, struct json_tree *v, struct json_tree *last)
{
	struct json_tree *child = arena_alloc(s->a, sizeof *child);

	if (child == NULL) {
		refuse(s, "too large");
		return NULL;
	}
	if (last == NULL)
		v->first = child;
	else
		last->next = child;
	v->n++;
	return child;
}

static bool
parse_member_key(struct parser *s, struct json_tree *child)
{
	if (s->p == s->end || *s->p != '"')
		return refuse_here(s);
	if (!parse_text(s, &child->key))
		return false;
	skip_space(s);
	if (s->p == s->end || *s->p != ':')
		return refuse_here(s);
	s->p++;
	skip_space(s);
	return true;
}

static bool
parse_children(struct parser *s, struct json_tree *v, char close)
{
	struct json_tree *last = NULL;

	if (++s->depth > JSON_TREE_DEPTH)
		return refuse(s, "nested too deep");
	s->p++;
	skip_space(s);
	if (s->p < s->end && *s->p == close)
		goto closed;
	for (;;) {
		if ((last = add_child(s, v, last)) == NULL ||
		    (close == '}' && !parse_member_key(s, last)) ||
		    !parse_value(s, last))
			return false;
		skip_space(s);
		if (s->p == s->end || (*s->p != ',' && *s->p != close))
			return refuse_here(s);
		if (*s->p == close)
			break;
		s->p++;
		skip_space(s);
	}
closed:
	s->p++;
	s->depth--;
	return true;
}

static bool
parse_word(struct parser *s, struct json_tree *v, struct str word,
    enum json_tree_type type)
{
	for (size_t i = 0; i < word.n; i++, s->p++)
		if (s->p == s->end || *s->p != word.p[i])
			return refuse_here(s);
	v->type = type;
	return true;
}

static bool
parse_value(struct parser *s, struct json_tree *v)
{
	if (s->p == s->end)
		return refuse_here(s);
	switch (*s->p) {
	case '{':
		v->type = TREE_OBJECT;
		return parse_children(s, v, '}');
	case '[':
		v->type = TREE_LIST;
		return parse_children(s, v, ']');
	case '"':
		v->type = TREE_TEXT;
		return parse_text(s, &v->text);
	case 't':
		return parse_word(s, v, STR("true"), TREE_TRUE);
	case 'f':
		return parse_word(s, v, STR("false"), TREE_FALSE);
	case 'n':
		return parse_word(s, v, STR("null"), TREE_NULL);
	default:
		v->type = TREE_NUMBER;
		return parse_number(s, &v->number);
	}
}

const struct json_tree *
json_tree_parse(struct str text, struct arena *a, struct err *e)
{
	struct parser s = { .p = text.p, .begin = text.p, .a = a };
	struct json_tree *v;

	if (text.n == 0) {
		fail(e, ERR_INPUT, "unexpected end of JSON input");
		return NULL;
	}
	s.end = text.p + text.n;
	if ((v = arena_alloc(a, sizeof *v)) == NULL) {
		fail(e, ERR_TOO_LARGE, "too large");
		return NULL;
	}
	skip_space(&s);
	if (parse_value(&s, v)) {
		skip_space(&s);
		if (s.p == s.end)
			return v;
		refuse(&s, "invalid character after the value");
	}
	if (a->failed)
		fail(e, ERR_TOO_LARGE, "%s", s.problem);
	else if (s.p == s.end)
		fail(e, ERR_INPUT, "%s", s.problem);
	else
		fail(e, ERR_INPUT, "%s at byte %zu", s.problem,
		    (size_t)(s.p - s.begin));
	return NULL;
}

/* ---- reading ------------------------------------------------------------- */

const struct json_tree *
json_tree_get(const struct json_tree *v, struct str key)
{
	const struct json_tree *found = NULL;

	if (v == NULL || v->type != TREE_OBJECT)
		return NULL;
	for (v = v->first; v != NULL; v = v->next)
		if (str_eq(v->key, key))
			found = v;
	return found;
}

struct str
json_tree_text(const struct json_tree *v)
{
	if (v == NULL || v->type != TREE_TEXT)
		return (struct str){ NULL, 0 };
	return v->text;
}

static int
by_key(const void *a, const void *b)
{
	const struct json_tree_place *x = a, *y = b;
	int c = str_cmp(x->v->key, y->v->key);

	return c != 0 ? c : (x->at > y->at) - (x->at < y->at);
}

struct json_tree_place *
json_tree_sorted(const struct json_tree *v, struct arena *a, size_t *n)
{
	struct json_tree_place *places;
	size_t i = 0, kept = 0;

	*n = 0;
	if ((places = arena_array(a, v->n, sizeof *places)) == NULL)
		return NULL;
	for (const struct json_tree *m = v->first; m != NULL; m = m->next, i++)
		places[i] = (struct json_tree_place){ m, i };
	qsort(places, i, sizeof *places, by_key);
	for (size_t k = 0; k < i; k++)
		if (k + 1 == i ||
		    !str_eq(places[k].v->key, places[k + 1].v->key))
			places[kept++] = places[k];
	*n = kept;
	return places;
}

void
json_tree_write(const struct json_tree *v, struct json_out *o, struct arena *a)
{
	struct json_tree_place *members;
	size_t n;

	if (o->failed)
		return;
	switch (v->type) {
	case TREE_OBJECT:
		json_out_object(o);
		if ((members = json_tree_sorted(v, a, &n)) == NULL)
			o->failed = true;
		for (size_t i = 0; members != NULL && i < n; i++) {
			json_out_key_str(o, members[i].v->key);
			json_tree_write(members[i].v, o, a);
		}
		json_out_object_end(o);
		break;
	case TREE_LIST:
		json_out_array(o);
		for (v = v->first; v != NULL; v = v->next)
			json_tree_write(v, o, a);
		json_out_array_end(o);
		break;
	case TREE_TEXT:
		json_out_str(o, v->text);
		break;
	case TREE_NUMBER:
		json_out_double(o, v->number);
		break;
	case TREE_TRUE:
	case TREE_FALSE:
		json_out_bool(o, v->type == TREE_TRUE);
		break;
	case TREE_NULL:
		json_out_null(o);
		break;
	}
}
