/* Datagrams to the service manager; confinement of a process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#undef fail /* lib/err.h has one of its own */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "confine.h"
#include "notify.h"

static char name[128], variable[160], watchdog[64], watchdog_pid[64];

/* A manager's socket at name; '@' begins an abstract one. */
static int
manager(const char *where)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	size_t n = strlen(where);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	memcpy(a.sun_path, where, n);
	if (*where == '@')
		a.sun_path[0] = '\0';
	assert_int_equal(
	    bind(fd, (struct sockaddr *)&a,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)),
	    0);
	snprintf(variable, sizeof variable, "NOTIFY_SOCKET=%s", where);
	putenv(variable);
	return fd;
}

static void
assert_received(int fd, const char *want)
{
	char text[512];
	ssize_t n = recv(fd, text, sizeof text - 1, 0);

	assert_true(n >= 0);
	text[n] = '\0';
	assert_string_equal(text, want);
}

static void
nobody_listens(void **state)
{
	(void)state;
	unsetenv("NOTIFY_SOCKET");
	assert_int_equal(notify_send("READY=1"), 0);
	assert_int_equal(notify_status("x"), 0);
}

static void
messages_arrive(void **state)
{
	char dir[] = "/tmp/t_notify.XXXXXX", many[600];
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(name, sizeof name, "%s/notify", dir);
	fd = manager(name);
	assert_int_equal(notify_send("READY=1\nSTATUS=up"), 1);
	assert_received(fd, "READY=1\nSTATUS=up");
	/* a status is one line, whatever it says */
	assert_int_equal(notify_status("bad\nREADY=1"), 1);
	assert_received(fd, "STATUS=bad READY=1");
	memset(many, 'x', sizeof many - 1);
	many[sizeof many - 1] = '\0';
	assert_int_equal(notify_status(many), 1);
	many[255] = '\0';
	memmove(many + 7, many, 256);
	memcpy(many, "STATUS=", 7);
	assert_received(fd, many);

	close(fd); /* the manager is gone */
	assert_int_equal(notify_send("READY=1"), -1);
	assert_int_equal(errno, ECONNREFUSED);
	unlink(name);
	assert_int_equal(notify_send("READY=1"), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(rmdir(dir), 0);
}

static void
abstract_address(void **state)
{
	int fd;

	(void)state;
	snprintf(name, sizeof name, "@t_notify/%d", (int)getpid());
	fd = manager(name);
	assert_int_equal(notify_send("STOPPING=1"), 1);
	assert_received(fd, "STOPPING=1");
	close(fd);
}

static void
addresses_that_are_wrong(void **state)
{
	static char too_long[] =
	    "NOTIFY_SOCKET=/"
	    "0123456789012345678901234567890123456789012345678901234567890123"
	    "0123456789012345678901234567890123456789012345678901234567890123";
	static char relative[] = "NOTIFY_SOCKET=here";

	(void)state;
	putenv(too_long);
	assert_int_equal(notify_send("READY=1"), -1);
	assert_int_equal(errno, ENAMETOOLONG);
	putenv(relative);
	assert_int_equal(notify_send("READY=1"), 0);
	unsetenv("NOTIFY_SOCKET");
}

static int64_t
watchdog_of(const char *usec, int pid)
{
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	if (usec != NULL) {
		snprintf(watchdog, sizeof watchdog, "WATCHDOG_USEC=%s", usec);
		putenv(watchdog);
	}
	if (pid != 0) {
		snprintf(
		    watchdog_pid, sizeof watchdog_pid, "WATCHDOG_PID=%d", pid);
		putenv(watchdog_pid);
	}
	return notify_watchdog_ms();
}

static void
watchdog_interval(void **state)
{
	(void)state;
	assert_int_equal(watchdog_of(NULL, 0), 0);
	assert_int_equal(watchdog_of("30000000", 0), 15000);
	assert_int_equal(watchdog_of("30000000", (int)getpid()), 15000);
	assert_int_equal(watchdog_of("30000000", (int)getppid()), 0);
	assert_int_equal(watchdog_of("1", 0), 1);
	assert_int_equal(watchdog_of("0", 0), 0);
	assert_int_equal(watchdog_of("-5", 0), 0);
	assert_int_equal(watchdog_of("soon", 0), 0);
	watchdog_of(NULL, 0);
}

static void
process_confined(void **state)
{
	pid_t pid = fork();
	int status = -1;

	(void)state;
	if (pid == 0) {
		struct err e;

		if (confine(&e) != 0)
			_exit(1);
		if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
			_exit(2);
		if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
			_exit(3);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_listens),
		cmocka_unit_test(messages_arrive),
		cmocka_unit_test(abstract_address),
		cmocka_unit_test(addresses_that_are_wrong),
		cmocka_unit_test(watchdog_interval),
		cmocka_unit_test(process_confined),
	};

	return cmocka_run_group_tests_name("notify", tests, NULL, NULL);
}
