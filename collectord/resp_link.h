/*
 * A connection that RESP is spoken over: commands out, tokens in, time-outs,
 * and an end that is noticed at once.
 */
#ifndef RESP_LINK_H
#define RESP_LINK_H

#include "buf.h"
#include "daemon.h"
#include "lib/resp.h"
#include "stream.h"

struct resp_link {
	struct stream *stream; /* NULL: not connected */
	struct buf in;         /* bytes received */
	size_t at;             /* of them, what was taken */
	int64_t heard_ms;      /* monotonic: the last byte */
};

/* Connect.  false with *e. */
bool resp_link_open(struct resp_link *l, struct daemon *d,
    const struct source_config *source, struct err *e) ATTR_USE_RESULT;
/* Harmless on one that is not open. */
void resp_link_close(struct resp_link *l);

/* Send a command; the words hold no secret afterwards.  0 or -1 with *e. */
int resp_link_send(struct resp_link *l, const struct str *words, size_t n,
    struct err *e) ATTR_USE_RESULT;

/*
 * The next token out of what was received: 1, and it stays valid until the
 * next call; 0: more bytes are needed; -1 with *e.
 */
int resp_link_token(
    struct resp_link *l, struct resp_token *t, struct err *e) ATTR_USE_RESULT;

/* Receive what is there: the number of bytes, 0: nothing just now, -1. */
int64_t resp_link_fill(struct resp_link *l, struct err *e) ATTR_USE_RESULT;

/* Wait for bytes, at most ms; also ended by the end or a new configuration. */
void resp_link_wait(struct resp_link *l, struct daemon *d, int64_t ms);

/*
 * The next token, waited for at most ms; 0, or -1 with *e ("i/o timeout",
 * "EOF").  Meanwhile what comes over `beside` (may be NULL) is received, so
 * that its sender is not held up.
 */
int resp_link_reply(struct resp_link *l, struct resp_link *beside,
    struct daemon *d, int64_t ms, struct resp_token *t,
    struct err *e) ATTR_USE_RESULT;

/* Receive all that is there; its errors show when it is read next. */
void resp_link_listen(struct resp_link *l);

#endif
