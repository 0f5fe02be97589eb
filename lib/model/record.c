#include "model/record.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json_in.h"
#include "json_out.h"

#define TEXT_MAX ((size_t)1024 * 1024)
#define DEPTH_MAX 60 /* of what is printed; the writer's own limit is 64 */

json_t *
record_first(const json_t *obj, key_list keys)
{
	json_t *v;

	for (size_t i = 0; keys[i] != NULL; i++)
		if ((v = json_object_get(obj, keys[i])) != NULL)
			return v;
	return NULL;
}

/*
 * The reference has only doubles: 2^53 + 1 loses its last bit there, and so
 * it does here, or hashes would differ.
 */
static double
number_of(const json_t *v)
{
	return json_is_integer(v) ? (double)json_integer_value(v) :
				    json_real_value(v);
}

/* Shortest decimal without an exponent, as short as 1e21 is long. */
static void
plain_number(double d, struct buf *b)
{
	char text[400];
	double back;
	int n = 0;

	if (fabs(d - trunc(d)) <= 0 && fabs(d) < 9.2e18) {
		buf_printf(b, "%lld", (long long)d);
		return;
	}
	/* as many decimals as it takes to read the same number back */
	for (int digits = 0; digits <= 340; digits++) {
		n = snprintf(text, sizeof text, "%.*f", digits, d);
		back = strtod(text, NULL);
		if (n < 0 || (size_t)n >= sizeof text ||
		    (back >= d && back <= d))
			break;
	}
	if (n > 0 && (size_t)n < sizeof text)
		buf_add(b, text, (size_t)n);
}

/* A number inside a list or an object: %v, with an exponent sooner. */
static void
inner_number(double d, struct buf *b)
{
	int digits, exponent = 0, n = 0;
	char text[40];
	double back;

	if (d == 0) {
		buf_z(b, "0");
		return;
	}
	for (digits = 0; digits <= 16; digits++) {
		n = snprintf(text, sizeof text, "%.*e", digits, d);
		back = strtod(text, NULL);
		if (back >= d && back <= d)
			break;
	}
	exponent = (int)strtol(strchr(text, 'e') + 1, NULL, 10);
	/* printf writes at least two digits of exponent, and so does %v */
	if (exponent < -4 || exponent >= 6)
		buf_add(b, text, (size_t)n);
	else
		plain_number(d, b);
}

/* Keys live as long as the object; only the list of them is in a. */
static int
by_bytes(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

const char **
sorted_keys(json_t *obj, struct arena *a, size_t *n)
{
	const char **keys =
	    arena_array(a, json_object_size(obj) + 1, sizeof *keys);
	const char *key;
	json_t *v;

	*n = 0;
	if (keys == NULL)
		return NULL;
	json_object_foreach (obj, key, v)
		keys[(*n)++] = key;
	qsort(keys, *n, sizeof *keys, by_bytes);
	return keys;
}

/* What the reference prints for a value inside a text (%v). */
static void
print_value(json_t *v, struct buf *b, struct arena *a, unsigned depth)
{
	const char **keys;
	size_t n;

	if (depth > DEPTH_MAX) {
		buf_z(b, "...");
		return;
	}
	switch (json_typeof(v)) {
	case JSON_OBJECT:
		if ((keys = sorted_keys(v, a, &n)) == NULL)
			return;
		buf_z(b, "map[");
		for (size_t i = 0; i < n; i++) {
			buf_printf(b, "%s%s:", i > 0 ? " " : "", keys[i]);
			print_value(
			    json_object_get(v, keys[i]), b, a, depth + 1);
		}
		buf_char(b, ']');
		break;
	case JSON_ARRAY:
		buf_char(b, '[');
		for (size_t i = 0; i < json_array_size(v); i++) {
			if (i > 0)
				buf_char(b, ' ');
			print_value(json_array_get(v, i), b, a, depth + 1);
		}
		buf_char(b, ']');
		break;
	case JSON_STRING:
		buf_str(b, json_in_text(v));
		break;
	case JSON_INTEGER:
	case JSON_REAL:
		inner_number(number_of(v), b);
		break;
	case JSON_TRUE:
	case JSON_FALSE:
		buf_z(b, json_is_true(v) ? "true" : "false");
		break;
	case JSON_NULL:
		buf_z(b, "<nil>");
		break;
	}
}

struct str
record_text(const json_t *v, struct arena *a)
{
	/* jansson reads without changing, but its types do not say so */
	union {
		const json_t *in;
		json_t *out;
	} value = { .in = v };
	struct str s = { NULL, 0 };
	struct buf b;
	char *copy;

	if (v == NULL || json_is_null(v))
		return s;
	buf_init(&b, TEXT_MAX);
	if (json_is_string(v))
		s = json_in_text(v);
	else {
		if (json_is_number(v))
			plain_number(number_of(v), &b);
		else
			print_value(value.out, &b, a, 0);
		s = buf_view(&b);
	}
	s = str_trim(s);
	copy = s.n == 0 ? NULL : arena_strdup(a, s);
	s = (struct str){ copy, copy == NULL ? 0 : s.n };
	buf_free(&b);
	return s;
}

struct str
record_str(const json_t *obj, key_list keys, struct arena *a)
{
	return record_text(record_first(obj, keys), a);
}

/* strconv.ParseInt: what is too large becomes the largest. */
static int64_t
text_int(struct str s)
{
	bool minus;
	int64_t v;

	s = str_trim(s);
	if (str_i64(s, &v) == 0)
		return v;
	minus = s.n > 0 && s.p[0] == '-';
	if (s.n > 0 && (minus || s.p[0] == '+')) {
		s.p++;
		s.n--;
	}
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < '0' || s.p[i] > '9')
			return 0;
	if (s.n == 0)
		return 0;
	return minus ? INT64_MIN : INT64_MAX;
}

int64_t
value_int(const json_t *v)
{
	double d;

	if (json_is_string(v))
		return text_int(json_in_text(v));
	if (!json_is_number(v))
		return 0;
	d = trunc(number_of(v));
	/* as x86-64 converts what does not fit */
	if (!(d >= -9223372036854775808.0 && d < 9223372036854775808.0))
		return INT64_MIN;
	return (int64_t)d;
}

int64_t
record_int(const json_t *obj, key_list keys)
{
	return value_int(record_first(obj, keys));
}

static void
write_value(json_t *v, struct json_out *o, struct arena *a)
{
	const char **keys;
	size_t n;

	switch (json_typeof(v)) {
	case JSON_OBJECT:
		json_out_object(o);
		if ((keys = sorted_keys(v, a, &n)) == NULL)
			n = 0;
		for (size_t i = 0; i < n; i++) {
			json_out_key(o, keys[i]);
			write_value(json_object_get(v, keys[i]), o, a);
		}
		json_out_object_end(o);
		break;
	case JSON_ARRAY:
		json_out_array(o);
		for (size_t i = 0; i < json_array_size(v); i++)
			write_value(json_array_get(v, i), o, a);
		json_out_array_end(o);
		break;
	case JSON_STRING:
		json_out_str(o, json_in_text(v));
		break;
	case JSON_INTEGER:
	case JSON_REAL:
		json_out_double(o, number_of(v));
		break;
	case JSON_TRUE:
	case JSON_FALSE:
		json_out_bool(o, json_is_true(v));
		break;
	case JSON_NULL:
		json_out_null(o);
		break;
	}
}

void
record_json(const json_t *v, struct buf *b, struct arena *a)
{
	union {
		const json_t *in;
		json_t *out;
	} value = { .in = v };
	struct json_out o;

	json_out_init(&o, b, NULL, NULL);
	write_value(value.out, &o, a);
	if (o.failed)
		b->failed = true;
}
