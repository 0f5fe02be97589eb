/*
 * The reader among its parts: reader.c decides how CPA is asked and says how
 * it goes, source_<way>.c asks.  All of it is one thread.
 */
#ifndef READER_H
#define READER_H

#include "contact.h"
#include "daemon.h"
#include "http.h"
#include "resp_link.h"

#define READER_NAP_MS 10000 /* the watchdog wants to see life so often */
#define REFUSED_HINT                                                           \
	"CPA refuses the management key: enter it again. It is not tried "     \
	"again before that or before ten minutes have passed, since CPA bans " \
	"addresses."
#define BANNED_HINT                                                        \
	"CPA has banned this address or does not allow remote management " \
	"(allow-remote: true)."
#define UNREACHED_HINT \
	"CPA is not reached: is it running, and is its address right?"
#define BROKEN_OFF_HINT \
	"The answer broke off; what is missing stands in the list of gaps."

enum way { WAY_SUBSCRIBE, WAY_HTTP, WAY_RESP };

enum outcome {
	GOT_SOME,       /* ask again at once */
	GOT_NOTHING,    /* wait for the poll interval */
	GOT_ERROR,      /* back off */
	GOT_NO_ROOM,    /* nothing was asked: look again soon */
	GOT_UNSUPPORTED /* this way does not lead to CPA; the state says why */
};

struct reader {
	struct daemon *d;
	struct http *http;
	struct source_config source;
	unsigned source_version;
	enum way way;
	int64_t higher_ms;       /* monotonic: try a better way from then on */
	int64_t backoff_ms;      /* of the next error */
	int64_t lively_until_ms; /* monotonic */
	int64_t stop_seen_ms;
	struct resp_link pop; /* kept between pops over RESP */
	struct contact contact;

	/* a queue emptied beside a subscription: nothing of it is told */
	bool draining;
	enum way drain_way;
	struct resp_link *beside; /* the subscription; NULL: none */

	/* the answer in hand, see source_http.c */
	char head[16]; /* its first bytes, until there are more */
	size_t head_n;
	char first, last; /* first and latest byte but white space, 0: none */
	bool spooled;     /* something of it is in the spool */

	struct buf held;    /* what a full disk did not take */
	struct buf frame;   /* for making frames and commands */
	char logged[600];   /* the trouble that the log has last */
	bool refusal_told;  /* the state says why nothing is asked */
	bool errors_before; /* the last answer was an error */
};

/* ---- the ways ---- */

enum outcome http_pop(struct reader *r) ATTR_USE_RESULT;
enum outcome resp_pop(struct reader *r) ATTR_USE_RESULT;
/* Lasts as long as the subscription does. */
enum outcome subscription(struct reader *r) ATTR_USE_RESULT;

/* ---- for them ---- */

/* Number that the spool is told of: 0, not known, beside a subscription. */
unsigned reader_count(const struct reader *r);

/* May another way be taken than this one? */
bool reader_is_auto(const struct reader *r);

/* Make ready for a batch; says why not. */
int reader_ask(struct reader *r) ATTR_USE_RESULT;

/* Bytes into the spool; what the disk does not take is kept.  -1: no memory. */
int reader_put(struct reader *r, const char *p, size_t n);

/*
 * Bring the batch to its end on the disk; waits for room as long as it takes,
 * since what was taken off the queue exists nowhere else.
 */
void reader_finish(struct reader *r, enum spool_end how);

/* CPA has answered: nothing is missed for now. */
void reader_in_touch(struct reader *r);

/* "<stage>: <error>" as the state; transport may be NULL: as it is. */
void reader_tell(struct reader *r, const char *transport, const char *stage,
    const char *error, const char *hint);
void reader_tell_running(struct reader *r, const char *transport);
/* The key was refused: nobody asks again for a while. */
void reader_refused(struct reader *r);

/* The end has come and what it may still take is over. */
bool reader_out_of_time(struct reader *r);
/* The configuration has changed, or the end has come. */
bool reader_must_leave(struct reader *r);
void reader_alive(struct reader *r);

/*
 * A connection to CPA that speaks RESP, with the key given: 0, or the outcome
 * that failing has, told already unless quiet.
 */
int64_t resp_greeting_ms(const struct reader *r); /* for its answers */
int resp_connect(struct reader *r, struct resp_link *l, const char *transport,
    enum outcome *outcome) ATTR_USE_RESULT;

#endif
