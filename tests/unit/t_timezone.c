/* Names of time zones against the system's own database. */
#include <string.h>

#include "test_cmocka.h"
#include "timezone.h"

static void
zones_that_are_there(void **state)
{
	static const char *const names[] = { "UTC", "Local", "Europe/Berlin",
		"Asia/Shanghai", "America/Argentina/Buenos_Aires", "Etc/GMT+5",
		"Etc/GMT-14", "EST5EDT", "America/Port-au-Prince" };

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (!timezone_exists(str_of(names[i])))
			FAIL("%s\n", names[i]);
	/* views need no NUL */
	assert_true(timezone_exists((struct str){ "Asia/TokyoX", 10 }));
}

static void
names_that_are_none(void **state)
{
	static const char *const names[] = { "", " ", "UTC ", "utc/", "Mars",
		"Europe", "Europe/", "/Europe/Berlin", "Europe//Berlin",
		"europe/Berlin/", "Europe/Berlin\n",
		"../zoneinfo/Europe/Berlin", "Europe/../Europe/Berlin",
		"./Europe/Berlin", "/etc/passwd", "../../../etc/passwd",
		"zone.tab", "tzdata.zi", "Europe\\Berlin",
		"Europe/Berl\xc3\xadn", "%s%s%s" };
	char longest[100];

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (timezone_exists(str_of(names[i])))
			FAIL("%s\n", names[i]);
	assert_false(timezone_exists((struct str){ NULL, 0 }));
	assert_false(timezone_exists(STR("Europe/Berlin\0x")));
	memset(longest, 'a', sizeof longest);
	for (size_t n = 60; n <= sizeof longest; n++)
		assert_false(timezone_exists((struct str){ longest, n }));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(zones_that_are_there),
		cmocka_unit_test(names_that_are_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
