/*
 * Between http.c, which makes a call, and http_text.c, which says why it did
 * not work.
 */
#ifndef HTTP_IMPL_H
#define HTTP_IMPL_H

#include <curl/curl.h>

#include "err.h"
#include "http.h"

/* Why we ended a transfer ourselves. */
enum http_broken {
	BROKEN_NOT,
	BROKEN_LIMIT, /* more than body_limit_bytes */
	BROKEN_SINK,  /* the sink wants no more */
	BROKEN_MEMORY,
	BROKEN_STOP,  /* stop() said so */
	BROKEN_TWICE, /* would have been sent again */
	BROKEN_ENOUGH /* the kept part of an error's body is full: no error */
};

struct http_transfer {
	CURL *curl;
	const char *url;        /* of this hop */
	const char *error_text; /* CURLOPT_ERRORBUFFER */
	const struct http_call *call;
	struct http_answer *answer;
	uint64_t received_bytes;
	bool sent;
	enum http_broken broken;
};

/* url without user, password and the values of telling parameters. */
void http_url_redact(const char *url, char *out, size_t n);

/* `Get "<redacted url>"`, the reference's way to begin an error. */
void http_call_name(const char *method, const char *url, char *out, size_t n);

/* Set *e for a transfer that ended with code.  Returns -1. */
int http_fail(const struct http_transfer *t, CURLcode code, struct err *e);

/*
 * Verify the peer, unless told not to, with the certificates of the system
 * or of SSL_CERT_FILE and SSL_CERT_DIR, which OpenSSL and the reference know.
 */
CURLcode http_set_trust(CURL *curl, bool insecure);

/*
 * Set *e for a connection that was not made, without naming a request:
 * "dial tcp 127.0.0.1:8317: connect: connection refused".
 */
void http_connect_fail(CURL *curl, const char *url, const char *error_text,
    CURLcode code, struct err *e);

#endif
