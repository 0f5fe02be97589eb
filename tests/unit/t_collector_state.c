/* The daemon's row and its lock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#undef fail /* lib/err.h has one of its own */

#include <errno.h>
#include <signal.h>
#include <sys/file.h>

#include "collector_state.h"
#include "test_dir.h"

static struct db db;

static int
open_db(void **state)
{
	struct err e;

	if (test_dir_make(state) != 0 ||
	    db_open(&db, in_dir("a.sqlite"), DB_CREATE, &e) != 0 ||
	    db_migrate(&db, NULL, NULL, &e) != 0)
		return -1;
	return 0;
}

static int
close_db(void **state)
{
	db_close(&db);
	return test_dir_remove(state);
}

static void
fresh_row_is_a_daemon_never_started(void **state)
{
	struct collector_state s;
	struct err e;

	(void)state;
	memset(&s, 0xff, sizeof s);
	assert_int_equal(collector_state_read(&db, &s, &e), 0);
	assert_string_equal(s.collector, "stopped");
	assert_string_equal(s.upstream, "");
	assert_string_equal(s.mode, "auto");
	assert_string_equal(s.transport, "");
	assert_string_equal(s.queue, "usage");
	assert_string_equal(s.last_error, "");
	assert_int_equal(s.last_consumed_ms, 0);
	assert_int_equal(s.total_inserted, 0);
	assert_int_equal(s.refused_until_ms, 0);
}

static void
row_keeps_every_member(void **state)
{
	struct collector_state s = { .collector = "running",
		.upstream = "http://127.0.0.1:8317/\"x\"",
		.mode = "http",
		.transport = "http",
		.queue = "usage",
		.last_consumed_ms = 1795490457602,
		.last_inserted_ms = 2,
		.total_inserted = INT64_MAX,
		.total_skipped = 4,
		.last_error = "connect: \303\251\n<&>",
		.hint = "look",
		.started_ms = 5,
		.spool_bytes = 6,
		.refused_until_ms = 7,
		.slowest_transaction_ms = 8,
		.version = "0.1.0" },
			       back;
	struct err e;

	(void)state;
	assert_int_equal(collector_state_write(&db, &s, &e), 0);
	assert_int_equal(collector_state_read(&db, &back, &e), 0);
	assert_memory_equal(&s, &back, sizeof s);
}

/* Text that grows in JSON still fits, and comes back whole. */
static void
row_takes_the_longest_texts(void **state)
{
	struct collector_state s = { .collector = "error" }, back;
	struct err e;

	(void)state;
	memset(s.upstream, 1, sizeof s.upstream - 1);
	memset(s.last_error, 2, sizeof s.last_error - 1);
	memset(s.hint, 3, sizeof s.hint - 1);
	memset(s.queue, 4, sizeof s.queue - 1);
	if (collector_state_write(&db, &s, &e) != 0)
		FAIL("%s\n", e.text);
	assert_int_equal(collector_state_read(&db, &back, &e), 0);
	assert_memory_equal(&s, &back, sizeof s);
}

static void
row_joins_an_open_transaction(void **state)
{
	struct collector_state s = { .collector = "running" }, back;
	struct err e;

	(void)state;
	assert_int_equal(db_begin(&db, &e), 0);
	assert_int_equal(collector_state_write(&db, &s, &e), 0);
	db_rollback(&db);
	assert_int_equal(collector_state_read(&db, &back, &e), 0);
	assert_string_equal(back.collector, "stopped");
}

static void
broken_row_is_an_error(void **state)
{
	static const char *const rows[] = { "{", "{\"collector\":7}",
		"{\"totalInserted\":\"x\"}" };
	struct collector_state s;
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		sqlite3_stmt *st = db_stmt(&db, SQL_collector_state_put, &e);

		db_bind_str(st, P_collector_state_put_state, str_of(rows[i]));
		db_bind_i64(st, P_collector_state_put_now_ms, 1);
		assert_int_equal(db_exec(&db, st, &e), 0);
		assert_int_equal(collector_state_read(&db, &s, &e), -1);
		assert_int_equal(e.kind, ERR_INTERNAL);
	}
}

/* ---- the lock, seen from another process --------------------------------- */

static int
try_lock(void *path)
{
	struct err e;

	return daemon_lock(path, &e) >= 0 ? 0 : e.kind == ERR_CONFLICT ? 1 : 2;
}

/* What the reference does: flock alone. */
static int
try_flock(void *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	return flock(fd, LOCK_EX | LOCK_NB) == 0 ? 0 : 1;
}

static int
ask_alive(void *path)
{
	return daemon_alive(path);
}

static void
lock_is_held_by_one(void **state)
{
	char path[PATH_MAX];
	struct err e;
	int fd;

	(void)state;
	snprintf(path, sizeof path, "%s", in_dir("lock"));
	assert_int_equal(in_child(ask_alive, path), false);
	assert_false(file_exists(path));
	umask(0022);
	fd = daemon_lock(path, &e);
	assert_true(fd >= 0);
	assert_int_equal(file_mode(path), 0640);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(in_child(ask_alive, path), true);
	assert_int_equal(in_child(try_lock, path), 1);
	assert_int_equal(in_child(try_flock, path), 1);
	close(fd);
	assert_int_equal(in_child(ask_alive, path), false);
	assert_int_equal(in_child(try_lock, path), 0);
}

static void
lock_ends_with_its_holder(void **state)
{
	char path[PATH_MAX], c;
	int ready[2];
	pid_t pid;

	(void)state;
	snprintf(path, sizeof path, "%s", in_dir("lock"));
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	if ((pid = fork()) == 0) {
		struct err e;

		if (daemon_lock(path, &e) >= 0 && write(ready[1], "x", 1) == 1)
			pause();
		_exit(1);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	assert_true(daemon_alive(path));
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_false(daemon_alive(path));
	assert_true(file_exists(path));
}

static void
lock_held_by_the_reference_is_a_conflict(void **state)
{
	char path[PATH_MAX];
	struct err e;
	int fd;

	(void)state;
	snprintf(path, sizeof path, "%s", in_dir("lock"));
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	assert_int_equal(in_child(try_lock, path), 1);
	/* but it is no collectord */
	assert_int_equal(in_child(ask_alive, path), false);
	close(fd);
	/* never through a link */
	assert_int_equal(symlink("lock", in_dir("link")), 0);
	assert_int_equal(daemon_lock(in_dir("link"), &e), -1);
	assert_int_equal(e.kind, ERR_UNAVAILABLE);
	assert_int_equal(daemon_lock(in_dir("no/lock"), &e), -1);
	assert_int_equal(e.kind, ERR_UNAVAILABLE);
}

int
main(void)
{
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, open_db, close_db)
	const struct CMUnitTest tests[] = {
		CASE(fresh_row_is_a_daemon_never_started),
		CASE(row_keeps_every_member),
		CASE(row_takes_the_longest_texts),
		CASE(row_joins_an_open_transaction),
		CASE(broken_row_is_an_error),
		CASE(lock_is_held_by_one),
		CASE(lock_ends_with_its_holder),
		CASE(lock_held_by_the_reference_is_a_conflict),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
