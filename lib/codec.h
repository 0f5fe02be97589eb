/*
 * gzip and zstd as streams: bytes in, bytes to a sink, in bounded memory.
 */
#ifndef CODEC_H
#define CODEC_H

#include <stddef.h>
#include <stdint.h>

#include "attr.h"
#include "err.h"
#include "str.h"

enum codec { CODEC_NONE, CODEC_GZIP, CODEC_ZSTD };

/* "gzip", "zstd"; NULL for CODEC_NONE. */
const char *codec_name(enum codec c);

/*
 * The codec that a Content-Encoding names (empty and "identity": none).
 * Returns 0, or -1 for one that is not known.
 */
int codec_of_encoding(struct str name, enum codec *out) ATTR_USE_RESULT;

/* The best of ours that an Accept-Encoding header admits. */
enum codec codec_accepted(struct str accept_encoding);

/* Takes n bytes; returns 0, or -1 when no more are wanted. */
typedef int codec_sink(void *to, const char *p, size_t n);

struct codec_stream; /* opaque; one direction */

/* Both give NULL without memory.  CODEC_NONE hands everything on. */
struct codec_stream *codec_packer(enum codec c, codec_sink *sink, void *to);
struct codec_stream *codec_unpacker(enum codec c, codec_sink *sink, void *to);
void codec_free(struct codec_stream *s);

/*
 * Take bytes.  ERR_INPUT when they are not of the format; ERR_UNAVAILABLE
 * without memory; kind ERR_NONE when the sink gave up, which knows why.
 */
int codec_add(struct codec_stream *s, const char *p, size_t n,
    struct err *e) ATTR_USE_RESULT;

/* The end: what is left goes to the sink.  ERR_INPUT when it comes early. */
int codec_end(struct codec_stream *s, struct err *e) ATTR_USE_RESULT;

#endif
