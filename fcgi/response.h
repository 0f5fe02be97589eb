/*
 * An answer: status and headers first, then a body that is either kept until
 * the end (and then has a length) or streamed as it is made.
 *
 * Every answer carries X-Request-Id, Cache-Control: no-store and
 * X-Content-Type-Options: nosniff.  Nothing is sent before the first flush,
 * so an error found while building a kept answer can still replace it.
 */
#ifndef RESPONSE_H
#define RESPONSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attr.h"
#include "buf.h"
#include "err.h"
#include "json_out.h"
#include "str.h"

/* Takes n bytes towards the client; 0, or -1 when it is gone. */
typedef int response_write(void *to, const char *p, size_t n);

struct response {
	response_write *write;
	void *to;
	struct buf *head, *body; /* the worker's, reused */
	struct json_out json;
	const char *request_id;
	const char *type; /* Content-Type; NULL: none */
	int status;
	bool head_only; /* HEAD: the body is counted, not sent */
	bool head_sent;
	bool gone;          /* nothing more is wanted or can be sent */
	bool broken;        /* it is not complete: cut the connection, so that
			       nobody takes it for complete, and waits for nobody */
	int64_t sent_bytes; /* of the body */
};

/*
 * An empty 200.  head and body are borrowed and cleared; request_id must
 * outlive the answer.
 */
void response_init(struct response *rs, struct buf *head, struct buf *body,
    response_write *write, void *to, bool head_only, const char *request_id);

/* Drop what was built, status and headers too; harmless once sent. */
void response_restart(struct response *rs);

/* Add a header.  A value with CR, LF or NUL is dropped: it is no header. */
void response_header(struct response *rs, const char *name, const char *value);

/* A JSON answer kept until the end; write it through the result. */
struct json_out *response_json(struct response *rs, int status);

/*
 * A JSON answer that is sent as it is made.  The head goes out at the first
 * response_flush(); between two of them everything is kept, so no statement
 * needs to be open while the client is slow.
 */
struct json_out *response_stream(struct response *rs);

/* An answer of another type, streamed likewise; write it into rs->body. */
void response_lines(struct response *rs, const char *type);

/*
 * Send what a streamed answer has so far.  -1: nothing more is wanted or can
 * be sent; the handler stops and returns 0.
 */
int response_flush(struct response *rs) ATTR_USE_RESULT;

/* A text answer; the text ends with a newline of its own. */
void response_text(struct response *rs, int status, const char *text);

/*
 * {"code","error"} for an error.  The text of ERR_INTERNAL stays in the log;
 * the client gets the request's id to name.
 */
void response_error(struct response *rs, const struct err *e);

/* A streamed answer cannot be completed: the client must notice. */
void response_break(struct response *rs);

/*
 * Send what is left.  Returns 0, or -1 when the client is gone or a kept
 * answer outgrew its cap (an error is sent in its place then).
 */
int response_finish(struct response *rs);

#endif
