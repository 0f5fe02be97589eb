/*
 * The reader: CPA's queue over HTTP, into the spool.
 *
 * contract/collector.md section 3.2 has the answers and the texts.  A request
 * takes events off the queue for good, so it is announced in the spool first
 * and never sent twice.
 */
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "daemon.h"
#include "http.h"
#include "log.h"

#define CONNECT_MS 10000
#define TOTAL_MS 30000
#define DRAIN_MS 10000     /* an answer may still take so long at the end */
#define LIVELY_MS 10000    /* so long after an event ... */
#define LIVELY_POLL_MS 200 /* ... the queue is asked at least so often */
#define BACKOFF_FIRST_MS 1000
#define BACKOFF_LAST_MS 30000
#define ANSWER_MAX ((size_t)256 * 1024 * 1024)
#define HELD_MAX ((size_t)64 * 1024 * 1024)
#define REFUSED_HINT                                                           \
	"CPA refuses the management key: enter it again. It is not tried "     \
	"again before that or before ten minutes have passed, since CPA bans " \
	"addresses."
#define BLANK_MAX 16 /* an empty answer is shorter: "[]", "null" */
#define NAP_MS 10000 /* the watchdog wants to see life so often */
#define REST_MAX_MS ((int64_t)24 * 3600 * 1000)
#define NO_ROOM_MS 1000 /* until it is looked whether there is room again */

struct reader {
	struct daemon *d;
	struct http *http;
	struct source_config source;
	unsigned source_version;
	int64_t backoff_ms;
	int64_t lively_until_ms; /* monotonic */
	int64_t stop_seen_ms;
	/* the answer in hand */
	char head[BLANK_MAX]; /* its first bytes, until there are more */
	size_t head_n;
	char first, last;  /* first and latest byte but white space, 0: none */
	bool spooled;      /* something of it is in the spool */
	struct buf held;   /* what a full disk did not take */
	char logged[600];  /* the trouble that the log has last */
	bool refusal_told; /* the state says why nothing is asked */
};

enum outcome {
	GOT_SOME,    /* ask again at once */
	GOT_NOTHING, /* wait for the poll interval */
	GOT_ERROR,   /* back off */
	GOT_NO_ROOM  /* nothing was asked: look again soon */
};

/* Wait so long, or until there is something new to know. */
static void
rest(struct reader *r, int64_t ms)
{
	int64_t until = clock_mono_ms() + (ms < REST_MAX_MS ? ms : REST_MAX_MS);

	for (int64_t left; (left = until - clock_mono_ms()) > 0;) {
		atomic_store(&r->d->reader_alive_ms, clock_mono_ms());
		if (daemon_sleep(r->d, left < NAP_MS ? left : NAP_MS))
			return;
	}
}

/* The end has come and what it may still take is over. */
static bool
out_of_time(struct reader *r)
{
	if (!atomic_load(&r->d->stopping))
		return false;
	if (r->stop_seen_ms == 0)
		r->stop_seen_ms = clock_mono_ms();
	return clock_mono_ms() - r->stop_seen_ms > DRAIN_MS;
}

/* ---- the answer's way into the spool ---- */

static int
put(struct reader *r, const char *p, size_t n)
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

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static int
on_bytes(void *arg, const char *p, size_t n)
{
	struct reader *r = arg;
	size_t i = 0;

	atomic_store(&r->d->reader_alive_ms, clock_mono_ms());
	while (r->first == 0 && i < n && is_blank(p[i]))
		i++;
	p += i;
	n -= i;
	if (n == 0)
		return 0;
	if (r->first == 0)
		r->first = p[0];
	for (i = n; i > 0 && is_blank(p[i - 1]); i--)
		;
	if (i > 0)
		r->last = p[i - 1];
	if (!r->spooled && r->head_n + n <= sizeof r->head) {
		memcpy(r->head + r->head_n, p, n);
		r->head_n += n;
		return 0;
	}
	/* only a list can be CPA's queue: no page is kept as events */
	if (r->first != '[') {
		r->head_n = sizeof r->head + 1;
		return 0;
	}
	if (!r->spooled && put(r, r->head, r->head_n) != 0)
		return -1;
	return put(r, p, n);
}

/* An answer that says that nothing is there: "[]" or "null". */
static bool
is_empty(const struct reader *r)
{
	struct str s;

	if (r->spooled || r->head_n > sizeof r->head)
		return false;
	s = str_trim((struct str){ r->head, r->head_n });
	if (s.n >= 2 && s.p[0] == '[' && s.p[s.n - 1] == ']')
		return str_trim((struct str){ s.p + 1, s.n - 2 }).n == 0;
	return str_eq(s, STR("null"));
}

static bool
break_off(void *arg)
{
	struct reader *r = arg;

	atomic_store(&r->d->reader_alive_ms, clock_mono_ms());
	return out_of_time(r);
}

/*
 * Bring the batch to its end on the disk; waits for room as long as it takes,
 * since what was taken off the queue exists nowhere else.
 */
static void
finish(struct reader *r, enum spool_end how)
{
	struct daemon *d = r->d;
	struct err e;

	for (;;) {
		atomic_store(&d->reader_alive_ms, clock_mono_ms());
		if ((r->held.n == 0 ||
			spool_data(&d->spool, r->held.p, r->held.n, &e) == 0)) {
			buf_clear(&r->held);
			if (spool_done(&d->spool, how,
				(unsigned)r->source.batch_size, &e) == 0)
				return;
		}
		daemon_tell(d, "error", NULL, e.text,
		    "Make room on the disk of the data directory.");
		if (out_of_time(r)) {
			log_write(LOG_ERROR, "batch not written at the end",
			    LOG_Z("error", e.text),
			    LOG_INT("bytes", r->held.n));
			return;
		}
		daemon_pause(d, NO_ROOM_MS);
	}
}

/* ---- what went wrong ---- */

static void
tell(struct reader *r, const char *error, const char *hint)
{
	char text[600];

	snprintf(text, sizeof text, "http: %s", error);
	daemon_tell(r->d, "error", "http", text, hint);
	if (strcmp(r->logged, text) != 0)
		log_write(LOG_WARN, "queue not read", LOG_Z("error", text));
	text_set(r->logged, sizeof r->logged, text);
}

static void
tell_running(struct reader *r)
{
	const char *mode = r->source.mode, *hint = "";

	if (strcmp(mode, "resp") == 0 || strcmp(mode, "subscribe") == 0)
		hint = "This version collects over HTTP, whatever the "
		       "collector mode says.";
	daemon_tell(r->d, "running", "http", "", hint);
	if (r->logged[0] != '\0')
		log_line(LOG_INFO, "queue is read again");
	r->logged[0] = '\0';
}

/* A 2xx answer that is no list: it is not CPA that answers. */
static void
tell_alien(struct reader *r)
{
	char text[96];

	if (r->first == 0)
		text_set(text, sizeof text, "EOF");
	else if (r->first == '{')
		text_set(text, sizeof text,
		    "json: cannot unmarshal object into Go value of type "
		    "[]json.RawMessage");
	else
		snprintf(text, sizeof text,
		    r->first > ' ' && r->first < 127 ?
			"invalid character '%c' looking for beginning of "
			"value" :
			"invalid character 0x%02x looking for beginning of "
			"value",
		    (unsigned char)r->first);
	tell(r, text,
	    "Something else than CPA's usage queue answers there: check the "
	    "address.");
}

/* An answer other than 2xx: the contract's text, and what to do about it. */
static void
tell_status(struct reader *r, const struct http_answer *a)
{
	struct str body = str_trim(buf_view(&a->body));
	char line[96], text[480];
	const char *hint = "See CPA's log.";

	http_status_line(a, line, sizeof line);
	if (body.n > 300)
		body.n = 300;
	if (a->status == 404 || a->status == 405 || a->status == 501) {
		snprintf(text, sizeof text,
		    "http usage queue is unsupported: %s", line);
		hint = "CPA v6.10.8 or newer is needed, with a management key "
		       "of its own (remote-management.secret-key).";
	} else
		snprintf(text, sizeof text,
		    "usage queue request failed: %s%s%.*s", line,
		    body.n > 0 ? ": " : "", STR_ARG(body));
	if (a->status / 100 == 3)
		hint = "Enter the address that CPA is at, not one that leads "
		       "elsewhere.";
	if (a->status == 401)
		hint = REFUSED_HINT;
	else if (a->status == 403)
		hint = "CPA has banned this address or does not allow remote "
		       "management (allow-remote: true).";
	if (a->status == 401 || a->status == 403) {
		r->refusal_told = true;
		daemon_tell_refused(r->d, r->source_version);
	}
	tell(r, text, hint);
}

static void
wait_after_error(struct reader *r)
{
	rest(r, r->backoff_ms);
	r->backoff_ms *= 2;
	if (r->backoff_ms > BACKOFF_LAST_MS)
		r->backoff_ms = BACKOFF_LAST_MS;
}

/* ---- one batch ---- */

/* A 2xx answer has come to its end. */
static enum outcome
take_answer(struct reader *r)
{
	struct daemon *d = r->d;

	if (is_empty(r)) {
		spool_nothing(&d->spool);
		r->backoff_ms = BACKOFF_FIRST_MS;
		tell_running(r);
		return GOT_NOTHING;
	}
	if (r->first != '[') {
		spool_nothing(&d->spool);
		tell_alien(r);
		return GOT_ERROR;
	}
	if (!r->spooled)
		(void)put(r, r->head, r->head_n);
	/* without a length an answer that is cut looks like a whole one */
	finish(r, r->last == ']' ? SPOOL_END_OK : SPOOL_END_BROKEN);
	daemon_tell_consumed(d, clock_now_ms());
	if (r->last != ']') {
		tell(r, "unexpected EOF",
		    "The answer broke off; what is missing stands in the "
		    "list of gaps.");
		return GOT_ERROR;
	}
	r->backoff_ms = BACKOFF_FIRST_MS;
	tell_running(r);
	return GOT_SOME;
}

/* Ask for one batch. */
static enum outcome
ask(struct reader *r)
{
	struct daemon *d = r->d;
	struct http_answer answer;
	struct http_call call = {
		.method = "GET",
		.bearer = r->source.key,
		.connect_ms = CONNECT_MS,
		.total_ms = TOTAL_MS,
		.body_limit_bytes = ANSWER_MAX,
		.follow = true,
		.insecure_tls = r->source.tls_skip_verify,
		.once = true,
		.sink = on_bytes,
		.sink_to = r,
		.stop = break_off,
		.stop_arg = r,
	};
	enum outcome outcome = GOT_ERROR;
	char url[1200];
	struct err e;
	int rc;

	snprintf(url, sizeof url, "%s/v0/management/usage-queue?count=%lld",
	    r->source.base, (long long)r->source.batch_size);
	call.url = url;
	r->head_n = 0;
	r->first = r->last = 0;
	r->spooled = false;
	if (spool_ask(&d->spool, (unsigned)r->source.batch_size, &e) != 0) {
		tell(r, e.text,
		    "CPA is not asked while its events could not be kept.");
		return GOT_NO_ROOM;
	}
	rc = http_do(r->http, &call, &answer, &e);
	if (rc == 0 && answer.status / 100 == 2) {
		outcome = take_answer(r);
	} else if (rc == 0) {
		/* a gateway's time-out: the question went on to CPA */
		if (answer.status == 504)
			finish(r, SPOOL_END_BROKEN);
		else
			spool_nothing(&d->spool);
		tell_status(r, &answer);
	} else {
		if (!r->spooled && r->first == '[')
			(void)put(r, r->head, r->head_n);
		if (answer.sent || r->spooled)
			finish(r, SPOOL_END_BROKEN);
		else
			spool_nothing(&d->spool);
		tell(r, e.text,
		    answer.sent ?
			"The answer broke off; what is missing stands in the "
			"list of gaps." :
			"CPA is not reached: is it running, and is its "
			"address right?");
	}
	http_answer_free(&answer);
	return outcome;
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
			tell(r, "CPA refused the management key", REFUSED_HINT);
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

/* Another connection, or the same with a clean slate. */
static void
begin_anew(struct reader *r)
{
	r->refusal_told = false;
	if (r->source.enabled)
		daemon_tell(r->d, "starting", "", "", "");
}

void *
reader_main(void *arg)
{
	struct daemon *d = arg;
	struct reader r = { .d = d, .backoff_ms = BACKOFF_FIRST_MS };
	unsigned version = 0;
	struct err e;

	buf_init(&r.held, HELD_MAX);
	if ((r.http = http_new(&e)) == NULL) {
		log_write(LOG_ERROR, "reader", LOG_Z("error", e.text));
		atomic_store(&d->failed, true);
		goto out;
	}
	while (!atomic_load(&d->stopping)) {
		atomic_store(&d->reader_alive_ms, clock_mono_ms());
		daemon_source(d, &r.source, &version);
		if (version != r.source_version) {
			r.source_version = version;
			r.backoff_ms = BACKOFF_FIRST_MS;
			/* the refusal itself comes back as such a change */
			if (r.source.refused_until_ms == 0)
				begin_anew(&r);
		}
		if (must_wait(&r))
			continue;
		switch (ask(&r)) {
		case GOT_SOME:
			r.lively_until_ms = clock_mono_ms() + LIVELY_MS;
			break;
		case GOT_ERROR:
			wait_after_error(&r);
			break;
		case GOT_NO_ROOM:
			rest(&r, NO_ROOM_MS);
			break;
		case GOT_NOTHING:
			if (spool_freshen(&d->spool, &e) != 0)
				log_write(
				    LOG_WARN, "spool", LOG_Z("error", e.text));
			rest(&r, poll_wait_ms(&r));
			break;
		}
	}
out:
	http_free(r.http);
	buf_free(&r.held);
	explicit_bzero(r.source.key, sizeof r.source.key);
	atomic_store(&d->reader_done, true);
	spool_wake(&d->spool);
	return NULL;
}
