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

/* All of the input into the file. */
static int
copy(int fd, const char *from, struct import_file *f)
{
	char piece[READ_BYTES];
	struct err e;
	ssize_t n;

	while ((n = read(fd, piece, sizeof piece)) != 0) {
		if (n == -1 && errno == EINTR)
			continue;
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

	if (isatty(STDERR_FILENO))
		fputc('\r', stderr);
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
	const char *from = a->words[0];
	bool is_stdin = strcmp(from, "-") == 0, handed = false;
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
		ctl_fail(NAME, "collectord does the import and does not run; "
			       "start it");
		goto out;
	}
	if (import_file_create(&f, c->import_dir, CODEC_NONE, 0, &e) != 0) {
		ctl_fail(NAME, "%s", e.text);
		goto out;
	}
	if (copy(fd, from, &f) != EXIT_OK)
		goto out;
	(void)snprintf(args, sizeof args, "{\"file\":\"%s\"}", f.name);
	handed = job_add(&db, IMPORT_JOB, str_of(args), &id, &e) == 0;
	code = handed ? wait_for(c, &db, id) : ctl_fail(NAME, "%s", e.text);
out:
	import_file_close(&f, !handed);
	if (!is_stdin)
		close(fd);
	db_close(&db);
	return code;
}
