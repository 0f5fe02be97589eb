/*
 * The protocol is one datagram to the Unix socket that $NOTIFY_SOCKET names;
 * a leading '@' stands for the NUL of an abstract address.
 */
#include "notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "str.h"

#define STATUS_MAX 255

int
notify_send(const char *message)
{
	const char *name = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	size_t n, message_n = strlen(message);
	ssize_t sent;
	int fd, kept;

	if (name == NULL || (name[0] != '/' && name[0] != '@'))
		return 0;
	n = strlen(name);
	/* an abstract address may fill the field; a path needs its NUL */
	if (n + (name[0] == '/') > sizeof to.sun_path) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(to.sun_path, name, n);
	if (name[0] == '@')
		to.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return -1;
	do
		sent = sendto(fd, message, message_n, MSG_NOSIGNAL,
		    (const struct sockaddr *)&to,
		    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
	while (sent == -1 && errno == EINTR);
	kept = errno;
	close(fd);
	errno = kept;
	return sent == (ssize_t)message_n ? 1 : -1;
}

int
notify_status(const char *text)
{
	char message[sizeof "STATUS=" + STATUS_MAX];

	snprintf(message, sizeof message, "STATUS=%.*s", STATUS_MAX, text);
	/* a line break would begin another variable */
	for (char *p = message; *p != '\0'; p++)
		if (*p == '\n' || *p == '\r')
			*p = ' ';
	return notify_send(message);
}

int64_t
notify_watchdog_ms(void)
{
	const char *pid_text = getenv("WATCHDOG_PID");
	int64_t usec, pid;

	if (str_i64(str_of(getenv("WATCHDOG_USEC")), &usec) != 0 || usec <= 0)
		return 0;
	if (pid_text != NULL &&
	    (str_i64(str_of(pid_text), &pid) != 0 || pid != getpid()))
		return 0;
	return usec / 2000 > 0 ? usec / 2000 : 1;
}
