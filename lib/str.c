#include "str.h"

#include <string.h>

struct str
str_of(const char *z)
{
	return (struct str){ z, z == NULL ? 0 : strlen(z) };
}

static unsigned char
lower(char c)
{
	unsigned char u = (unsigned char)c;

	return u >= 'A' && u <= 'Z' ? (unsigned char)(u + 32) : u;
}

/* memcmp() over possibly empty views, whose pointer may be NULL. */
static int
compare(const char *a, const char *b, size_t n)
{
	return n == 0 ? 0 : memcmp(a, b, n);
}

static bool
same_nocase(const char *a, const char *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (lower(a[i]) != lower(b[i]))
			return false;
	return true;
}

bool
str_eq(struct str a, struct str b)
{
	return a.n == b.n && compare(a.p, b.p, a.n) == 0;
}

bool
str_eq_nocase(struct str a, struct str b)
{
	return a.n == b.n && same_nocase(a.p, b.p, a.n);
}

bool
str_starts(struct str s, struct str prefix)
{
	return s.n >= prefix.n && compare(s.p, prefix.p, prefix.n) == 0;
}

bool
str_ends(struct str s, struct str suffix)
{
	return s.n >= suffix.n &&
	       (suffix.n == 0 ||
		   memcmp(s.p + (s.n - suffix.n), suffix.p, suffix.n) == 0);
}

bool
str_contains(struct str s, struct str part)
{
	if (part.n == 0)
		return true;
	return s.n >= part.n && memmem(s.p, s.n, part.p, part.n) != NULL;
}

bool
str_contains_nocase(struct str s, struct str part)
{
	if (part.n == 0)
		return true;
	if (s.n < part.n)
		return false;
	for (size_t i = 0; i <= s.n - part.n; i++)
		if (lower(s.p[i]) == (unsigned char)part.p[0] &&
		    same_nocase(s.p + i, part.p, part.n))
			return true;
	return false;
}

int
str_cmp(struct str a, struct str b)
{
	int c = compare(a.p, b.p, a.n < b.n ? a.n : b.n);

	if (c != 0)
		return c;
	return (a.n > b.n) - (a.n < b.n);
}

static bool
is_space(uint32_t c)
{
	return (c >= 0x09 && c <= 0x0d) || c == ' ' || c == 0x85 || c == 0xa0 ||
	       c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 ||
	       c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

/* Length of the white space character at the end of s, 0 when none is. */
static size_t
space_at_end(struct str s)
{
	size_t n = 1;
	uint32_t code;

	while (n < 4 && n < s.n && (s.p[s.n - n] & 0xc0) == 0x80)
		n++;
	if (utf8_next((struct str){ s.p + (s.n - n), n }, &code) != (int)n)
		return 0;
	return is_space(code) ? n : 0;
}

struct str
str_trim(struct str s)
{
	uint32_t code;
	size_t back;
	int n;

	while ((n = utf8_next(s, &code)) > 0 && is_space(code)) {
		s.p += n;
		s.n -= (size_t)n;
	}
	while (s.n > 0 && (back = space_at_end(s)) > 0)
		s.n -= back;
	return s;
}

int
str_i64(struct str s, int64_t *out)
{
	uint64_t limit = INT64_MAX, v = 0;
	bool minus = false;

	if (s.n > 0 && (s.p[0] == '-' || s.p[0] == '+')) {
		minus = s.p[0] == '-';
		limit += minus;
		s.p++;
		s.n--;
	}
	if (s.n == 0)
		return -1;
	for (size_t i = 0; i < s.n; i++) {
		unsigned digit = (unsigned)(unsigned char)s.p[i] - '0';

		if (digit > 9 || v > (limit - digit) / 10)
			return -1;
		v = v * 10 + digit;
	}
	if (minus && v == limit)
		*out = INT64_MIN;
	else
		*out = minus ? -(int64_t)v : (int64_t)v;
	return 0;
}

void
text_set(char *to, size_t size_bytes, const char *z)
{
	size_t n = strlen(z);

	if (n >= size_bytes) {
		n = size_bytes - 1;
		while (n > 0 && (z[n] & 0xc0) == 0x80)
			n--;
	}
	memcpy(to, z, n);
	to[n] = '\0';
}

void
hex_encode(const void *bytes, size_t n, char *out)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *b = bytes;

	for (size_t i = 0; i < n; i++) {
		*out++ = digits[b[i] >> 4];
		*out++ = digits[b[i] & 15];
	}
	*out = '\0';
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int
hex_decode(struct str s, void *out, size_t n)
{
	unsigned char *b = out;

	if (n > SIZE_MAX / 2 || s.n != 2 * n)
		return -1;
	for (size_t i = 0; i < s.n; i++)
		if (hex_digit(s.p[i]) < 0)
			return -1;
	for (size_t i = 0; i < n; i++)
		b[i] = (unsigned char)(hex_digit(s.p[2 * i]) * 16 +
				       hex_digit(s.p[2 * i + 1]));
	return 0;
}

int
utf8_next(struct str s, uint32_t *code)
{
	const unsigned char *b = (const unsigned char *)s.p;
	uint32_t c, least;
	int n;

	if (s.n == 0)
		return 0;
	c = b[0];
	if (c < 0x80) {
		*code = c;
		return 1;
	}
	if (c >= 0xc2 && c <= 0xdf) {
		n = 2;
		c &= 0x1f;
		least = 0x80;
	} else if ((c & 0xf0) == 0xe0) {
		n = 3;
		c &= 0x0f;
		least = 0x800;
	} else if (c >= 0xf0 && c <= 0xf4) {
		n = 4;
		c &= 0x07;
		least = 0x10000;
	} else
		return -1;
	if (s.n < (size_t)n)
		return -1;
	for (int i = 1; i < n; i++) {
		if ((b[i] & 0xc0) != 0x80)
			return -1;
		c = c << 6 | (b[i] & 0x3f);
	}
	if (c < least || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return -1;
	*code = c;
	return n;
}

bool
utf8_valid(struct str s)
{
	uint32_t code;
	int n;

	while (s.n > 0) {
		if ((n = utf8_next(s, &code)) < 0)
			return false;
		s.p += n;
		s.n -= (size_t)n;
	}
	return true;
}

size_t
utf8_length(struct str s)
{
	size_t length = 0;

	for (; s.n > 0; length++) {
		uint32_t code;
		int n = utf8_next(s, &code);

		n = n > 0 ? n : 1;
		s.p += n;
		s.n -= (size_t)n;
	}
	return length;
}
