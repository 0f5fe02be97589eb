#include "ctl/when.h"

#include <stdio.h>

#include "model/timestamp.h"
#include "str.h"

/* March 1973; a number below is meant as a year, or as seconds */
#define MS_MIN INT64_C(100000000000)
#define AGO_MAX_S ((int64_t)100 * 366 * 24 * 3600) /* a hundred years */

/* "24h" as seconds; -1 for anything else. */
static int64_t
ago_s(struct str s)
{
	static const struct {
		char unit;
		int64_t s;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 },
		{ 'w', 604800 } };
	int64_t n;

	if (s.n < 2)
		return -1;
	for (size_t i = 0; i < sizeof units / sizeof *units; i++)
		if (s.p[s.n - 1] == units[i].unit &&
		    str_i64((struct str){ s.p, s.n - 1 }, &n) == 0 && n >= 0 &&
		    n <= AGO_MAX_S / units[i].s)
			return n * units[i].s;
	return -1;
}

int
when_parse(const char *text, int64_t now_ms, int64_t *out_ms)
{
	struct str s = str_trim(str_of(text));
	struct timestamp t;
	char day[32];
	int64_t ms, ago = ago_s(s);

	if (ago >= 0) {
		*out_ms = now_ms - ago * 1000;
		return 0;
	}
	if (s.n == 10 && s.p[4] == '-') {
		(void)snprintf(day, sizeof day, "%.*sT00:00:00Z", STR_ARG(s));
		s = str_of(day);
	}
	if (timestamp_parse(s, &t)) {
		*out_ms = t.ms;
		return 0;
	}
	if (str_i64(s, &ms) != 0 || ms < MS_MIN)
		return -1;
	*out_ms = ms;
	return 0;
}
