/*
 * Upkeep of the store: what is too old is removed, the room it took is given
 * back to the disk, the WAL is kept small.
 *
 * The writer calls upkeep_step() after each batch and while it waits.  A
 * step is at most one short transaction, after which a pause is kept that is
 * longer than the step was, much longer under load: collection and requests
 * that save something find the database free.
 */
#ifndef UPKEEP_H
#define UPKEEP_H

#include <stdbool.h>
#include <stdint.h>

#include "cfg.h"
#include "db.h"
#include "wal.h"

enum upkeep_phase {
	UPKEEP_REST,
	UPKEEP_EVENTS,  /* remove those past their time */
	UPKEEP_LETTERS, /* remove dead letters: too old, too many */
	UPKEEP_PAGES,   /* make the file smaller */
	UPKEEP_PHASES
};

/* What is under way for one open database; zero: nothing yet. */
struct upkeep {
	enum upkeep_phase phase;
	int64_t round_ms, optimised_ms; /* time of day of the last; 0: none */
	int64_t idle_ms, load_ms;       /* monotonic: no step before */
	int64_t events_before_ms, letters_before_ms;
	int64_t letters_last_id; /* up to there they are too many */
	int64_t letters;         /* how many there were ... */
	int64_t letters_ms;      /* ... and when that was looked at */
	int64_t removed[UPKEEP_PHASES];
	unsigned smaller; /* steps are halved so many times: slow disk */
	struct wal_care wal;
};

/*
 * One step, if it is time for one; `idle` when no batch is waiting.  Begins
 * a round at the first call and every ten minutes.  Returns 1 when more is
 * to be done soon, 0 when not, -1 with *e set: the round is given up, and
 * what it left is done by the next.  A lock held by another program is no
 * error, only a reason to come back later.
 */
int upkeep_step(struct upkeep *u, struct db *db, const struct cfg *cfg,
    bool idle, struct err *e) ATTR_USE_RESULT;

#endif
