#include "collector_state.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "buf.h"
#include "clock.h"
#include "json_in.h"

/* a text of control characters grows six times in JSON */
#define STATE_MAX_BYTES (6 * sizeof(struct collector_state) + 1024)

/* Members of the row: where each stands, and its size when it is a text. */
static const struct {
	const char *key;
	size_t offset, size; /* size 0: int64_t */
} members[] = {
#define TEXT(key, field)                                            \
	{                                                           \
		key, offsetof(struct collector_state, field),       \
		    sizeof(((struct collector_state *)NULL)->field) \
	}
#define NUMBER(key, field)                                      \
	{                                                       \
		key, offsetof(struct collector_state, field), 0 \
	}
	TEXT("collector", collector),
	TEXT("upstream", upstream),
	TEXT("mode", mode),
	TEXT("transport", transport),
	TEXT("queue", queue),
	NUMBER("lastConsumedAt", last_consumed_ms),
	NUMBER("lastInsertedAt", last_inserted_ms),
	NUMBER("totalInserted", total_inserted),
	NUMBER("totalSkipped", total_skipped),
	TEXT("lastError", last_error),
	TEXT("hint", hint),
	NUMBER("startedAt", started_ms),
	NUMBER("spoolBytes", spool_bytes),
	NUMBER("refusedUntil", refused_until_ms),
	NUMBER("slowestTransactionMs", slowest_transaction_ms),
	TEXT("version", version),
#undef TEXT
#undef NUMBER
};

#define MEMBERS (sizeof members / sizeof *members)

int
collector_state_read(struct db *db, struct collector_state *s, struct err *e)
{
	sqlite3_stmt *st = db_stmt(db, SQL_collector_state_get, e);
	json_t *row = NULL;
	int rc = -1, step;

	*s = (struct collector_state){
		.collector = "stopped", .mode = "auto", .queue = "usage"
	};
	if (st == NULL || (step = db_step(db, st, e)) < 0)
		return -1;
	if (step == 0)
		return 0;
	if ((row = json_in_parse(db_col_str(st, 0), true, e)) == NULL)
		goto out;
	for (size_t i = 0; i < MEMBERS; i++) {
		char *at = (char *)s + members[i].offset;
		struct str text = { NULL, 0 };

		if (members[i].size == 0) {
			if (json_in_i64(row, members[i].key, members[i].key,
				(int64_t *)(void *)at, e) != 0)
				goto out;
			continue;
		}
		if (json_in_str(
			row, members[i].key, members[i].key, &text, e) != 0)
			goto out;
		if (text.p == NULL)
			continue;
		/* no rest of a default: states are compared as bytes */
		memset(at, 0, members[i].size);
		snprintf(at, members[i].size, "%.*s", STR_ARG(text));
	}
	rc = 0;
out:
	json_decref(row);
	db_reset(st);
	if (rc != 0)
		fail(e, ERR_INTERNAL, "row of collector_state is broken");
	return rc;
}

int
collector_state_write(
    struct db *db, const struct collector_state *s, struct err *e)
{
	sqlite3_stmt *st = db_stmt(db, SQL_collector_state_put, e);
	struct json_out o;
	struct buf text;
	int rc = -1;

	if (st == NULL)
		return -1;
	buf_init(&text, STATE_MAX_BYTES);
	json_out_init(&o, &text, NULL, NULL);
	json_out_object(&o);
	for (size_t i = 0; i < MEMBERS; i++) {
		const char *at = (const char *)s + members[i].offset;

		if (members[i].size == 0)
			json_out_kint(&o, members[i].key,
			    *(const int64_t *)(const void *)at);
		else
			json_out_kz(&o, members[i].key, at);
	}
	json_out_object_end(&o);
	if (o.failed || text.failed) {
		fail(e, ERR_INTERNAL, "collector_state does not fit");
		goto out;
	}
	db_bind_str(st, P_collector_state_put_state, buf_view(&text));
	db_bind_i64(st, P_collector_state_put_now_ms, clock_now_ms());
	rc = db_exec(db, st, e);
out:
	buf_free(&text);
	return rc;
}

int
daemon_lock(const char *path, struct err *e)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);

	if (fd == -1)
		return fail(e, ERR_UNAVAILABLE, "lock %s: %s", path,
		    strerrordesc_np(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) == -1 ||
	    fcntl(fd, F_SETLK, &whole) == -1) {
		int saved = errno;

		close(fd);
		if (saved == EAGAIN || saved == EACCES)
			return fail(e, ERR_CONFLICT,
			    "%s is held: another collectord (or the "
			    "reference server) works on this database",
			    path);
		return fail(e, ERR_UNAVAILABLE, "lock %s: %s", path,
		    strerrordesc_np(saved));
	}
	return fd;
}

bool
daemon_alive(const char *path)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	bool alive;

	if (fd == -1)
		return false;
	alive = fcntl(fd, F_GETLK, &whole) == 0 && whole.l_type != F_UNLCK;
	close(fd);
	return alive;
}
