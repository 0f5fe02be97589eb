#include "listen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "str.h"

#define FIRST_PASSED_FD 3 /* where LISTEN_FDS begins, sd_listen_fds(3) */
#define BACKLOG 512       /* requests that wait while we restart */

static bool
is_listening(int fd)
{
	int on = 0;
	socklen_t n = sizeof on;

	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &n) == 0 && on;
}

static int
set_flags(int fd, struct err *e)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags == -1 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) == -1 ||
	    fcntl(fd, F_SETFD, FD_CLOEXEC) == -1)
		return fail(e, ERR_INTERNAL, "listening socket: %s",
		    strerrordesc_np(errno));
	return 0;
}

int
listen_adopt(struct err *e)
{
	int64_t pid = 0, count = 0;
	bool for_us, given;

	given = getenv("LISTEN_FDS") != NULL;
	for_us =
	    str_i64(str_of(getenv("LISTEN_PID")), &pid) == 0 && pid == getpid();
	if (for_us && str_i64(str_of(getenv("LISTEN_FDS")), &count) != 0)
		count = 0;
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");

	if (for_us && given) {
		if (count != 1)
			return fail(e, ERR_INPUT,
			    "LISTEN_FDS: one socket is needed, %lld were given",
			    (long long)count);
		if (!is_listening(FIRST_PASSED_FD))
			return fail(e, ERR_INPUT,
			    "LISTEN_FDS: descriptor %d is no listening stream "
			    "socket",
			    FIRST_PASSED_FD);
		return set_flags(FIRST_PASSED_FD, e) == 0 ? FIRST_PASSED_FD :
							    -1;
	}
	if (!is_listening(STDIN_FILENO))
		return fail(e, ERR_MISSING,
		    "no listening socket was passed on (descriptor 0 or "
		    "LISTEN_FDS)");
	return set_flags(STDIN_FILENO, e) == 0 ? STDIN_FILENO : -1;
}

/*
 * Clear the way for a new socket at path: nothing there, or a socket whose
 * program is gone.
 */
static int
remove_stale(const char *path, const struct sockaddr_un *address, struct err *e)
{
	struct stat st;
	int fd, error = 0;

	if (lstat(path, &st) == -1) {
		if (errno == ENOENT)
			return 0;
		return fail(e, ERR_INPUT, "socket %s: %s", path,
		    strerrordesc_np(errno));
	}
	if (!S_ISSOCK(st.st_mode))
		return fail(e, ERR_INPUT,
		    "socket %s: there is something else at this path", path);
	/* non-blocking: a full backlog (EAGAIN) means that somebody listens */
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return fail(
		    e, ERR_INTERNAL, "socket: %s", strerrordesc_np(errno));
	if (connect(fd, (const struct sockaddr *)address, sizeof *address) ==
	    -1)
		error = errno;
	close(fd);
	if (error != ECONNREFUSED && error != ENOENT) {
		errno = error;
		if (error == 0 || error == EAGAIN)
			return fail(e, ERR_CONFLICT,
			    "socket %s is in use by another process", path);
		return fail(e, ERR_CONFLICT, "socket %s may be in use: %s",
		    path, strerrordesc_np(errno));
	}
	if (unlink(path) == -1 && errno != ENOENT)
		return fail(e, ERR_INPUT, "socket %s: %s", path,
		    strerrordesc_np(errno));
	return 0;
}

int
listen_unix(const char *path, struct err *e)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t n = strlen(path);
	mode_t mask;
	int fd, rc;

	if (n == 0 || n >= sizeof address.sun_path)
		return fail(e, ERR_INPUT,
		    "socket %s: a path has 1 to %zu bytes", path,
		    sizeof address.sun_path - 1);
	memcpy(address.sun_path, path, n + 1);
	if (remove_stale(path, &address, e) != 0)
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return fail(
		    e, ERR_INTERNAL, "socket: %s", strerrordesc_np(errno));
	/* chmod afterwards would leave a moment in which anybody connects */
	mask = umask(0117);
	rc = bind(fd, (const struct sockaddr *)&address, sizeof address);
	umask(mask);
	if (rc == -1) {
		fail(e, errno == EADDRINUSE ? ERR_CONFLICT : ERR_INPUT,
		    "socket %s: %s", path, strerrordesc_np(errno));
		close(fd);
		return -1;
	}
	if (listen(fd, BACKLOG) == -1) {
		fail(e, ERR_INTERNAL, "socket %s: %s", path,
		    strerrordesc_np(errno));
		unlink(path);
		close(fd);
		return -1;
	}
	return fd;
}
