/*
 * From a request's parameters to the answer and the line in the log: the
 * one place that knows the order of the checks.  Knows nothing of FastCGI.
 */
#ifndef DISPATCH_H
#define DISPATCH_H

#include <stdbool.h>
#include <stddef.h>

struct ctx;

/* The two ways to the client. */
struct client_io {
	/* Bytes of the body put into p, 0 at its end, -1: failed or too slow.
	 */
	int (*read)(void *io, char *p, int n);
	/* 0, or -1 when the client is gone. */
	int (*write)(void *io, const char *p, size_t n);
	void *io;
};

/*
 * Answer one request.  params is NAME=value, NULL-terminated.  Returns 0, or
 * -1 when the answer is not complete and the connection must be cut, so that
 * nobody takes it for complete.
 */
int dispatch(struct ctx *c, char *const *params, const struct client_io *io);

#endif
