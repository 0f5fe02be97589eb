/* RESP: tokens out of bytes, commands into them. */
#include <stdlib.h>
#include <string.h>

#include "lib/resp.h"
#include "test_cmocka.h"

static void
expect(struct str in, enum resp_type type, struct str text, int64_t number,
    size_t bytes)
{
	struct resp_token t;
	struct err e;
	size_t need;

	assert_int_equal(resp_token(in, &t, &need, &e), 1);
	assert_int_equal(t.type, type);
	assert_int_equal(t.bytes, bytes);
	if (type == RESP_NUMBER || type == RESP_ARRAY)
		assert_int_equal(t.number, number);
	else if (type != RESP_NIL)
		assert_true(str_eq(t.text, text));
	/* it is not there before its last byte is */
	for (size_t n = 0; n < bytes; n++) {
		assert_int_equal(
		    resp_token((struct str){ in.p, n }, &t, &need, &e), 0);
		assert_true(need > n && need <= bytes);
	}
}

static void
each_kind_of_token(void **state)
{
	const struct str none = { NULL, 0 };

	(void)state;
	expect(STR("+OK\r\n"), RESP_SIMPLE, STR("OK"), 0, 5);
	expect(STR("+OK\nrest"), RESP_SIMPLE, STR("OK"), 0, 4);
	expect(STR("-ERR no\r\n"), RESP_ERROR, STR("ERR no"), 0, 9);
	expect(STR(":42\r\nx"), RESP_NUMBER, none, 42, 5);
	expect(STR(":-1\r\n"), RESP_NUMBER, none, -1, 5);
	expect(STR("$5\r\nhello\r\n+"), RESP_BULK, STR("hello"), 0, 11);
	expect(STR("$0\r\n\r\n"), RESP_BULK, STR(""), 0, 6);
	expect(STR("$4\r\na\r\nb\r\n"), RESP_BULK, STR("a\r\nb"), 0, 10);
	expect(STR("$-1\r\n"), RESP_NIL, none, 0, 5);
	expect(STR("*-1\r\n"), RESP_NIL, none, 0, 5);
	expect(STR("_\r\n"), RESP_NIL, none, 0, 3);
	expect(STR("*0\r\n"), RESP_ARRAY, none, 0, 4);
	expect(STR("*3\r\n$1\r\n"), RESP_ARRAY, none, 3, 4);
}

static void
expect_error(struct str in, const char *text)
{
	struct resp_token t;
	struct err e;
	size_t need;

	assert_int_equal(resp_token(in, &t, &need, &e), -1);
	assert_int_equal(e.kind, ERR_UPSTREAM);
	assert_string_equal(e.text, text);
}

static void
what_is_no_resp_is_told_as_the_reference_tells_it(void **state)
{
	(void)state;
	expect_error(
	    STR("HTTP/1.1 400 Bad Request\r\n"), "unsupported RESP prefix 'H'");
	expect_error(STR("%x"), "unsupported RESP prefix '%'");
	expect_error(STR("\n"), "unsupported RESP prefix '\\n'");
	expect_error(STR("'"), "unsupported RESP prefix '\\''");
	expect_error(STR("\0"), "unsupported RESP prefix '\\x00'");
	expect_error(STR("\xff"), "unsupported RESP prefix '\\xff'");
	expect_error(STR("$x\r\n"), "invalid RESP bulk length");
	expect_error(STR("$-2\r\n"), "invalid RESP bulk length");
	expect_error(STR("$99999999999\r\n"), "invalid RESP bulk length");
	expect_error(STR("$2\r\nabcd"), "invalid RESP bulk terminator");
	expect_error(STR("*x\r\n"), "invalid RESP array length");
	expect_error(STR("*-7\r\n"), "invalid RESP array length");
	expect_error(STR("*10000000\r\n"), "invalid RESP array length");
	expect_error(STR(":1.5\r\n"), "invalid RESP integer");
}

static void
a_line_without_an_end_is_no_reason_to_wait_for_ever(void **state)
{
	static char line[70000];
	struct resp_token t;
	struct err e;
	size_t need;

	(void)state;
	memset(line, 'x', sizeof line);
	line[0] = '+';
	assert_int_equal(
	    resp_token((struct str){ line, 60000 }, &t, &need, &e), 0);
	assert_int_equal(
	    resp_token((struct str){ line, sizeof line }, &t, &need, &e), -1);
}

static void
commands_are_arrays_of_bulk_strings(void **state)
{
	const struct str words[] = { STR("RPOP"), STR("usage"), STR("100") };
	struct buf b;

	(void)state;
	buf_init(&b, 1000);
	resp_command(&b, words, 3);
	assert_string_equal(
	    buf_text(&b), "*3\r\n$4\r\nRPOP\r\n$5\r\nusage\r\n$3\r\n100\r\n");
	buf_free(&b);
}

static void
what_is_framed_comes_back(void **state)
{
	const struct str texts[] = { STR(""), STR("$3\r\nabc\r\n"),
		STR("\0\xff\r\n"), STR("{\"a\":1}") };
	struct resp_token t;
	struct str rest;
	struct buf b;
	struct err e;
	size_t need;

	(void)state;
	buf_init(&b, 1000);
	for (size_t i = 0; i < 4; i++)
		resp_bulk(&b, texts[i]);
	rest = buf_view(&b);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(resp_token(rest, &t, &need, &e), 1);
		assert_int_equal(t.type, RESP_BULK);
		assert_true(str_eq(t.text, texts[i]));
		rest.p += t.bytes;
		rest.n -= t.bytes;
	}
	assert_int_equal(rest.n, 0);
	buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_kind_of_token),
		cmocka_unit_test(
		    what_is_no_resp_is_told_as_the_reference_tells_it),
		cmocka_unit_test(
		    a_line_without_an_end_is_no_reason_to_wait_for_ever),
		cmocka_unit_test(commands_are_arrays_of_bulk_strings),
		cmocka_unit_test(what_is_framed_comes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
