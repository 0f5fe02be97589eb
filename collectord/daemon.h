/*
 * What the threads of collectord share: the reader, which asks CPA and never
 * touches SQLite, the writer, which owns the database and never touches a
 * network, and the one that has CPA's accounts at hand for the writer.
 */
#ifndef DAEMON_H
#define DAEMON_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "cfg.h"
#include "spool.h"

struct accounts; /* accounts.h */

/* What the reader must know; the writer reads it from the settings. */
struct source_config {
	bool enabled;    /* a connection is known and collection is on */
	char base[1024]; /* URL of CPA without trailing slash */
	char key[512];   /* CPA's management key */
	char mode[16];   /* as configured */
	char queue[128], side[8]; /* "left" or "right" */
	int64_t batch_size, poll_interval_ms;
	bool tls_skip_verify;
	int64_t refused_until_ms; /* do not use the key before; 0: free */
};

/* What the reader tells; part of the daemon's state. */
struct source_state {
	char collector[16]; /* "stopped", "starting", "running", "error" */
	char transport[16];
	char error[512]; /* "<stage>: <message>", "" : none */
	char hint[256];
	int64_t last_consumed_ms;
	bool key_refused; /* just found out; the writer stores it */
};

/* A stretch of time in which events may be missing, for the ledger. */
struct daemon_gap {
	int64_t from_ms, to_ms;
	char reason[32];
	char detail[160];
};

#define DAEMON_GAPS 16 /* not yet in the ledger */

struct daemon {
	struct cfg cfg;       /* the writer's own once it runs */
	const char *data_dir; /* --data, NULL: not given */
	struct spool spool;
	struct accounts *accounts;
	int stop_fd;             /* eventfd: readable once the end has come */
	int wake_fd;             /* eventfd: the reader should look again */
	atomic_bool stopping;    /* no new batches */
	atomic_bool reader_done; /* nothing more will come into the spool */
	atomic_bool failed;      /* a thread could not start */
	atomic_bool others_consume;       /* CPA works and no event comes */
	atomic_bool usage_off;            /* CPA publishes no events */
	atomic_int_fast64_t retention_ms; /* of CPA's queue; 0: not known */
	atomic_bool reload;               /* SIGHUP: read the settings again */
	atomic_int_fast64_t reader_alive_ms, writer_alive_ms; /* monotonic */

	pthread_mutex_t lock; /* covers what stands below */
	struct source_config source;
	unsigned source_version; /* grows with each change */
	struct source_state state;
	unsigned state_version;
	struct daemon_gap gaps[DAEMON_GAPS];
	int n_gaps;
};

/* Copy the configuration; *version changes when it did. */
void daemon_source(
    struct daemon *d, struct source_config *out, unsigned *version);

/* Put a new configuration; the reader is woken when it differs. */
void daemon_source_set(struct daemon *d, const struct source_config *in);

/* Tell how the reader is; NULL leaves a text alone. */
void daemon_tell(struct daemon *d, const char *collector, const char *transport,
    const char *error, const char *hint);
void daemon_tell_consumed(struct daemon *d, int64_t ms);
/* When the last event came, Unix time; 0: none since the start. */
int64_t daemon_consumed(struct daemon *d);
bool daemon_is_running(struct daemon *d);
/* The key of that version of the configuration was refused. */
void daemon_tell_refused(struct daemon *d, unsigned version);

/* Copy the reader's state; key_refused is taken, not copied. */
void daemon_state(
    struct daemon *d, struct source_state *out, unsigned *version);

/*
 * Events may be missing: the writer enters it into the ledger.  When it does
 * not come to that for long, the last two become one.
 */
void daemon_tell_gap(struct daemon *d, const struct daemon_gap *gap);
/* For the writer: the oldest one not yet entered; false: none. */
bool daemon_gap(struct daemon *d, struct daemon_gap *out);
/* It is entered. */
void daemon_gap_done(struct daemon *d);

/*
 * The reader's wait, of at most ms: ended early by the end or by a change of
 * configuration, and then true.
 */
bool daemon_sleep(struct daemon *d, int64_t ms);

/* The writer's: ended early by the end alone; a short one at the end. */
void daemon_pause(struct daemon *d, int64_t ms);

/* The threads, given a struct daemon *. */
void *reader_main(void *arg);
void *writer_main(void *arg);
void *accounts_main(void *arg);

#endif
