/*
 * What a worker thread works with.  struct app is shared by all threads and
 * guards what changes in it; struct ctx belongs to one thread.
 */
#ifndef CTX_H
#define CTX_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "arena.h"
#include "buf.h"
#include "cfg.h"
#include "crypt.h"
#include "db.h"
#include "err.h"
#include "fcgi/auth.h"
#include "http.h"
#include "settings.h"

struct throttle;

struct app {
	const struct cfg *cfg;
	const char *demo_key; /* CPA_MANAGER_DEMO_KEY; NULL: not a demo */
	int64_t started_ms;
	int64_t io_timeout_ms; /* for one read from or write to a client */
	int listen_fd, stop_fd;
	atomic_bool stopping;
	atomic_uint_least64_t request_count;
	char instance[16]; /* begins every request id */
	struct throttle *throttle;
	atomic_bool warned_no_authorization;
	atomic_int exports; /* running */
	/* answered so far, by class of the route and first digit */
	atomic_uint_least64_t answers[AUTH__MAX][6];

	pthread_mutex_t lock;    /* for what follows */
	int64_t db_retry_at_ms;  /* monotonic: not to be opened before */
	struct err db_err;       /* why it could not be opened */
	char admin_record[1024]; /* last one read, for when it cannot be */
};

struct ctx {
	struct app *app;
	const struct cfg *cfg;
	struct arena arena; /* memory of one request */
	struct buf head, out, body;
	struct db db;
	struct data_key key; /* not present until it is needed */
	struct http *http;
	int64_t deadline_ms; /* monotonic, for the SQL of this request */
};

/* Returns 0, or -1 with *e. */
int app_init(
    struct app *app, const struct cfg *cfg, struct err *e) ATTR_USE_RESULT;
void app_free(struct app *app);

int ctx_init(struct ctx *c, struct app *app, struct err *e) ATTR_USE_RESULT;
void ctx_free(struct ctx *c);

/*
 * The thread's connection, opened when it is not, schema and all; NULL with
 * ERR_UNAVAILABLE and the reason.  After a failure nobody tries again for a
 * second: all threads get the same reason from memory.
 */
struct db *ctx_db(struct ctx *c, struct err *e) ATTR_USE_RESULT;

/*
 * Give the SQL of this request `ms` from now on; called when it begins, and
 * again after waiting for somebody else.
 */
void ctx_set_deadline(struct ctx *c, int64_t ms);

/* Close the connection, so that the next ctx_db() opens a fresh one. */
void ctx_db_close(struct ctx *c);

/*
 * Take the directories of files out of an error's text: what is shown to
 * somebody who has not proved to be the administrator tells no paths.
 */
void ctx_hide_paths(const struct ctx *c, struct err *e);

/* The data key; NULL with ERR_UNAVAILABLE and what to do. */
const struct data_key *ctx_key(struct ctx *c, struct err *e) ATTR_USE_RESULT;

/*
 * The resolved configuration, in the request's arena; settings_wipe() it.
 * Works without a data key as long as nothing sealed has to be read.
 */
int ctx_settings(
    struct ctx *c, struct manager_config *m, struct err *e) ATTR_USE_RESULT;

#endif
