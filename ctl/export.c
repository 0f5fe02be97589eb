/*
 * cpactl export: every event as a line of JSON, oldest first; the same lines
 * as GET /v0/management/usage/export, without a web server.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "codec.h"
#include "ctl/ctl.h"
#include "event_json.h"
#include "event_read.h"
#include "str.h"

#define NAME "export"
#define PAGE_EVENTS 512
#define PAGE_FULL ((size_t)1024 * 1024) /* bytes of lines */
#define ROW_ARENA ((size_t)64 * 1024 * 1024)
#define LINES_MAX ((size_t)64 * 1024 * 1024)

struct export
{
	const struct ctl_args *args;
	struct db db;
	struct event_reader *reader;
	struct codec_stream *packer;
	struct arena arena; /* of one row */
	struct buf lines;
	const char *to;      /* for messages */
	int fd;              /* where to; -1: nowhere yet */
	char part[PATH_MAX]; /* the file until it is complete; "": none */
	int64_t events, after_ms, after_id, to_ms, newest_id;
};

static int
to_file(void *to, const char *p, size_t n)
{
	const struct export *x = to;

	while (n > 0) {
		ssize_t got = write(x->fd, p, n);

		if (got == -1 && errno == EINTR)
			continue;
		if (got == -1)
			return -1;
		p += got;
		n -= (size_t)got;
	}
	return 0;
}

/* A name that ends in .gz or .zst asks for that. */
static enum codec
codec_of(const char *file)
{
	struct str name = str_of(file);

	if (str_ends(name, STR(".gz")))
		return CODEC_GZIP;
	return str_ends(name, STR(".zst")) ? CODEC_ZSTD : CODEC_NONE;
}

static int
open_file(struct export *x, const char *path, int flags)
{
	x->to = path;
	x->fd = open(path, O_WRONLY | O_CLOEXEC | flags, 0600);
	if (x->fd != -1)
		return 0;
	ctl_fail(NAME, "%s: %s", path, strerrordesc_np(errno));
	return -1;
}

/*
 * A file under its own name is a whole one.  A device, a pipe or a link is
 * written to as it is: another name must not take its place.
 */
static int
open_output(struct export *x)
{
	const char *file = x->args->output;
	struct stat st;

	if (file == NULL || strcmp(file, "-") == 0) {
		x->to = "standard output";
		x->fd = STDOUT_FILENO;
		return 0;
	}
	if (lstat(file, &st) == 0 && !S_ISREG(st.st_mode))
		return open_file(x, file, O_TRUNC);
	if (snprintf(x->part, sizeof x->part, "%s.part", file) >=
	    (int)sizeof x->part) {
		ctl_fail(NAME, "%s: the name is too long", file);
		x->part[0] = '\0';
		return -1;
	}
	ctl_leftover(x->part);
	if (open_file(x, x->part, O_CREAT | O_TRUNC) == 0)
		return 0;
	ctl_leftover(NULL);
	x->part[0] = '\0';
	return -1;
}

/* The next lines; *more: they may not be the last. */
static int
read_page(struct export *x, bool *more, struct err *e)
{
	sqlite3_stmt *st = db_stmt(&x->db, SQL_events_ascending, e);
	struct event_row row;
	struct json_out o;
	int rc, n = 0;

	*more = false;
	if (st == NULL)
		return -1;
	buf_clear(&x->lines);
	db_bind_i64(st, P_events_ascending_after_ms, x->after_ms);
	db_bind_i64(st, P_events_ascending_after_id, x->after_id);
	db_bind_i64(st, P_events_ascending_to_ms, x->to_ms);
	db_bind_i64(st, P_events_ascending_newest_id, x->newest_id);
	db_bind_i64(st, P_events_ascending_limit, PAGE_EVENTS);
	json_out_init(&o, &x->lines, NULL, NULL);
	while (!*more && (rc = db_step(&x->db, st, e)) == 1) {
		arena_reset(&x->arena);
		if ((rc = event_reader_row(
			 x->reader, st, &x->arena, &row, e)) != 0)
			break;
		if (row.ev.ts_ms < x->after_ms) {
			rc = fail(e, ERR_INTERNAL, "events are out of order");
			break;
		}
		event_json(&o, &row, x->args->full);
		if (json_out_done(&o) != 0) {
			rc = fail(e, ERR_UNAVAILABLE, "out of memory");
			break;
		}
		x->after_ms = row.ev.ts_ms;
		x->after_id = row.id;
		x->events++;
		*more = ++n == PAGE_EVENTS || x->lines.n > PAGE_FULL;
	}
	db_reset(st);
	return rc < 0 ? -1 : 0;
}

static int
write_all(struct export *x)
{
	struct err e;
	bool more;

	if (events_newest_id(&x->db, &x->newest_id, &e) != 0)
		return ctl_fail(NAME, "%s", e.text);
	do {
		if (read_page(x, &more, &e) != 0)
			return ctl_fail(NAME, "%s", e.text);
		if (codec_add(x->packer, x->lines.p, x->lines.n, &e) != 0 ||
		    (!more && codec_end(x->packer, &e) != 0))
			return ctl_fail(NAME, "%s: %s", x->to,
			    e.kind != ERR_NONE ? e.text :
						 strerrordesc_np(errno));
	} while (more);
	return EXIT_OK;
}

/* The file gets its name once all of it is on the disk. */
static int
finish(struct export *x)
{
	if (x->part[0] == '\0')
		return EXIT_OK;
	if (fsync(x->fd) == -1 || rename(x->part, x->args->output) == -1)
		return ctl_fail(
		    NAME, "%s: %s", x->args->output, strerrordesc_np(errno));
	ctl_leftover(NULL);
	x->part[0] = '\0';
	fprintf(
	    stderr, "%" PRId64 " events in %s\n", x->events, x->args->output);
	return EXIT_OK;
}

int
ctl_export(const struct cfg *c, const struct ctl_args *a)
{
	struct export x = { .args = a, .fd = -1 };
	enum codec codec = codec_of(a->output);
	int code = EXIT_FAILED;

	arena_init(&x.arena, ROW_ARENA);
	buf_init(&x.lines, LINES_MAX);
	x.after_ms = a->from_set ? a->from_ms : INT64_MIN;
	x.to_ms = a->to_set ? a->to_ms : INT64_MAX;
	if (ctl_open(NAME, c, &x.db, DB_READ) != 0)
		goto out;
	x.reader = event_reader_new(&x.db);
	x.packer = codec_packer(codec, to_file, &x);
	if (x.reader == NULL || x.packer == NULL) {
		ctl_fail(NAME, "out of memory");
		goto out;
	}
	if (open_output(&x) == 0 && (code = write_all(&x)) == EXIT_OK)
		code = finish(&x);
out:
	if (x.part[0] != '\0')
		unlink(x.part);
	if (x.fd > STDOUT_FILENO)
		close(x.fd);
	codec_free(x.packer);
	event_reader_free(x.reader);
	buf_free(&x.lines);
	arena_free(&x.arena);
	db_close(&x.db);
	return code;
}
