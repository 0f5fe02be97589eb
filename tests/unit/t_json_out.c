/* Writing JSON: structure, escapes, numbers, and where the bytes go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#undef fail /* lib/err.h has one of its own */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json_in.h"
#include "json_out.h"

static struct buf out;
static struct json_out o;

static int
setup(void **state)
{
	(void)state;
	buf_init(&out, 1 << 20);
	json_out_init(&o, &out, NULL, NULL);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	buf_free(&out);
	return 0;
}

static void
assert_written(const char *want)
{
	assert_int_equal(json_out_done(&o), 0);
	assert_string_equal(buf_text(&out), want);
	buf_clear(&out);
	json_out_init(&o, &out, NULL, NULL);
}

static void
structure(void **state)
{
	(void)state;
	json_out_object(&o);
	json_out_kz(&o, "z", "a");
	json_out_key(&o, "list");
	json_out_array(&o);
	json_out_int(&o, 1);
	json_out_object(&o);
	json_out_object_end(&o);
	json_out_array(&o);
	json_out_array_end(&o);
	json_out_null(&o);
	json_out_bool(&o, true);
	json_out_double(&o, 0.5);
	json_out_raw(&o, STR("{\"raw\":[]}"));
	json_out_str(&o, STR("s"));
	json_out_array_end(&o);
	json_out_kz(&o, "none", NULL);
	json_out_kstr(&o, "s", STR("t"));
	json_out_kint(&o, "i", -3);
	json_out_kdouble(&o, "d", 1.5);
	json_out_kbool(&o, "b", false);
	json_out_key_str(&o, STR("k\0\""));
	json_out_object(&o);
	json_out_kint(&o, "deep", 1);
	json_out_object_end(&o);
	json_out_object_end(&o);
	assert_written(
	    "{\"z\":\"a\",\"list\":[1,{},[],null,true,0.5,{\"raw\":[]},\"s\"],"
	    "\"none\":null,\"s\":\"t\",\"i\":-3,\"d\":1.5,\"b\":false,"
	    "\"k\\u0000\\\"\":{\"deep\":1}}\n");
}

static void
left_out_when_empty(void **state)
{
	(void)state;
	json_out_object(&o);
	json_out_kstr_opt(&o, "a", STR(""));
	json_out_kint_opt(&o, "b", 0);
	json_out_kint_opt(&o, "c", -1);
	json_out_kstr_opt(&o, "d", (struct str){ NULL, 0 });
	json_out_kstr_opt(&o, "e", STR("x"));
	json_out_object_end(&o);
	assert_written("{\"c\":-1,\"e\":\"x\"}\n");
}

static void
assert_string(struct str text, const char *want)
{
	char line[256];

	json_out_str(&o, text);
	snprintf(line, sizeof line, "\"%s\"\n", want);
	assert_written(line);
}

static void
escapes(void **state)
{
	char text[8], want[16];

	(void)state;
	assert_string((struct str){ NULL, 0 }, "");
	assert_string(STR("plain text"), "plain text");
	assert_string(STR("\b\f\n\r\t"), "\\b\\f\\n\\r\\t");
	assert_string(STR("\"\\/"), "\\\"\\\\/");
	assert_string(STR("<a href='x'>&"), "\\u003ca href='x'\\u003e\\u0026");
	assert_string(STR("\x7f"), "\x7f");
	assert_string(STR("a\0b"), "a\\u0000b");
	for (int c = 0; c < 0x20; c++) {
		if (c == '\b' || c == '\f' || c == '\n' || c == '\r' ||
		    c == '\t')
			continue;
		snprintf(want, sizeof want, "x\\u%04xy", (unsigned)c);
		text[0] = 'x';
		text[1] = (char)c;
		text[2] = 'y';
		assert_string((struct str){ text, 3 }, want);
	}
	assert_string(STR("\xe2\x80\xa7\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa"),
	    "\xe2\x80\xa7\\u2028\\u2029\xe2\x80\xaa");
	assert_string(STR("\xc3\xa9\xe4\xbd\xa0\xf0\x9f\x8e\x89"),
	    "\xc3\xa9\xe4\xbd\xa0\xf0\x9f\x8e\x89");
}

static void
invalid_bytes(void **state)
{
	(void)state;
	assert_string(STR("a\xff"
			  "b"),
	    "a\\ufffdb");
	assert_string(STR("\xe2\x82"), "\\ufffd\\ufffd");
	assert_string(STR("\xe2\x80"), "\\ufffd\\ufffd");
	assert_string(STR("\xed\xa0\x80"), "\\ufffd\\ufffd\\ufffd");
	assert_string(STR("\xc3\"\xc3\xa9"), "\\ufffd\\\"\xc3\xa9");
}

static void
integers(void **state)
{
	(void)state;
	json_out_array(&o);
	json_out_int(&o, 0);
	json_out_int(&o, -1);
	json_out_int(&o, 10);
	json_out_int(&o, INT64_MAX);
	json_out_int(&o, INT64_MIN);
	json_out_array_end(&o);
	assert_written("[0,-1,10,9223372036854775807,-9223372036854775808]\n");
}

static const struct {
	double v;
	const char *text;
} doubles[] = {
	{ 0.0, "0" },
	{ -0.0, "-0" },
	{ 1.0, "1" },
	{ -1.5, "-1.5" },
	{ 0.1, "0.1" },
	{ 0.1 + 0.2, "0.30000000000000004" },
	{ 1.0 / 3, "0.3333333333333333" },
	{ 2.0 / 3, "0.6666666666666666" },
	{ 100.0, "100" },
	{ 123456.789, "123456.789" },
	/* where the exponent begins */
	{ 1e-6, "0.000001" },
	{ 1.5e-6, "0.0000015" },
	{ 9.999999999999997e-7, "9.999999999999997e-7" },
	{ 1e-7, "1e-7" },
	{ -1.5e-7, "-1.5e-7" },
	{ 1.25e-10, "1.25e-10" },
	{ 1e-100, "1e-100" },
	{ 1e20, "100000000000000000000" },
	{ 123456789012345680000.0, "123456789012345680000" },
	{ 999999999999999900000.0, "999999999999999900000" },
	{ 1e21, "1e+21" },
	{ -1.5e21, "-1.5e+21" },
	{ 1e22, "1e+22" },
	{ 1e100, "1e+100" },
	/* around 2^53, where the integers are written otherwise */
	{ 9007199254740991.0, "9007199254740991" },
	{ 9007199254740992.0, "9007199254740992" },
	{ 9007199254740994.0, "9007199254740994" },
	{ -9007199254740991.0, "-9007199254740991" },
	{ -9007199254740992.0, "-9007199254740992" },
	{ 9223372036854775808.0, "9223372036854776000" },
	{ 4503599627370495.5, "4503599627370495.5" },
	/* the ends */
	{ 5e-324, "5e-324" },
	{ 2.2250738585072014e-308, "2.2250738585072014e-308" },
	{ 2.225073858507201e-308, "2.225073858507201e-308" },
	{ 1.7976931348623157e308, "1.7976931348623157e+308" },
	{ -1.7976931348623157e308, "-1.7976931348623157e+308" },
	/* halfway cases that naive printers miss */
	{ 5e-8, "5e-8" },
	{ 9.5367431640625e-7, "9.5367431640625e-7" },
	{ 1.2345678901234567e-6, "0.0000012345678901234567" },
	{ 9.5e20, "950000000000000000000" },
	{ 2.98023223876953125e-8, "2.9802322387695312e-8" },
};

static void
shortest_doubles(void **state)
{
	char text[32], line[40];

	(void)state;
	for (size_t i = 0; i < sizeof doubles / sizeof doubles[0]; i++) {
		memset(text, 'x', sizeof text);
		assert_int_equal(
		    double_text(doubles[i].v, text), strlen(doubles[i].text));
		assert_string_equal(text, doubles[i].text);
		json_out_double(&o, doubles[i].v);
		snprintf(line, sizeof line, "%s\n", doubles[i].text);
		assert_written(line);
	}
	json_out_array(&o);
	json_out_double(&o, NAN);
	json_out_double(&o, INFINITY);
	json_out_double(&o, -INFINITY);
	json_out_array_end(&o);
	assert_written("[null,null,null]\n");
}

/* Any double reads back as itself, and no shorter text would. */
static void
doubles_read_back(void **state)
{
	uint64_t bits = 0x9e3779b97f4a7c15;

	(void)state;
	for (int i = 0; i < 200000; i++) {
		char text[32], less[40];
		int digits = 0;
		double v, back;

		/* xorshift: the same numbers each time */
		bits ^= bits << 13;
		bits ^= bits >> 7;
		bits ^= bits << 17;
		memcpy(&v, &bits, sizeof v);
		if (i % 2 == 0)
			v = (double)(bits >> 20) / 1000;
		if (!isfinite(v))
			continue;
		assert_true(double_text(v, text) < sizeof text);
		back = strtod(text, NULL);
		assert_memory_equal(&back, &v, sizeof v);
		for (const char *p = text; *p != '\0' && *p != 'e'; p++)
			if ((*p >= '1' && *p <= '9') ||
			    (*p == '0' && digits > 0))
				digits++;
		for (size_t n = strcspn(text, "e"); n > 0; n--) {
			/* zeros at the end of a whole number are no digits */
			if (strchr(text, '.') != NULL || text[n - 1] != '0')
				break;
			digits--;
		}
		if (digits < 2)
			continue;
		snprintf(less, sizeof less, "%.*e", digits - 2, v);
		assert_true(strtod(less, NULL) < v || strtod(less, NULL) > v);
	}
}

static void
misuse_fails(void **state)
{
	(void)state;
	json_out_object_end(&o);
	assert_true(o.failed);
	assert_int_equal(json_out_done(&o), -1);

	json_out_init(&o, &out, NULL, NULL);
	json_out_array(&o);
	assert_int_equal(json_out_done(&o), -1); /* left open */

	json_out_init(&o, &out, NULL, NULL);
	json_out_object(&o);
	json_out_key(&o, "k");
	json_out_object_end(&o); /* a key without a value */
	assert_int_equal(json_out_done(&o), -1);
}

static void
too_deep(void **state)
{
	(void)state;
	for (int i = 0; i < JSON_OUT_DEPTH; i++)
		json_out_array(&o);
	assert_false(o.failed);
	for (int i = 0; i < JSON_OUT_DEPTH; i++)
		json_out_array_end(&o);
	assert_int_equal(json_out_done(&o), 0);
	assert_int_equal(out.n, 2 * JSON_OUT_DEPTH + 1);

	json_out_init(&o, &out, NULL, NULL);
	for (int i = 0; i <= JSON_OUT_DEPTH; i++)
		json_out_array(&o);
	assert_true(o.failed);
	json_out_int(&o, 1);
	assert_int_equal(json_out_done(&o), -1);
}

static void
buffer_full(void **state)
{
	struct buf small;

	(void)state;
	buf_init(&small, 10);
	json_out_init(&o, &small, NULL, NULL);
	json_out_array(&o);
	json_out_str(&o, STR("123456789"));
	assert_true(o.failed);
	json_out_array_end(&o);
	assert_int_equal(json_out_done(&o), -1);
	assert_true(small.n <= 10);
	buf_free(&small);
}

/* ---- a sink ---- */

struct sink {
	struct buf all;
	unsigned calls, refuse_from; /* 0: never */
	size_t largest;
};

static int
take(void *to, const char *p, size_t n)
{
	struct sink *s = to;

	s->calls++;
	assert_true(n > 0);
	if (s->refuse_from > 0 && s->calls >= s->refuse_from)
		return -1;
	buf_add(&s->all, p, n);
	if (n > s->largest)
		s->largest = n;
	return 0;
}

static void
a_sink_gets_everything(void **state)
{
	struct sink s = { .calls = 0 };
	struct buf want;

	(void)state;
	buf_init(&s.all, 1 << 24);
	buf_init(&want, 1 << 24);
	json_out_init(&o, &out, take, &s);
	json_out_array(&o);
	buf_char(&want, '[');
	for (int i = 0; i < 100000; i++) {
		json_out_int(&o, i);
		buf_printf(&want, "%s%d", i == 0 ? "" : ",", i);
		/* pending never grows far beyond its mark */
		assert_true(out.n <= 32768);
	}
	json_out_array_end(&o);
	buf_z(&want, "]\n");
	assert_int_equal(json_out_done(&o), 0);
	assert_int_equal(out.n, 0);
	assert_true(str_eq(buf_view(&s.all), buf_view(&want)));
	assert_true(s.calls > 10 && s.calls < 30);
	buf_free(&s.all);
	buf_free(&want);
}

/* A value larger than the buffer may hold goes past it, in order. */
static void
a_sink_takes_large_values(void **state)
{
	struct sink s = { .calls = 0 };
	size_t size = 3 << 20;
	char *text = malloc(size);
	struct buf small;
	json_t *v;

	(void)state;
	assert_non_null(text);
	memset(text, 'a', size);
	text[size / 2] = '<';
	buf_init(&s.all, 1 << 24);
	buf_init(&small, 65536);
	json_out_init(&o, &small, take, &s);
	json_out_array(&o);
	json_out_int(&o, 1);
	json_out_str(&o, (struct str){ text, size });
	json_out_int(&o, 2);
	json_out_array_end(&o);
	assert_int_equal(json_out_done(&o), 0);
	v = json_in_parse(buf_view(&s.all), true, NULL);
	assert_int_equal(json_array_size(v), 3);
	assert_true(str_eq(
	    json_in_text(json_array_get(v, 1)), (struct str){ text, size }));
	json_decref(v);
	buf_free(&s.all);
	buf_free(&small);
	free(text);
}

static void
a_sink_that_refuses(void **state)
{
	struct sink s = { .refuse_from = 2 };
	unsigned calls;

	(void)state;
	buf_init(&s.all, 1 << 24);
	json_out_init(&o, &out, take, &s);
	json_out_array(&o);
	for (int i = 0; i < 100000; i++)
		json_out_int(&o, i);
	assert_true(o.failed);
	/* asked once more never */
	calls = s.calls;
	assert_int_equal(calls, 2);
	json_out_array_end(&o);
	assert_int_equal(json_out_done(&o), -1);
	assert_int_equal(s.calls, calls);

	s = (struct sink){ .all = s.all, .refuse_from = 1 };
	buf_clear(&out);
	json_out_init(&o, &out, take, &s);
	json_out_null(&o);
	assert_int_equal(json_out_done(&o), -1);
	buf_free(&s.all);
}

/* Whatever the bytes of a text are, they come out as JSON that reads back. */
static void
any_text_reads_back(void **state)
{
	struct str piece[] = { STR("a"), STR("\xff"), STR("\xe2\x80\xa8"),
		STR("\0"), STR("\""), STR("\xed\xa0\x80"), STR("<"),
		STR("\xe2\x82\xac"), STR("\\") };
	const size_t n = sizeof piece / sizeof piece[0];
	struct str whole;
	struct buf text;
	json_t *once, *v;

	(void)state;
	buf_init(&text, 4096);
	for (size_t i = 0; i < n * n * n; i++) {
		buf_clear(&text);
		buf_str(&text, piece[i % n]);
		buf_str(&text, piece[i / n % n]);
		buf_str(&text, piece[i / n / n]);
		buf_clear(&out);
		json_out_init(&o, &out, NULL, NULL);
		json_out_str(&o, buf_view(&text));
		assert_int_equal(json_out_done(&o), 0);
		once = json_in_parse(buf_view(&out), true, NULL);
		assert_non_null(once);
		whole = json_in_text(once);
		assert_true(utf8_valid(whole));
		if (utf8_valid(buf_view(&text)))
			assert_true(str_eq(whole, buf_view(&text)));
		/* what was replaced once stays as it is */
		buf_clear(&out);
		json_out_init(&o, &out, NULL, NULL);
		json_out_str(&o, whole);
		assert_int_equal(json_out_done(&o), 0);
		v = json_in_parse(buf_view(&out), true, NULL);
		assert_true(str_eq(json_in_text(v), whole));
		json_decref(v);
		json_decref(once);
	}
	buf_free(&text);
}

/* ---- texts, eight bytes at a time and a piece at a time ------------------ */

/* What a text is to be, byte by byte. */
static void
want_text(struct buf *to, struct str s)
{
	uint32_t code;
	int n;

	buf_char(to, '"');
	for (; s.n > 0; s.p += n, s.n -= (size_t)n) {
		unsigned char c = (unsigned char)*s.p;
		const char *short_one = c == 0 ? NULL : strchr("\b\f\n\r\t", c);

		n = utf8_next(s, &code);
		if (n < 0) {
			n = 1;
			buf_z(to, "\\ufffd");
		} else if (short_one != NULL) {
			buf_char(to, '\\');
			buf_char(to,
			    "bfnrt"[short_one - (const char *)"\b\f\n\r\t"]);
		} else if (c == '"' || c == '\\') {
			buf_char(to, '\\');
			buf_char(to, (char)c);
		} else if (code < 0x20 || c == '<' || c == '>' || c == '&' ||
			   code == 0x2028 || code == 0x2029) {
			buf_printf(to, "\\u%04x", code);
		} else {
			buf_add(to, s.p, (size_t)n);
		}
	}
	buf_char(to, '"');
}

static void
assert_text(struct str s)
{
	struct buf want;

	buf_init(&want, 1 << 20);
	want_text(&want, s);
	buf_char(&want, '\n');
	json_out_str(&o, s);
	assert_int_equal(json_out_done(&o), 0);
	assert_true(str_eq(buf_view(&out), buf_view(&want)));
	buf_clear(&out);
	json_out_init(&o, &out, NULL, NULL);
	buf_free(&want);
}

/* Every byte at every place of the eight that are looked at at once. */
static void
every_byte_at_every_place(void **state)
{
	char *text = malloc(24);

	(void)state;
	assert_non_null(text);
	for (unsigned c = 0; c < 256; c++)
		for (size_t at = 0; at <= 8; at++)
			for (size_t n = at + 1; n <= 17; n++) {
				/* at the end of what is ours, so that a
				 * sanitizer sees a read beyond it */
				char *p = text + 24 - n;

				memset(p, 'p', n);
				p[at] = (char)c;
				assert_text((struct str){ p, n });
				/* two of them, the second right behind */
				if (at + 1 < n) {
					p[at + 1] = (char)(c ^ 1);
					assert_text((struct str){ p, n });
				}
			}
	free(text);
}

/* A character is not torn where a piece of 4096 bytes ends. */
static void
characters_across_pieces(void **state)
{
	static const char *const characters[] = { "\xc3\xa9", "\xe2\x82\xac",
		"\xf0\x9f\x8e\x89", "\xe2\x80\xa8", "<", "\x80\x80\x80\x80",
		"\xf0\x9f\x8e", "\xc3" };
	struct buf text;

	(void)state;
	buf_init(&text, 1 << 20);
	for (size_t k = 0; k < sizeof characters / sizeof *characters; k++)
		for (size_t before = 4090; before <= 4098; before++) {
			buf_clear(&text);
			memset(buf_reserve(&text, before), 'x', before);
			buf_commit(&text, before);
			buf_z(&text, characters[k]);
			assert_text(buf_view(&text));
			for (int i = 0; i < 3000; i++)
				buf_z(&text, characters[k]);
			assert_text(buf_view(&text));
		}
	buf_free(&text);
}

/* A text goes in as long as it fits, however it might have been escaped. */
static void
a_text_that_just_fits(void **state)
{
	enum { LIMIT = 8192, SLACK = 64 };
	char text[LIMIT];
	struct buf small;

	(void)state;
	memset(text, 'x', sizeof text);
	for (size_t n = LIMIT - 2 * SLACK; n <= LIMIT; n++) {
		buf_init(&small, LIMIT);
		json_out_init(&o, &small, NULL, NULL);
		json_out_str(&o, (struct str){ text, n });
		if (n <= LIMIT - SLACK)
			assert_int_equal(json_out_done(&o), 0);
		if (n >= LIMIT - 2)
			assert_int_equal(json_out_done(&o), -1);
		assert_true(small.n <= LIMIT);
		buf_free(&small);
	}
}

/* Texts, keys and raw values of all sizes, through a small buffer. */
static void
a_sink_gets_texts(void **state)
{
	static const size_t sizes[] = { 0, 1, 7, 4095, 4096, 4097, 32766, 32767,
		32768, 32769, 70000 };
	struct sink s = { .calls = 0 };
	struct buf want, small, text;

	(void)state;
	buf_init(&s.all, 1 << 24);
	buf_init(&want, 1 << 24);
	buf_init(&small, 65536);
	buf_init(&text, 1 << 20);
	json_out_init(&o, &small, take, &s);
	json_out_array(&o);
	buf_char(&want, '[');
	for (size_t i = 0; i < 3 * sizeof sizes / sizeof *sizes; i++) {
		static const char fill[] = "a<\xe2\x82\xac";
		size_t n = sizes[i / 3];

		buf_clear(&text);
		for (size_t k = 0; k < n; k++)
			buf_char(&text, i % 3 == 0 ? 'a' :
					i % 3 == 1 ? '\x01' :
						     fill[k % 5]);
		json_out_object(&o);
		json_out_key_str(&o, buf_view(&text));
		json_out_str(&o, buf_view(&text));
		json_out_key(&o, "raw");
		buf_z(&want, i == 0 ? "{" : ",{");
		want_text(&want, buf_view(&text));
		buf_char(&want, ':');
		want_text(&want, buf_view(&text));
		buf_clear(&text);
		for (size_t k = 0; k <= n; k++)
			buf_char(&text, '7');
		json_out_raw(&o, buf_view(&text));
		json_out_object_end(&o);
		buf_printf(&want, ",\"raw\":%s}", buf_text(&text));
	}
	json_out_array_end(&o);
	buf_z(&want, "]\n");
	assert_int_equal(json_out_done(&o), 0);
	assert_true(str_eq(buf_view(&s.all), buf_view(&want)));
	buf_free(&s.all);
	buf_free(&want);
	buf_free(&small);
	buf_free(&text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(structure),
		TEST(left_out_when_empty),
		TEST(escapes),
		TEST(invalid_bytes),
		TEST(integers),
		TEST(shortest_doubles),
		TEST(doubles_read_back),
		TEST(misuse_fails),
		TEST(too_deep),
		TEST(buffer_full),
		TEST(a_sink_gets_everything),
		TEST(a_sink_takes_large_values),
		TEST(a_sink_that_refuses),
		TEST(any_text_reads_back),
		TEST(every_byte_at_every_place),
		TEST(characters_across_pieces),
		TEST(a_text_that_just_fits),
		TEST(a_sink_gets_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
