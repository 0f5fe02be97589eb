#include "collectord/resp_link.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"

#define CONNECT_MS 10000
#define SEND_MS 30000
#define NAP_MS 1000 /* the watchdog is told of life so often */
#define READ_BYTES ((size_t)128 * 1024)
#define IN_MAX ((size_t)RESP_BULK_MAX + 2 * READ_BYTES)

static bool
is_stopping(void *arg)
{
	struct daemon *d = arg;

	atomic_store(&d->reader_alive_ms, clock_mono_ms());
	return atomic_load(&d->stopping);
}

bool
resp_link_open(struct resp_link *l, struct daemon *d,
    const struct source_config *source, struct err *e)
{
	const struct stream_options options = {
		.connect_ms = CONNECT_MS,
		.insecure_tls = source->tls_skip_verify,
		.stop = is_stopping,
		.stop_arg = d,
	};

	resp_link_close(l);
	buf_init(&l->in, IN_MAX);
	l->stream = stream_open(source->base, &options, e);
	l->heard_ms = clock_mono_ms();
	return l->stream != NULL;
}

void
resp_link_close(struct resp_link *l)
{
	stream_close(l->stream);
	/* events carry keys */
	buf_wipe(&l->in);
	*l = (struct resp_link){ .stream = NULL };
}

int
resp_link_send(
    struct resp_link *l, const struct str *words, size_t n, struct err *e)
{
	struct buf command;
	int rc;

	buf_init(&command, 16 * 1024);
	resp_command(&command, words, n);
	rc = command.failed ?
		 fail(e, ERR_UPSTREAM, "command is too long") :
		 stream_write(l->stream, command.p, command.n, SEND_MS, e);
	buf_wipe(&command);
	return rc;
}

int
resp_link_token(struct resp_link *l, struct resp_token *t, struct err *e)
{
	struct str rest = { l->in.p + l->at, l->in.n - l->at };
	size_t need;
	int rc = l->in.p == NULL ? 0 : resp_token(rest, t, &need, e);

	if (rc == 1) {
		l->at += t->bytes;
		return 1;
	}
	/* nothing more can be taken: the room before it is given back */
	if (rc == 0 && l->at > 0) {
		buf_consume(&l->in, l->at);
		l->at = 0;
	}
	return rc;
}

int64_t
resp_link_fill(struct resp_link *l, struct err *e)
{
	char *to = buf_reserve(&l->in, READ_BYTES);
	int64_t n;

	if (to == NULL)
		return fail(e, ERR_UPSTREAM, "a value is too large");
	if ((n = stream_read(l->stream, to, READ_BYTES, e)) > 0) {
		buf_commit(&l->in, (size_t)n);
		l->heard_ms = clock_mono_ms();
	}
	return n;
}

void
resp_link_wait(struct resp_link *l, struct daemon *d, int64_t ms)
{
	struct pollfd fds[] = {
		{ .fd = stream_fd(l->stream), .events = POLLIN },
		{ .fd = d->stop_fd, .events = POLLIN },
		{ .fd = d->wake_fd, .events = POLLIN },
	};

	if (ms > 0)
		poll(fds, 3, (int)(ms < NAP_MS ? ms : NAP_MS));
}

void
resp_link_listen(struct resp_link *l)
{
	while (resp_link_fill(l, NULL) > 0)
		;
}

int
resp_link_reply(struct resp_link *l, struct resp_link *beside, struct daemon *d,
    int64_t ms, struct resp_token *t, struct err *e)
{
	int64_t until_ms = clock_mono_ms() + ms, n;
	int rc;

	while ((rc = resp_link_token(l, t, e)) == 0) {
		struct pollfd fds[] = {
			{ .fd = stream_fd(l->stream), .events = POLLIN },
			{ .fd = beside != NULL ? stream_fd(beside->stream) : -1,
			    .events = POLLIN },
		};
		int64_t left = until_ms - clock_mono_ms();

		atomic_store(&d->reader_alive_ms, clock_mono_ms());
		if ((n = resp_link_fill(l, e)) < 0)
			return -1;
		if (n > 0)
			continue;
		if (left <= 0)
			return fail(e, ERR_UPSTREAM, "i/o timeout");
		if (poll(fds, 2, (int)(left < NAP_MS ? left : NAP_MS)) > 0 &&
		    beside != NULL && fds[1].revents != 0) {
			n = resp_link_fill(beside, NULL);
			/* a peer that has gone would wake us for ever */
			if (n < 0)
				beside = NULL;
		}
	}
	return rc == 1 ? 0 : -1;
}
