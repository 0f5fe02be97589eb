/*
 * Answers: headers, kept and streamed bodies, HEAD, clients that leave.
 */
#include "test_cmocka.h"

#include <string.h>

#include "fcgi/limits.h"
#include "fcgi/response.h"

static struct buf head, body, sent;
static int writes_left; /* then the client is gone */

static int
take(void *to, const char *p, size_t n)
{
	(void)to;
	if (writes_left-- <= 0)
		return -1;
	buf_add(&sent, p, n);
	return 0;
}

static int
setup(void **state)
{
	(void)state;
	buf_init(&head, HEADERS_MAX);
	buf_init(&body, 100000);
	buf_init(&sent, 4 * MIB);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	buf_free(&head);
	buf_free(&body);
	buf_free(&sent);
	return 0;
}

static struct response
begin(bool head_only)
{
	struct response rs;

	buf_clear(&sent);
	writes_left = 1000;
	response_init(&rs, &head, &body, take, NULL, head_only, "id-1");
	return rs;
}

static void
has(const char *part)
{
	if (strstr(buf_text(&sent), part) == NULL)
		FAIL("not there: %s\nin: %s\n", part, buf_text(&sent));
}

static void
has_not(const char *part)
{
	if (strstr(buf_text(&sent), part) != NULL)
		FAIL("is there: %s\nin: %s\n", part, buf_text(&sent));
}

static void
write_something(struct json_out *o)
{
	json_out_object(o);
	json_out_kint(o, "a", 1);
	json_out_object_end(o);
	(void)json_out_done(o);
}

static void
test_a_kept_answer(void **state)
{
	struct response rs = begin(false);

	(void)state;
	response_header(&rs, "X-One", "1");
	write_something(response_json(&rs, 202));
	assert_int_equal(sent.n, 0); /* nothing before the end */
	assert_int_equal(response_finish(&rs), 0);
	has("Status: 202 Accepted\r\n");
	has("Content-Type: application/json\r\n");
	has("Content-Length: 8\r\n");
	has("Cache-Control: no-store\r\n");
	has("X-Content-Type-Options: nosniff\r\n");
	has("X-Request-Id: id-1\r\n");
	has("X-One: 1\r\n");
	assert_true(str_ends(buf_view(&sent), STR("\r\n\r\n{\"a\":1}\n")));
	assert_int_equal(rs.sent_bytes, 8);
}

static void
test_head(void **state)
{
	struct response rs = begin(true);

	(void)state;
	write_something(response_json(&rs, 200));
	assert_int_equal(response_finish(&rs), 0);
	has("Content-Length: 8\r\n");
	assert_true(str_ends(buf_view(&sent), STR("\r\n\r\n")));
	assert_int_equal(rs.sent_bytes, 0);

	/* of a stream there is no length, and nothing more is wanted */
	rs = begin(true);
	write_something(response_stream(&rs));
	assert_int_equal(response_flush(&rs), -1);
	assert_false(rs.broken);
	(void)response_finish(&rs);
	has_not("Content-Length");
	assert_true(str_ends(buf_view(&sent), STR("\r\n\r\n")));
}

static void
test_a_streamed_answer(void **state)
{
	struct response rs = begin(false);
	struct json_out *o = response_stream(&rs);

	(void)state;
	json_out_array(o);
	for (int i = 0; i < 3; i++) {
		json_out_int(o, i);
		assert_int_equal(response_flush(&rs), 0);
	}
	json_out_array_end(o);
	(void)json_out_done(o);
	assert_int_equal(response_finish(&rs), 0);
	has_not("Content-Length");
	assert_true(str_ends(buf_view(&sent), STR("\r\n\r\n[0,1,2]\n")));
	assert_int_equal(rs.sent_bytes, 8);
}

static void
test_the_client_leaves(void **state)
{
	struct response rs = begin(false);
	struct json_out *o = response_stream(&rs);

	(void)state;
	writes_left = 2; /* the head and one piece */
	json_out_array(o);
	assert_int_equal(response_flush(&rs), 0);
	json_out_int(o, 1);
	assert_int_equal(response_flush(&rs), -1);
	assert_int_equal(response_flush(&rs), -1);
	assert_int_equal(response_finish(&rs), -1);
	assert_true(rs.gone);
	assert_true(rs.broken);
	assert_true(str_ends(buf_view(&sent), STR("\r\n\r\n[")));

	rs = begin(false);
	writes_left = 0;
	write_something(response_json(&rs, 200));
	assert_int_equal(response_finish(&rs), -1);
}

static void
test_errors(void **state)
{
	static const struct err input = { .kind = ERR_INPUT,
		.text = "limit <must> be \"small\"" };
	static const struct err internal = { .kind = ERR_INTERNAL,
		.text = "the secret detail" };
	static const struct err denied = { .kind = ERR_DENIED,
		.code = "invalid_admin_key",
		.text = "invalid admin key" };
	struct response rs = begin(false);

	(void)state;
	response_error(&rs, &input);
	assert_int_equal(response_finish(&rs), 0);
	has("Status: 400 Bad Request\r\n");
	has("\r\n\r\n{\"code\":\"request_failed\",\"error\":\"limit "
	    "\\u003cmust\\u003e be \\\"small\\\"\"}\n");

	rs = begin(false);
	response_error(&rs, &internal);
	assert_int_equal(response_finish(&rs), 0);
	has("Status: 500 Internal Server Error\r\n");
	has_not("secret");

	rs = begin(false);
	response_error(&rs, &denied);
	assert_int_equal(response_finish(&rs), 0);
	has("\r\n\r\n{\"code\":\"invalid_admin_key\",\"error\":\"invalid admin "
	    "key\"}\n");
}

static void
test_an_error_replaces_what_was_built(void **state)
{
	static const struct err busy = { .kind = ERR_UNAVAILABLE,
		.text = "locked" };
	struct response rs = begin(false);
	struct json_out *o = response_json(&rs, 200);

	(void)state;
	json_out_object(o);
	json_out_key(o, "half");
	response_header(&rs, "Retry-After", "1");
	response_error(&rs, &busy);
	assert_int_equal(response_finish(&rs), 0);
	has("Status: 503 Service Unavailable\r\n");
	has("Retry-After: 1\r\n"); /* the headers stay */
	has_not("half");
}

static void
fill(struct response *rs, size_t n)
{
	struct json_out *o = response_json(rs, 200);

	json_out_array(o);
	for (size_t i = 0; i < n; i++)
		json_out_z(o, "0123456789");
	json_out_array_end(o);
	(void)json_out_done(o);
}

static void
test_an_answer_that_outgrows_its_cap(void **state)
{
	struct response rs = begin(false);
	struct json_out *o;

	(void)state;
	fill(&rs, 10000);
	assert_int_equal(response_finish(&rs), -1);
	has("Status: 503 Service Unavailable\r\n");
	has("too large");
	has_not("0123456789");

	/* the same for a stream that has not begun */
	rs = begin(false);
	fill(&rs, 10000);
	assert_int_equal(response_flush(&rs), -1);
	assert_int_equal(response_finish(&rs), -1);
	has("Status: 503 Service Unavailable\r\n");
	has("too large");
	assert_false(rs.broken);

	/* half sent, it must not look whole */
	rs = begin(false);
	o = response_stream(&rs);
	json_out_array(o);
	assert_int_equal(response_flush(&rs), 0);
	for (int i = 0; i < 10000; i++)
		json_out_z(o, "0123456789");
	assert_int_equal(response_flush(&rs), -1);
	assert_true(rs.broken);
}

static void
test_headers_cannot_be_smuggled(void **state)
{
	struct response rs = begin(false);

	(void)state;
	response_header(&rs, "X-A", "1\r\nX-B: 2");
	response_header(&rs, "X-C", "1\nX-D: 2");
	response_text(&rs, 404, "404 page not found\n");
	assert_int_equal(response_finish(&rs), 0);
	has("Status: 404 Not Found\r\n");
	has("Content-Type: text/plain; charset=utf-8\r\n");
	has("Content-Length: 19\r\n");
	has_not("X-A");
	has_not("X-B");
	has_not("X-D");
}

static void
test_no_content(void **state)
{
	struct response rs = begin(false);

	(void)state;
	rs.status = 204;
	assert_int_equal(response_finish(&rs), 0);
	has("Status: 204 No Content\r\n");
	has_not("Content-Type:");
	has_not("Content-Length");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_kept_answer),
		cmocka_unit_test(test_head),
		cmocka_unit_test(test_a_streamed_answer),
		cmocka_unit_test(test_the_client_leaves),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_an_error_replaces_what_was_built),
		cmocka_unit_test(test_an_answer_that_outgrows_its_cap),
		cmocka_unit_test(test_headers_cannot_be_smuggled),
		cmocka_unit_test(test_no_content),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
