/*
 * cpa-manager.fcgi: the FastCGI application.
 *
 * The order of starting is the order of giving up power: configuration,
 * socket, no new privileges, database, threads.  A database that cannot be
 * used ends nothing: the port stays open and says why.
 */
#include <errno.h>
#include <fcgiapp.h>
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "confine.h"
#include "fcgi/ctx.h"
#include "fcgi/limits.h"
#include "fcgi/routes.h"
#include "fcgi/worker.h"
#include "http.h"
#include "listen.h"
#include "log.h"
#include "notify.h"

#define PROGRAM "cpa-manager.fcgi"
#define IO_TIMEOUT_MS 15000

struct options {
	const char *socket_path, *data_dir;
	int64_t threads; /* 0: not given */
	int64_t io_timeout_ms;
	bool routes;
};

static const char usage_text[] =
    "usage: " PROGRAM " [--socket PATH] [--threads N] [--data DIR]\n"
    "\n"
    "Answers FastCGI requests on the socket that it was started with\n"
    "(descriptor 0, or LISTEN_FDS), or on one that it makes.\n"
    "\n"
    "  --socket PATH     make a UNIX socket at PATH, mode 0660\n"
    "  --threads N       requests at a time, 1 to 256; default 16, or 1 when\n"
    "                    the socket is descriptor 0 (mod_fcgid sends one\n"
    "                    request at a time to each process)\n"
    "  --data DIR        data directory, over USAGE_DATA_DIR and config file\n"
    "  --io-timeout MS   give up on a client that neither sends nor reads\n"
    "                    for so long; default 15000\n"
    "  --routes          print the table of routes as JSON and end\n"
    "  --version, --help\n";

/* A number of an option, or complain.  Returns 0, or -1. */
static int
number(const char *option, const char *text, int64_t min, int64_t max,
    int64_t *out)
{
	if (str_i64(str_of(text), out) == 0 && *out >= min && *out <= max)
		return 0;
	(void)fprintf(stderr, PROGRAM ": %s: a number from %lld to %lld\n",
	    option, (long long)min, (long long)max);
	return -1;
}

/* Returns -1 to go on, else the code to exit with. */
static int
parse_options(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{ "socket", required_argument, NULL, 's' },
		{ "threads", required_argument, NULL, 't' },
		{ "data", required_argument, NULL, 'd' },
		{ "io-timeout", required_argument, NULL, 'i' },
		{ "routes", no_argument, NULL, 'r' },
		{ "version", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	*o = (struct options){ .io_timeout_ms = IO_TIMEOUT_MS };
	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 's':
			o->socket_path = optarg;
			break;
		case 't':
			if (number("--threads", optarg, 1, THREADS_MAX,
				&o->threads) != 0)
				return 2;
			break;
		case 'd':
			o->data_dir = optarg;
			break;
		case 'i':
			if (number("--io-timeout", optarg, 100, 3600000,
				&o->io_timeout_ms) != 0)
				return 2;
			break;
		case 'r':
			o->routes = true;
			break;
		case 'v':
			(void)puts(PROGRAM " " CPA_MANAGER_VERSION);
			return 0;
		case 'h':
			(void)fputs(usage_text, stdout);
			return 0;
		default:
			(void)fputs(usage_text, stderr);
			return 2;
		}
	}
	if (optind < argc) {
		(void)fprintf(stderr, PROGRAM ": unexpected argument \"%s\"\n",
		    argv[optind]);
		return 2;
	}
	return -1;
}

/*
 * The listening socket: the one that --socket names, else the one that we
 * were started with.
 */
static int
open_listener(const struct options *o, struct err *e)
{
	int fd;

	if (o->socket_path != NULL)
		return listen_unix(o->socket_path, e);
	fd = listen_adopt(e);
	if (fd < 0 && e->kind == ERR_MISSING)
		return fail(e, ERR_INPUT,
		    "no socket: start me from a web server or a service "
		    "manager, or give --socket PATH");
	return fd;
}

/*
 * Open the database once before the first request, so that a fresh
 * installation has its admin key when the start is reported.  Whatever is
 * wrong with it is logged there, and tried again by the requests.
 */
static void
warm_up(struct app *app)
{
	struct err e = { .kind = ERR_NONE };
	struct ctx *c = calloc(1, sizeof *c);

	if (c == NULL)
		return;
	if (ctx_init(c, app, &e) == 0 && ctx_db(c, &e) != NULL &&
	    ctx_key(c, &e) == NULL)
		log_write(LOG_ERROR, "the data key cannot be used",
		    LOG_Z("error", e.text));
	ctx_free(c);
	free(c);
}

static void
wait_for_end(const sigset_t *signals)
{
	int sig;

	while (sigwait(signals, &sig) != 0 || sig == SIGHUP)
		continue;
	log_write(LOG_INFO, "stopping", LOG_INT("signal", sig));
}

static int
serve(struct app *app, const struct options *o, const sigset_t *signals,
    struct err *e)
{
	unsigned threads = (unsigned)o->threads;
	int rc = -1;

	if (threads == 0)
		threads = app->listen_fd == 0 ? 1 : THREADS_DEFAULT;
	if ((app->stop_fd = eventfd(0, EFD_CLOEXEC)) < 0)
		return fail(e, ERR_INTERNAL, "eventfd: error %d", errno);
	warm_up(app);
	if (workers_start(app, threads, e) != 0)
		goto out;
	log_write(LOG_INFO, "ready", LOG_INT("threads", threads),
	    LOG_Z("version", CPA_MANAGER_VERSION),
	    LOG_Z("data", app->cfg->data_dir));
	(void)notify_send("READY=1");
	wait_for_end(signals);
	(void)notify_send("STOPPING=1");
	if (o->socket_path != NULL)
		(void)unlink(o->socket_path);
	if (workers_stop(app, DRAIN_MS) != 0) {
		log_line(LOG_WARN, "requests still ran after ten seconds; "
				   "ended without them");
		_exit(0);
	}
	log_line(LOG_INFO, "stopped");
	rc = 0;
out:
	(void)close(app->stop_fd);
	return rc;
}

/* All that is opened before the first thread starts. */
static int
prepare(struct app *app, const struct options *o, struct err *e)
{
	size_t n;
	const struct route *table = routes_all(&n);

	if (routes_check(table, n, e) != 0)
		return -1;
	app->demo_key = getenv("CPA_MANAGER_DEMO_KEY");
	app->io_timeout_ms = o->io_timeout_ms;
	if ((app->listen_fd = open_listener(o, e)) < 0 || confine(e) != 0)
		return -1;
	if (FCGX_Init() != 0)
		return fail(e, ERR_INTERNAL, "libfcgi does not start");
	/* it put handlers of its own in place */
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGUSR1, SIG_IGN);
	return 0;
}

int
main(int argc, char **argv)
{
	struct options o;
	struct cfg cfg;
	struct app app;
	sigset_t signals;
	struct err e = { .kind = ERR_NONE };
	int code = parse_options(argc, argv, &o);

	if (code >= 0)
		return code;
	if (o.routes)
		return routes_print() == 0 ? 0 : 1;
	code = 1;
	/* taken by sigwait() in main alone, from the first moment on */
	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGTERM);
	(void)sigaddset(&signals, SIGINT);
	(void)sigaddset(&signals, SIGHUP);
	(void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
	/* sixteen threads need no arena each */
	(void)mallopt(M_ARENA_MAX, 2);
	(void)umask(0007);
	log_open(PROGRAM, LOG_INFO);
	if (cfg_load(&cfg, o.data_dir, &e) != 0)
		goto out;
	if (app_init(&app, &cfg, &e) != 0)
		goto out_cfg;
	if (http_global_init(&e) != 0)
		goto out_app;
	if (prepare(&app, &o, &e) == 0 && serve(&app, &o, &signals, &e) == 0)
		code = 0;
	http_global_cleanup();
out_app:
	app_free(&app);
out_cfg:
	cfg_free(&cfg);
out:
	if (code != 0)
		log_write(LOG_ERROR, "cannot start", LOG_Z("error", e.text));
	return code;
}
