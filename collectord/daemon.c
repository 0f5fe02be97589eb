#include "daemon.h"

#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "cpa.h"

void
daemon_source(struct daemon *d, struct source_config *out, unsigned *version)
{
	pthread_mutex_lock(&d->lock);
	*out = d->source;
	*version = d->source_version;
	pthread_mutex_unlock(&d->lock);
}

static void
wake(struct daemon *d)
{
	const uint64_t one = 1;

	/* a full counter is awake already */
	if (write(d->wake_fd, &one, sizeof one) == -1)
		return;
}

static bool
same_source(const struct source_config *a, const struct source_config *b)
{
	return a->enabled == b->enabled && strcmp(a->base, b->base) == 0 &&
	       strcmp(a->key, b->key) == 0 && strcmp(a->mode, b->mode) == 0 &&
	       strcmp(a->queue, b->queue) == 0 &&
	       a->batch_size == b->batch_size &&
	       a->poll_interval_ms == b->poll_interval_ms &&
	       a->tls_skip_verify == b->tls_skip_verify &&
	       a->refused_until_ms == b->refused_until_ms;
}

void
daemon_source_set(struct daemon *d, const struct source_config *in)
{
	bool changed;

	pthread_mutex_lock(&d->lock);
	changed = !same_source(&d->source, in);
	if (changed) {
		d->source = *in;
		d->source_version++;
	}
	pthread_mutex_unlock(&d->lock);
	if (changed)
		wake(d);
}

/* Copy a text; says whether it changed. */
static bool
set_text(char *to, size_t size, const char *text)
{
	if (text == NULL || strcmp(to, text) == 0)
		return false;
	text_set(to, size, text);
	return true;
}

void
daemon_tell(struct daemon *d, const char *collector, const char *transport,
    const char *error, const char *hint)
{
	struct source_state *s = &d->state;
	bool changed = false;

	pthread_mutex_lock(&d->lock);
	changed |= set_text(s->collector, sizeof s->collector, collector);
	changed |= set_text(s->transport, sizeof s->transport, transport);
	changed |= set_text(s->error, sizeof s->error, error);
	changed |= set_text(s->hint, sizeof s->hint, hint);
	d->state_version += changed;
	pthread_mutex_unlock(&d->lock);
}

void
daemon_tell_consumed(struct daemon *d, int64_t ms)
{
	pthread_mutex_lock(&d->lock);
	d->state.last_consumed_ms = ms;
	d->state_version++;
	pthread_mutex_unlock(&d->lock);
}

int64_t
daemon_consumed(struct daemon *d)
{
	int64_t ms;

	pthread_mutex_lock(&d->lock);
	ms = d->state.last_consumed_ms;
	pthread_mutex_unlock(&d->lock);
	return ms;
}

bool
daemon_is_running(struct daemon *d)
{
	bool running;

	pthread_mutex_lock(&d->lock);
	running = strcmp(d->state.collector, "running") == 0;
	pthread_mutex_unlock(&d->lock);
	return running;
}

void
daemon_tell_refused(struct daemon *d, unsigned version)
{
	pthread_mutex_lock(&d->lock);
	/* meanwhile somebody may have entered another key */
	if (version == d->source_version) {
		d->state.key_refused = true;
		d->state_version++;
		/* at once: the writer may be held up by a locked database */
		d->source.refused_until_ms = clock_now_ms() + CPA_REFUSED_MS;
	}
	pthread_mutex_unlock(&d->lock);
	spool_wake(&d->spool);
}

void
daemon_state(struct daemon *d, struct source_state *out, unsigned *version)
{
	pthread_mutex_lock(&d->lock);
	*out = d->state;
	d->state.key_refused = false;
	*version = d->state_version;
	pthread_mutex_unlock(&d->lock);
}

void
daemon_tell_gap(struct daemon *d, const struct daemon_gap *gap)
{
	pthread_mutex_lock(&d->lock);
	if (d->n_gaps == DAEMON_GAPS)
		d->gaps[DAEMON_GAPS - 1].to_ms = gap->to_ms;
	else
		d->gaps[d->n_gaps++] = *gap;
	pthread_mutex_unlock(&d->lock);
	spool_wake(&d->spool);
}

bool
daemon_gap(struct daemon *d, struct daemon_gap *out)
{
	bool has;

	pthread_mutex_lock(&d->lock);
	has = d->n_gaps > 0;
	if (has)
		*out = d->gaps[0];
	pthread_mutex_unlock(&d->lock);
	return has;
}

void
daemon_gap_done(struct daemon *d)
{
	pthread_mutex_lock(&d->lock);
	d->n_gaps--;
	memmove(
	    &d->gaps[0], &d->gaps[1], (size_t)d->n_gaps * sizeof d->gaps[0]);
	pthread_mutex_unlock(&d->lock);
}

bool
daemon_sleep(struct daemon *d, int64_t ms)
{
	struct pollfd fds[] = {
		{ .fd = d->stop_fd, .events = POLLIN },
		{ .fd = d->wake_fd, .events = POLLIN },
	};
	int timeout = ms < 0 ? 0 : ms > INT_MAX ? INT_MAX : (int)ms;
	uint64_t count;

	if (poll(fds, 2, timeout) <= 0)
		return false;
	if ((fds[1].revents & POLLIN) != 0 &&
	    read(d->wake_fd, &count, sizeof count) == -1)
		return false;
	return true;
}

void
daemon_pause(struct daemon *d, int64_t ms)
{
	struct pollfd stop = { .fd = d->stop_fd, .events = POLLIN };

	/* once it is readable it stays so, and nobody may spin on it */
	if (atomic_load(&d->stopping))
		poll(NULL, 0, ms < 100 ? (int)ms : 100);
	else
		poll(&stop, 1, (int)ms);
}
