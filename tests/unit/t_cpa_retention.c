/* One line of CPA's configuration, and nothing else of it. */
#include "cpa_impl.h"
#include "test_cmocka.h"

static void
expect(const char *before, const char *after)
{
	struct buf b;

	buf_init(&b, 4096);
	cpa_retention_yaml(str_of(before), &b);
	assert_string_equal(buf_text(&b), after);
	buf_free(&b);
}

#define KEY "redis-usage-queue-retention-seconds"

static void
the_line_is_changed_where_it_is(void **state)
{
	(void)state;
	expect("port: 1\n" KEY ": 60\napi-keys: [\"a\"]\n",
	    "port: 1\n" KEY ": 3600\napi-keys: [\"a\"]\n");
	expect(KEY ": 60", KEY ": 3600");
	expect(KEY " :   60   # an hour is better\nx: y",
	    KEY ": 3600 # an hour is better\nx: y");
	expect(KEY ":\r\nx: y\r\n", KEY ": 3600\r\nx: y\r\n");
}

static void
others_that_look_like_it_stay(void **state)
{
	(void)state;
	expect("# " KEY ": 60\na:\n  " KEY ": 5\n" KEY "-x: 7\n",
	    "# " KEY ": 60\na:\n  " KEY ": 5\n" KEY "-x: 7\n" KEY ": 3600\n");
}

static void
it_is_added_where_there_is_none(void **state)
{
	(void)state;
	expect("port: 1\n", "port: 1\n" KEY ": 3600\n");
	expect("port: 1", "port: 1\n" KEY ": 3600\n");
	expect("", KEY ": 3600\n");
	expect("port: 1\r\n# end", "port: 1\r\n# end\n" KEY ": 3600\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_line_is_changed_where_it_is),
		cmocka_unit_test(others_that_look_like_it_stay),
		cmocka_unit_test(it_is_added_where_there_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
