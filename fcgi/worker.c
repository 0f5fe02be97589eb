/*
 * The accept loop.
 *
 * libfcgi's own accept knows no time limits: half a request would hold its
 * thread for good.  So the connection is accepted here, gets time limits for
 * reading and writing, and is handed over in the request's private fields
 * ipcFd and keepConnection (libfcgi 2.4.2 to 2.4.7 use them alike; the
 * protocol tests would notice a change).  The library is given no listening
 * socket, so that it cannot accept one behind our back when a request turns
 * out to be garbage.
 *
 * Closing is done here as well: what the client still sends is read and
 * thrown away for a moment, because closing a socket with unread bytes makes
 * the web server report an error in place of the answer.
 */
#include "fcgi/worker.h"

#include <errno.h>
#include <fcgiapp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "fcgi/ctx.h"
#include "fcgi/dispatch.h"
#include "fcgi/limits.h"
#include "log.h"

#define LINGER_MS 500 /* for the peer to close after the answer */
#define LINGER_TOTAL_MS                                      \
	2000 /* for it to finish sending a body nobody reads \
	      */

struct worker {
	struct app *app;
	struct ctx ctx;
	pthread_t thread;
	int epoll_fd;
	bool started;
};

static struct worker *workers;
static unsigned nworkers;

static int
read_body(void *io, char *p, int n)
{
	FCGX_Request *fr = io;
	int got = FCGX_GetStr(p, n, fr->in);

	if (got > 0)
		return got;
	return FCGX_GetError(fr->in) == 0 ? 0 : -1;
}

static int
write_answer(void *io, const char *p, size_t n)
{
	FCGX_Request *fr = io;

	while (n > 0) {
		int piece = n > 1 << 20 ? 1 << 20 : (int)n;

		if (FCGX_PutStr(p, piece, fr->out) != piece)
			return -1;
		p += piece;
		n -= (size_t)piece;
	}
	return 0;
}

static void
linger_and_close(int fd)
{
	int64_t end_ms = clock_mono_ms() + LINGER_TOTAL_MS;
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	char waste[16384];

	(void)shutdown(fd, SHUT_WR);
	while (clock_mono_ms() < end_ms && poll(&pfd, 1, LINGER_MS) > 0 &&
	       recv(fd, waste, sizeof waste, MSG_DONTWAIT) > 0)
		continue;
	(void)close(fd);
}

static void
set_time_limits(int fd, int64_t ms)
{
	struct timeval tv = { .tv_sec = (time_t)(ms / 1000),
		.tv_usec = (suseconds_t)(ms % 1000 * 1000) };

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
}

static void
serve_connection(struct worker *w, FCGX_Request *fr, int fd)
{
	struct client_io io = { read_body, write_answer, fr };

	set_time_limits(fd, w->app->io_timeout_ms);
	fr->ipcFd = fd;
	fr->keepConnection = 1; /* else the library closes what it was given */
	if (FCGX_Accept_r(fr) != 0) {
		/* no request came of it; the library has closed it */
		if (fr->ipcFd >= 0) {
			(void)close(fr->ipcFd);
			fr->ipcFd = -1;
		}
		return;
	}
	/* the library would try to write more, and wait for the peer */
	if (dispatch(&w->ctx, fr->envp, &io) != 0)
		(void)shutdown(fd, SHUT_RDWR);
	fr->keepConnection = 1; /* the web server's wish does not count */
	FCGX_Finish_r(fr);
	if (fr->ipcFd >= 0) {
		linger_and_close(fr->ipcFd);
		fr->ipcFd = -1;
	}
}

/*
 * A descriptor of a connection, -1 when there was none after all, -2 when
 * it is time to stop.
 */
static int
next_connection(struct worker *w)
{
	static const struct timespec pause = { .tv_nsec = 50000000 };
	struct epoll_event ev;
	int fd;

	if (epoll_wait(w->epoll_fd, &ev, 1, -1) < 0)
		return errno == EINTR ? -1 : -2;
	if (atomic_load(&w->app->stopping))
		return -2;
	fd = accept4(w->app->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd >= 0)
		return fd;
	/* out of descriptors or memory: others will give some back */
	if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
	    errno == ENOMEM)
		(void)nanosleep(&pause, NULL);
	else if (errno == EBADF || errno == EINVAL || errno == ENOTSOCK)
		return -2;
	return -1;
}

static void *
work(void *arg)
{
	struct worker *w = arg;
	FCGX_Request fr;
	int fd;

	if (FCGX_InitRequest(&fr, -1, FCGI_FAIL_ACCEPT_ON_INTR) != 0) {
		log_line(LOG_ERROR, "libfcgi refuses to start a worker");
		return NULL;
	}
	while ((fd = next_connection(w)) != -2)
		if (fd >= 0)
			serve_connection(w, &fr, fd);
	FCGX_Free(&fr, 0);
	return NULL;
}

/*
 * Each thread has an epoll of its own over the shared socket, exclusive, so
 * that a connection wakes one thread and not all of them.
 */
static int
worker_init(struct worker *w, struct app *app, struct err *e)
{
	struct epoll_event on_listen = { .events = EPOLLIN | EPOLLEXCLUSIVE },
			   on_stop = { .events = EPOLLIN };

	w->app = app;
	w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (w->epoll_fd < 0 ||
	    epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, app->listen_fd, &on_listen) !=
		0 ||
	    epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, app->stop_fd, &on_stop) != 0)
		return fail(e, ERR_INTERNAL, "epoll: error %d", errno);
	return ctx_init(&w->ctx, app, e);
}

int
workers_start(struct app *app, unsigned n, struct err *e)
{
	sigset_t all, before;

	if ((workers = calloc(n, sizeof *workers)) == NULL)
		return fail(e, ERR_INTERNAL, "out of memory");
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	for (nworkers = 0; nworkers < n; nworkers++) {
		struct worker *w = &workers[nworkers];
		int rc;

		if (worker_init(w, app, e) != 0)
			break;
		rc = pthread_create(&w->thread, NULL, work, w);
		if (rc != 0) {
			fail(e, ERR_INTERNAL, "thread: error %d", rc);
			break;
		}
		w->started = true;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (nworkers == n)
		return 0;
	nworkers++; /* the half-made one is cleaned up as well */
	(void)workers_stop(app, DRAIN_MS);
	return -1;
}

int
workers_stop(struct app *app, int64_t wait_ms)
{
	struct timespec end;
	int rc = 0;

	atomic_store(&app->stopping, true);
	if (eventfd_write(app->stop_fd, 1) != 0)
		return -1;
	(void)clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += (time_t)(wait_ms / 1000);
	for (unsigned i = 0; i < nworkers; i++) {
		if (workers[i].started &&
		    pthread_timedjoin_np(workers[i].thread, NULL, &end) != 0) {
			rc = -1;
			continue;
		}
		ctx_free(&workers[i].ctx);
		if (workers[i].epoll_fd > 0)
			(void)close(workers[i].epoll_fd);
	}
	if (rc == 0) {
		free(workers);
		workers = NULL;
		nworkers = 0;
	}
	return rc;
}
