/*
 * A connection that carries bytes, in clear or over TLS: what RESP is spoken
 * over.  libcurl makes it, so names, time-outs, certificates and the words of
 * its errors are those of the HTTP client.
 */
#ifndef STREAM_H
#define STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

struct stream; /* opaque: one connection */

struct stream_options {
	int64_t connect_ms; /* TCP and TLS together */
	bool insecure_tls;  /* skip verification (tlsSkipVerify) */
	/* asked about once a second while connecting; true breaks it off */
	bool (*stop)(void *arg);
	void *stop_arg;
};

/*
 * Connect to the host and port of an http or https URL; the path is ignored.
 * NULL with ERR_INPUT for a URL that is none, ERR_UPSTREAM otherwise, the
 * text like "dial tcp 127.0.0.1:8317: connect: connection refused".
 */
struct stream *stream_open(const char *url, const struct stream_options *o,
    struct err *e) ATTR_USE_RESULT;
void stream_close(struct stream *s);

/* The descriptor, to be waited for together with others. */
int stream_fd(const struct stream *s);

/*
 * Read what is there, at most n bytes: their number, 0 when there is nothing
 * just now, -1 with *e ("EOF" when the peer has closed).  TLS may hold bytes
 * back that the descriptor does not tell of: read until it gives 0.
 */
int64_t stream_read(
    struct stream *s, char *p, size_t n, struct err *e) ATTR_USE_RESULT;

/* Write all n bytes within ms. */
int stream_write(struct stream *s, const char *p, size_t n, int64_t ms,
    struct err *e) ATTR_USE_RESULT;

#endif
