/*
 * Numbers for texts: the tables dict and identities behind a bounded cache
 * in memory.  For one writer at a time, inside its transaction.
 */
#ifndef INTERN_H
#define INTERN_H

#include <stdint.h>

#include "db.h"
#include "dict.h"
#include "err.h"
#include "model/event.h"

struct intern; /* opaque */

/* An empty cache, or NULL when memory ran out. */
struct intern *intern_new(void);
void intern_free(struct intern *in);

/*
 * Id of a text (or, for DICT_API_KEY, of bytes) within its kind; 0 for the
 * empty one.  Adds the row when it is not there.
 */
int intern_text(struct intern *in, struct db *db, enum dict_kind kind,
    struct str value, int64_t *id, struct err *e) ATTR_USE_RESULT;

/* Id of the row of identities that describes who paid for ev. */
int intern_identity(struct intern *in, struct db *db,
    const struct usage_event *ev, int64_t *id, struct err *e) ATTR_USE_RESULT;

/* Forget everything: after a rollback, the rows may be gone. */
void intern_clear(struct intern *in);

#endif
