/*
 * jansson refuses some texts that the reference's decoder takes: invalid
 * UTF-8, lone surrogates, integers beyond int64, NUL in keys.  They are rare,
 * so a text is parsed as it is, and only after a refusal is it gone through
 * and, if there is something to repair, parsed once more from a copy.
 */
#include "json_in.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "buf.h"

_Static_assert(JSON_PARSER_MAX_DEPTH == JSON_DEPTH_MAX,
    "jansson was built with another limit");

#define FFFD_BYTES "\xef\xbf\xbd"
#define FFFD_ESCAPE "\\ufffd"

struct repair {
	struct str in;
	size_t at;   /* next byte to look at */
	size_t done; /* in.p[0..done) stands in out already */
	struct buf out;
	bool in_string, changed;
	bool key_known, is_key; /* of the string that we are in */
};

/* Put `by` in place of the next n bytes. */
static void
replace(struct repair *r, size_t n, const char *by)
{
	buf_add(&r->out, r->in.p + r->done, r->at - r->done);
	buf_z(&r->out, by);
	r->at += n;
	r->done = r->at;
	r->changed = true;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static size_t
skip_blanks(struct str s, size_t at)
{
	while (at < s.n && is_blank(s.p[at]))
		at++;
	return at;
}

/*
 * Is the string that we are in a key, which a colon follows?  Looks ahead
 * once a string.
 */
static bool
in_key(struct repair *r)
{
	size_t at = r->at;

	if (r->key_known)
		return r->is_key;
	while (at < r->in.n && r->in.p[at] != '"')
		at += r->in.p[at] == '\\' ? 2 : 1;
	if (at < r->in.n)
		at = skip_blanks(r->in, at + 1);
	r->is_key = at < r->in.n && r->in.p[at] == ':';
	r->key_known = true;
	return r->is_key;
}

/* The code unit of an escape \uXXXX at `at`, or -1. */
static int
code_unit(const struct repair *r, size_t at)
{
	unsigned char b[2];

	if (r->in.n < 6 || at > r->in.n - 6 || r->in.p[at] != '\\' ||
	    r->in.p[at + 1] != 'u' ||
	    hex_decode((struct str){ r->in.p + at + 2, 4 }, b, 2) != 0)
		return -1;
	return b[0] << 8 | b[1];
}

static void
repair_escape(struct repair *r)
{
	int unit = code_unit(r, r->at), low;

	if (unit < 0) {
		/* past the next character too, unless that is looked at */
		r->at += r->at + 1 < r->in.n && r->in.p[r->at + 1] > 0 ? 2 : 1;
		return;
	}
	if (unit >= 0xd800 && unit <= 0xdbff) {
		low = code_unit(r, r->at + 6);
		if (low >= 0xdc00 && low <= 0xdfff) {
			r->at += 12;
			return;
		}
	}
	if ((unit >= 0xd800 && unit <= 0xdfff) || (unit == 0 && in_key(r)))
		replace(r, 6, FFFD_ESCAPE);
	else
		r->at += 6;
}

/* Make an integer that does not fit a number with a fraction. */
static void
repair_number(struct repair *r)
{
	size_t from = r->at, to;
	bool whole = true;
	struct str digits;
	int64_t v;

	for (to = from; to < r->in.n; to++) {
		char c = r->in.p[to];

		if (c == '.' || c == 'e' || c == 'E' || c == '+' || c == '-')
			whole = false;
		else if (!is_digit(c))
			break;
	}
	if (from > 0 && r->in.p[from - 1] == '-')
		from--;
	digits = (struct str){ r->in.p + from, to - from };
	r->at = to;
	if (whole && str_i64(digits, &v) != 0)
		replace(r, 0, ".0");
}

static void
repair_all(struct repair *r)
{
	while (r->at < r->in.n && !r->out.failed) {
		char c = r->in.p[r->at];
		struct str rest = { r->in.p + r->at, r->in.n - r->at };
		uint32_t code;
		int n = utf8_next(rest, &code);

		if (n < 0)
			replace(r, 1, FFFD_BYTES);
		else if (r->in_string && c == '\\')
			repair_escape(r);
		else if (!r->in_string && is_digit(c))
			repair_number(r);
		else {
			if (c == '"') {
				r->in_string = !r->in_string;
				r->key_known = false;
			}
			r->at += (size_t)n;
		}
	}
	if (r->changed)
		buf_add(&r->out, r->in.p + r->done, r->in.n - r->done);
}

static json_t *
load(struct str text, bool whole, json_error_t *je)
{
	size_t flags = JSON_DECODE_ANY | JSON_ALLOW_NUL;
	json_t *v;

	if (!whole)
		flags |= JSON_DISABLE_EOF_CHECK;
	errno = 0;
	v = json_loadb(text.n == 0 ? "" : text.p, text.n, flags, je);
	/* jansson names most failures of its allocations something else */
	if (v == NULL && (errno == ENOMEM || je->text[0] == '\0'))
		je->text[JSON_ERROR_TEXT_LENGTH - 1] = json_error_out_of_memory;
	return v;
}

static bool
may_be_repaired(const json_error_t *je)
{
	switch (json_error_code(je)) {
	case json_error_invalid_utf8:
	case json_error_invalid_syntax:
	case json_error_null_byte_in_key:
	case json_error_numeric_overflow:
		return true;
	default:
		return false;
	}
}

/*
 * Do the bytes end inside a word, a number or an escape?  jansson takes
 * such an end for a wrong token.
 */
static bool
ends_in_token(struct str text)
{
	static const struct str words[] = { { "true", 4 }, { "false", 5 },
		{ "null", 4 } };
	size_t from = text.n;
	struct str last;

	while (from > 0 && text.p[from - 1] >= 'a' && text.p[from - 1] <= 'z')
		from--;
	last = (struct str){ text.p + from, text.n - from };
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (last.n > 0 && last.n < words[i].n &&
		    str_starts(words[i], last))
			return true;
	for (from = text.n; from > 0; from--) {
		char c = text.p[from - 1];

		if (!is_digit(c) && strchr("+-.eE", c) == NULL)
			break;
	}
	if (from < text.n && !is_digit(text.p[text.n - 1]))
		return true;
	/* a backslash, or \u with fewer than four digits */
	for (from = text.n; from > 0 && text.n - from < 6; from--)
		if (text.p[from - 1] == '\\')
			return text.n - from == 0 || text.p[from] == 'u';
	return false;
}

static void
explain(struct str text, const json_error_t *je, struct err *e)
{
	/* what stood there is not repeated: it may be a secret */
	int len = (int)strcspn(je->text, "'\"");
	const char *near = strstr(je->text, " near ");
	size_t end = je->position < 0 ? 0 : (size_t)je->position;

	switch (json_error_code(je)) {
	case json_error_out_of_memory:
		fail(e, ERR_UNAVAILABLE, "out of memory");
		return;
	case json_error_stack_overflow:
		fail(e, ERR_INPUT, "JSON nested deeper than %d levels",
		    JSON_DEPTH_MAX);
		return;
	case json_error_premature_end_of_input:
		fail(e, ERR_INPUT, "unexpected EOF");
		return;
	default:
		break;
	}
	if (end >= text.n && ends_in_token(text)) {
		fail(e, ERR_INPUT, "unexpected EOF");
		return;
	}
	if (near != NULL)
		len = (int)(near - je->text);
	fail(e, ERR_INPUT, "%.*s (line %d, column %d)", len, je->text, je->line,
	    je->column);
}

json_t *
json_in_parse(struct str text, bool whole, struct err *e)
{
	struct repair r = { .in = text };
	json_error_t je;
	json_t *v;

	if (skip_blanks(text, 0) == text.n) {
		fail(e, ERR_INPUT, "EOF");
		return NULL;
	}
	if ((v = load(text, whole, &je)) != NULL)
		return v;
	if (may_be_repaired(&je)) {
		buf_init(&r.out, SIZE_MAX / 2);
		repair_all(&r);
		if (r.out.failed)
			je.text[JSON_ERROR_TEXT_LENGTH - 1] =
			    json_error_out_of_memory;
		else if (r.changed)
			v = load(text = buf_view(&r.out), whole, &je);
	}
	if (v == NULL)
		explain(text, &je, e);
	buf_free(&r.out);
	return v;
}

json_t *
json_in_get(const json_t *obj, const char *key)
{
	/* jansson's iterators take a pointer to non-const but change nothing */
	union {
		const json_t *in;
		json_t *out;
	} o = { .in = obj };
	struct str wanted = str_of(key);
	json_t *found = NULL;
	void *it;

	for (it = json_object_iter(o.out); it != NULL;
	     it = json_object_iter_next(o.out, it)) {
		struct str name = { json_object_iter_key(it),
			json_object_iter_key_len(it) };

		if (str_eq_nocase(name, wanted))
			found = json_object_iter_value(it);
	}
	return json_is_null(found) ? NULL : found;
}

struct str
json_in_text(const json_t *v)
{
	if (!json_is_string(v))
		return (struct str){ NULL, 0 };
	return (struct str){ json_string_value(v), json_string_length(v) };
}

static const char *
type_name(const json_t *v)
{
	switch (json_typeof(v)) {
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "a list";
	case JSON_STRING:
		return "a text";
	case JSON_INTEGER:
	case JSON_REAL:
		return "a number";
	case JSON_TRUE:
	case JSON_FALSE:
		return "true or false";
	default:
		return "null";
	}
}

static int
wrong_type(const char *path, const char *want, const json_t *v, struct err *e)
{
	return fail(
	    e, ERR_INPUT, "%s must be %s, not %s", path, want, type_name(v));
}

int
json_in_str(const json_t *obj, const char *key, const char *path,
    struct str *out, struct err *e)
{
	const json_t *v = json_in_get(obj, key);

	if (v == NULL)
		return 0;
	if (!json_is_string(v))
		return wrong_type(path, "a text", v, e);
	*out = json_in_text(v);
	return 0;
}

int
json_in_i64(const json_t *obj, const char *key, const char *path, int64_t *out,
    struct err *e)
{
	const json_t *v = json_in_get(obj, key);
	double d;

	if (v == NULL)
		return 0;
	if (json_is_integer(v)) {
		*out = json_integer_value(v);
		return 0;
	}
	if (!json_is_real(v))
		return wrong_type(path, "a whole number", v, e);
	d = json_real_value(v);
	if (d != floor(d) || fabs(d) > 9007199254740992.0)
		return fail(e, ERR_INPUT, "%s must be a whole number", path);
	*out = (int64_t)d;
	return 0;
}

int
json_in_double(const json_t *obj, const char *key, const char *path,
    double *out, struct err *e)
{
	const json_t *v = json_in_get(obj, key);

	if (v == NULL)
		return 0;
	if (!json_is_number(v))
		return wrong_type(path, "a number", v, e);
	*out = json_number_value(v);
	return 0;
}

int
json_in_bool(const json_t *obj, const char *key, const char *path, bool *out,
    struct err *e)
{
	const json_t *v = json_in_get(obj, key);

	if (v == NULL)
		return 0;
	if (!json_is_boolean(v))
		return wrong_type(path, "true or false", v, e);
	*out = json_is_true(v);
	return 0;
}

int
json_in_object(const json_t *obj, const char *key, const char *path,
    const json_t **out, struct err *e)
{
	const json_t *v = json_in_get(obj, key);

	if (v == NULL)
		return 0;
	if (!json_is_object(v))
		return wrong_type(path, "an object", v, e);
	*out = v;
	return 0;
}

int
json_in_strings(const json_t *obj, const char *key, const char *path,
    struct arena *a, struct str **out, size_t *n, bool *present, struct err *e)
{
	const json_t *v = json_in_get(obj, key), *item;

	*present = v != NULL;
	if (v == NULL)
		return 0;
	if (!json_is_array(v))
		return wrong_type(path, "a list of texts", v, e);
	*n = json_array_size(v);
	if ((*out = arena_array(a, *n, sizeof **out)) == NULL)
		return fail(e, ERR_TOO_LARGE, "%s is too long", path);
	for (size_t i = 0; i < *n; i++) {
		item = json_array_get(v, i);
		if (!json_is_string(item))
			return fail(e, ERR_INPUT,
			    "%s[%zu] must be a text, not %s", path, i,
			    type_name(item));
		(*out)[i] = json_in_text(item);
	}
	return 0;
}
