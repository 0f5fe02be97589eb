/*
 * HTTP client over libcurl: http and https only, no redirects to another
 * origin, everything limited in time and size, nothing secret in errors.
 *
 * A struct http is one connection's worth of state: use it from one thread
 * at a time.  http_global_init() runs in main before any thread starts.
 */
#ifndef HTTP_H
#define HTTP_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "err.h"
#include "str.h"

struct http; /* opaque: a CURL handle kept for its connection */

struct http_call {
	const char *method; /* "GET", ... */
	const char *url;
	const char *bearer;    /* Authorization: Bearer ...; NULL: none */
	struct str body;       /* with p == NULL: no body */
	const char *body_type; /* Content-Type of the body */
	int64_t connect_ms, total_ms;
	size_t body_limit_bytes; /* of the answer; beyond: ERR_UPSTREAM */
	bool follow;             /* up to 10 redirects within the same origin */
	bool insecure_tls;       /* skip verification (tlsSkipVerify) */
	/*
	 * Never send the request a second time.  Otherwise it is sent again
	 * when a kept connection turns out dead before a byte of the answer
	 * came -- wrong where the first one may have taken effect, as a pop
	 * from CPA's queue does.
	 */
	bool once;
	/*
	 * Takes the answer's body as it arrives, only for status 2xx; NULL
	 * collects it in http_answer.body.  Returns 0, or -1 to break off.
	 */
	int (*sink)(void *to, const char *p, size_t n);
	void *sink_to;
	/* Asked about once a second; true breaks the call off. */
	bool (*stop)(void *arg);
	void *stop_arg;
};

struct http_answer {
	int status;      /* 0: no answer */
	bool sent;       /* the request, or part of it, left us */
	char reason[64]; /* "Unauthorized" */
	struct buf
	    body; /* collected; with a sink: the first 64 KiB unless 2xx */
	char cpa_version[64];
};

int http_global_init(struct err *e) ATTR_USE_RESULT;
void http_global_cleanup(void);

struct http *http_new(struct err *e) ATTR_USE_RESULT;
void http_free(struct http *h);

/*
 * Make the call.  Returns 0 when an answer came, whatever its status, and
 * -1 with ERR_UPSTREAM when none did or it broke off; the text then reads
 * like `Get "http://h:p/path": dial tcp h:p: connect: connection refused`
 * for the common cases (contract/collector.md section 3.6).  A URL that is
 * none, or a bearer that cannot stand in a header, is ERR_INPUT.
 *
 * HTTPS_PROXY and its relatives are honoured, but never for this machine.
 * answer is initialised by the call, also by a failing one; its status tells
 * whether the answer had begun.  http_answer_free() it.
 */
int http_do(struct http *h, const struct http_call *call,
    struct http_answer *answer, struct err *e) ATTR_USE_RESULT;
void http_answer_free(struct http_answer *a);

/* "401 Unauthorized", for messages; into out. */
void http_status_line(const struct http_answer *a, char *out, size_t n);

#endif
