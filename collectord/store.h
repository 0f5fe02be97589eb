/*
 * Rows of the intake: an event, a dead letter, a gap, the position in the
 * spool.  For one writer, inside its transaction; a place in the spool names
 * dead letters and gaps for ever, so that a replay adds none a second time.
 */
#ifndef STORE_H
#define STORE_H

#include "db.h"
#include "model/event.h"
#include "spool.h"

struct store; /* opaque: numbers of known texts, a compressor */

struct store *store_new(void);
void store_free(struct store *s);

/* The numbers may be wrong: after a rollback, and for another database. */
void store_forget(struct store *s);

/*
 * Add an event with its detail.  *inserted is false for one that is there
 * already, which changes nothing.
 */
int store_event(struct store *s, struct db *db, const struct usage_event *ev,
    int64_t now_ms, bool *inserted, struct err *e) ATTR_USE_RESULT;

/*
 * After store_event() failed: is it this event alone that cannot be stored,
 * and would it fail for ever?  The transaction is still open then.
 */
bool store_is_refusal(struct db *db, const struct err *e);

/* A payload, redacted, of the batch's so many-th element. */
int store_dead(struct db *db, const struct spool_batch *b, int64_t element,
    struct str payload, struct str reason, bool *inserted,
    struct err *e) ATTR_USE_RESULT;

/* At most in_doubt events of the batch are missing; -1: nobody knows. */
int store_gap(struct db *db, const struct spool_batch *b, int64_t in_doubt,
    struct err *e) ATTR_USE_RESULT;

/* A gap that belongs to no batch; entering it again adds nothing. */
int store_outage(struct db *db, int64_t from_ms, int64_t to_ms,
    const char *reason, const char *detail, struct err *e) ATTR_USE_RESULT;

/* Add to a row of counters. */
int store_counter(struct db *db, const char *name, int64_t delta,
    struct err *e) ATTR_USE_RESULT;

/* The spool is stored up to there. */
int store_position(
    struct db *db, struct spool_position to, struct err *e) ATTR_USE_RESULT;

#endif
