/*
 * Writing JSON straight to where it goes: no tree.  Commas and closing
 * brackets are the writer's business; escapes and numbers are those of the
 * reference (contract/http-api.md section 1.1).
 *
 * A write that fails, or nesting deeper than JSON_OUT_DEPTH, sets `failed`
 * and makes every later call a no-op; check it once at the end.
 */
#ifndef JSON_OUT_H
#define JSON_OUT_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "buf.h"
#include "str.h"

#define JSON_OUT_DEPTH 64

/* Takes n bytes; returns 0, or -1 when they cannot go out. */
typedef int json_out_sink(void *to, const char *p, size_t n);

struct json_out {
	json_out_sink *sink; /* NULL: everything stays in `pending` */
	void *to;
	struct buf *pending;
	unsigned depth;
	bool comma[JSON_OUT_DEPTH];
	bool after_key, failed;
};

/*
 * Write into b; with a sink, b is emptied into it whenever it holds more
 * than 32 KiB and at json_out_done().
 */
void json_out_init(
    struct json_out *o, struct buf *b, json_out_sink *sink, void *to);

void json_out_object(struct json_out *o);     /* { */
void json_out_object_end(struct json_out *o); /* } */
void json_out_array(struct json_out *o);      /* [ */
void json_out_array_end(struct json_out *o);  /* ] */
/* A key of the program's own, of n bytes of plain ASCII. */
void json_out_plain_key(struct json_out *o, const char *key, size_t n);
static inline void
json_out_key(struct json_out *o, const char *key)
{
	/* the length of a literal is known when this is compiled */
	json_out_plain_key(o, key, strlen(key));
}
void json_out_key_str(struct json_out *o, struct str key);
void json_out_str(struct json_out *o, struct str s);
void json_out_z(struct json_out *o, const char *z); /* NULL writes null */
void json_out_int(struct json_out *o, int64_t v);
void json_out_double(struct json_out *o, double v); /* not finite: null */
void json_out_bool(struct json_out *o, bool v);
void json_out_null(struct json_out *o);
/* A value that is already JSON. */
void json_out_raw(struct json_out *o, struct str json);

/* Key and value in one call. */
static inline void
json_out_kstr(struct json_out *o, const char *key, struct str s)
{
	json_out_key(o, key);
	json_out_str(o, s);
}

static inline void
json_out_kz(struct json_out *o, const char *key, const char *z)
{
	json_out_key(o, key);
	json_out_z(o, z);
}

static inline void
json_out_kint(struct json_out *o, const char *key, int64_t v)
{
	json_out_key(o, key);
	json_out_int(o, v);
}

static inline void
json_out_kdouble(struct json_out *o, const char *key, double v)
{
	json_out_key(o, key);
	json_out_double(o, v);
}

static inline void
json_out_kbool(struct json_out *o, const char *key, bool v)
{
	json_out_key(o, key);
	json_out_bool(o, v);
}

/* The same, left out when empty or 0 ("omitempty" in the contract). */
static inline void
json_out_kstr_opt(struct json_out *o, const char *key, struct str s)
{
	if (s.n > 0)
		json_out_kstr(o, key, s);
}

static inline void
json_out_kint_opt(struct json_out *o, const char *key, int64_t v)
{
	if (v != 0)
		json_out_kint(o, key, v);
}

/* A newline, and what is pending to the sink.  Returns 0, or -1 if anything
 * failed. */
int json_out_done(struct json_out *o);

/*
 * The shortest decimal that reads back as v, as the reference prints it:
 * plain unless |v| < 1e-6 or >= 1e21.  Writes at most 32 bytes with the NUL
 * and returns the length; v must be finite.
 */
size_t double_text(double v, char out[32]);

#endif
