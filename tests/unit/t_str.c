/* Views of text and the parsers over them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "str.h"

static const struct str none = { NULL, 0 };

static void
assert_str(struct str got, const char *want)
{
	assert_int_equal(got.n, strlen(want));
	if (got.n > 0)
		assert_memory_equal(got.p, want, got.n);
}

static void
views(void **state)
{
	(void)state;
	assert_int_equal(str_of(NULL).n, 0);
	assert_str(str_of("abc"), "abc");
	assert_int_equal(STR("a\0b").n, 3);
}

static void
equality(void **state)
{
	(void)state;
	assert_true(str_eq(STR("abc"), STR("abc")));
	assert_false(str_eq(STR("abc"), STR("abd")));
	assert_false(str_eq(STR("abc"), STR("ab")));
	assert_false(str_eq(STR("a\0b"), STR("a\0c")));
	assert_true(str_eq(none, STR("")));
	assert_true(str_eq_nocase(STR("aBc-Z"), STR("AbC-z")));
	assert_false(str_eq_nocase(STR("abc"), STR("abcd")));
	/* letters only: these differ by the same bit */
	assert_false(str_eq_nocase(STR("[@"), STR("{`")));
	/* and only those of ASCII */
	assert_false(str_eq_nocase(STR("\xc3\x89"), STR("\xc3\xa9")));
}

static void
parts(void **state)
{
	(void)state;
	assert_true(str_starts(STR("abc"), STR("ab")));
	assert_true(str_starts(STR("abc"), none));
	assert_false(str_starts(STR("ab"), STR("abc")));
	assert_true(str_ends(STR("abc"), STR("bc")));
	assert_true(str_ends(none, none));
	assert_false(str_ends(STR("bc"), STR("abc")));
	assert_false(str_ends(STR("abc"), STR("ab")));
	assert_true(str_contains(STR("abcabd"), STR("abd")));
	assert_true(str_contains(none, none));
	assert_false(str_contains(STR("abc"), STR("abcd")));
	assert_false(str_contains(none, STR("a")));
	assert_true(str_contains_nocase(STR("xABCabD"), STR("abd")));
	assert_true(str_contains_nocase(STR("abc"), none));
	assert_false(str_contains_nocase(STR("abab"), STR("abc")));
	assert_false(str_contains_nocase(STR("a"), STR("ab")));
	/* at the very end, where a scan may stop too early */
	assert_true(str_contains_nocase(STR("xxAB"), STR("ab")));
}

static void
order(void **state)
{
	(void)state;
	assert_int_equal(str_cmp(STR("a"), STR("a")), 0);
	assert_int_equal(str_cmp(none, STR("")), 0);
	assert_true(str_cmp(STR("a"), STR("b")) < 0);
	assert_true(str_cmp(STR("ab"), STR("a")) > 0);
	assert_true(str_cmp(none, STR("a")) < 0);
	/* bytes are unsigned: ASCII before everything else */
	assert_true(str_cmp(STR("z"), STR("\xc3\xa9")) < 0);
}

static void
trims_what_unicode_calls_white(void **state)
{
	static const char *const white[] = { "\t", "\n", "\v", "\f", "\r", " ",
		"\xc2\x85", "\xc2\xa0", "\xe1\x9a\x80", "\xe2\x80\x80",
		"\xe2\x80\x81", "\xe2\x80\x82", "\xe2\x80\x83", "\xe2\x80\x84",
		"\xe2\x80\x85", "\xe2\x80\x86", "\xe2\x80\x87", "\xe2\x80\x88",
		"\xe2\x80\x89", "\xe2\x80\x8a", "\xe2\x80\xa8", "\xe2\x80\xa9",
		"\xe2\x80\xaf", "\xe2\x81\x9f", "\xe3\x80\x80" };
	/* neighbours, the zero-width ones, invalid bytes */
	static const char *const black[] = { "\b", "\x0e", "\x1f", "!",
		"\xc2\x84", "\xc2\x86", "\xc2\xa1", "\xe2\x80\x8b",
		"\xe2\x80\xaa", "\xe1\xa0\x8e", "\xef\xbb\xbf", "\x85", "\xa0",
		"\xe3\x80", "\x80\x80" };
	char text[32];

	(void)state;
	for (size_t i = 0; i < sizeof white / sizeof white[0]; i++) {
		const char *w = white[i];

		assert_int_equal(str_trim(str_of(w)).n, 0);
		snprintf(text, sizeof text, "%s%sa %s%s", w, w, w, w);
		assert_str(str_trim(str_of(text)), "a");
		/* inside it stays */
		snprintf(text, sizeof text, "b%sb", w);
		assert_str(str_trim(str_of(text)), text);
	}
	for (size_t i = 0; i < sizeof black / sizeof black[0]; i++) {
		assert_str(str_trim(str_of(black[i])), black[i]);
		snprintf(text, sizeof text, "x%s", black[i]);
		assert_str(str_trim(str_of(text)), text);
	}
	assert_int_equal(str_trim(none).n, 0);
	assert_int_equal(str_trim(STR(" \0 ")).n, 1);
}

static void
integers(void **state)
{
	static const struct {
		const char *text;
		int64_t v;
	} good[] = {
		{ "0", 0 },
		{ "-0", 0 },
		{ "+7", 7 },
		{ "0007", 7 },
		{ "9223372036854775807", INT64_MAX },
		{ "-9223372036854775808", INT64_MIN },
		{ "-9223372036854775807", -INT64_MAX },
		{ "00000000000000000000000000000000012", 12 },
	};
	static const char *const bad[] = { "", "-", "+", "--1", "+-1", " 1",
		"1 ", "1.0", "1e3", "0x10", "a", "9223372036854775808",
		"-9223372036854775809", "18446744073709551616",
		"99999999999999999999999" };
	int64_t v;

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		v = 99;
		assert_int_equal(str_i64(str_of(good[i].text), &v), 0);
		assert_true(v == good[i].v);
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		v = 99;
		assert_int_equal(str_i64(str_of(bad[i]), &v), -1);
		assert_true(v == 99);
	}
	assert_int_equal(str_i64(STR("1\0"), &v), -1);
}

static void
hexadecimal(void **state)
{
	unsigned char raw[4] = { 0x00, 0x9f, 0xa0, 0xff }, back[4];
	char text[9];

	(void)state;
	hex_encode(raw, sizeof raw, text);
	assert_string_equal(text, "009fa0ff");
	assert_int_equal(hex_decode(str_of(text), back, sizeof back), 0);
	assert_memory_equal(raw, back, sizeof raw);
	assert_int_equal(hex_decode(STR("009FA0fF"), back, sizeof back), 0);
	assert_memory_equal(raw, back, sizeof raw);
	hex_encode(raw, 0, text);
	assert_string_equal(text, "");
	assert_int_equal(hex_decode(none, back, 0), 0);
	memset(back, 'x', sizeof back);
	assert_int_equal(hex_decode(STR("009fa0f"), back, 4), -1);
	assert_int_equal(hex_decode(STR("009fa0ff0"), back, 4), -1);
	assert_int_equal(hex_decode(STR("009fa0fg"), back, 4), -1);
	assert_int_equal(hex_decode(STR("0x9fa0ff"), back, 4), -1);
	assert_int_equal(hex_decode(STR("00"), back, SIZE_MAX / 2 + 2), -1);
	/* nothing was written by a refusal */
	assert_memory_equal(back, "xxxx", 4);
}

static void
utf8(void **state)
{
	static const struct {
		const char *text;
		int n;
		uint32_t code;
	} good[] = {
		{ "a", 1, 'a' },
		{ "\x7f", 1, 0x7f },
		{ "\xc2\x80", 2, 0x80 },
		{ "\xdf\xbf", 2, 0x7ff },
		{ "\xe0\xa0\x80", 3, 0x800 },
		{ "\xed\x9f\xbf", 3, 0xd7ff },
		{ "\xee\x80\x80", 3, 0xe000 },
		{ "\xef\xbf\xbf", 3, 0xffff },
		{ "\xf0\x90\x80\x80", 4, 0x10000 },
		{ "\xf4\x8f\xbf\xbf", 4, 0x10ffff },
	};
	static const char *const bad[] = {
		"\x80", "\xbf",                     /* no beginning */
		"\xc0\xaf", "\xc1\xbf",             /* too long for '/' */
		"\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf", /* the same */
		"\xed\xa0\x80", "\xed\xbf\xbf",     /* surrogates */
		"\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", /* too large */
		"\xc3", "\xe2\x82", "\xf0\x9f\x8e",             /* cut */
		"\xc3(", "\xe2\x82(", "\xf0\x9f\x8e("           /* broken off */
	};
	uint32_t code = 99;

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		assert_int_equal(
		    utf8_next(str_of(good[i].text), &code), good[i].n);
		assert_int_equal(code, good[i].code);
		assert_true(utf8_valid(str_of(good[i].text)));
		/* not one byte is read beyond the view */
		for (int n = 1; n < good[i].n; n++)
			assert_int_equal(
			    utf8_next(
				(struct str){ good[i].text, (size_t)n }, &code),
			    -1);
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		assert_int_equal(utf8_next(str_of(bad[i]), &code), -1);
		assert_false(utf8_valid(str_of(bad[i])));
	}
	assert_int_equal(utf8_next(none, &code), 0);
	assert_true(utf8_valid(none));
	assert_int_equal(utf8_next(STR("\0"), &code), 1);
	assert_int_equal(code, 0);
	assert_true(utf8_valid(STR("a\xc3\xa9\xe2\x82\xac")));
	assert_false(utf8_valid(STR("abc\xc3")));
	assert_int_equal(utf8_length(none), 0);
	assert_int_equal(utf8_length(STR("a\xc3\xa9\xe2\x82\xac\xff")), 4);
}

static void
copies_into_a_field(void **state)
{
	char field[6];

	(void)state;
	text_set(field, sizeof field, "abcde");
	assert_string_equal(field, "abcde");
	text_set(field, sizeof field, "abcdef");
	assert_string_equal(field, "abcde");
	text_set(field, sizeof field, "abcd\xc3\xa9");
	assert_string_equal(field, "abcd");
	text_set(field, sizeof field, "ab\xe2\x82\xac");
	assert_string_equal(field, "ab\xe2\x82\xac");
	text_set(field, 1, "a");
	assert_string_equal(field, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(views),
		cmocka_unit_test(equality),
		cmocka_unit_test(parts),
		cmocka_unit_test(order),
		cmocka_unit_test(trims_what_unicode_calls_white),
		cmocka_unit_test(integers),
		cmocka_unit_test(hexadecimal),
		cmocka_unit_test(utf8),
		cmocka_unit_test(copies_into_a_field),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
