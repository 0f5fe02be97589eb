#include "timezone.h"

#include <stdio.h>
#include <string.h>

#define DIRECTORY "/usr/share/zoneinfo/"
#define NAME_MAX_BYTES 64
#define MAGIC "TZif" /* RFC 8536 */

/* Letters, digits and what zones use between them; no empty or dotted part. */
static bool
is_name(struct str s)
{
	if (s.n == 0 || s.n > NAME_MAX_BYTES || s.p[0] == '/' ||
	    s.p[s.n - 1] == '/' || str_contains(s, STR("//")))
		return false;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			(c >= '0' && c <= '9') || c == '_' || c == '+' ||
			c == '-' || c == '/'))
			return false;
	}
	return true;
}

bool
timezone_exists(struct str name)
{
	char path[sizeof DIRECTORY + NAME_MAX_BYTES], magic[4];
	bool found;
	FILE *f;

	if (str_eq(name, STR("UTC")) || str_eq(name, STR("Local")))
		return true;
	if (!is_name(name))
		return false;
	snprintf(path, sizeof path, DIRECTORY "%.*s", STR_ARG(name));
	if ((f = fopen(path, "re")) == NULL)
		return false;
	found = fread(magic, 1, sizeof magic, f) == sizeof magic &&
		memcmp(magic, MAGIC, sizeof magic) == 0;
	fclose(f);
	return found;
}
