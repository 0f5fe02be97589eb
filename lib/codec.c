#include "codec.h"

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>
#include <zstd.h>

#define OUT_BYTES ((size_t)64 * 1024)
#define GZIP_LEVEL 4 /* 6 takes twice the time for five per cent less */
#define ZSTD_LEVEL 3
#define GZIP_WINDOW (15 + 16)  /* gzip's own header */
#define ZSTD_WINDOW_LOG_MAX 27 /* 128 MiB: what zstd itself takes */

struct codec_stream {
	enum codec codec;
	bool packs;
	bool within; /* unpacking: the format's end has not come */
	codec_sink *sink;
	void *to;
	z_stream gzip;
	ZSTD_CCtx *zstd_out;
	ZSTD_DCtx *zstd_in;
	char out[OUT_BYTES];
};

const char *
codec_name(enum codec c)
{
	switch (c) {
	case CODEC_GZIP:
		return "gzip";
	case CODEC_ZSTD:
		return "zstd";
	case CODEC_NONE:
		break;
	}
	return NULL;
}

int
codec_of_encoding(struct str name, enum codec *out)
{
	name = str_trim(name);
	if (name.n == 0 || str_eq_nocase(name, STR("identity")))
		*out = CODEC_NONE;
	else if (str_eq_nocase(name, STR("gzip")) ||
		 str_eq_nocase(name, STR("x-gzip")))
		*out = CODEC_GZIP;
	else if (str_eq_nocase(name, STR("zstd")))
		*out = CODEC_ZSTD;
	else
		return -1;
	return 0;
}

/* Is the quality of "gzip;q=0.5" above nothing? */
static bool
is_wanted(struct str parameters)
{
	size_t at = 0;

	while (at + 1 < parameters.n && ((parameters.p[at] | 0x20) != 'q' ||
					    parameters.p[at + 1] != '='))
		at++;
	if (at + 1 >= parameters.n)
		return true;
	for (at += 2; at < parameters.n; at++)
		if (parameters.p[at] >= '1' && parameters.p[at] <= '9')
			return true;
		else if (parameters.p[at] != '0' && parameters.p[at] != '.')
			break;
	return false;
}

enum codec
codec_accepted(struct str header)
{
	bool accepts[] = {
		[CODEC_NONE] = true, [CODEC_GZIP] = false, [CODEC_ZSTD] = false
	};

	while (header.n > 0) {
		const char *end = memchr(header.p, ',', header.n);
		size_t n = end != NULL ? (size_t)(end - header.p) : header.n;
		struct str one = { header.p, n }, parameters = { NULL, 0 };
		const char *semicolon = memchr(one.p, ';', one.n);
		enum codec c;

		if (semicolon != NULL) {
			parameters = (struct str){ semicolon,
				(size_t)(one.p + one.n - semicolon) };
			one.n = (size_t)(semicolon - one.p);
		}
		if (codec_of_encoding(one, &c) == 0 && c != CODEC_NONE)
			accepts[c] = is_wanted(parameters);
		n += end != NULL;
		header.p += n;
		header.n -= n;
	}
	return accepts[CODEC_ZSTD] ? CODEC_ZSTD :
	       accepts[CODEC_GZIP] ? CODEC_GZIP :
				     CODEC_NONE;
}

static bool
start(struct codec_stream *s)
{
	switch (s->codec) {
	case CODEC_NONE:
		return true;
	case CODEC_GZIP:
		if (s->packs)
			return deflateInit2(&s->gzip, GZIP_LEVEL, Z_DEFLATED,
				   GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY) == Z_OK;
		s->within = true;
		return inflateInit2(&s->gzip, GZIP_WINDOW) == Z_OK;
	case CODEC_ZSTD:
		if (s->packs) {
			s->zstd_out = ZSTD_createCCtx();
			return s->zstd_out != NULL &&
			       !ZSTD_isError(ZSTD_CCtx_setParameter(s->zstd_out,
				   ZSTD_c_compressionLevel, ZSTD_LEVEL));
		}
		s->within = true;
		s->zstd_in = ZSTD_createDCtx();
		return s->zstd_in != NULL &&
		       !ZSTD_isError(ZSTD_DCtx_setParameter(s->zstd_in,
			   ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX));
	}
	return false;
}

static struct codec_stream *
stream_new(enum codec c, bool packs, codec_sink *sink, void *to)
{
	struct codec_stream *s = calloc(1, sizeof *s);

	if (s == NULL)
		return NULL;
	s->codec = c;
	s->packs = packs;
	s->sink = sink;
	s->to = to;
	if (!start(s)) {
		codec_free(s);
		return NULL;
	}
	return s;
}

struct codec_stream *
codec_packer(enum codec c, codec_sink *sink, void *to)
{
	return stream_new(c, true, sink, to);
}

struct codec_stream *
codec_unpacker(enum codec c, codec_sink *sink, void *to)
{
	return stream_new(c, false, sink, to);
}

void
codec_free(struct codec_stream *s)
{
	if (s == NULL)
		return;
	if (s->codec == CODEC_GZIP && s->packs)
		deflateEnd(&s->gzip);
	else if (s->codec == CODEC_GZIP)
		inflateEnd(&s->gzip);
	ZSTD_freeCCtx(s->zstd_out);
	ZSTD_freeDCtx(s->zstd_in);
	free(s);
}

static int
give(struct codec_stream *s, const char *p, size_t n, struct err *e)
{
	if (n == 0 || s->sink(s->to, p, n) == 0)
		return 0;
	if (e != NULL)
		err_clear(e);
	return -1;
}

static int
bad(const struct codec_stream *s, struct err *e)
{
	return fail(
	    e, ERR_INPUT, "the data is not valid %s", codec_name(s->codec));
}

/* ---- gzip ---------------------------------------------------------------- */

static int
gzip_pack(struct codec_stream *s, int flush, struct err *e)
{
	int rc;

	do {
		s->gzip.next_out = (unsigned char *)s->out;
		s->gzip.avail_out = OUT_BYTES;
		rc = deflate(&s->gzip, flush);
		if (rc == Z_STREAM_ERROR)
			return fail(e, ERR_INTERNAL, "gzip: stream error");
		if (give(s, s->out, OUT_BYTES - s->gzip.avail_out, e) != 0)
			return -1;
	} while (s->gzip.avail_out == 0 ||
		 (flush == Z_FINISH && rc != Z_STREAM_END));
	return 0;
}

/* Members may follow each other, as gzip itself reads them. */
static int
gzip_unpack(struct codec_stream *s, struct err *e)
{
	while (s->gzip.avail_in > 0) {
		int rc;

		if (!s->within) {
			if (inflateReset(&s->gzip) != Z_OK)
				return bad(s, e);
			s->within = true;
		}
		s->gzip.next_out = (unsigned char *)s->out;
		s->gzip.avail_out = OUT_BYTES;
		rc = inflate(&s->gzip, Z_NO_FLUSH);
		if (give(s, s->out, OUT_BYTES - s->gzip.avail_out, e) != 0)
			return -1;
		if (rc == Z_STREAM_END)
			s->within = false;
		else if (rc == Z_MEM_ERROR)
			return fail(e, ERR_UNAVAILABLE, "out of memory");
		else if (rc != Z_OK && rc != Z_BUF_ERROR)
			return bad(s, e);
	}
	return 0;
}

static int
gzip_add(struct codec_stream *s, const char *p, size_t n, struct err *e)
{
	while (n > 0) {
		size_t part = n < UINT_MAX ? n : UINT_MAX;

		s->gzip.next_in = (unsigned char *)(uintptr_t)p;
		s->gzip.avail_in = (unsigned)part;
		if ((s->packs ? gzip_pack(s, Z_NO_FLUSH, e) :
				gzip_unpack(s, e)) != 0)
			return -1;
		p += part;
		n -= part;
	}
	return 0;
}

/* ---- zstd ---------------------------------------------------------------- */

static int
zstd_pack(struct codec_stream *s, const char *p, size_t n,
    ZSTD_EndDirective how, struct err *e)
{
	ZSTD_inBuffer in = { p, n, 0 };
	size_t rest;

	do {
		ZSTD_outBuffer out = { s->out, OUT_BYTES, 0 };

		rest = ZSTD_compressStream2(s->zstd_out, &out, &in, how);
		if (ZSTD_isError(rest))
			return fail(e, ERR_INTERNAL, "zstd: %s",
			    ZSTD_getErrorName(rest));
		if (give(s, s->out, out.pos, e) != 0)
			return -1;
	} while (in.pos < in.size || (how == ZSTD_e_end && rest != 0));
	return 0;
}

static int
zstd_unpack(struct codec_stream *s, const char *p, size_t n, struct err *e)
{
	ZSTD_inBuffer in = { p, n, 0 };
	size_t rest, written;

	do {
		ZSTD_outBuffer out = { s->out, OUT_BYTES, 0 };

		rest = ZSTD_decompressStream(s->zstd_in, &out, &in);
		if (ZSTD_isError(rest))
			return bad(s, e);
		s->within = rest != 0;
		written = out.pos;
		if (give(s, s->out, written, e) != 0)
			return -1;
	} while (in.pos < in.size || (written == OUT_BYTES && s->within));
	return 0;
}

/* ---- both ---------------------------------------------------------------- */

int
codec_add(struct codec_stream *s, const char *p, size_t n, struct err *e)
{
	if (n == 0)
		return 0;
	switch (s->codec) {
	case CODEC_GZIP:
		return gzip_add(s, p, n, e);
	case CODEC_ZSTD:
		return s->packs ? zstd_pack(s, p, n, ZSTD_e_continue, e) :
				  zstd_unpack(s, p, n, e);
	case CODEC_NONE:
		break;
	}
	return give(s, p, n, e);
}

int
codec_end(struct codec_stream *s, struct err *e)
{
	if (!s->packs)
		return s->within ? fail(e, ERR_INPUT, "the %s data ends early",
				       codec_name(s->codec)) :
				   0;
	switch (s->codec) {
	case CODEC_GZIP:
		s->gzip.avail_in = 0;
		return gzip_pack(s, Z_FINISH, e);
	case CODEC_ZSTD:
		return zstd_pack(s, NULL, 0, ZSTD_e_end, e);
	case CODEC_NONE:
		break;
	}
	return 0;
}
