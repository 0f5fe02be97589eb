/*
 * cpactl import: hand a file of events to collectord, however large, and
 * wait until they are stored.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "collector_state.h"
#include "ctl/ctl.h"
#include "import_file.h"
#include "jobs.h"
#include "json_tree.h"

#define NAME "import"
#define JOB_ARENA ((size_t)4 * 1024 * 1024)
#define LOOK_MS 500
#define READ_BYTES 65536

/* A piece that is full, or the last one: a pipe gives its bytes in crumbs. */
static ssize_t
read_piece(int fd, char *piece)
{
	size_t n = 0;
	ssize_t got = 1;

	while (n < READ_BYTES && got != 0) {
		got = read(fd, piece + n, READ_BYTES - n);
		if (got == -1 && errno != EINTR)
			return -1;
		n += got > 0 ? (size_t)got : 0;
	}
	return (ssize_t)n;
}

/* All of the input into the file. */
static int
copy(int fd, const char *from, struct import_file *f)
{
	char piece[READ_BYTES];
	struct err e;
	ssize_t n;

	while ((n = read_piece(fd, piece)) != 0) {
		if (n == -1)
			return ctl_fail(
			    NAME, "%s: %s", from, strerrordesc_np(errno));
		if (import_file_add(f, piece, (size_t)n, &e) != 0)
			return ctl_fail(NAME, "%s: %s", from, e.text);
	}
	if (import_file_finish(f, &e) != 0)
		return ctl_fail(NAME, "%s: %s", from, e.text);
	return EXIT_OK;
}

static int64_t
number(const struct json_tree *v, const char *key)
{
	const struct json_tree *n = json_tree_get(v, str_of(key));

	return n != NULL && n->type == TREE_NUMBER ? (int64_t)n->number : 0;
}

static void
show_progress(const struct job *job, struct arena *a)
{
	const struct json_tree *p = json_tree_parse(job->progress, a, NULL);

	if (isatty(STDERR_FILENO) && p != NULL)
		fprintf(stderr, "\r%" PRId64 " events ",
		    number(p, "added") + number(p, "skipped"));
}

/* What the daemon has written down, for a person. */
static int
report(const struct job *job, struct arena *a)
{
	const struct json_tree *result = json_tree_parse(job->result, a, NULL);
	const struct json_tree *body = json_tree_get(result, STR("body"));
	struct str error = json_tree_text(json_tree_get(body, STR("error")));
	char text[512];

	/* erase to the end of the line what progress has left there */
	if (isatty(STDERR_FILENO))
		fputs("\r\033[K", stderr);
	if (job->state == JOB_CANCELLED)
		return ctl_fail(NAME, "the import was cancelled");
	if (job->state != JOB_DONE)
		return ctl_fail(NAME, "%.*s", STR_ARG(job->error));
	if (error.n > 0) {
		(void)snprintf(text, sizeof text, "%.*s", STR_ARG(error));
		return ctl_fail(NAME, "%s (%" PRId64 " events were added)",
		    text, number(body, "x_added"));
	}
	printf("%" PRId64 " added, %" PRId64 " there already, %" PRId64
	       " unreadable",
	    number(body, "added"), number(body, "skipped"),
	    number(body, "failed"));
	if (number(body, "unsupported") > 0)
		printf(", %" PRId64 " without details",
		    number(body, "unsupported"));
	putchar('\n');
	return number(body, "failed") > 0 ? EXIT_FAILED : EXIT_OK;
}

static int
wait_for(const struct cfg *c, struct db *db, int64_t id)
{
	struct arena a;
	struct job job;
	int code, rc;
	struct err e;

	arena_init(&a, JOB_ARENA);
	do {
		arena_reset(&a);
		rc = job_wait(db, id, LOOK_MS, &a, &job, &e);
		if (rc == 0) {
			show_progress(&job, &a);
			if (!daemon_alive(c->lock_path))
				rc = fail(&e, ERR_UNAVAILABLE,
				    "collectord has stopped; the import goes "
				    "on when it is started");
		}
	} while (rc == 0);
	code = rc < 0 ? ctl_fail(NAME, "%s", e.text) : report(&job, &a);
	arena_free(&a);
	return code;
}

int
ctl_import(const struct cfg *c, const struct ctl_args *a)
{
	bool is_stdin = strcmp(a->words[0], "-") == 0, handed = false;
	const char *from = is_stdin ? "standard input" : a->words[0];
	struct import_file f = { .fd = -1 };
	struct db db = { .handle = NULL };
	int code = EXIT_FAILED, fd = STDIN_FILENO;
	char args[64];
	struct err e;
	int64_t id;

	if (!is_stdin && (fd = open(from, O_RDONLY | O_CLOEXEC)) == -1)
		return ctl_fail(NAME, "%s: %s", from, strerrordesc_np(errno));
	if (ctl_open(NAME, c, &db, DB_WRITE) != 0)
		goto out;
	if (!daemon_alive(c->lock_path)) {
		ctl_fail(NAME, "collectord does the import and does not run: "
			       "start it, then try again");
		goto out;
	}
	if (import_file_create(&f, c->import_dir, CODEC_NONE, 0, &e) != 0) {
		ctl_fail(NAME, "%s", e.text);
		goto out;
	}
	ctl_leftover(f.path);
	if (copy(fd, from, &f) != EXIT_OK)
		goto out;
	(void)snprintf(args, sizeof args, "{\"file\":\"%s\"}", f.name);
	ctl_leftover(NULL);
	handed = job_add(&db, IMPORT_JOB, str_of(args), &id, &e) == 0;
	code = handed ? wait_for(c, &db, id) : ctl_fail(NAME, "%s", e.text);
out:
	import_file_close(&f, !handed);
	if (!is_stdin)
		close(fd);
	db_close(&db);
	return code;
}
