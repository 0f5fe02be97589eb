/*
 * What the checks of cpactl verify share: each looks at one side of the
 * store and says what it found through verify_found().
 */
#ifndef CTL_VERIFY_H
#define CTL_VERIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "ctl/ctl.h"

struct verify {
	const struct cfg *cfg;
	struct db *db;
	bool terminal;    /* show how far it is */
	const char *what; /* the check in hand */
	int64_t shown_ms; /* when its progress was shown last, monotonic */
	int64_t found;    /* what is wrong, counted; the first is in text */
	char text[512];
};

/*
 * A check.  Returns 0 when it came to its end, whatever it found, or -1 with
 * *e when it could not.
 */
typedef int verify_check(struct verify *v, struct err *e);

verify_check verify_dictionaries, verify_details, verify_hashes, verify_spool;

/* Count something wrong; the first is shown. */
void verify_found(struct verify *v, const char *fmt, ...) ATTR_PRINTF(2, 3);

/* Show on a terminal how far the check is; cheap enough for each row. */
void verify_progress(struct verify *v, int64_t done, int64_t of);

/* The largest id of an event, 0 when there is none. */
int verify_last_event(
    struct verify *v, int64_t *last, struct err *e) ATTR_USE_RESULT;

/* Bits for ids, which are numbered from 1 without large holes. */
struct id_set {
	unsigned char *bits; /* NULL while empty */
	size_t size_bytes;
};

/*
 * ERR_UNAVAILABLE when memory ran out; an id that no dictionary of ours
 * reaches is left out.
 */
int id_set_add(struct id_set *s, int64_t id, struct err *e) ATTR_USE_RESULT;
bool id_set_has(const struct id_set *s, int64_t id);
void id_set_free(struct id_set *s);

#endif
