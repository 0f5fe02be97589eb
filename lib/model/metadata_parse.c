/*
 * Numbers and times as providers write them: contract/collector.md section
 * 6.10, "Parsing".
 */
#include "model/metadata_impl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/timestamp.h"

#define NUMBER_MAX 64

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Up to 15 digits and nothing else, as nearly all of them are. */
static bool
parse_short(struct str s, double *out)
{
	int64_t v;

	if (s.n == 0 || s.n > 15 || !is_digit(s.p[0]) || str_i64(s, &v) != 0)
		return false;
	*out = (double)v;
	return true;
}

/* Digits of a base with at most one point among them; how many in *n. */
static size_t
mantissa(const char *p, const char *end, bool hex, size_t *n)
{
	const char *from = p;
	bool point = false;

	*n = 0;
	for (; p < end; p++) {
		if (*p == '.' && !point)
			point = true;
		else if (is_digit(*p) ||
			 (hex && ((*p | 32) >= 'a' && (*p | 32) <= 'f')))
			++*n;
		else
			break;
	}
	return (size_t)(p - from);
}

/* [sign] decimal [exponent], or 0x hexadecimal with a binary exponent. */
static bool
is_number(struct str s)
{
	const char *p = s.p, *end = s.p + s.n;
	bool hex = false;
	size_t n;

	if (p < end && (*p == '+' || *p == '-'))
		p++;
	if (end - p > 2 && p[0] == '0' && (p[1] | 32) == 'x') {
		hex = true;
		p += 2;
	}
	p += mantissa(p, end, hex, &n);
	if (n == 0)
		return false;
	if (p == end)
		return !hex;
	if ((*p | 32) != (hex ? 'p' : 'e'))
		return false;
	p++;
	if (p < end && (*p == '+' || *p == '-'))
		p++;
	if (p == end)
		return false;
	while (p < end && is_digit(*p))
		p++;
	return p == end;
}

bool
parse_real(struct str s, double *out)
{
	char text[NUMBER_MAX + 1];
	double v;

	s = str_trim(s);
	if (str_ends(s, STR("%")))
		s.n--;
	s = str_trim(s);
	if (parse_short(s, out))
		return true;
	if (s.n == 0 || s.n > NUMBER_MAX || !is_number(s))
		return false;
	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	v = strtod(text, NULL);
	if (!isfinite(v))
		return false;
	*out = v;
	return true;
}

bool
seconds_after(int64_t base_ms, double seconds, int64_t *out_ms)
{
	/* nanoseconds in 64 bits: 292 years, and later is no time to wait */
	if (!(fabs(seconds) < 9.2e9))
		return false;
	*out_ms = base_ms + (int64_t)floor(trunc(seconds * 1e9) / 1e6);
	return true;
}

/* ---- times --------------------------------------------------------------- */

static bool
take(struct str *s, struct str part)
{
	if (!str_starts(*s, part))
		return false;
	s->p += part.n;
	s->n -= part.n;
	return true;
}

/* Position of the three letters at the start of s among names, or -1. */
static int
take_name(struct str *s, const char *names)
{
	for (int i = 0; names[i] != '\0'; i += 3)
		if (s->n >= 3 && memcmp(s->p, names + i, 3) == 0) {
			s->p += 3;
			s->n -= 3;
			return i / 3;
		}
	return -1;
}

/* "GMT", "UTC", "+0800", "+08:00", each also behind the other; offset in s. */
static bool
parse_zone(struct str s, int64_t *offset_s)
{
	int64_t hour, minute, sign = 1;

	*offset_s = 0;
	s = str_trim(s);
	if (s.n == 0 || str_eq(s, STR("GMT")) || str_eq(s, STR("UTC")) ||
	    str_eq(s, STR("Z")))
		return true;
	if (s.n < 5 || (s.p[0] != '+' && s.p[0] != '-'))
		return false;
	if (s.p[0] == '-')
		sign = -1;
	if (str_i64((struct str){ s.p + 1, 2 }, &hour) != 0)
		return false;
	s.p += 3;
	s.n -= 3;
	(void)take(&s, STR(":"));
	if (s.n < 2 || str_i64((struct str){ s.p, 2 }, &minute) != 0 ||
	    hour < 0 || hour > 24 || minute < 0 || minute > 59)
		return false;
	/* behind it the zone's name may stand again */
	if (s.n > 2 && s.p[2] != ' ')
		return false;
	*offset_s = sign * (hour * 3600 + minute * 60);
	return true;
}

/* "Sat, 25 Apr 2026 00:01:00 GMT", or with a numeric zone. */
static bool
parse_rfc1123(struct str s, int64_t *out_ms)
{
	char iso[sizeof "2026-04-25 00:01:00"];
	struct timestamp t;
	int64_t offset_s;
	int month;

	if (take_name(&s, "SunMonTueWedThuFriSat") < 0 ||
	    !take(&s, STR(", ")) || s.n < 20 || s.p[2] != ' ')
		return false;
	memcpy(iso + 8, s.p, 2);
	s.p += 3;
	s.n -= 3;
	if ((month = take_name(&s, "JanFebMarAprMayJunJulAugSepOctNovDec")) <
		0 ||
	    s.n < 14 || s.p[0] != ' ' || s.p[5] != ' ')
		return false;
	memcpy(iso, s.p + 1, 4);
	iso[4] = iso[7] = '-';
	iso[5] = (char)('0' + (month + 1) / 10);
	iso[6] = (char)('0' + (month + 1) % 10);
	iso[10] = ' ';
	memcpy(iso + 11, s.p + 6, 8);
	iso[19] = '\0';
	s.p += 14;
	s.n -= 14;
	if (s.n < 4 || s.p[0] != ' ' || !parse_zone(s, &offset_s) ||
	    !timestamp_parse((struct str){ iso, 19 }, &t))
		return false;
	*out_ms = t.ms - offset_s * 1000;
	return true;
}

/* "2026-04-25 00:01:00 +0000 UTC" and shorter. */
static bool
parse_spaced(struct str s, int64_t *out_ms)
{
	const size_t n = sizeof "2026-04-25 00:01:00" - 1;
	struct timestamp t;
	int64_t offset_s;

	if (s.n <= n || s.p[10] != ' ' || s.p[n] != ' ' ||
	    !timestamp_parse((struct str){ s.p, n }, &t) ||
	    !parse_zone((struct str){ s.p + n, s.n - n }, &offset_s))
		return false;
	*out_ms = t.ms - offset_s * 1000;
	return true;
}

bool
parse_time(struct str s, int64_t *out_ms)
{
	struct timestamp t;
	double v;

	s = str_trim(s);
	if (s.n == 0 || str_eq_nocase(s, STR("null")))
		return false;
	if (timestamp_parse(s, &t)) {
		*out_ms = t.ms;
		return true;
	}
	if (parse_rfc1123(s, out_ms) || parse_spaced(s, out_ms))
		return true;
	if (!parse_real(s, &v) || !(v > 1e9) || !(v < 9.2e18))
		return false;
	*out_ms = v > 1e12 ? (int64_t)v : (int64_t)(v * 1000);
	return true;
}
