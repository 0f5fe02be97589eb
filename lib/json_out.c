#include "json_out.h"

#include <math.h>
#include <string.h>

#define FLUSH_BYTES ((size_t)32768) /* more than this goes to the sink */
#define TEXT_PIECE ((size_t)4096)   /* of a text is escaped at a time */
#define PIECE_LEAST 8               /* more than a character, also halved */

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

/*
 * Room for n bytes behind what is pending, NULL after a failure.  Most calls
 * find it there; what is in it counts only after took().
 */
static inline char *
room(struct json_out *o, size_t n)
{
	struct buf *b = o->pending;
	char *p;

	if (o->failed)
		return NULL;
	if (o->sink != NULL && b->n > 0 && b->n + n > FLUSH_BYTES) {
		flush(o);
		if (o->failed)
			return NULL;
	}
	/* the buffer's own size never lies above its limit */
	if (b->size_bytes > b->n && b->size_bytes - b->n > n)
		return b->p + b->n;
	if ((p = buf_reserve(b, n)) == NULL)
		o->failed = true;
	return p;
}

static inline void
took(struct json_out *o, const char *end)
{
	struct buf *b = o->pending;

	b->n = (size_t)(end - b->p);
	b->p[b->n] = '\0';
}

static void
put(struct json_out *o, const char *p, size_t n)
{
	char *to;

	if (o->sink != NULL && n > FLUSH_BYTES && !o->failed) {
		/* too much to be worth a copy */
		flush(o);
		if (!o->failed && o->sink(o->to, p, n) != 0)
			o->failed = true;
		return;
	}
	if (n == 0 || (to = room(o, n)) == NULL)
		return;
	memcpy(to, p, n);
	took(o, to + n);
}

/* What has to stand before a value or a key: a comma or nothing. */
static inline char *
begin(struct json_out *o, char *p)
{
	if (o->after_key)
		o->after_key = false;
	else if (o->depth > 0) {
		if (o->comma[o->depth - 1])
			*p++ = ',';
		o->comma[o->depth - 1] = true;
	}
	return p;
}

static void
value(struct json_out *o, const char *p, size_t n)
{
	bool large = o->sink != NULL && n > FLUSH_BYTES;
	char *to = room(o, large ? 1 : n + 1);

	if (to == NULL)
		return;
	to = begin(o, to);
	if (!large) {
		memcpy(to, p, n);
		to += n;
	}
	took(o, to);
	if (large)
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

#define EACH(byte) (0x0101010101010101u * (uint64_t)(byte))
#define ZERO_IN(x) (((x)-EACH(0x01)) & ~(x)&EACH(0x80))

/* Copy plain bytes, eight at a time; returns how many. */
static size_t
copy_plain(char *to, const char *p, size_t n)
{
	size_t i = 0;

	for (; i + 8 <= n; i += 8) {
		uint64_t x;

		memcpy(&x, p + i, 8);
		memcpy(to + i, &x, 8);
		/* may be wrong only by stopping too early */
		if (((((x - EACH(0x20)) | x) & EACH(0x80)) |
			ZERO_IN(x ^ EACH('"')) | ZERO_IN(x ^ EACH('\\')) |
			ZERO_IN(x ^ EACH('<')) | ZERO_IN(x ^ EACH('>')) |
			ZERO_IN(x ^ EACH('&'))) != 0)
			break;
	}
	while (i < n && is_plain((unsigned char)p[i])) {
		to[i] = p[i];
		i++;
	}
	return i;
}

/* s escaped, to `to`, which has room for six bytes a byte; returns its end. */
static char *
copy_text(char *to, struct str s)
{
	size_t i = 0;

	while (i < s.n) {
		size_t plain = copy_plain(to, s.p + i, s.n - i);
		struct str rest;
		uint32_t code;
		int n = 1;

		to += plain;
		i += plain;
		if (i == s.n)
			break;
		rest = (struct str){ s.p + i, s.n - i };
		if ((unsigned char)s.p[i] < 0x80) {
			to += escape((unsigned char)s.p[i], to);
		} else if ((n = utf8_next(rest, &code)) < 0) {
			n = 1;
			memcpy(to, "\\ufffd", 6);
			to += 6;
		} else if (code == 0x2028 || code == 0x2029) {
			memcpy(to, code == 0x2028 ? "\\u2028" : "\\u2029", 6);
			to += 6;
		} else {
			memcpy(to, rest.p, (size_t)n);
			to += n;
		}
		i += (size_t)n;
	}
	return to;
}

/*
 * Where the next piece of a text ends, not within a character.  Nobody knows
 * beforehand how it is escaped, so pieces get small where the buffer is nearly
 * full: a text that fits goes in but for its last few bytes.
 */
static size_t
piece_of(const struct json_out *o, struct str s)
{
	size_t left = o->pending->limit_bytes - o->pending->n;
	size_t n = s.n < TEXT_PIECE ? s.n : TEXT_PIECE;

	while (n > PIECE_LEAST && 6 * n + 3 > left)
		n /= 2;
	for (size_t back = 0; n < s.n && back < 3 && n > 1; back++)
		if (((unsigned char)s.p[n] & 0xc0) == 0x80)
			n--;
		else
			break;
	return n;
}

void
json_out_str(struct json_out *o, struct str s)
{
	size_t n = piece_of(o, s);
	char *to = room(o, 6 * n + 3);

	if (to == NULL)
		return;
	to = begin(o, to);
	*to++ = '"';
	while (n < s.n) {
		took(o, copy_text(to, (struct str){ s.p, n }));
		s.p += n;
		s.n -= n;
		n = piece_of(o, s);
		if ((to = room(o, 6 * n + 1)) == NULL)
			return;
	}
	to = copy_text(to, s);
	*to++ = '"';
	took(o, to);
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
json_out_plain_key(struct json_out *o, const char *key, size_t n)
{
	char *to = room(o, n + 4);

	if (to == NULL)
		return;
	to = begin(o, to);
	*to++ = '"';
	memcpy(to, key, n);
	to += n;
	*to++ = '"';
	*to++ = ':';
	took(o, to);
	o->after_key = true;
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
