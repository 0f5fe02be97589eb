/* The listening socket: inherited in both ways, or made. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#undef fail /* lib/err.h has one of its own */

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "listen.h"

static char dir[] = "/tmp/t_listen.XXXXXX";
static char path[64];

static int
make_dir(void **state)
{
	(void)state;
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(path, sizeof path, "%s/sock", dir);
	return 0;
}

static int
remove_dir(void **state)
{
	(void)state;
	return rmdir(dir);
}

static bool
is_ready(int fd)
{
	int on = 0;
	socklen_t n = sizeof on;

	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &n) == 0 && on &&
	       (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0 &&
	       (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0;
}

static int
connect_to(const char *where)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), rc;

	snprintf(a.sun_path, sizeof a.sun_path, "%s", where);
	rc = connect(fd, (struct sockaddr *)&a, sizeof a);
	close(fd);
	return rc;
}

static void
socket_made(void **state)
{
	struct stat st;
	mode_t mask = umask(0); /* what a careless starter leaves */
	int fd = listen_unix(path, NULL);

	(void)state;
	assert_true(fd >= 0);
	assert_true(is_ready(fd));
	assert_int_equal(stat(path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 07777, 0660);
	assert_int_equal(umask(mask), 0);
	assert_int_equal(connect_to(path), 0);
	close(fd);
	unlink(path);
}

static void
stale_socket_replaced(void **state)
{
	int fd = listen_unix(path, NULL);
	struct stat before, after;

	(void)state;
	assert_int_equal(stat(path, &before), 0);
	close(fd); /* as a killed process leaves it */
	assert_int_equal(connect_to(path), -1);
	assert_int_equal(errno, ECONNREFUSED);
	fd = listen_unix(path, NULL);
	assert_true(fd >= 0);
	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(connect_to(path), 0);
	close(fd);
	unlink(path);
}

static void
socket_in_use_kept(void **state)
{
	int fd = listen_unix(path, NULL), full[600], n = 0;
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(listen_unix(path, &e), -1);
	assert_int_equal(e.kind, ERR_CONFLICT);
	assert_non_null(strstr(e.text, path));
	assert_int_equal(connect_to(path), 0);

	/* also when it is too busy to answer */
	snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
	while (n < 600) {
		full[n] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
		if (connect(full[n++], (struct sockaddr *)&a, sizeof a) == -1)
			break;
	}
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(listen_unix(path, &e), -1);
	assert_int_equal(e.kind, ERR_CONFLICT);
	while (n > 0)
		close(full[--n]);
	close(fd);
	unlink(path);
}

static void
places_that_are_wrong(void **state)
{
	char too_long[200];
	struct err e = { 0 };
	FILE *f;

	(void)state;
	/* a file is not ours to remove */
	f = fopen(path, "w");
	assert_non_null(f);
	fclose(f);
	assert_int_equal(listen_unix(path, &e), -1);
	assert_int_equal(e.kind, ERR_INPUT);
	assert_int_equal(access(path, F_OK), 0);
	unlink(path);

	memset(too_long, 'x', sizeof too_long - 1);
	too_long[sizeof too_long - 1] = '\0';
	assert_int_equal(listen_unix(too_long, &e), -1);
	assert_int_equal(e.kind, ERR_INPUT);
	assert_int_equal(listen_unix("", &e), -1);
	assert_int_equal(listen_unix("/nowhere/at/all", &e), -1);
	assert_int_equal(e.kind, ERR_INPUT);
	assert_non_null(strstr(e.text, "No such file"));
}

enum given { NOTHING, ON_0, ON_3, ON_3_TWICE, ON_3_NO_SOCKET, ON_3_NOT_OURS };

/*
 * In a child of its own: descriptors 0 and 3 and the environment as a
 * starter leaves them.  The exit status is what went wrong.
 */
static int
adopt_in_child(enum given given, int want_fd, enum err_kind want_kind)
{
	static char one[] = "LISTEN_FDS=1", two[] = "LISTEN_FDS=2",
		    names[] = "LISTEN_FDNAMES=x";
	pid_t pid = fork();
	int status = -1;

	if (pid == 0) {
		char text[32];
		struct err e = { 0 };
		int s = socket(AF_UNIX, SOCK_STREAM, 0), fd;
		int nothing = open("/dev/null", O_RDONLY);

		snprintf(text, sizeof text, "LISTEN_PID=%d",
		    given == ON_3_NOT_OURS ? 1 : (int)getpid());
		if (given >= ON_3) {
			putenv(text);
			putenv(given == ON_3_TWICE ? two : one);
			putenv(names);
		}
		if (listen(s, 1) == -1) {
			struct sockaddr_un a = { .sun_family = AF_UNIX };

			/* an abstract name of the system's choice */
			if (bind(s, (struct sockaddr *)&a,
				sizeof(sa_family_t)) == -1 ||
			    listen(s, 1) == -1)
				_exit(10);
		}
		dup2(given == ON_0 || given == ON_3_NOT_OURS ? s : nothing, 0);
		dup2(given == ON_3_NO_SOCKET ? nothing : s, 3);
		fd = listen_adopt(&e);
		if (fd != want_fd)
			_exit(11);
		if (fd == -1 && e.kind != want_kind)
			_exit(12);
		if (fd != -1 && !is_ready(fd))
			_exit(13);
		if (getenv("LISTEN_PID") != NULL ||
		    getenv("LISTEN_FDS") != NULL ||
		    getenv("LISTEN_FDNAMES") != NULL)
			_exit(14);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void
socket_adopted(void **state)
{
	(void)state;
	assert_int_equal(adopt_in_child(NOTHING, -1, ERR_MISSING), 0);
	assert_int_equal(adopt_in_child(ON_0, 0, ERR_NONE), 0);
	assert_int_equal(adopt_in_child(ON_3, 3, ERR_NONE), 0);
	assert_int_equal(adopt_in_child(ON_3_TWICE, -1, ERR_INPUT), 0);
	assert_int_equal(adopt_in_child(ON_3_NO_SOCKET, -1, ERR_INPUT), 0);
	/* the variables of another process: descriptor 0 counts */
	assert_int_equal(adopt_in_child(ON_3_NOT_OURS, 0, ERR_NONE), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(socket_made),
		cmocka_unit_test(stale_socket_replaced),
		cmocka_unit_test(socket_in_use_kept),
		cmocka_unit_test(places_that_are_wrong),
		cmocka_unit_test(socket_adopted),
	};

	return cmocka_run_group_tests_name(
	    "listen", tests, make_dir, remove_dir);
}
