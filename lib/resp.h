/*
 * RESP 2, as far as CPA speaks it: commands out, frames in.
 * contract/collector.md section 1.5;
 * https://redis.io/docs/reference/protocol-spec
 */
#ifndef RESP_H
#define RESP_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "err.h"
#include "str.h"

#define RESP_BULK_MAX ((int64_t)64 * 1024 * 1024)
#define RESP_ARRAY_MAX ((int64_t)1000 * 1000)

enum resp_type {
	RESP_SIMPLE, /* +text */
	RESP_ERROR,  /* -text */
	RESP_NUMBER, /* :123 */
	RESP_BULK,   /* $len, bytes */
	RESP_NIL,    /* $-1, *-1, _ */
	RESP_ARRAY   /* *n: its head alone, the elements follow */
};

/* One head, or one value that holds no others. */
struct resp_token {
	enum resp_type type;
	struct str text; /* of SIMPLE, ERROR and BULK; a view of the input */
	int64_t number;  /* of NUMBER; elements of an ARRAY */
	size_t bytes;    /* of the input that it takes */
};

/*
 * The token that in begins with: 1; 0 when more bytes are needed (*need, at
 * least, in all: a lower bound); -1 with *e: ERR_UPSTREAM, the contract's
 * text, for what is no RESP.
 */
int resp_token(struct str in, struct resp_token *out, size_t *need,
    struct err *e) ATTR_USE_RESULT;

/* Append a command: an array of bulk strings. */
void resp_command(struct buf *b, const struct str *words, size_t n);

/* Append a bulk string: how events stand in the spool (collectord/spool.h). */
void resp_bulk(struct buf *b, struct str s);

#endif
