/*
 * Who may ask.  The class of a route stands in routes.def; nothing else
 * decides.  The admin key is compared with a stored digest, in constant
 * time, and wrong keys are counted for each address.
 */
#ifndef AUTH_H
#define AUTH_H

#include <stdbool.h>
#include <stdint.h>

#include "attr.h"
#include "err.h"
#include "str.h"

struct ctx;
struct request;
struct response;
struct throttle;

enum auth_class {
	AUTH_NONE,                  /* everybody */
	AUTH_ADMIN,                 /* the admin key */
	AUTH_ADMIN_ONCE_CONFIGURED, /* everybody, until CPA is connected */
	AUTH_METRICS, /* a key of its own, or this machine; off by default */
	AUTH__MAX
};

const char *auth_class_text(enum auth_class class);

/*
 * May this request have a route of that class?  Returns 0 and sets
 * rq->is_admin, or -1: ERR_DENIED, ERR_THROTTLED (Retry-After is added to
 * rs), ERR_UNAVAILABLE when the stored key cannot be read.
 */
int auth_check(struct ctx *c, struct request *rq, struct response *rs,
    enum auth_class class, struct err *e) ATTR_USE_RESULT;

/*
 * The key in "Bearer <key>": any case of the word, exactly one of its blanks
 * required, white space around trimmed.  Empty when there is none.
 */
struct str bearer_key(struct str authorization);

/*
 * Counts of wrong keys.  An address is an IPv4 address, the first half of an
 * IPv6 one (a person owns at least that much), or any other text as it is.
 * The table is bounded; the least recently seen address makes room.  Safe
 * from all threads; now_ms is clock_mono_ms(), or what a test makes of it.
 */
struct throttle *throttle_new(void) ATTR_USE_RESULT;
void throttle_free(struct throttle *t);

/* Milliseconds that this address has to wait; 0: it may try. */
int64_t throttle_wait_ms(
    struct throttle *t, struct str address, int64_t now_ms);

/* A wrong key came from this address. */
void throttle_wrong(struct throttle *t, struct str address, int64_t now_ms);

#define THROTTLE_TRIES 5
#define THROTTLE_WINDOW_MS 60000
#define THROTTLE_FIRST_MS 60000
#define THROTTLE_LONGEST_MS (15 * 60000)
#define THROTTLE_ADDRESSES 1024

#endif
