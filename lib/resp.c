#include "resp.h"

#include <stdio.h>
#include <string.h>

#define LINE_MAX_BYTES ((size_t)64 * 1024)

/* The text of the first line behind the prefix; false: it has not ended. */
static bool
first_line(struct str in, struct str *line)
{
	const char *end = memchr(in.p, '\n', in.n);

	if (end == NULL)
		return false;
	*line = (struct str){ in.p + 1, (size_t)(end - in.p) - 1 };
	if (line->n > 0 && line->p[line->n - 1] == '\r')
		line->n--;
	return true;
}

/* Go's way to quote a byte, which is how the reference says it. */
static int
bad_prefix(unsigned char c, struct err *e)
{
	static const char from[] = "\a\b\f\n\r\t\v'\\";
	static const char to[] = "abfnrtv'\\";
	const char *at = c != '\0' ? strchr(from, c) : NULL;

	if (at != NULL)
		return fail_code(e, ERR_UPSTREAM, "resp_prefix",
		    "unsupported RESP prefix '\\%c'", to[at - from]);
	if (c < 0x20 || c >= 0x7f)
		return fail_code(e, ERR_UPSTREAM, "resp_prefix",
		    "unsupported RESP prefix '\\x%02x'", c);
	return fail_code(
	    e, ERR_UPSTREAM, "resp_prefix", "unsupported RESP prefix '%c'", c);
}

static int
bulk(struct str in, struct str line, struct resp_token *out, size_t *need,
    struct err *e)
{
	size_t head = (size_t)(line.p - in.p) + line.n;
	int64_t n;

	while (in.p[head] != '\n')
		head++;
	head++;
	if (str_i64(line, &n) != 0 || n < -1 || n > RESP_BULK_MAX)
		return fail(e, ERR_UPSTREAM, "invalid RESP bulk length");
	if (n == -1) {
		out->type = RESP_NIL;
		out->bytes = head;
		return 1;
	}
	*need = head + (size_t)n + 2;
	if (in.n < *need)
		return 0;
	if (memcmp(in.p + head + n, "\r\n", 2) != 0)
		return fail(e, ERR_UPSTREAM, "invalid RESP bulk terminator");
	out->type = RESP_BULK;
	out->text = (struct str){ in.p + head, (size_t)n };
	out->bytes = *need;
	return 1;
}

int
resp_token(struct str in, struct resp_token *out, size_t *need, struct err *e)
{
	struct str line;

	*out = (struct resp_token){ .type = RESP_NIL };
	*need = in.n + 1;
	if (in.n == 0)
		return 0;
	if (memchr("+-:$*_", *in.p, 6) == NULL)
		return bad_prefix((unsigned char)*in.p, e);
	if (!first_line(in, &line)) {
		if (in.n > LINE_MAX_BYTES)
			return fail(e, ERR_UPSTREAM, "RESP line too long");
		return 0;
	}
	if (*in.p == '$')
		return bulk(in, line, out, need, e);
	out->bytes =
	    (size_t)((const char *)memchr(in.p, '\n', in.n) - in.p) + 1;
	out->text = line;
	switch (*in.p) {
	case '+':
		out->type = RESP_SIMPLE;
		break;
	case '-':
		out->type = RESP_ERROR;
		break;
	case ':':
		out->type = RESP_NUMBER;
		if (str_i64(line, &out->number) != 0)
			return fail(e, ERR_UPSTREAM, "invalid RESP integer");
		break;
	case '*':
		if (str_i64(line, &out->number) != 0 || out->number < -1 ||
		    out->number > RESP_ARRAY_MAX)
			return fail(
			    e, ERR_UPSTREAM, "invalid RESP array length");
		out->type = out->number == -1 ? RESP_NIL : RESP_ARRAY;
		break;
	default: /* _ */
		break;
	}
	return 1;
}

void
resp_bulk(struct buf *b, struct str s)
{
	buf_printf(b, "$%zu\r\n", s.n);
	buf_str(b, s);
	buf_z(b, "\r\n");
}

void
resp_command(struct buf *b, const struct str *words, size_t n)
{
	buf_printf(b, "*%zu\r\n", n);
	for (size_t i = 0; i < n; i++)
		resp_bulk(b, words[i]);
}
