/*
 * The spool: what CPA handed out, on disk before anything else happens to it.
 *
 * A directory of segments, files named by a growing number.  A segment is a
 * header and records, only ever appended to:
 *
 *	INTENT  a batch of at most `count` events is about to be asked for
 *	DATA    bytes of the answer: a JSON array as it arrived, or events as
 *		bulk strings of RESP, each whole
 *	END     the batch is over, how, and when it was asked for
 *
 * The reader appends; one fdatasync a batch covers its END and the INTENT of
 * the next.  While the queue is empty the open INTENT serves for every poll,
 * so idling writes nothing but a flag: "asking", set around each poll without
 * a sync.  It lets a restart tell a daemon killed while it slept from one
 * killed while an answer was on its way.  After a power cut (another boot id)
 * the flag means nothing, and an open INTENT counts as a batch in doubt.
 *
 * The writer reads complete batches back, stores them, remembers its position
 * in the database, and lets the spool drop what lies before it.
 *
 * One thread appends, one reads; the calls below say which.
 */
#ifndef SPOOL_H
#define SPOOL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "err.h"

enum spool_end {
	SPOOL_END_OK,     /* the whole answer is there */
	SPOOL_END_BROKEN, /* it broke off: CPA may have handed out more */
	SPOOL_END_KILLED, /* found so at a start */
	SPOOL_END_LOST,   /* damaged on the disk: nobody knows what it held */
	SPOOL_END_DROPPED /* the subscription it belongs to broke off */
};

/* A place in the spool; ordered by segment, then offset. */
struct spool_position {
	int64_t segment, offset;
};

struct spool {
	char dir[3072];
	int64_t limit_bytes;
	int64_t alive_ms; /* Unix time of the last spool_touch() before this
			     start; 0: none */

	pthread_mutex_t lock;      /* covers what stands below */
	pthread_cond_t grown;      /* a batch was completed */
	struct spool_position end; /* after the last complete batch */
	int64_t waiting_bytes;     /* complete, not yet released */
	bool closed;

	/* the appending thread's own */
	int fd, dir_fd;
	int64_t segment, tail; /* where the next record goes */
	int64_t intent;        /* offset of the open INTENT, 0: none */
	unsigned intent_count; /* what it announces */
	int64_t reserved;      /* up to here there is room */
	int64_t largest_bytes; /* the largest batch so far */
	int64_t batch_bytes;   /* of the batch in hand */
	int64_t asked_ms;      /* when it was asked for */
	int64_t soiled_ms; /* first DATA in the segment, monotonic; 0: none */
	bool asking;       /* as the flag says */
	bool unsynced;     /* a sync failed: its pages may be taken for clean */

	/* the reading thread's own */
	int read_fd;
	int64_t read_segment;
	struct spool_position released;
};

/*
 * Open or make the spool in dir.  A torn record at the end is cut off; a
 * batch that was open when the last daemon ended is closed as SPOOL_END_KILLED
 * unless it is certain that nothing was on its way.  A new segment begins.
 * ERR_UNAVAILABLE: no room, no right to write; *s is closed then.
 */
int spool_open(struct spool *s, const char *dir, int64_t limit_bytes,
    struct err *e) ATTR_USE_RESULT;
void spool_close(struct spool *s);

/*
 * After both threads have ended: take what was stored off the disk, which is
 * all of it unless something waits or is in doubt.
 */
void spool_forget(struct spool *s);

/* ---- for the thread that appends ---- */

/*
 * Make ready for a batch of at most count events: room on the disk for it,
 * a durable INTENT, and the flag.  ERR_UNAVAILABLE: do not ask CPA now.
 */
int spool_ask(struct spool *s, unsigned count, struct err *e) ATTR_USE_RESULT;

/* Append bytes of the answer.  On failure nothing of them is there. */
int spool_data(
    struct spool *s, const void *p, size_t n, struct err *e) ATTR_USE_RESULT;

/*
 * The batch is over.  Writes END and the next INTENT and syncs both, then
 * lets the writer have the batch.  May be called again after a failure.
 */
int spool_done(struct spool *s, enum spool_end how, unsigned next_count,
    struct err *e) ATTR_USE_RESULT;

/* The answer was empty, or the question was never heard: back to sleep. */
void spool_nothing(struct spool *s);

/* Remember, without a sync, that CPA was in touch just now. */
void spool_touch(struct spool *s);

/*
 * Begin a new segment once everything was stored and the old one has grown or
 * holds events for some seconds, so that they do not stay on the disk: they
 * carry keys.  To be called whenever there is nothing else to do.
 */
int spool_freshen(struct spool *s, struct err *e) ATTR_USE_RESULT;

/* ---- for the thread that reads ---- */

struct spool_batch {
	struct spool_position at;    /* of its INTENT */
	struct spool_position after; /* where the next one begins */
	int64_t asked_ms;            /* when it was asked for */
	int64_t end_ms;              /* when it was over */
	unsigned count;              /* events asked for */
	enum spool_end how;
	bool has_data;
	unsigned char id[16]; /* of its segment: no two have the same */
	/* reading position within the batch */
	int64_t next;
};

/*
 * The first complete batch at or after *from.  Returns 1 and fills *b, 0 when
 * there is none yet, -1 with *e when the spool cannot be read.  *from moves
 * over segments that hold nothing more.  A place where records are damaged
 * gives a batch without data that ends as SPOOL_END_LOST.
 */
int spool_next(struct spool *s, struct spool_position *from,
    struct spool_batch *b, struct err *e) ATTR_USE_RESULT;

/*
 * Append the next piece of the batch's answer to out.  Returns 1, 0 at the
 * end of the batch, -1 with *e: ERR_TOO_LARGE when out cannot hold it, code
 * "spool_damaged" when it is not what was written.
 */
int spool_read(struct spool *s, struct spool_batch *b, struct buf *out,
    struct err *e) ATTR_USE_RESULT;

/* What lies before upto is stored: remove the segments that end before it. */
void spool_release(struct spool *s, struct spool_position upto);

/*
 * Wait until a batch beyond `from` is complete, the spool is closed, or
 * timeout_ms have passed.
 */
void spool_wait(
    struct spool *s, struct spool_position from, int64_t timeout_ms);

/* Wake a waiting reader; for any thread. */
void spool_wake(struct spool *s);

/* Complete bytes that are not released yet; for any thread. */
int64_t spool_waiting_bytes(struct spool *s);

#endif
