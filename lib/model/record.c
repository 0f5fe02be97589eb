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
	int n = 0;

	if (d == trunc(d) && fabs(d) < 9.2e18) {
		buf_printf(b, "%lld", (long long)d);
		return;
	}
	/* as many decimals as it takes to read the same number back */
	for (int digits = 0; digits <= 340; digits++) {
		n = snprintf(text, sizeof text, "%.*f", digits, d);
		if (n < 0 || (size_t)n >= sizeof text || strtod(text, NULL) == d)
			break;
	}
	if (n > 0 && (size_t)n < sizeof text)
		buf_add(b, text, (size_t)n);
}

/* A number inside a list or an object: %v with its own exponent rule. */
static void
inner_number(double d, struct buf *b)
{
	char text[40], *e;
	int digits, n = 0;

	for (digits = 1; digits <= 17; digits++) {
		n = snprintf(text, sizeof text, "%.*e", digits - 1, d);
		if (strtod(text, NULL) == d)
			break;
	}
	e = memchr(text, 'e', (size_t)n);
	if (e == NULL || d == 0) {
		buf_z(b, d == 0 ? "0" : text);
		return;
	}
	if (atoi_exponent(e + 1) < -4 || atoi_exponent(e + 1) >= 21)
		buf_add(b, text, (size_t)n);
	else
		plain_number(d, b);
}
