/*
 * collectord: takes usage events from CPA's queue into the database.
 *
 * This file starts and ends it: options, configuration, lock, threads,
 * signals, watchdog.  The path of an event is in docs/architecture.md.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "accounts.h"
#include "clock.h"
#include "collector_state.h"
#include "confine.h"
#include "daemon.h"
#include "http.h"
#include "log.h"
#include "notify.h"

/* A thread that has shown no life for so long is stuck. */
#define STUCK_MS 90000
#define SPOOL_RETRY_MS 2000

static const char usage_text[] =
    "usage: collectord [--data DIR] [--debug]\n"
    "       collectord --version | --help\n"
    "\n"
    "Collects usage events from CPA's queue into DIR/usage.sqlite.\n"
    "\n"
    "  --data DIR   data directory (else USAGE_DATA_DIR or the config file)\n"
    "  --debug      log more\n"
    "\n"
    "SIGTERM: finish the batch in hand, store what was received, end.\n"
    "SIGHUP: read the configuration again.\n";

struct options {
	const char *data_dir;
	bool debug;
};

/* Returns -1 to go on, else the exit code. */
static int
parse_options(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{ "data", required_argument, NULL, 'd' },
		{ "debug", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 'd':
			o->data_dir = optarg;
			break;
		case 'v':
			o->debug = true;
			break;
		case 'h':
			fputs(usage_text, stdout);
			return 0;
		case 'V':
			puts("collectord " CPA_MANAGER_VERSION);
			return 0;
		default:
			fputs(usage_text, stderr);
			return 2;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "collectord: unexpected argument \"%s\"\n%s",
		    argv[optind], usage_text);
		return 2;
	}
	return -1;
}

static void
make_parent(const char *dir)
{
	/* the database's first opener makes all of it; here for the lock */
	if (mkdir(dir, 0750) == -1 && errno != EEXIST)
		log_write(LOG_WARN, "data directory", LOG_Z("path", dir),
		    LOG_Z("error", strerrordesc_np(errno)));
}

/* Signals come through a descriptor: no work is done in handlers. */
static int
open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGPIPE);
	if (pthread_sigmask(SIG_BLOCK, &set, NULL) != 0)
		return -1;
	return signalfd(-1, &set, SFD_CLOEXEC);
}

static void
begin_stop(struct daemon *d)
{
	const uint64_t one = 1;

	if (atomic_exchange(&d->stopping, true))
		return;
	log_line(LOG_INFO, "ending: the batch in hand is finished first");
	notify_send("STOPPING=1");
	if (write(d->stop_fd, &one, sizeof one) == -1)
		log_line(LOG_ERROR, "stop event");
	spool_wake(&d->spool);
	accounts_wake(d->accounts);
}

/* Act on one signal.  True when it is to end. */
static bool
take_signal(struct daemon *d, int signals)
{
	struct signalfd_siginfo info;

	if (read(signals, &info, sizeof info) != sizeof info)
		return false;
	switch (info.ssi_signo) {
	case SIGHUP:
		atomic_store(&d->reload, true);
		spool_wake(&d->spool);
		return false;
	case SIGTERM:
	case SIGINT:
		begin_stop(d);
		return true;
	default:
		return false;
	}
}

/*
 * Have the spool open.  A disk without room is no reason to end: whoever
 * starts us again would find the same.  Returns 0, or -1 when it is time to
 * end first.
 */
static int
open_spool(struct daemon *d, int signals)
{
	struct pollfd fd = { .fd = signals, .events = POLLIN };
	bool told = false;
	struct err e;

	while (spool_open(&d->spool, d->cfg.spool_dir, d->cfg.spool_limit_bytes,
		   &e) != 0) {
		if (!told) {
			log_write(LOG_ERROR, "not collecting",
			    LOG_Z("error", e.text));
			notify_send("READY=1");
			notify_status(e.text);
		}
		told = true;
		notify_send("WATCHDOG=1");
		for (int64_t until = clock_mono_ms() + SPOOL_RETRY_MS, left;
		     (left = until - clock_mono_ms()) > 0;)
			if (poll(&fd, 1, (int)left) > 0 &&
			    take_signal(d, fd.fd))
				return -1;
	}
	return 0;
}

static bool
threads_alive(struct daemon *d)
{
	int64_t now = clock_mono_ms();

	return now - atomic_load(&d->reader_alive_ms) < STUCK_MS &&
	       now - atomic_load(&d->writer_alive_ms) < STUCK_MS;
}

/* Until a signal ends it. */
static void
supervise(struct daemon *d, int signals, int64_t watchdog_ms)
{
	struct pollfd fd = { .fd = signals, .events = POLLIN };
	int timeout = watchdog_ms > 0 ? (int)watchdog_ms : 10000;

	while (!atomic_load(&d->stopping)) {
		if (atomic_load(&d->failed))
			begin_stop(d);
		else if (threads_alive(d))
			notify_send("WATCHDOG=1");
		else
			log_line(LOG_ERROR, "a thread is stuck");
		if (poll(&fd, 1, timeout) > 0)
			(void)take_signal(d, signals);
	}
}

/* Start all threads.  Returns 0, or -1 when one did not; those that did end. */
static int
start_threads(struct daemon *d, pthread_t threads[3])
{
	void *(*const mains[3])(
	    void *) = { accounts_main, writer_main, reader_main };

	for (int i = 0; i < 3; i++) {
		if (pthread_create(&threads[i], NULL, mains[i], d) == 0)
			continue;
		log_line(LOG_ERROR, "cannot start a thread");
		/* the reader is the last to start */
		atomic_store(&d->reader_done, true);
		begin_stop(d);
		while (i-- > 0)
			pthread_join(threads[i], NULL);
		return -1;
	}
	return 0;
}

static int
run(struct daemon *d, int signals)
{
	pthread_t threads[3];
	struct err e;

	/* before there are threads, which inherit it */
	if (confine(&e) != 0)
		log_write(LOG_WARN, "not confined", LOG_Z("error", e.text));
	atomic_store(&d->reader_alive_ms, clock_mono_ms());
	atomic_store(&d->writer_alive_ms, clock_mono_ms());
	if (start_threads(d, threads) != 0)
		return 1;
	notify_send("READY=1");
	notify_status("collecting");
	supervise(d, signals, notify_watchdog_ms());
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	spool_forget(&d->spool);
	log_line(LOG_INFO, "ended");
	return atomic_load(&d->failed) ? 1 : 0;
}

int
main(int argc, char **argv)
{
	static struct daemon d;
	struct options o = { .data_dir = NULL };
	int code, signals, lock = -1;
	struct err e;

	if ((code = parse_options(argc, argv, &o)) != -1)
		return code;
	code = 1;
	umask(0027);
	log_open("collectord", o.debug ? LOG_DEBUG : LOG_INFO);
	d.data_dir = o.data_dir;
	pthread_mutex_init(&d.lock, NULL);
	text_set(d.state.collector, sizeof d.state.collector, "starting");
	if (cfg_load(&d.cfg, o.data_dir, &e) != 0) {
		fprintf(stderr, "collectord: %s\n", e.text);
		return 1;
	}
	make_parent(d.cfg.data_dir);
	if ((lock = daemon_lock(d.cfg.lock_path, &e)) == -1 ||
	    http_global_init(&e) != 0) {
		fprintf(stderr, "collectord: %s\n", e.text);
		goto out;
	}
	d.stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	d.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	signals = open_signals();
	d.accounts = accounts_new(&d);
	if (d.stop_fd == -1 || d.wake_fd == -1 || signals == -1 ||
	    d.accounts == NULL) {
		fprintf(stderr, "collectord: cannot start: %s\n",
		    strerrordesc_np(errno));
		goto out;
	}
	log_write(LOG_INFO, "started", LOG_Z("version", CPA_MANAGER_VERSION),
	    LOG_Z("database", d.cfg.db_path));
	if (open_spool(&d, signals) != 0) {
		code = 0;
	} else {
		code = run(&d, signals);
		spool_close(&d.spool);
	}
	http_global_cleanup();
out:
	accounts_free(d.accounts);
	if (lock != -1)
		close(lock);
	explicit_bzero(d.source.key, sizeof d.source.key);
	cfg_free(&d.cfg);
	return code;
}
