/*
 * Reading a key from its header, and counting wrong ones.
 */
#include "test_cmocka.h"

#include <stdio.h>
#include <string.h>

#include "fcgi/auth.h"

#define START_MS INT64_C(1000000)

static struct throttle *t;

static int
setup(void **state)
{
	(void)state;
	t = throttle_new();
	return t == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	(void)state;
	throttle_free(t);
	return 0;
}

static void
test_bearer(void **state)
{
	static const struct {
		const char *header, *key;
	} cases[] = {
		{ "Bearer abc", "abc" },
		{ "bearer abc", "abc" },
		{ "  BEARER    abc  ", "abc" },
		{ "Bearer a b", "a b" },
		{ "Bearer\tabc", "" },
		{ "Bearer", "" },
		{ "Bearer ", "" },
		{ "Bearer    ", "" },
		{ "Bearerabc", "" },
		{ "Basic abc", "" },
		{ "abc", "" },
		{ "", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		if (!str_eq(bearer_key(str_of(cases[i].header)),
			str_of(cases[i].key)))
			FAIL("\"%s\"\n", cases[i].header);
}

static void
wrong(const char *address, int64_t now_ms, int times)
{
	while (times-- > 0)
		throttle_wrong(t, str_of(address), now_ms);
}

static int64_t
wait_ms(const char *address, int64_t now_ms)
{
	return throttle_wait_ms(t, str_of(address), now_ms);
}

static void
test_five_wrong_keys_close_the_door(void **state)
{
	const char *who = "192.0.2.1";

	(void)state;
	wrong(who, START_MS, 4);
	assert_int_equal(wait_ms(who, START_MS), 0);
	wrong(who, START_MS + 1000, 1);
	assert_int_equal(wait_ms(who, START_MS + 1000), THROTTLE_FIRST_MS);
	assert_int_equal(
	    wait_ms(who, START_MS + 11000), THROTTLE_FIRST_MS - 10000);
	assert_int_equal(wait_ms(who, START_MS + 1000 + THROTTLE_FIRST_MS), 0);
	/* others are not concerned */
	assert_int_equal(wait_ms("192.0.2.2", START_MS + 1000), 0);
}

static void
test_slow_mistakes_are_forgiven(void **state)
{
	const char *who = "192.0.2.1";
	int64_t now_ms = START_MS;

	(void)state;
	for (int i = 0; i < 50; i++) {
		wrong(who, now_ms, 1);
		assert_int_equal(wait_ms(who, now_ms), 0);
		now_ms += THROTTLE_WINDOW_MS / (THROTTLE_TRIES - 2);
	}
}

static void
test_each_further_one_closes_it_for_twice_as_long(void **state)
{
	static const int minutes[] = { 1, 2, 4, 8, 15, 15 };
	const char *who = "192.0.2.1";
	int64_t now_ms = START_MS;

	(void)state;
	wrong(who, now_ms, THROTTLE_TRIES);
	for (size_t i = 0; i < sizeof minutes / sizeof *minutes; i++) {
		assert_int_equal(
		    wait_ms(who, now_ms), minutes[i] * INT64_C(60000));
		now_ms += wait_ms(who, now_ms);
		assert_int_equal(wait_ms(who, now_ms), 0);
		/* requests that were under way together count once */
		wrong(who, now_ms, 16);
	}
}

static void
test_it_is_forgotten_in_time(void **state)
{
	const char *who = "192.0.2.1";
	int64_t later_ms = START_MS + 2 * THROTTLE_FIRST_MS + 1000;

	(void)state;
	wrong(who, START_MS, THROTTLE_TRIES);
	/* as long quiet as it was closed: a fresh start */
	assert_int_equal(wait_ms(who, later_ms), 0);
	wrong(who, later_ms, THROTTLE_TRIES - 1);
	assert_int_equal(wait_ms(who, later_ms), 0);
	wrong(who, later_ms, 1);
	assert_int_equal(wait_ms(who, later_ms), THROTTLE_FIRST_MS);
}

static void
test_addresses(void **state)
{
	(void)state;
	/* one /64 is one visitor */
	wrong("2001:db8:1:2::1", START_MS, 3);
	wrong("2001:db8:1:2:ffff:ffff:ffff:ffff", START_MS, 2);
	assert_true(wait_ms("2001:DB8:1:2:0::77", START_MS) > 0);
	assert_int_equal(wait_ms("2001:db8:1:3::1", START_MS), 0);
	/* an IPv4 address is itself in both notations */
	wrong("192.0.2.1", START_MS, 5);
	assert_true(wait_ms("::ffff:192.0.2.1", START_MS) > 0);
	assert_int_equal(wait_ms("::ffff:192.0.2.2", START_MS), 0);
	/* whatever a web server calls its peer, or nothing */
	wrong("unix:", START_MS, 5);
	assert_true(wait_ms("unix:", START_MS) > 0);
	assert_int_equal(wait_ms("", START_MS), 0);
	wrong("", START_MS, 5);
	assert_true(wait_ms("", START_MS) > 0);
}

static void
test_the_table_is_bounded(void **state)
{
	char address[32];

	(void)state;
	wrong("192.0.2.1", START_MS, THROTTLE_TRIES);
	for (int i = 0; i < THROTTLE_ADDRESSES - 1; i++) {
		(void)snprintf(
		    address, sizeof address, "10.0.%d.%d", i / 256, i % 256);
		wrong(address, START_MS + 1, THROTTLE_TRIES);
	}
	/* full, nobody is lost yet */
	assert_true(wait_ms("192.0.2.1", START_MS + 2) > 0);
	assert_true(wait_ms("10.0.0.0", START_MS + 2) > 0);
	/* the one who was quiet for longest makes room */
	wrong("198.51.100.1", START_MS + 3, THROTTLE_TRIES);
	assert_int_equal(wait_ms("192.0.2.1", START_MS + 3), 0);
	assert_true(wait_ms("198.51.100.1", START_MS + 3) > 0);
	assert_true(wait_ms("10.0.0.0", START_MS + 3) > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bearer),
		cmocka_unit_test_setup_teardown(
		    test_five_wrong_keys_close_the_door, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_slow_mistakes_are_forgiven, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_each_further_one_closes_it_for_twice_as_long, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(
		    test_it_is_forgotten_in_time, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_addresses, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_the_table_is_bounded, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
