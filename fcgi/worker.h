/*
 * The threads that accept connections and serve one request on each.
 */
#ifndef WORKER_H
#define WORKER_H

#include <stdint.h>

#include "attr.h"
#include "err.h"

struct app;

/*
 * Start n threads that serve app->listen_fd until app->stop_fd (an eventfd)
 * becomes readable.  All signals are blocked in them.  On failure those that
 * started are told to stop.
 */
int workers_start(struct app *app, unsigned n, struct err *e) ATTR_USE_RESULT;

/*
 * Tell them to accept nothing more, and wait up to wait_ms for the requests
 * under way.  Returns 0 when all threads are gone, -1 when some still work:
 * then only _exit() is safe, since they use what main would free.
 */
int workers_stop(struct app *app, int64_t wait_ms);

#endif
