/*
 * The reader: takes CPA's events into the spool, by the best way there is.
 *
 * `auto` is a subscription, for the shortest delay, and beside it the queue,
 * which holds what was published while nobody was subscribed.  Where CPA
 * cannot be subscribed to, the queue is asked over HTTP, then over RESP; the
 * better ways are tried again every few minutes.
 */
#include "reader.h"

#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "log.h"

#define DRAIN_MS 10000     /* an answer may still take so long at the end */
#define LIVELY_MS 10000    /* so long after an event ... */
#define LIVELY_POLL_MS 200 /* ... the queue is asked at least so often */
#define BACKOFF_FIRST_MS 1000
#define BACKOFF_LAST_MS 30000
#define HELD_MAX ((size_t)64 * 1024 * 1024)
#define FRAME_MAX ((size_t)RESP_BULK_MAX + 64)
#define REST_MAX_MS ((int64_t)24 * 3600 * 1000)
#define NO_ROOM_MS 1000 /* until it is looked whether there is room again */
#define HIGHER_MS ((int64_t)5 * 60 * 1000) /* until a better way is tried */

void
reader_alive(struct reader *r)
{
	atomic_store(&r->d->reader_alive_ms, clock_mono_ms());
}

/* Wait so long, or until there is something new to know. */
static void
rest(struct reader *r, int64_t ms)
{
	int64_t until = clock_mono_ms() + (ms < REST_MAX_MS ? ms : REST_MAX_MS);

	for (int64_t left; (left = until - clock_mono_ms()) > 0;) {
		reader_alive(r);
		if (daemon_sleep(
			r->d, left < READER_NAP_MS ? left : READER_NAP_MS))
			return;
	}
}

bool
reader_out_of_time(struct reader *r)
{
	if (!atomic_load(&r->d->stopping))
		return false;
	if (r->stop_seen_ms == 0)
		r->stop_seen_ms = clock_mono_ms();
	return clock_mono_ms() - r->stop_seen_ms > DRAIN_MS;
}

bool
reader_must_leave(struct reader *r)
{
	struct source_config now;
	unsigned version;

	if (atomic_load(&r->d->stopping))
		return true;
	daemon_source(r->d, &now, &version);
	explicit_bzero(now.key, sizeof now.key);
	return version != r->source_version;
}

/* ---- the way into the spool ---------------------------------------------- */

unsigned
reader_count(const struct reader *r)
{
	return r->way == WAY_SUBSCRIBE ? 0 : (unsigned)r->source.batch_size;
}

int
reader_ask(struct reader *r)
{
	struct err e;

	r->spooled = false;
	if (spool_ask(&r->d->spool, reader_count(r), &e) == 0)
		return 0;
	reader_tell(r, NULL, "spool", e.text,
	    "CPA is not asked while its events could not be kept.");
	return -1;
}

int
reader_put(struct reader *r, const char *p, size_t n)
{
	struct err e;

	if (n == 0)
		return 0;
	r->spooled = true;
	if (r->held.n == 0 && spool_data(&r->d->spool, p, n, &e) == 0)
		return 0;
	/* room was reserved, so this is rare: keep it until there is some */
	buf_add(&r->held, p, n);
	return r->held.failed ? -1 : 0;
}

void
reader_finish(struct reader *r, enum spool_end how)
{
	struct daemon *d = r->d;
	struct err e;

	for (;;) {
		reader_alive(r);
		if ((r->held.n == 0 ||
			spool_data(&d->spool, r->held.p, r->held.n, &e) == 0)) {
			buf_clear(&r->held);
			if (spool_done(&d->spool, how, reader_count(r), &e) ==
			    0)
				return;
		}
		daemon_tell(d, "error", NULL, e.text,
		    "Make room on the disk of the data directory.");
		if (reader_out_of_time(r)) {
			log_write(LOG_ERROR, "batch not written at the end",
			    LOG_Z("error", e.text),
			    LOG_INT("bytes", r->held.n));
			return;
		}
		daemon_pause(d, NO_ROOM_MS);
	}
}

/* ---- how it goes --------------------------------------------------------- */

void
reader_tell(struct reader *r, const char *transport, const char *stage,
    const char *error, const char *hint)
{
	char text[600];

	snprintf(text, sizeof text, "%s: %s", stage, error);
	r->errors_before = true;
	if (strcmp(r->logged, text) != 0)
		log_write(LOG_WARN, "queue not read", LOG_Z("error", text));
	text_set(r->logged, sizeof r->logged, text);
	contact_failed(
	    &r->contact, strstr(error, "connection refused") != NULL);
	/* a subscription goes on whatever becomes of the queue beside it */
	if (!r->draining)
		daemon_tell(r->d, "error", transport, text, hint);
}

void
reader_in_touch(struct reader *r)
{
	int64_t retention_ms = atomic_load(&r->d->retention_ms);

	if (retention_ms > 0)
		r->contact.retention_ms = retention_ms;
	contact_made(&r->contact, r->d);
}

/*
 * What a person should know though all seems well: how CPA is set up decides
 * what can be lost, and others may take the events.
 */
static const char *
advice_of(const struct reader *r)
{
	const struct daemon *d = r->d;
	int64_t retention_ms = atomic_load(&d->retention_ms);

	if (atomic_load(&d->usage_off))
		return "CPA publishes no usage: set usage-statistics-enabled "
		       "to true in its configuration, or save the connection "
		       "again.";
	if (retention_ms > 0 && r->source.poll_interval_ms > retention_ms)
		return "The poll interval is longer than CPA keeps events "
		       "(redis-usage-queue-retention-seconds): shorten it.";
	if (atomic_load(&d->others_consume))
		return "CPA answers requests and no event comes: another "
		       "program takes them from its queue, which hands out "
		       "each only once. Stop the other one.";
	return "";
}

void
reader_tell_running(struct reader *r, const char *transport)
{
	reader_in_touch(r);
	if (r->draining)
		return;
	daemon_tell(r->d, "running", transport, "", advice_of(r));
	if (r->logged[0] != '\0')
		log_write(LOG_INFO, "queue is read again",
		    LOG_Z("transport", transport));
	r->logged[0] = '\0';
	r->backoff_ms = BACKOFF_FIRST_MS;
	/* CPA has come back: a better way may be open again */
	if (r->errors_before && r->way != WAY_SUBSCRIBE)
		r->higher_ms = clock_mono_ms();
	r->errors_before = false;
}

void
reader_refused(struct reader *r)
{
	r->refusal_told = true;
	daemon_tell_refused(r->d, r->source_version);
}

static void
wait_after_error(struct reader *r)
{
	rest(r, r->backoff_ms);
	r->backoff_ms *= 2;
	if (r->backoff_ms > BACKOFF_LAST_MS)
		r->backoff_ms = BACKOFF_LAST_MS;
}

/* A queue that is asked for nothing: say why, and wait for a change. */
static bool
must_wait(struct reader *r)
{
	struct daemon *d = r->d;
	int64_t left;

	if (!r->source.enabled) {
		daemon_tell(d, "stopped", NULL, NULL, "");
		rest(r, 1000);
		return true;
	}
	left = r->source.refused_until_ms - clock_now_ms();
	if (r->source.refused_until_ms != 0 && left > 0) {
		if (!r->refusal_told)
			reader_tell(r, NULL, "key",
			    "CPA refused the management key", REFUSED_HINT);
		r->refusal_told = true;
		rest(r, left < 1000 ? left : 1000);
		return true;
	}
	return false;
}

/*
 * The configured interval is the longest wait; where events come they are
 * soon followed by others, and somebody may be looking.
 */
static int64_t
poll_wait_ms(const struct reader *r)
{
	int64_t ms = r->source.poll_interval_ms;

	return ms > LIVELY_POLL_MS && clock_mono_ms() < r->lively_until_ms ?
		   LIVELY_POLL_MS :
		   ms;
}

/* ---- which way ----------------------------------------------------------- */

static enum way
first_way(const struct reader *r)
{
	if (strcmp(r->source.mode, "http") == 0)
		return WAY_HTTP;
	return strcmp(r->source.mode, "resp") == 0 ? WAY_RESP : WAY_SUBSCRIBE;
}

bool
reader_is_auto(const struct reader *r)
{
	return strcmp(r->source.mode, "auto") == 0;
}

/* Another connection, or the same with a clean slate. */
static void
begin_anew(struct reader *r)
{
	r->backoff_ms = BACKOFF_FIRST_MS;
	r->way = first_way(r);
	r->drain_way = reader_is_auto(r) ? WAY_HTTP : WAY_RESP;
	resp_link_close(&r->pop);
	/* the refusal itself comes back as such a change */
	if (r->source.refused_until_ms != 0)
		return;
	r->refusal_told = false;
	if (r->source.enabled)
		daemon_tell(r->d, "starting", "", "", "");
}

/*
 * This way does not lead to CPA.  When all are closed it is waited for, as
 * after any error.
 */
static void
next_way(struct reader *r)
{
	static const char *const names[] = { "subscribe", "http", "resp" };
	enum way from = r->way;

	if (!reader_is_auto(r)) {
		wait_after_error(r);
		return;
	}
	if (from == WAY_RESP) {
		r->way = WAY_HTTP;
		wait_after_error(r);
		return;
	}
	if (from == WAY_SUBSCRIBE)
		r->higher_ms = clock_mono_ms() + HIGHER_MS;
	r->way = from == WAY_SUBSCRIBE ? WAY_HTTP : WAY_RESP;
	log_write(LOG_INFO, "another way to CPA", LOG_Z("from", names[from]),
	    LOG_Z("to", names[r->way]));
}

static enum outcome
ask(struct reader *r)
{
	switch (r->way) {
	case WAY_SUBSCRIBE:
		return subscription(r);
	case WAY_RESP:
		return resp_pop(r);
	case WAY_HTTP:
		break;
	}
	return http_pop(r);
}

/* Ask once, or for as long as a subscription lasts, and wait as it went. */
static void
turn(struct reader *r)
{
	struct err e;

	if (reader_is_auto(r) && r->way != WAY_SUBSCRIBE &&
	    clock_mono_ms() >= r->higher_ms)
		r->way = WAY_SUBSCRIBE;
	switch (ask(r)) {
	case GOT_SOME:
		r->lively_until_ms = clock_mono_ms() + LIVELY_MS;
		break;
	case GOT_ERROR:
		wait_after_error(r);
		break;
	case GOT_UNSUPPORTED:
		next_way(r);
		break;
	case GOT_NO_ROOM:
		rest(r, NO_ROOM_MS);
		break;
	case GOT_NOTHING:
		if (spool_freshen(&r->d->spool, &e) != 0)
			log_write(LOG_WARN, "spool", LOG_Z("error", e.text));
		rest(r, poll_wait_ms(r));
		break;
	}
}

void *
reader_main(void *arg)
{
	struct daemon *d = arg;
	struct reader r = { .d = d };
	unsigned version = 0;
	struct err e;

	contact_init(&r.contact, &d->spool);
	buf_init(&r.held, HELD_MAX);
	buf_init(&r.frame, FRAME_MAX);
	if ((r.http = http_new(&e)) == NULL) {
		log_write(LOG_ERROR, "reader", LOG_Z("error", e.text));
		atomic_store(&d->failed, true);
		goto out;
	}
	while (!atomic_load(&d->stopping)) {
		reader_alive(&r);
		daemon_source(d, &r.source, &version);
		if (version != r.source_version) {
			r.source_version = version;
			begin_anew(&r);
		}
		if (!must_wait(&r))
			turn(&r);
	}
out:
	http_free(r.http);
	resp_link_close(&r.pop);
	buf_wipe(&r.held);
	buf_wipe(&r.frame);
	explicit_bzero(r.source.key, sizeof r.source.key);
	atomic_store(&d->reader_done, true);
	spool_wake(&d->spool);
	return NULL;
}
