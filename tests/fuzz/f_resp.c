/*
 * RESP in pieces: arriving in any pieces bytes give the same tokens as
 * arriving at once, and a token never reaches beyond them.  The first byte of
 * an input chooses the pieces.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/resp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TOKENS_MAX 4096

struct result {
	size_t n, used;
	bool bad;
	struct resp_token tokens[TOKENS_MAX];
};

/* All tokens of the first n bytes, from where it was. */
static void
take(struct str all, size_t n, struct result *r)
{
	struct resp_token t;
	struct err e;
	size_t need;
	int rc = 0;

	while (!r->bad && r->n < TOKENS_MAX) {
		struct str rest = { all.p + r->used, n - r->used };

		if ((rc = resp_token(rest, &t, &need, &e)) != 1)
			break;
		if (t.bytes == 0 || t.bytes > rest.n ||
		    (t.text.n > 0 &&
			(t.text.p < rest.p ||
			    t.text.p + t.text.n > rest.p + t.bytes)))
			abort();
		r->tokens[r->n++] = t;
		r->used += t.bytes;
	}
	if (rc == 0 && !r->bad && r->n < TOKENS_MAX && need <= n - r->used)
		abort();
	r->bad |= rc < 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct result whole, pieces;
	struct str all;

	if (size < 1)
		return 0;
	all = (struct str){ (const char *)data + 1, size - 1 };
	whole.n = whole.used = pieces.n = pieces.used = 0;
	whole.bad = pieces.bad = false;
	take(all, all.n, &whole);
	for (size_t n = 0; n < all.n; n += 1 + data[0] % 7)
		take(all, n, &pieces);
	take(all, all.n, &pieces);
	if (whole.n != pieces.n || whole.used != pieces.used ||
	    whole.bad != pieces.bad)
		abort();
	for (size_t i = 0; i < whole.n; i++)
		if (whole.tokens[i].type != pieces.tokens[i].type ||
		    whole.tokens[i].text.n != pieces.tokens[i].text.n ||
		    whole.tokens[i].number != pieces.tokens[i].number)
			abort();
	return 0;
}
