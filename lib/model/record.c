#include "model/record.h"

#include <math.h>
#include <string.h>

#include "buf.h"

#define TEXT_MAX ((size_t)1024 * 1024)

_Static_assert(KEY__MAX < 256, "lists of keys are bytes");

static const struct str names[KEY__MAX] = {
#define KEY(name) { #name, sizeof #name - 1 },
#include "model/keys.def"
#undef KEY
};

enum key
key_find(struct str name)
{
	size_t low = 0, high = KEY__MAX;

	while (low < high) {
		size_t middle = (low + high) / 2;
		struct str k = names[middle];
		int c = (k.n > name.n) - (k.n < name.n);

		if (c == 0 && (c = memcmp(k.p, name.p, k.n)) == 0)
			return (enum key)middle;
		if (c < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return KEY__MAX;
}

struct str
key_name(enum key key)
{
	return names[key];
}

void
record_index(struct record *r, const struct json_tree *v)
{
	enum key key;

	memset(r, 0, sizeof *r);
	if (v == NULL || v->type != TREE_OBJECT)
		return;
	for (v = v->first; v != NULL; v = v->next)
		if ((key = key_find(v->key)) != KEY__MAX)
			r->v[key] = v;
}

const struct json_tree *
record_first(const struct record *r, const unsigned char *keys)
{
	for (; *keys != KEY__MAX; keys++)
		if (r->v[*keys] != NULL)
			return r->v[*keys];
	return NULL;
}

bool
value_given(const struct json_tree *v)
{
	return v != NULL && v->type != TREE_NULL;
}

/* ---- numbers as text ----------------------------------------------------- */

/*
 * The shortest digits of |d|, which is not 0, without zeros at either end;
 * the decimal point stands before digit *point.
 */
static size_t
shortest_digits(double d, char digits[24], int *point)
{
	char text[32];
	const char *p = text, *end = text + double_text(fabs(d), text);
	bool fraction = false;
	size_t n = 0;
	int e = 0, sign;

	*point = 0;
	for (; p < end && *p != 'e'; p++) {
		if (*p == '.') {
			fraction = true;
			continue;
		}
		if (n == 0 && *p == '0') {
			*point -= fraction;
			continue;
		}
		digits[n++] = *p;
		*point += !fraction;
	}
	if (p < end) {
		sign = p[1] == '-' ? -1 : 1;
		for (p += 2; p < end; p++)
			e = e * 10 + (*p - '0');
		*point += sign * e;
	}
	while (n > 1 && digits[n - 1] == '0')
		n--;
	return n;
}

static void
zeros(struct buf *b, int n)
{
	for (; n > 0; n--)
		buf_char(b, '0');
}

static void
plain_number(double d, struct buf *b)
{
	char digits[24];
	int point;
	size_t n, before;

	if (fabs(d) < 9223372036854775808.0 && fabs(d - trunc(d)) <= 0) {
		buf_printf(b, "%lld", (long long)d);
		return;
	}
	n = shortest_digits(d, digits, &point);
	if (d < 0)
		buf_char(b, '-');
	if (point <= 0) {
		buf_z(b, "0.");
		zeros(b, -point);
		buf_add(b, digits, n);
		return;
	}
	before = (size_t)point < n ? (size_t)point : n;
	buf_add(b, digits, before);
	zeros(b, point - (int)n);
	if (before < n) {
		buf_char(b, '.');
		buf_add(b, digits + before, n - before);
	}
}

/* A number inside a list or an object: with an exponent sooner. */
static void
inner_number(double d, struct buf *b)
{
	char digits[24];
	int point, e;
	size_t n;

	if (fabs(d) <= 0) {
		buf_z(b, signbit(d) ? "-0" : "0");
		return;
	}
	n = shortest_digits(d, digits, &point);
	e = point - 1;
	if (e >= -4 && e < 6) {
		plain_number(d, b);
		return;
	}
	buf_printf(b, "%s%c", d < 0 ? "-" : "", digits[0]);
	if (n > 1) {
		buf_char(b, '.');
		buf_add(b, digits + 1, n - 1);
	}
	buf_printf(b, "e%c%02d", e < 0 ? '-' : '+', e < 0 ? -e : e);
}

struct str
number_text(double d, struct arena *a)
{
	struct buf b;
	char *copy;
	size_t n;

	buf_init(&b, 512);
	plain_number(d, &b);
	n = b.n;
	copy = b.failed ? NULL : arena_strdup(a, buf_view(&b));
	buf_free(&b);
	return (struct str){ copy, copy == NULL ? 0 : n };
}

/* ---- values as text ------------------------------------------------------ */

/* What the reference prints for a value inside a text. */
static void
print_value(const struct json_tree *v, struct buf *b, struct arena *a)
{
	struct json_tree_place *members;
	const char *blank = "";
	size_t n;

	if (b->failed)
		return;
	switch (v->type) {
	case TREE_OBJECT:
		buf_z(b, "map[");
		if ((members = json_tree_sorted(v, a, &n)) == NULL)
			b->failed = true;
		for (size_t i = 0; members != NULL && i < n; i++) {
			buf_z(b, i > 0 ? " " : "");
			buf_str(b, members[i].v->key);
			buf_char(b, ':');
			print_value(members[i].v, b, a);
		}
		buf_char(b, ']');
		break;
	case TREE_LIST:
		buf_char(b, '[');
		for (v = v->first; v != NULL; v = v->next, blank = " ") {
			buf_z(b, blank);
			print_value(v, b, a);
		}
		buf_char(b, ']');
		break;
	case TREE_TEXT:
		buf_str(b, v->text);
		break;
	case TREE_NUMBER:
		inner_number(v->number, b);
		break;
	case TREE_TRUE:
		buf_z(b, "true");
		break;
	case TREE_FALSE:
		buf_z(b, "false");
		break;
	case TREE_NULL:
		buf_z(b, "<nil>");
		break;
	}
}

static struct str
printed(const struct json_tree *v, struct arena *a)
{
	struct str s = { NULL, 0 };
	struct buf b;
	char *copy;

	buf_init(&b, TEXT_MAX);
	print_value(v, &b, a);
	if (b.failed)
		a->failed = true; /* never half a text */
	else if ((copy = arena_strdup(a, buf_view(&b))) != NULL)
		s = str_trim((struct str){ copy, b.n });
	buf_free(&b);
	return s;
}

struct str
value_text(const struct json_tree *v, struct arena *a)
{
	if (v == NULL)
		return (struct str){ NULL, 0 };
	switch (v->type) {
	case TREE_NULL:
		return (struct str){ NULL, 0 };
	case TREE_TEXT:
		return str_trim(v->text);
	case TREE_NUMBER:
		return number_text(v->number, a);
	default:
		return printed(v, a);
	}
}

struct str
record_str(const struct record *r, const unsigned char *keys, struct arena *a)
{
	return value_text(record_first(r, keys), a);
}

/* ---- values as whole numbers --------------------------------------------- */

/* What is too large becomes the largest; what is no number 0. */
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
value_int(const struct json_tree *v)
{
	if (v == NULL)
		return 0;
	if (v->type == TREE_TEXT)
		return text_int(v->text);
	if (v->type != TREE_NUMBER)
		return 0;
	/* as x86-64 converts what does not fit */
	if (!(v->number > -9223372036854775808.0 &&
		v->number < 9223372036854775808.0))
		return INT64_MIN;
	return (int64_t)v->number;
}

int64_t
record_int(const struct record *r, const unsigned char *keys)
{
	return value_int(record_first(r, keys));
}
