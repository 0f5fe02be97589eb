/*
 * Counting wrong keys by address: five in a minute close the door for a
 * minute, each wrong one after that for twice as long as before, up to a
 * quarter of an hour.  An address that tries no wrong key for as long as it was
 * closed last is forgotten.
 */
#include "fcgi/auth.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "crypt.h"

#define ADDRESS_BYTES 16

struct visitor {
	unsigned char address[ADDRESS_BYTES];
	bool used;
	int64_t seen_ms, window_ms; /* last try; start of the counted minute */
	int64_t closed_until_ms, closed_ms; /* closed_ms 0: never closed */
	unsigned wrong;
};

struct throttle {
	pthread_mutex_t lock;
	struct visitor visitor[THROTTLE_ADDRESSES];
};

struct throttle *
throttle_new(void)
{
	struct throttle *t = calloc(1, sizeof *t);

	if (t != NULL)
		pthread_mutex_init(&t->lock, NULL);
	return t;
}

void
throttle_free(struct throttle *t)
{
	if (t == NULL)
		return;
	pthread_mutex_destroy(&t->lock);
	free(t);
}

static void
address_key(struct str text, unsigned char out[ADDRESS_BYTES])
{
	static const unsigned char mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		0xff, 0xff };
	unsigned char digest[SHA256_BYTES], raw[16];
	char z[64];

	memset(out, 0, ADDRESS_BYTES);
	if (text.n < sizeof z) {
		if (text.n > 0)
			memcpy(z, text.p, text.n);
		z[text.n] = '\0';
		if (inet_pton(AF_INET, z, raw) == 1) {
			memcpy(out, mapped, sizeof mapped);
			memcpy(out + 12, raw, 4);
			return;
		}
		if (inet_pton(AF_INET6, z, raw) == 1) {
			bool v4 = memcmp(raw, mapped, sizeof mapped) == 0;

			memcpy(out, raw, v4 ? 16 : 8);
			return;
		}
	}
	sha256(text.p, text.n, digest);
	memcpy(out, digest, ADDRESS_BYTES);
}

/* Nothing about this address needs to be remembered any more. */
static bool
is_stale(const struct visitor *v, int64_t now_ms)
{
	return now_ms - v->window_ms > THROTTLE_WINDOW_MS &&
	       now_ms > v->closed_until_ms + v->closed_ms;
}

/*
 * The entry of an address; with make, a fresh one in the place of a stale
 * one or else of the least recently seen one.  A thousand comparisons of 16
 * bytes are nothing beside the SHA-256 that a try costs.
 */
static struct visitor *
find(struct throttle *t, struct str address, int64_t now_ms, bool make)
{
	unsigned char key[ADDRESS_BYTES];
	struct visitor *victim = NULL;

	address_key(address, key);
	for (size_t i = 0; i < THROTTLE_ADDRESSES; i++) {
		struct visitor *v = &t->visitor[i];

		if (v->used && is_stale(v, now_ms))
			v->used = false;
		if (v->used && memcmp(v->address, key, sizeof key) == 0)
			return v;
		if (victim == NULL ||
		    (victim->used &&
			(!v->used || v->seen_ms < victim->seen_ms)))
			victim = v;
	}
	if (!make)
		return NULL;
	*victim = (struct visitor){ .used = true, .window_ms = now_ms };
	memcpy(victim->address, key, sizeof key);
	return victim;
}

int64_t
throttle_wait_ms(struct throttle *t, struct str address, int64_t now_ms)
{
	int64_t wait_ms = 0;
	struct visitor *v;

	pthread_mutex_lock(&t->lock);
	v = find(t, address, now_ms, false);
	if (v != NULL && v->closed_until_ms > now_ms)
		wait_ms = v->closed_until_ms - now_ms;
	pthread_mutex_unlock(&t->lock);
	return wait_ms;
}

void
throttle_wrong(struct throttle *t, struct str address, int64_t now_ms)
{
	struct visitor *v;

	pthread_mutex_lock(&t->lock);
	v = find(t, address, now_ms, true);
	v->seen_ms = now_ms;
	if (v->closed_ms > 0) {
		/* tries that were under way when it closed count once */
		if (v->closed_until_ms <= now_ms) {
			v->closed_ms *= 2;
			if (v->closed_ms > THROTTLE_LONGEST_MS)
				v->closed_ms = THROTTLE_LONGEST_MS;
			v->closed_until_ms = now_ms + v->closed_ms;
		}
	} else {
		if (now_ms - v->window_ms > THROTTLE_WINDOW_MS) {
			v->window_ms = now_ms;
			v->wrong = 0;
		}
		if (++v->wrong >= THROTTLE_TRIES) {
			v->closed_ms = THROTTLE_FIRST_MS;
			v->closed_until_ms = now_ms + v->closed_ms;
		}
	}
	pthread_mutex_unlock(&t->lock);
}
