#include "fcgi/alias_name.h"

#include <locale.h>
#include <pthread.h>
#include <wctype.h>

#define UTF8_MAX 4 /* bytes of a character */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static locale_t unicode; /* stays for good; 0: only ASCII has cases then */

static void
open_locale(void)
{
	/* built into glibc, so that no package of locales is needed */
	unicode = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
}

static uint32_t
lower(uint32_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c + ('a' - 'A');
	if (c < 0x80 || unicode == (locale_t)0)
		return c;
	return (uint32_t)towlower_l((wint_t)c, unicode);
}

static size_t
put(char *p, uint32_t c)
{
	if (c < 0x80) {
		p[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		p[0] = (char)(0xc0 | c >> 6);
		p[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		p[0] = (char)(0xe0 | c >> 12);
		p[1] = (char)(0x80 | (c >> 6 & 0x3f));
		p[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	p[0] = (char)(0xf0 | c >> 18);
	p[1] = (char)(0x80 | (c >> 12 & 0x3f));
	p[2] = (char)(0x80 | (c >> 6 & 0x3f));
	p[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

struct str
alias_fold(struct str name, struct arena *a)
{
	char *out;
	size_t n = 0;
	uint32_t c;
	int len;

	(void)pthread_once(&once, open_locale);
	/* a character may need more bytes in lower case than in upper */
	if ((out = arena_array(a, name.n + 1, UTF8_MAX)) == NULL)
		return (struct str){ NULL, 0 };
	while (name.n > 0) {
		if ((len = utf8_next(name, &c)) > 0)
			n += put(out + n, lower(c));
		else {
			len = 1; /* not UTF-8: the byte stands for itself */
			out[n++] = *name.p;
		}
		name.p += len;
		name.n -= (size_t)len;
	}
	return (struct str){ out, n };
}

size_t
alias_length(struct str name)
{
	size_t n = 0;

	for (size_t i = 0; i < name.n; i++)
		n += (name.p[i] & 0xc0) != 0x80;
	return n;
}
