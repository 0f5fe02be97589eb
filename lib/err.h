/*
 * Errors are values.  A function that can fail takes a struct err * as its
 * last argument and returns -1 (or NULL) after filling it with fail(); the
 * kind says what to do about it, the text says it to a person.
 *
 * The text reaches clients and logs: never put a secret in it.
 */
#ifndef ERR_H
#define ERR_H

#include "attr.h"

enum err_kind {
	ERR_NONE,
	ERR_INPUT,  /* 400: what the caller sent is wrong; text names the field
		     */
	ERR_DENIED, /* 401 */
	ERR_FORBIDDEN,    /* 403 */
	ERR_MISSING,      /* 404 */
	ERR_METHOD,       /* 405 */
	ERR_TIMEOUT,      /* 408: the client was too slow */
	ERR_CONFLICT,     /* 409 */
	ERR_UNCONFIGURED, /* 412: no CPA connection yet */
	ERR_TOO_LARGE,    /* 413 */
	ERR_HEADERS,      /* 431 */
	ERR_THROTTLED,    /* 429 */
	ERR_INTERNAL,     /* 500: a fault of ours */
	ERR_UPSTREAM,     /* 502: CPA refused, failed or was not reached */
	ERR_UNAVAILABLE,  /* 503: database locked, full, broken; retry later */
	ERR__MAX
};

struct err {
	enum err_kind kind;
	const char *code; /* machine code, a literal; NULL: the kind's own */
	char text[512];
};

/*
 * Set *e (ignored when NULL) and return -1, so that callers can write
 * `return fail(e, ...)`.  Text beyond the field is cut at a character.
 */
int fail(struct err *e, enum err_kind kind, const char *fmt, ...)
    ATTR_PRINTF(3, 4);

/* The same with a machine code of its own; code must be a literal. */
int fail_code(struct err *e, enum err_kind kind, const char *code,
    const char *fmt, ...) ATTR_PRINTF(4, 5);

/*
 * Put "prefix: " before the text of *e, once at a module's border.
 * Returns -1.
 */
int fail_prefix(struct err *e, const char *fmt, ...) ATTR_PRINTF(2, 3);

/* Clear *e. */
void err_clear(struct err *e) ATTR_NONNULL;

/* The machine code that clients see; never NULL. */
const char *err_code(const struct err *e) ATTR_NONNULL;

/* The HTTP status of a kind. */
int err_status(enum err_kind kind);

#endif
