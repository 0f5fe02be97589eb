#include "model/event.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "buf.h"

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

void
event_hash(struct usage_event *ev)
{
	char source[2 * SHA256_BYTES + 1] = "", numbers[160], local[1024];
	const struct str fields[] = { ev->request_id, ev->ts_text, ev->endpoint,
		ev->model, ev->auth_index };
	struct buf text;
	int n;

	if (ev->has_source_hash)
		hex_encode(ev->source_hash, SHA256_BYTES, source);
	n = snprintf(numbers, sizeof numbers, "%s|%lld|%lld|%lld|%lld|%s",
	    source, (long long)ev->input_tokens, (long long)ev->output_tokens,
	    (long long)ev->reasoning_tokens,
	    (long long)most(ev->cached_tokens, ev->cache_tokens),
	    (ev->flags & EVENT_FAILED) != 0 ? "true" : "false");
	if (ev->latency_ms.set)
		n += snprintf(numbers + n, sizeof numbers - (size_t)n, "|%lld",
		    (long long)ev->latency_ms.v);

	/* nearly every event fits without an allocation */
	size_t need = (size_t)n, at = 0;
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
		need += fields[i].n + 1;
	buf_init(&text, need);
	char *p = need <= sizeof local ? local : buf_reserve(&text, need);
	if (p == NULL) {
		memset(ev->hash, 0, sizeof ev->hash);
		return;
	}
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
		if (fields[i].n > 0)
			memcpy(p + at, fields[i].p, fields[i].n);
		at += fields[i].n;
		p[at++] = '|';
	}
	memcpy(p + at, numbers, (size_t)n);
	struct str whole = str_trim((struct str){ p, need });
	sha256(whole.p, whole.n, ev->hash);
	buf_free(&text);
}

size_t
event_time_text(int64_t ts_ms, int32_t ts_ns, char out[40])
{
	int64_t s = ts_ms / 1000, ms = ts_ms % 1000;
	int64_t fraction, year;
	struct tm tm;
	time_t t;
	int n;

	if (ms < 0) {
		ms += 1000;
		s--;
	}
	t = (time_t)s;
	if (gmtime_r(&t, &tm) == NULL)
		memset(&tm, 0, sizeof tm);
	year = (int64_t)tm.tm_year + 1900;
	n = snprintf(out, 40, "%s%04lld-%02d-%02dT%02d:%02d:%02d",
	    year < 0 ? "-" : "", (long long)(year < 0 ? -year : year),
	    tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
	fraction = ms * 1000000 + ts_ns;
	if (fraction > 0) {
		n += snprintf(
		    out + n, 40 - (size_t)n, ".%09lld", (long long)fraction);
		while (out[n - 1] == '0')
			n--;
	}
	out[n++] = 'Z';
	out[n] = '\0';
	return (size_t)n;
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
