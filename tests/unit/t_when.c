/* Times as people type them. */
#include "test_cmocka.h"

#include "ctl/when.h"

#define NOW INT64_C(1763942400000) /* 2025-11-24T00:00:00Z */
#define SECOND INT64_C(1000)
#define DAY (86400 * SECOND)

static void
is_time(const char *text, int64_t expected)
{
	int64_t ms = 7;

	if (when_parse(text, NOW, &ms) != 0)
		FAIL("\"%s\" is not taken\n", text);
	if (ms != expected)
		FAIL("\"%s\" is %lld, not %lld\n", text, (long long)ms,
		    (long long)expected);
}

static void
is_none(const char *text)
{
	int64_t ms = 7;

	if (when_parse(text, NOW, &ms) == 0)
		FAIL("\"%s\" is taken for %lld\n", text, (long long)ms);
	assert_int_equal(ms, 7);
}

static void
test_a_day_begins_in_utc(void **state)
{
	(void)state;
	is_time("2025-11-24", NOW);
	is_time("2025-11-23", NOW - DAY);
	is_time("1970-01-01", 0);
	is_time("1969-12-31", -DAY);
	is_time("2024-02-29", INT64_C(1709164800000));
	is_time("  2025-11-24\n", NOW);
}

static void
test_a_time_has_its_zone_or_is_utc(void **state)
{
	(void)state;
	is_time("2025-11-24T00:00:00Z", NOW);
	is_time("2025-11-24T01:00:00+01:00", NOW);
	is_time("2025-11-23T19:00:00-05:00", NOW);
	is_time("2025-11-24T00:00:01", NOW + SECOND);
	is_time("2025-11-24 00:00:01", NOW + SECOND);
	is_time("2025-11-24T00:00:00.123456Z", NOW + 123);
}

static void
test_so_long_ago(void **state)
{
	(void)state;
	is_time("0s", NOW);
	is_time("1s", NOW - SECOND);
	is_time("90m", NOW - 90 * 60 * SECOND);
	is_time("24h", NOW - DAY);
	is_time("7d", NOW - 7 * DAY);
	is_time("2w", NOW - 14 * DAY);
	is_time(" 24h ", NOW - DAY);
	is_time("36600d", NOW - 36600 * DAY);
}

static void
test_milliseconds(void **state)
{
	(void)state;
	is_time("1763942400000", NOW);
	is_time("100000000000", INT64_C(100000000000));
	is_time("9223372036854775807", INT64_MAX);
}

static void
test_nothing_else(void **state)
{
	static const char *const texts[] = { "", " ", "now", "0", "-1", "2025",
		"20251124", "1763942400", "99999999999", "yesterday", "h",
		"24H", "24 h", "1.5h", "-24h", "24hh", "24h7d", "36601d",
		"9223372036854775807s", "99999999999999999999w", "2025-11",
		"2025-11-24T", "2025-13-01", "2025-00-01", "2025-02-29",
		"2025-11-31", "2025/11/24", "25-11-24", "2025-1-1",
		"2025-11-240", "2025-11-24Z", "2025-11-24T24:00:00Z",
		"2025-11-24T00:00", "9223372036854775808", "0x10", "1e3" };

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		is_none(texts[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_day_begins_in_utc),
		cmocka_unit_test(test_a_time_has_its_zone_or_is_utc),
		cmocka_unit_test(test_so_long_ago),
		cmocka_unit_test(test_milliseconds),
		cmocka_unit_test(test_nothing_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
