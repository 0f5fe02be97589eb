#include "json_out.h"

#include <math.h>
#include <stdio.h>

#define FLUSH_BYTES                                              \
	((size_t)32 * 1024) /* pending bytes that go to the sink \
			     */

void
json_out_init(struct json_out *o, struct buf *b, json_out_sink *sink, void *to)
{
	*o = (struct json_out){ .sink = sink, .to = to, .pending = b };
}

/* Hand over what is pending once it is worth it, or at the end. */
static void
flush(struct json_out *o, size_t least)
{
	if (o->pending->failed)
		o->failed = true;
	if (o->failed || o->sink == NULL || o->pending->n < least)
		return;
	if (o->pending->n > 0 &&
	    o->sink(o->to, o->pending->p, o->pending->n) != 0)
		o->failed = true;
	buf_clear(o->pending);
}

/* What stands before a value: a comma unless it follows a key. */
static void
before_value(struct json_out *o)
{
	if (o->after_key) {
		o->after_key = false;
		return;
	}
	if (o->depth > 0) {
		if (o->comma[o->depth - 1])
			buf_char(o->pending, ',');
		o->comma[o->depth - 1] = true;
	}
}

static void
open_level(struct json_out *o, char bracket)
{
	if (o->failed)
		return;
	if (o->depth == JSON_OUT_DEPTH) {
		o->failed = true;
		return;
	}
	before_value(o);
	buf_char(o->pending, bracket);
	o->comma[o->depth++] = false;
}

static void
close_level(struct json_out *o, char bracket)
{
	if (o->failed)
		return;
	if (o->depth == 0) {
		o->failed = true;
		return;
	}
	o->depth--;
	buf_char(o->pending, bracket);
	flush(o, FLUSH_BYTES);
}

void
json_out_object(struct json_out *o)
{
	open_level(o, '{');
}

void
json_out_object_end(struct json_out *o)
{
	close_level(o, '}');
}

void
json_out_array(struct json_out *o)
{
	open_level(o, '[');
}

void
json_out_array_end(struct json_out *o)
{
	close_level(o, ']');
}

/*
 * The characters that cannot stand for themselves: control characters,
 * quote, backslash, and < > & as the reference escapes them.  Bytes from
 * 0xe2 on need a look, because of U+2028, U+2029 and invalid sequences.
 */
static bool
is_plain(unsigned char c)
{
	return c >= ' ' && c < 0x80 && c != '"' && c != '\\' && c != '<' &&
	       c != '>' && c != '&';
}

static void
escape_ascii(struct buf *b, unsigned char c)
{
	char text[7];

	switch (c) {
	case '"':
		buf_add(b, "\\\"", 2);
		break;
	case '\\':
		buf_add(b, "\\\\", 2);
		break;
	case '\b':
		buf_add(b, "\\b", 2);
		break;
	case '\f':
		buf_add(b, "\\f", 2);
		break;
	case '\n':
		buf_add(b, "\\n", 2);
		break;
	case '\r':
		buf_add(b, "\\r", 2);
		break;
	case '\t':
		buf_add(b, "\\t", 2);
		break;
	default:
		if (snprintf(text, sizeof text, "\\u%04x", c) == 6)
			buf_add(b, text, 6);
		break;
	}
}

static void
add_text(struct buf *b, struct str s)
{
	size_t i = 0, from = 0;

	buf_char(b, '"');
	while (i < s.n) {
		unsigned char c = (unsigned char)s.p[i];
		uint32_t code;
		int n;

		if (is_plain(c)) {
			i++;
			continue;
		}
		if (c < 0x80) {
			buf_add(b, s.p + from, i - from);
			escape_ascii(b, c);
			from = ++i;
			continue;
		}
		n = utf8_next((struct str){ s.p + i, s.n - i }, &code);
		if (n > 0 && code != 0x2028 && code != 0x2029) {
			i += (size_t)n;
			continue;
		}
		buf_add(b, s.p + from, i - from);
		buf_z(b, n < 0          ? "\\ufffd" :
			 code == 0x2028 ? "\\u2028" :
					  "\\u2029");
		i += n < 0 ? 1 : (size_t)n;
		from = i;
	}
	if (i > from)
		buf_add(b, s.p + from, i - from);
	buf_char(b, '"');
}

void
json_out_key_str(struct json_out *o, struct str key)
{
	if (o->failed)
		return;
	before_value(o);
	add_text(o->pending, key);
	buf_char(o->pending, ':');
	o->after_key = true;
}

void
json_out_key(struct json_out *o, const char *key)
{
	json_out_key_str(o, str_of(key));
}

void
json_out_str(struct json_out *o, struct str s)
{
	if (o->failed)
		return;
	before_value(o);
	add_text(o->pending, s);
	flush(o, FLUSH_BYTES);
}

void
json_out_z(struct json_out *o, const char *z)
{
	if (z == NULL)
		json_out_null(o);
	else
		json_out_str(o, str_of(z));
}

void
json_out_int(struct json_out *o, int64_t v)
{
	char text[24], *p = text + sizeof text;
	uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;

	if (o->failed)
		return;
	do
		*--p = (char)('0' + u % 10);
	while ((u /= 10) > 0);
	if (v < 0)
		*--p = '-';
	before_value(o);
	buf_add(o->pending, p, (size_t)(text + sizeof text - p));
}

void
json_out_double(struct json_out *o, double v)
{
	char text[32];

	if (o->failed)
		return;
	if (!isfinite(v)) {
		json_out_null(o);
		return;
	}
	/* most doubles of an answer are whole numbers: 2^53 is exact */
	if (v == floor(v) && fabs(v) < 9007199254740992.0 &&
	    (v != 0 || !signbit(v))) {
		json_out_int(o, (int64_t)v);
		return;
	}
	before_value(o);
	buf_add(o->pending, text, double_text(v, text));
}

void
json_out_bool(struct json_out *o, bool v)
{
	if (o->failed)
		return;
	before_value(o);
	buf_z(o->pending, v ? "true" : "false");
}

void
json_out_null(struct json_out *o)
{
	if (o->failed)
		return;
	before_value(o);
	buf_add(o->pending, "null", 4);
}

void
json_out_raw(struct json_out *o, struct str json)
{
	if (o->failed)
		return;
	before_value(o);
	buf_str(o->pending, json);
	flush(o, FLUSH_BYTES);
}

void
json_out_kstr(struct json_out *o, const char *key, struct str s)
{
	json_out_key(o, key);
	json_out_str(o, s);
}

void
json_out_kz(struct json_out *o, const char *key, const char *z)
{
	json_out_key(o, key);
	json_out_z(o, z);
}

void
json_out_kint(struct json_out *o, const char *key, int64_t v)
{
	json_out_key(o, key);
	json_out_int(o, v);
}

void
json_out_kdouble(struct json_out *o, const char *key, double v)
{
	json_out_key(o, key);
	json_out_double(o, v);
}

void
json_out_kbool(struct json_out *o, const char *key, bool v)
{
	json_out_key(o, key);
	json_out_bool(o, v);
}

void
json_out_kstr_opt(struct json_out *o, const char *key, struct str s)
{
	if (s.n > 0)
		json_out_kstr(o, key, s);
}

void
json_out_kint_opt(struct json_out *o, const char *key, int64_t v)
{
	if (v != 0)
		json_out_kint(o, key, v);
}

int
json_out_done(struct json_out *o)
{
	if (o->depth != 0 || o->after_key)
		o->failed = true;
	if (!o->failed)
		buf_char(o->pending, '\n');
	flush(o, 0);
	return o->failed ? -1 : 0;
}
