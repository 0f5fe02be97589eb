/*
 * When CPA was last in touch with us, and what may have been lost when that
 * was long ago.  For the reader's thread.
 *
 * CPA keeps what it publishes in memory, for as long as it is configured to.
 * So events are lost when nobody asks for longer than that, and when CPA
 * itself ends; both stand in the table of gaps.
 */
#ifndef CONTACT_H
#define CONTACT_H

#include "daemon.h"

struct contact {
	int64_t last_ms;         /* Unix time; 0: never */
	int64_t last_mono_ms;    /* monotonic; 0: before this start */
	int64_t touched_mono_ms; /* the spool was told */
	int64_t retention_ms;    /* as CPA says, else what it does by default */
	bool was_gone;           /* nothing listened on CPA's port since */
	bool began;              /* in touch since this start */
};

/* As the spool remembers it from before this start. */
void contact_init(struct contact *c, const struct spool *s);

/* CPA has answered.  A gap that has come to light is told to d. */
void contact_made(struct contact *c, struct daemon *d);

/* CPA could not be reached; refused: nothing listens there. */
void contact_failed(struct contact *c, bool refused);

#endif
