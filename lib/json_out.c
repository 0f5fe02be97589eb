#include "json_out.h"

#include <math.h>
#include <string.h>

#define FLUSH_BYTES ((size_t)32768) /* more than this goes to the sink */

void
json_out_init(struct json_out *o, struct buf *b, json_out_sink *sink, void *to)
{
	*o = (struct json_out){ .sink = sink, .to = to, .pending = b };
}

static void
flush(struct json_out *o)
{
	struct str s = buf_view(o->pending);

	if (s.n > 0 && o->sink(o->to, s.p, s.n) != 0)
		o->failed = true;
	buf_clear(o->pending);
}

static void
put(struct json_out *o, const char *p, size_t n)
{
	if (o->failed)
		return;
	if (o->sink != NULL && n > FLUSH_BYTES) {
		/* too much to be worth a copy */
		flush(o);
		if (!o->failed && o->sink(o->to, p, n) != 0)
			o->failed = true;
		return;
	}
	buf_add(o->pending, p, n);
	if (o->pending->failed)
		o->failed = true;
	else if (o->sink != NULL && o->pending->n > FLUSH_BYTES)
		flush(o);
}

/* What has to stand before a value or a key: a comma or nothing. */
static void
begin(struct json_out *o)
{
	if (o->failed)
		return;
	if (o->after_key)
		o->after_key = false;
	else if (o->depth > 0) {
		if (o->comma[o->depth - 1])
			put(o, ",", 1);
		o->comma[o->depth - 1] = true;
	}
}

static void
value(struct json_out *o, const char *p, size_t n)
{
	begin(o);
	put(o, p, n);
}

static void
open_level(struct json_out *o, const char *bracket)
{
	value(o, bracket, 1);
	if (o->failed)
		return;
	if (o->depth == JSON_OUT_DEPTH) {
		o->failed = true;
		return;
	}
	o->comma[o->depth++] = false;
}

static void
close_level(struct json_out *o, const char *bracket)
{
	if (o->failed)
		return;
	if (o->depth == 0 || o->after_key) {
		o->failed = true;
		return;
	}
	o->depth--;
	put(o, bracket, 1);
}

void
json_out_object(struct json_out *o)
{
	open_level(o, "{");
}

void
json_out_object_end(struct json_out *o)
{
	close_level(o, "}");
}

void
json_out_array(struct json_out *o)
{
	open_level(o, "[");
}

void
json_out_array_end(struct json_out *o)
{
	close_level(o, "]");
}

/*
 * Bytes that are written as they are; the others are looked at one by one.
 */
static bool
is_plain(unsigned char c)
{
	return c >= 0x20 && c < 0x80 && c != '"' && c != '\\' && c != '<' &&
	       c != '>' && c != '&';
}

/* The escape of an ASCII byte that is not plain, into out; its length. */
static size_t
escape(unsigned char c, char out[6])
{
	static const char digits[] = "0123456789abcdef";
	static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
	const char *at = c == '\0' ? NULL : strchr(from, c);

	out[0] = '\\';
	if (at != NULL) {
		out[1] = to[at - from];
		return 2;
	}
	memcpy(out + 1, "u00", 3);
	out[4] = digits[c >> 4];
	out[5] = digits[c & 15];
	return 6;
}

static void
put_text(struct json_out *o, struct str s)
{
	size_t from = 0, i = 0; /* s.p[from..i) waits to be written as it is */

	while (i < s.n) {
		unsigned char c = (unsigned char)s.p[i];
		struct str rest = { s.p + i, s.n - i };
		uint32_t code;
		char out[6];
		size_t len;
		int n = 1;

		if (is_plain(c)) {
			i++;
			continue;
		}
		if (c < 0x80)
			len = escape(c, out);
		else if ((n = utf8_next(rest, &code)) < 0) {
			n = 1;
			memcpy(out, "\\ufffd", len = 6);
		} else if (code == 0x2028 || code == 0x2029) {
			memcpy(out, code == 0x2028 ? "\\u2028" : "\\u2029",
			    len = 6);
		} else {
			i += (size_t)n;
			continue;
		}
		put(o, s.p + from, i - from);
		put(o, out, len);
		i += (size_t)n;
		from = i;
	}
	put(o, s.p + from, s.n - from);
}

void
json_out_str(struct json_out *o, struct str s)
{
	begin(o);
	put(o, "\"", 1);
	if (s.n > 0)
		put_text(o, s);
	put(o, "\"", 1);
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
json_out_key_str(struct json_out *o, struct str key)
{
	json_out_str(o, key);
	put(o, ":", 1);
	o->after_key = true;
}

void
json_out_key(struct json_out *o, const char *key)
{
	json_out_key_str(o, str_of(key));
}

void
json_out_int(struct json_out *o, int64_t v)
{
	char text[20], *p = text + sizeof text;
	uint64_t rest = v < 0 ? -(uint64_t)v : (uint64_t)v;

	do {
		*--p = (char)('0' + rest % 10);
		rest /= 10;
	} while (rest > 0);
	if (v < 0)
		*--p = '-';
	value(o, p, (size_t)(text + sizeof text - p));
}

void
json_out_double(struct json_out *o, double v)
{
	const double exact = 9007199254740992.0; /* 2^53 */
	char text[32];

	if (!isfinite(v)) {
		json_out_null(o);
		return;
	}
	/* most figures are whole; of those only -0 has a text of its own */
	if (v > -exact && v < exact && v == (double)(int64_t)v &&
	    (v != 0 || !signbit(v))) {
		json_out_int(o, (int64_t)v);
		return;
	}
	value(o, text, double_text(v, text));
}

void
json_out_bool(struct json_out *o, bool v)
{
	value(o, v ? "true" : "false", v ? 4 : 5);
}

void
json_out_null(struct json_out *o)
{
	value(o, "null", 4);
}

void
json_out_raw(struct json_out *o, struct str json)
{
	value(o, json.p, json.n);
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
	put(o, "\n", 1);
	if (!o->failed && o->sink != NULL)
		flush(o);
	return o->failed ? -1 : 0;
}
