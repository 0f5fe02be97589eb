/*
 * A web server for tests, in a thread of its own: one connection after the
 * other, each request handed to a function that writes the answer's bytes.
 */
#ifndef TEST_SERVER_H
#define TEST_SERVER_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "str.h"

struct test_server {
	/* Writes to fd; true keeps the connection open. */
	bool (*answer)(struct test_server *s, int fd);
	int port;
	atomic_int requests, connections;
	char request[65536]; /* the last one, head and body */

	int listener, stop[2];
	pthread_t thread;
};

/* Wait for bytes; false when the server is to stop. */
static inline bool
test_server_wait(struct test_server *s, int fd, int ms)
{
	struct pollfd p[2] = { { .fd = fd, .events = POLLIN },
		{ .fd = s->stop[0], .events = POLLIN } };

	poll(p, 2, ms);
	return p[1].revents == 0;
}

static inline void
test_server_write(int fd, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t put = send(fd, p, n, MSG_NOSIGNAL);

		if (put <= 0)
			return;
		p += put;
		n -= (size_t)put;
	}
}

static inline void
test_server_say(int fd, const char *text)
{
	test_server_write(fd, text, strlen(text));
}

/* A whole request into s->request; false at the end of the connection. */
static inline bool
test_server_read(struct test_server *s, int fd)
{
	size_t n = 0, body = 0;
	char *end = NULL, *length;

	for (;;) {
		ssize_t got;

		if (!test_server_wait(s, fd, -1))
			return false;
		got = recv(fd, s->request + n, sizeof s->request - 1 - n, 0);
		if (got <= 0)
			return false;
		n += (size_t)got;
		s->request[n] = '\0';
		if (end == NULL &&
		    (end = strstr(s->request, "\r\n\r\n")) != NULL) {
			end += 4;
			length = strstr(s->request, "Content-Length: ");
			if (length != NULL && length < end)
				body = strtoul(length + 16, NULL, 10);
		}
		if (end != NULL && n >= (size_t)(end - s->request) + body)
			return true;
	}
}

static inline void *
test_server_run(void *arg)
{
	struct test_server *s = arg;
	const int on = 1;

	while (test_server_wait(s, s->listener, -1)) {
		int fd = accept(s->listener, NULL, NULL);

		if (fd == -1)
			continue;
		/* head and body go out one after the other, as written */
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
		s->connections++;
		while (test_server_read(s, fd)) {
			s->requests++;
			if (!s->answer(s, fd))
				break;
		}
		close(fd);
	}
	return NULL;
}

/* A listening socket on a free port of 127.0.0.1. */
static inline int
test_listener(int *port, int backlog)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t n = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd == -1 || bind(fd, (struct sockaddr *)&a, sizeof a) == -1 ||
	    listen(fd, backlog) == -1 ||
	    getsockname(fd, (struct sockaddr *)&a, &n) == -1) {
		perror("test server");
		abort();
	}
	*port = ntohs(a.sin_port);
	return fd;
}

/* A port that nobody listens on: bound once, closed again. */
static inline int
test_free_port(void)
{
	int port, fd = test_listener(&port, 1);

	close(fd);
	return port;
}

static inline void
test_server_start(
    struct test_server *s, bool (*answer)(struct test_server *s, int fd))
{
	memset(s, 0, sizeof *s);
	s->answer = answer;
	s->listener = test_listener(&s->port, 16);
	if (pipe(s->stop) == -1 ||
	    pthread_create(&s->thread, NULL, test_server_run, s) != 0) {
		perror("test server");
		abort();
	}
}

static inline void
test_server_end(struct test_server *s)
{
	close(s->stop[1]);
	pthread_join(s->thread, NULL);
	close(s->stop[0]);
	close(s->listener);
}

#endif
