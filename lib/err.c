#include "err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
	int status;
	const char *code;
} kinds[ERR__MAX] = {
	[ERR_NONE] = { 200, "request_failed" },
	[ERR_INPUT] = { 400, "request_failed" },
	[ERR_DENIED] = { 401, "invalid_admin_key" },
	[ERR_FORBIDDEN] = { 403, "request_failed" },
	[ERR_MISSING] = { 404, "request_failed" },
	[ERR_METHOD] = { 405, "method_not_allowed" },
	[ERR_TIMEOUT] = { 408, "request_failed" },
	[ERR_CONFLICT] = { 409, "request_failed" },
	[ERR_UNCONFIGURED] = { 412, "usage_service_not_configured" },
	[ERR_TOO_LARGE] = { 413, "request_failed" },
	[ERR_HEADERS] = { 431, "request_failed" },
	[ERR_THROTTLED] = { 429, "login_throttled" },
	[ERR_INTERNAL] = { 500, "request_failed" },
	[ERR_UPSTREAM] = { 502, "request_failed" },
	[ERR_UNAVAILABLE] = { 503, "service_unavailable" },
};

/* Length of z without a UTF-8 character that was cut at its end. */
static size_t
whole_chars(const char *z, size_t n)
{
	size_t back;

	for (back = 1; back <= 4 && back <= n; back++) {
		unsigned char c = (unsigned char)z[n - back];
		size_t want;

		if ((c & 0xc0) == 0x80)
			continue;
		want = c < 0xc0 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
		return want > back ? n - back : n;
	}
	return n;
}

/*
 * Format into text, cut at a character.  Goes through memory of its own,
 * since the arguments may point into the text that is replaced.
 */
static void ATTR_PRINTF(3, 0)
    set_text(struct err *e, const char *prefix_end, const char *fmt, va_list ap)
{
	char text[sizeof e->text];
	size_t n;
	int len = vsnprintf(text, sizeof text, fmt, ap);

	if (len < 0) {
		len = 0;
		text[0] = '\0';
	}
	n = (size_t)len;
	if (n < sizeof text && prefix_end != NULL) {
		len = snprintf(text + n, sizeof text - n, ": %s", prefix_end);
		n += len < 0 ? 0 : (size_t)len;
	}
	if (n >= sizeof text)
		n = whole_chars(text, sizeof text - 1);
	memcpy(e->text, text, n);
	e->text[n] = '\0';
}

int
fail(struct err *e, enum err_kind kind, const char *fmt, ...)
{
	va_list ap;

	if (e == NULL)
		return -1;
	e->kind = kind;
	e->code = NULL;
	va_start(ap, fmt);
	set_text(e, NULL, fmt, ap);
	va_end(ap);
	return -1;
}

int
fail_code(
    struct err *e, enum err_kind kind, const char *code, const char *fmt, ...)
{
	va_list ap;

	if (e == NULL)
		return -1;
	e->kind = kind;
	e->code = code;
	va_start(ap, fmt);
	set_text(e, NULL, fmt, ap);
	va_end(ap);
	return -1;
}

int
fail_prefix(struct err *e, const char *fmt, ...)
{
	va_list ap;

	if (e == NULL)
		return -1;
	va_start(ap, fmt);
	set_text(e, e->text, fmt, ap);
	va_end(ap);
	return -1;
}

void
err_clear(struct err *e)
{
	e->kind = ERR_NONE;
	e->code = NULL;
	e->text[0] = '\0';
}

const char *
err_code(const struct err *e)
{
	if (e->code != NULL)
		return e->code;
	if ((unsigned)e->kind >= ERR__MAX)
		return "request_failed";
	return kinds[e->kind].code;
}

int
err_status(enum err_kind kind)
{
	if ((unsigned)kind >= ERR__MAX)
		return 500;
	return kinds[kind].status;
}
