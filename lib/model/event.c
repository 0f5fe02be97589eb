#include "model/event.h"

#include <stdio.h>
#include <string.h>

#include "buf.h"

/* Source hash in hex with its NUL, five numbers, their bars, "|false". */
#define HASH_NUMBERS_BYTES (2 * SHA256_BYTES + 1 + 5 * 21 + 8)

static int64_t
above_zero(int64_t v)
{
	return v > 0 ? v : 0;
}

static int64_t
most(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* Sums of counters wrap as the reference's do; no payload can make it trap. */
static int64_t
add(int64_t a, int64_t b)
{
	return (int64_t)((uint64_t)a + (uint64_t)b);
}

static int64_t
sub(int64_t a, int64_t b)
{
	return (int64_t)((uint64_t)a - (uint64_t)b);
}

void
event_normalized_tokens(
    const struct usage_event *ev, struct normalized_tokens *out)
{
	int64_t read = above_zero(ev->cache_read_tokens);
	int64_t creation = above_zero(ev->cache_creation_tokens);
	int64_t input = above_zero(ev->input_tokens);
	int64_t compat = most(ev->cached_tokens, ev->cache_tokens);

	/* the older counters hold both kinds: what is told apart is taken off
	 */
	compat = compat <= 0 ? 0 : above_zero(sub(compat, add(read, creation)));
	out->compat_cached = compat;
	out->cache_read = add(compat, read);
	out->cache_creation = creation;
	if ((ev->flags & EVENT_CACHE_SEPARATE) != 0) {
		out->uncached_input = input;
		out->total_input =
		    add(add(input, out->cache_read), out->cache_creation);
	} else {
		out->uncached_input = above_zero(
		    sub(sub(input, out->cache_read), out->cache_creation));
		out->total_input = input;
	}
}

/* The decimal of v to p; returns where it ends, at most 20 bytes on. */
static char *
put_int(char *p, int64_t v)
{
	char text[20], *from = text + sizeof text;
	uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
	size_t n;

	do
		*--from = (char)('0' + u % 10);
	while ((u /= 10) > 0);
	if (v < 0)
		*--from = '-';
	n = (size_t)(text + sizeof text - from);
	memcpy(p, from, n);
	return p + n;
}

static char *
put_str(char *p, struct str s)
{
	if (s.n > 0)
		memcpy(p, s.p, s.n);
	return p + s.n;
}

void
event_hash(struct usage_event *ev)
{
	const struct str texts[] = { ev->request_id, ev->ts_text, ev->endpoint,
		ev->model, ev->auth_index };
	const int64_t numbers[] = { ev->input_tokens, ev->output_tokens,
		ev->reasoning_tokens,
		most(ev->cached_tokens, ev->cache_tokens) };
	char local[1024], *p = local, *begin = local;
	size_t need = HASH_NUMBERS_BYTES;
	struct str whole;
	struct buf b;

	/* nearly every event fits without an allocation */
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		need += texts[i].n + 1;
	buf_init(&b, need);
	if (need > sizeof local &&
	    (p = begin = buf_reserve(&b, need)) == NULL) {
		memset(ev->hash, 0, sizeof ev->hash);
		return;
	}
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		p = put_str(p, texts[i]);
		*p++ = '|';
	}
	if (ev->has_source_hash) {
		hex_encode(ev->source_hash, SHA256_BYTES, p);
		p += 2 * SHA256_BYTES;
	}
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		*p++ = '|';
		p = put_int(p, numbers[i]);
	}
	p = put_str(
	    p, (ev->flags & EVENT_FAILED) != 0 ? STR("|true") : STR("|false"));
	if (ev->latency_ms.set) {
		*p++ = '|';
		p = put_int(p, ev->latency_ms.v);
	}
	whole = str_trim((struct str){ begin, (size_t)(p - begin) });
	sha256(whole.p, whole.n, ev->hash);
	buf_free(&b);
}

struct str
event_hash_text(const struct usage_event *ev, char hex[65])
{
	if ((ev->flags & EVENT_HASH_TEXT) != 0)
		return ev->hash_text;
	hex_encode(ev->hash, SHA256_BYTES, hex);
	return (struct str){ hex, 2 * SHA256_BYTES };
}

/* The digits of v, which has at most n, with leading zeros. */
static void
put_digits(char *p, int64_t v, size_t n)
{
	while (n > 0) {
		p[--n] = (char)('0' + v % 10);
		v /= 10;
	}
}

/*
 * Days since 1970-01-01 as a date of the proleptic Gregorian calendar: the
 * usual arithmetic on eras of 400 years that begin on a 1st of March.  Four
 * times as fast as gmtime_r() and a format, and an export writes millions.
 */
static void
civil_date(int64_t days, int64_t *year, int64_t *month, int64_t *day)
{
	int64_t era, doe, yoe, doy, mp;

	days += 719468;
	era = (days >= 0 ? days : days - 146096) / 146097;
	doe = days - era * 146097;
	yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	mp = (5 * doy + 2) / 153;
	*day = doy - (153 * mp + 2) / 5 + 1;
	*month = mp < 10 ? mp + 3 : mp - 9;
	*year = yoe + era * 400 + (*month <= 2);
}

size_t
event_time_text(int64_t ts_ms, int32_t ts_ns, char out[40])
{
	int64_t s = ts_ms / 1000, ms = ts_ms % 1000;
	int64_t days, rest, fraction, year, month, day;
	size_t n = 0;

	if (ms < 0) {
		ms += 1000;
		s--;
	}
	days = s / 86400;
	rest = s % 86400;
	if (rest < 0) {
		rest += 86400;
		days--;
	}
	civil_date(days, &year, &month, &day);
	if (year < 0 || year > 9999) {
		int long_year = snprintf(out, 16, "%s%04lld",
		    year < 0 ? "-" : "", (long long)(year < 0 ? -year : year));

		n = (size_t)long_year;
	} else {
		put_digits(out, year, 4);
		n = 4;
	}
	memcpy(out + n, "-00-00T00:00:00", 15);
	put_digits(out + n + 1, month, 2);
	put_digits(out + n + 4, day, 2);
	put_digits(out + n + 7, rest / 3600, 2);
	put_digits(out + n + 10, rest / 60 % 60, 2);
	put_digits(out + n + 13, rest % 60, 2);
	n += 15;
	fraction = ms * 1000000 + ts_ns;
	if (fraction > 0) {
		out[n] = '.';
		put_digits(out + n + 1, fraction, 9);
		n += 10;
		while (out[n - 1] == '0')
			n--;
	}
	out[n++] = 'Z';
	out[n] = '\0';
	return n;
}

struct str
analytics_model(struct str model)
{
	static const char *const words[] = { "none", "auto", "-1", "minimal",
		"low", "medium", "high", "xhigh", "max" };
	const char *bracket;
	struct str inside, before;
	int64_t v;

	if (model.n < 3 || model.p[model.n - 1] != ')' ||
	    (bracket = memrchr(model.p, '(', model.n)) == NULL ||
	    bracket == model.p)
		return model;
	before = (struct str){ model.p, (size_t)(bracket - model.p) };
	inside = (struct str){ bracket + 1,
		(size_t)(model.p + model.n - 1 - (bracket + 1)) };
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (str_eq_nocase(inside, str_of(words[i])))
			return before;
	if (str_i64(inside, &v) == 0 && v >= 0)
		return before;
	return model;
}
