#include "json_in.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "buf.h"

/* ---- repair ---------------------------------------------------------------
 */

static int
hex4(const char *p)
{
	unsigned char raw[2];

	if (hex_decode((struct str){ p, 4 }, raw, 2) != 0)
		return -1;
	return raw[0] << 8 | raw[1];
}

/*
 * Look at the \u escape at i.  Returns how many bytes stand for one character
 * (6 or 12), and sets *lone when it is half of a surrogate pair.  0 when it is
 * no well-formed escape: jansson says so.
 */
static size_t
unicode_escape(struct str s, size_t i, bool *lone)
{
	int code, low;

	*lone = false;
	if (s.n - i < 6 || (code = hex4(s.p + i + 2)) < 0)
		return 0;
	if (code < 0xd800 || code > 0xdfff)
		return 6;
	if (code < 0xdc00 && s.n - i >= 12 && s.p[i + 6] == '\\' &&
	    s.p[i + 7] == 'u' && (low = hex4(s.p + i + 8)) >= 0xdc00 &&
	    low <= 0xdfff)
		return 12;
	*lone = true;
	return 6;
}

/*
 * Position of the first byte at or after i that a repair replaces, s.n when
 * there is none.  *n: how many bytes it is.
 */
static size_t
next_fault(struct str s, size_t i, size_t *n)
{
	while (i < s.n) {
		unsigned char c = (unsigned char)s.p[i];
		uint32_t code;
		size_t len;
		bool lone;
		int u;

		if (c < 0x80 && c != '\\') {
			i++;
			continue;
		}
		if (c >= 0x80) {
			u = utf8_next((struct str){ s.p + i, s.n - i }, &code);
			if (u < 0) {
				*n = 1;
				return i;
			}
			i += (size_t)u;
			continue;
		}
		if (s.n - i < 2 || s.p[i + 1] != 'u') {
			i += 2;
			continue;
		}
		len = unicode_escape(s, i, &lone);
		if (lone) {
			*n = len;
			return i;
		}
		i += len == 0 ? 2 : len;
	}
	return s.n;
}

/*
 * Replace invalid UTF-8 and lone surrogates by U+FFFD.  Returns false when
 * memory ran out; *out is empty when nothing had to be repaired.
 */
static bool
repair(struct str s, struct buf *out)
{
	size_t from = 0, at, n = 0;

	buf_init(out, s.n > SIZE_MAX / 4 ? SIZE_MAX - 1 : s.n * 3 + 1);
	while ((at = next_fault(s, from, &n)) < s.n) {
		buf_add(out, s.p + from, at - from);
		buf_z(out, "\xef\xbf\xbd");
		from = at + n;
	}
	if (from > 0)
		buf_add(out, s.p + from, s.n - from);
	return !out->failed;
}

/* ---- parse ----------------------------------------------------------------
 */

static json_t *
load(struct str s, bool whole, json_error_t *error)
{
	size_t flags = JSON_DECODE_ANY | JSON_ALLOW_NUL |
		       (whole ? 0 : JSON_DISABLE_EOF_CHECK);
	json_t *v = json_loadb(s.p, s.n, flags, error);

	/*
	 * An integer too large for 64 bits is a double for the reference.  The
	 * flag turns every integer into one, so it is used only where one such
	 * number occurred; the getters accept whole doubles.
	 */
	if (v == NULL &&
	    json_error_code(error) == json_error_numeric_overflow &&
	    strncmp(error->text, "too big", 7) == 0)
		v = json_loadb(
		    s.p, s.n, flags | JSON_DECODE_INT_AS_REAL, error);
	return v;
}

json_t *
json_in_parse(struct str text, bool whole, struct err *e)
{
	struct str s = text;
	struct buf repaired;
	json_error_t error;
	json_t *v = NULL;

	if (str_trim(text).n == 0) {
		fail(e, ERR_INPUT, "EOF");
		return NULL;
	}
	if (!repair(text, &repaired)) {
		fail(e, ERR_TOO_LARGE, "out of memory");
		goto out;
	}
	if (repaired.n > 0)
		s = buf_view(&repaired);
	if ((v = load(s, whole, &error)) != NULL)
		goto out;
	switch (json_error_code(&error)) {
	case json_error_premature_end_of_input:
		fail(e, ERR_INPUT, "unexpected EOF");
		break;
	case json_error_out_of_memory:
		fail(e, ERR_TOO_LARGE, "out of memory");
		break;
	default:
		fail(e, ERR_INPUT, "%s (line %d, column %d)", error.text,
		    error.line, error.column);
		break;
	}
out:
	buf_free(&repaired);
	return v;
}

/* ---- members --------------------------------------------------------------
 */

json_t *
json_in_get(const json_t *obj, const char *key)
{
	/* jansson's iterators take a pointer to non-const but change nothing */
	union {
		const json_t *in;
		json_t *out;
	} o = { .in = obj };
	json_t *v, *found = NULL;
	const char *name;

	if (!json_is_object(obj))
		return NULL;
	json_object_foreach (o.out, name, v)
		if (strcasecmp(name, key) == 0)
			found = v;
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
