/*
 * CPA's Pub/Sub: events as they are published, and beside it the queue, which
 * holds what came while nobody was subscribed.
 * contract/collector.md sections 1.5 and 3.1.
 *
 * CPA closes a subscriber that is 256 messages behind.  So nothing is done
 * here but copying: a burst of messages goes to the spool, one sync ends it.
 */
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "reader.h"

#define PING_MS 30000 /* of silence */
#define PONG_MS 10000 /* then a connection is taken for dead */
#define BURST_MESSAGES 2000
#define BURST_MS 25 /* under load a sync serves all messages of so long */
#define QUIET_MS 50 /* after a pause the first one is synced at once */
#define BURST_BYTES ((size_t)4 * 1024 * 1024)
#define FRESH_MS 1000         /* the open batch begins anew so often */
#define DRAIN_FAILED_MS 30000 /* until the queue is looked at again */

struct subscription {
	struct reader *r;
	struct resp_link link;
	int64_t messages; /* of the burst in hand */
	size_t bytes;
	int64_t burst_ms, ended_ms; /* monotonic: its first one; the last end */
	int64_t pinged_ms;          /* monotonic; 0: no answer is waited for */
	int64_t drain_ms;           /* monotonic: look at the queue then */
	int64_t fresh_ms;
	int64_t look_ms; /* at the configuration */
};

/* ---- beginning ----------------------------------------------------------- */

/* "*3 subscribe <channel> :1"; *e for anything else. */
static int
confirmed(struct subscription *s, struct err *e)
{
	struct resp_token t;
	struct str channel = str_of(s->r->source.queue);

	if (resp_link_reply(
		&s->link, NULL, s->r->d, resp_greeting_ms(s->r), &t, e) != 0)
		return -1;
	if (t.type == RESP_ERROR) {
		if (str_contains_nocase(t.text, STR("unknown command")) ||
		    str_contains_nocase(t.text, STR("unsupported")))
			return fail_code(e, ERR_UPSTREAM, "resp_unsupported",
			    "RESP server does not support SUBSCRIBE");
		return fail(e, ERR_UPSTREAM, "%.*s", STR_ARG(t.text));
	}
	if (t.type != RESP_ARRAY || t.number < 3)
		return fail_code(e, ERR_UPSTREAM, "resp_unsupported",
		    "unexpected SUBSCRIBE response: %.*s", STR_ARG(t.text));
	for (int64_t i = 0, n = t.number; i < n; i++) {
		if (resp_link_reply(&s->link, NULL, s->r->d,
			resp_greeting_ms(s->r), &t, e) != 0)
			return -1;
		if ((i == 0 && !str_eq_nocase(t.text, STR("subscribe"))) ||
		    (i == 1 && !str_eq(t.text, channel)))
			return fail_code(e, ERR_UPSTREAM, "resp_unsupported",
			    "unexpected SUBSCRIBE response: %.*s",
			    STR_ARG(t.text));
	}
	return 0;
}

/*
 * Subscribed, with an intent in the spool before the first message can come.
 */
static int
begin(struct subscription *s, enum outcome *outcome)
{
	struct reader *r = s->r;
	struct str words[] = { STR("SUBSCRIBE"), str_of(r->source.queue) };
	struct err e;

	if (resp_connect(r, &s->link, "subscribe", outcome) != 0) {
		/* whatever it was, the queue may still be reached over HTTP */
		if (reader_is_auto(r) && !r->refusal_told)
			*outcome = GOT_UNSUPPORTED;
		return -1;
	}
	if (reader_ask(r) != 0) {
		*outcome = GOT_NO_ROOM;
		return -1;
	}
	if (resp_link_send(&s->link, words, 2, &e) == 0 &&
	    confirmed(s, &e) == 0)
		return 0;
	spool_nothing(&r->d->spool);
	*outcome = reader_is_auto(r) ? GOT_UNSUPPORTED : GOT_ERROR;
	reader_tell(r, NULL, "subscribe", e.text,
	    "This CPA cannot be subscribed to; collect with mode auto or "
	    "http.");
	return -1;
}

/* ---- messages ------------------------------------------------------------ */

/* The burst is on the disk; the next batch is open. */
static int
end_burst(struct subscription *s)
{
	struct reader *r = s->r;

	if (s->messages == 0)
		return 0;
	reader_finish(r, SPOOL_END_OK);
	daemon_tell_consumed(r->d, clock_now_ms());
	s->messages = 0;
	s->bytes = 0;
	s->ended_ms = clock_mono_ms();
	return reader_ask(r);
}

/*
 * Milliseconds that the burst in hand may still grow.  What is in the file
 * survives this process without a sync; only a power cut would take it.
 */
static int64_t
burst_left_ms(const struct subscription *s)
{
	int64_t now_ms = clock_mono_ms();

	if (s->burst_ms - s->ended_ms > QUIET_MS)
		return 0;
	return s->burst_ms + BURST_MS - now_ms;
}

static int
take_message(struct subscription *s, struct str payload, struct err *e)
{
	struct reader *r = s->r;

	if (str_trim(payload).n == 0)
		return 0;
	buf_clear(&r->frame);
	resp_bulk(&r->frame, payload);
	if (r->frame.failed || reader_put(r, r->frame.p, r->frame.n) != 0)
		return fail(e, ERR_UPSTREAM, "out of memory");
	if (s->messages++ == 0)
		s->burst_ms = clock_mono_ms();
	s->bytes += r->frame.n;
	return 0;
}

/*
 * The bytes of one whole frame of what was received, 0 when it has not come
 * to its end, -1.
 */
static int64_t
frame_bytes(struct subscription *s, struct err *e)
{
	struct str rest = { s->link.in.p + s->link.at,
		s->link.in.n - s->link.at };
	struct str all = rest;
	struct resp_token t;
	int64_t values = 1;
	size_t need;
	int rc;

	for (; values > 0; values--) {
		if ((rc = resp_token(rest, &t, &need, e)) <= 0)
			return rc;
		if (t.type == RESP_ARRAY)
			values += t.number;
		rest.p += t.bytes;
		rest.n -= t.bytes;
	}
	return rest.p - all.p;
}

static int
bad_frame(const struct resp_token *t, struct err *e)
{
	switch (t->type) {
	case RESP_NUMBER:
		return fail(
		    e, ERR_UPSTREAM, "unexpected RESP frame type: int64");
	case RESP_ERROR:
		return fail(e, ERR_UPSTREAM, "%.*s", STR_ARG(t->text));
	default:
		return fail(e, ERR_UPSTREAM, "unexpected RESP value: \"%.*s\"",
		    (int)(t->text.n < 200 ? t->text.n : 200), t->text.p);
	}
}

/* One frame: a message is kept, an answer to a command passed over. */
static int
take_frame(struct subscription *s, struct err *e)
{
	struct resp_token t, kind, last = { .type = RESP_NIL };
	int64_t n;

	if (resp_link_token(&s->link, &t, e) != 1)
		return -1;
	if (t.type == RESP_SIMPLE && str_eq_nocase(t.text, STR("PONG")))
		return 0;
	if (t.type != RESP_ARRAY)
		return bad_frame(&t, e);
	n = t.number;
	if (n == 0 || resp_link_token(&s->link, &kind, e) != 1)
		return n == 0 ? 0 : -1;
	/* all of it has been received: nothing moves in between */
	for (int64_t i = 1; i < n; i++) {
		if (resp_link_token(&s->link, &last, e) != 1)
			return -1;
		if (last.type == RESP_ARRAY)
			n += last.number;
	}
	if (n == 3 && str_eq_nocase(kind.text, STR("message")))
		return take_message(s, last.text, e);
	if (str_eq_nocase(kind.text, STR("pong")) ||
	    str_eq_nocase(kind.text, STR("subscribe")) ||
	    str_eq_nocase(kind.text, STR("unsubscribe")))
		return 0;
	return fail(e, ERR_UPSTREAM, "unsupported subscribe frame: [%.*s]",
	    (int)(kind.text.n < 60 ? kind.text.n : 60), kind.text.p);
}

/* All frames that have been received; whole ones only. */
static int
take_frames(struct subscription *s, struct err *e)
{
	int64_t n;

	while (s->link.in.n > s->link.at) {
		if ((n = frame_bytes(s, e)) < 0)
			return -1;
		if (n == 0)
			break;
		s->pinged_ms = 0;
		if (take_frame(s, e) != 0)
			return -1;
		if (s->messages >= BURST_MESSAGES || s->bytes >= BURST_BYTES)
			if (end_burst(s) != 0)
				return fail_code(
				    e, ERR_UNAVAILABLE, "no_room", "no room");
	}
	buf_consume(&s->link.in, s->link.at);
	s->link.at = 0;
	return 0;
}

/* Everything that is there, to the disk. */
static int
receive(struct subscription *s, struct err *e)
{
	int64_t n;

	/* some of it may have come while the queue was asked */
	do {
		if (take_frames(s, e) != 0 ||
		    (n = resp_link_fill(&s->link, e)) < 0)
			return -1;
	} while (n > 0);
	if (s->messages == 0 || burst_left_ms(s) > 0 || end_burst(s) == 0)
		return 0;
	return fail_code(e, ERR_UNAVAILABLE, "no_room", "no room");
}

/* ---- the queue beside it ------------------------------------------------- */

/*
 * Empty the queue, which holds what was published while nobody listened.
 * Messages that come meanwhile wait in the socket.
 */
static int
drain(struct subscription *s)
{
	struct reader *r = s->r;
	int64_t wait_ms = r->source.poll_interval_ms;
	enum outcome outcome;

	if (end_burst(s) != 0)
		return -1;
	r->draining = true;
	r->beside = &s->link;
	do {
		spool_nothing(&r->d->spool);
		outcome = r->drain_way == WAY_HTTP ? http_pop(r) : resp_pop(r);
	} while (outcome == GOT_SOME && !atomic_load(&r->d->stopping));
	if (outcome == GOT_UNSUPPORTED) {
		if (reader_is_auto(r) && r->drain_way == WAY_HTTP) {
			r->drain_way = WAY_RESP;
			wait_ms = 0;
		} else {
			wait_ms = DRAIN_FAILED_MS;
		}
	} else if (outcome == GOT_ERROR) {
		wait_ms = DRAIN_FAILED_MS;
	}
	r->draining = false;
	r->beside = NULL;
	/* with what has come to light meanwhile */
	if (outcome == GOT_NOTHING)
		reader_tell_running(r, "subscribe");
	s->drain_ms = clock_mono_ms() + wait_ms;
	spool_nothing(&r->d->spool);
	return reader_ask(r);
}

/* ---- while it lasts ------------------------------------------------------ */

/* A connection that is silent is asked whether it lives. */
static int
ping(struct subscription *s, struct err *e)
{
	const struct str words[] = { STR("PING") };
	int64_t now_ms = clock_mono_ms();

	if (s->pinged_ms != 0 && now_ms - s->pinged_ms > PONG_MS)
		return fail(e, ERR_UPSTREAM, "no answer to PING");
	if (s->pinged_ms != 0 || now_ms - s->link.heard_ms < PING_MS)
		return 0;
	s->pinged_ms = now_ms;
	return resp_link_send(&s->link, words, 1, e);
}

/*
 * Once a second while nothing comes: the open batch begins now and not hours
 * ago, and events that were stored leave the disk.
 */
static int
freshen(struct subscription *s)
{
	struct daemon *d = s->r->d;
	struct err e;

	if (clock_mono_ms() < s->fresh_ms)
		return 0;
	s->fresh_ms = clock_mono_ms() + FRESH_MS;
	if (end_burst(s) != 0)
		return -1;
	spool_nothing(&d->spool);
	if (spool_freshen(&d->spool, &e) != 0)
		log_write(LOG_WARN, "spool", LOG_Z("error", e.text));
	return reader_ask(s->r);
}

static int64_t
until_next(const struct subscription *s)
{
	int64_t now_ms = clock_mono_ms(), next_ms = s->fresh_ms;

	if (s->drain_ms < next_ms)
		next_ms = s->drain_ms;
	if (s->messages > 0 && burst_left_ms(s) < next_ms - now_ms)
		return burst_left_ms(s) > 0 ? burst_left_ms(s) : 0;
	return next_ms > now_ms ? next_ms - now_ms : 0;
}

/*
 * Until the end, another configuration, or a failure: -1 with *e, kind
 * ERR_NONE when it was we who left.
 */
static int
listen_on(struct subscription *s, struct err *e)
{
	struct reader *r = s->r;

	for (;;) {
		reader_alive(r);
		if (receive(s, e) != 0 || ping(s, e) != 0)
			return -1;
		reader_in_touch(r);
		if (reader_must_leave(r)) {
			err_clear(e);
			return -1;
		}
		if ((clock_mono_ms() >= s->drain_ms && drain(s) != 0) ||
		    freshen(s) != 0)
			return fail_code(
			    e, ERR_UNAVAILABLE, "no_room", "no room");
		resp_link_wait(&s->link, r->d, until_next(s));
	}
}

/* Say goodbye, and take what CPA has sent before it hears it. */
static void
leave(struct subscription *s)
{
	const struct str words[] = { STR("UNSUBSCRIBE") };
	int64_t until_ms = clock_mono_ms() + 1000;
	struct err e;

	if (resp_link_send(&s->link, words, 1, &e) != 0)
		return;
	while (receive(s, &e) == 0 && clock_mono_ms() < until_ms)
		resp_link_wait(&s->link, s->r->d, until_ms - clock_mono_ms());
}

enum outcome
subscription(struct reader *r)
{
	struct subscription s = { .r = r };
	enum outcome outcome;
	struct err e;

	if (begin(&s, &outcome) != 0) {
		resp_link_close(&s.link);
		return outcome;
	}
	reader_tell_running(r, "subscribe");
	listen_on(&s, &e);
	if (e.kind == ERR_NONE || e.kind == ERR_UNAVAILABLE)
		leave(&s);
	if (e.kind == ERR_UPSTREAM) {
		/* what CPA sent last may not have come */
		reader_finish(r, SPOOL_END_DROPPED);
		reader_tell(r, "subscribe", "subscribe", e.text,
		    "The subscription broke off; what is missing stands in "
		    "the list of gaps.");
		outcome = GOT_ERROR;
	} else {
		if (s.messages > 0)
			reader_finish(r, SPOOL_END_OK);
		else
			spool_nothing(&r->d->spool);
		outcome = e.kind == ERR_NONE ? GOT_SOME : GOT_NO_ROOM;
	}
	resp_link_close(&s.link);
	return outcome;
}
