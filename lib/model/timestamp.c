#include "model/timestamp.h"

#include "model/record.h"

#define SECONDS_BELOW INT64_C(10000000000) /* a number below is in seconds */

/* Read n digits at *i; -1 when they are not there. */
static int
digits(struct str s, size_t *i, size_t n)
{
	int v = 0;

	if (s.n - *i < n)
		return -1;
	for (size_t end = *i + n; *i < end; (*i)++) {
		if (s.p[*i] < '0' || s.p[*i] > '9')
			return -1;
		v = v * 10 + (s.p[*i] - '0');
	}
	return v;
}

static bool
expect(struct str s, size_t *i, char c)
{
	if (*i >= s.n || s.p[*i] != c)
		return false;
	(*i)++;
	return true;
}

static int
days_in_month(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30,
		31 };

	if (month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0))
		return 29;
	return days[month - 1];
}

/* Days since 1970-01-01 in the proleptic Gregorian calendar. */
static int64_t
days_from_civil(int year, int month, int day)
{
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t yoe = y - era * 400;
	int64_t doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;

	return era * 146097 + doe - 719468;
}

/* An hour may have one digit: the reference's parser lets it. */
static int
hour_digits(struct str s, size_t *i)
{
	size_t n = 0;

	while (
	    *i + n < s.n && n < 2 && s.p[*i + n] >= '0' && s.p[*i + n] <= '9')
		n++;
	return n == 0 ? -1 : digits(s, i, n);
}

/* Nanoseconds after a point or comma, 0 when there is none; -1: no digits. */
static int64_t
fraction(struct str s, size_t *i)
{
	int64_t ns = 0, unit = 100000000;
	size_t from;

	if (*i >= s.n || (s.p[*i] != '.' && s.p[*i] != ','))
		return 0;
	from = ++*i;
	for (; *i < s.n && s.p[*i] >= '0' && s.p[*i] <= '9'; (*i)++) {
		ns += unit * (s.p[*i] - '0');
		unit /= 10;
	}
	return *i == from ? -1 : ns;
}

/* Seconds east of UTC.  false when no zone of RFC 3339 stands there. */
static bool
zone(struct str s, size_t *i, int64_t *offset_s)
{
	int sign, hour, minute;

	*offset_s = 0;
	if (expect(s, i, 'Z'))
		return true;
	if (*i >= s.n || (s.p[*i] != '+' && s.p[*i] != '-'))
		return false;
	sign = s.p[(*i)++] == '-' ? -1 : 1;
	if ((hour = digits(s, i, 2)) < 0 || !expect(s, i, ':') ||
	    (minute = digits(s, i, 2)) < 0 || hour > 24 || minute > 59)
		return false;
	*offset_s = sign * (hour * 3600 + minute * 60);
	return true;
}

bool
timestamp_parse(struct str s, struct timestamp *out)
{
	int year, month, day, hour, minute, second;
	int64_t ns, offset_s = 0, total_s;
	size_t i = 0;
	char between;

	if ((year = digits(s, &i, 4)) < 0 || !expect(s, &i, '-') ||
	    (month = digits(s, &i, 2)) < 1 || !expect(s, &i, '-') ||
	    (day = digits(s, &i, 2)) < 1 || i >= s.n)
		return false;
	between = s.p[i++];
	while (between == ' ' && i < s.n && s.p[i] == ' ')
		i++;
	if ((between != 'T' && between != ' ') ||
	    (hour = hour_digits(s, &i)) < 0 || !expect(s, &i, ':') ||
	    (minute = digits(s, &i, 2)) < 0 || !expect(s, &i, ':') ||
	    (second = digits(s, &i, 2)) < 0 || (ns = fraction(s, &i)) < 0)
		return false;
	if (month > 12 || day > days_in_month(year, month) || hour > 23 ||
	    minute > 59 || second > 59)
		return false;
	if (i < s.n && (between != 'T' || !zone(s, &i, &offset_s)))
		return false;
	if (i != s.n)
		return false;
	total_s = days_from_civil(year, month, day) * 86400 + hour * 3600 +
		  minute * 60 + second - offset_s;
	out->ms = total_s * 1000 + ns / 1000000;
	out->ns = (int32_t)(ns % 1000000);
	return true;
}

static bool
from_number(int64_t v, struct timestamp *out)
{
	if (v < SECONDS_BELOW) {
		if (v < INT64_MIN / 1000)
			return false;
		v *= 1000;
	}
	*out = (struct timestamp){ v, 0 };
	return true;
}

bool
timestamp_of(const struct json_tree *v, struct timestamp *out)
{
	int64_t number;
	struct str s;

	if (v == NULL)
		return false;
	if (v->type == TREE_NUMBER)
		return from_number(value_int(v), out);
	if (v->type != TREE_TEXT)
		return false;
	s = str_trim(v->text);
	if (str_i64(s, &number) == 0)
		return from_number(number, out);
	return timestamp_parse(s, out);
}
