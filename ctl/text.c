#include <string.h>

#include "ctl/ctl.h"

bool
ctl_steers(uint32_t code)
{
	return code < 0x20 || (code >= 0x7f && code < 0xa0) ||
	       (code >= 0x2028 && code <= 0x202e) || /* lines, directions */
	       (code >= 0x2066 && code <= 0x2069);
}

void
ctl_put_str(FILE *to, struct str s)
{
	while (s.n > 0) {
		uint32_t code = 0;
		int n = utf8_next(s, &code);

		if (n < 1 || ctl_steers(code))
			fputc('?', to);
		else
			fwrite(s.p, (size_t)n, 1, to);
		n = n < 1 ? 1 : n;
		s.p += n;
		s.n -= (size_t)n;
	}
}

void
ctl_put_text(FILE *to, const char *text)
{
	ctl_put_str(to, str_of(text));
}
