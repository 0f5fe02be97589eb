/*
 * CPA's queue over HTTP.
 *
 * contract/collector.md section 3.2 has the answers and the texts.  A request
 * takes events off the queue for good, so it is announced in the spool first
 * and never sent twice.
 */
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "reader.h"

#define CONNECT_MS 10000
#define TOTAL_MS 30000
#define BESIDE_MS 5000 /* the subscription is not read meanwhile */
#define ANSWER_MAX ((size_t)256 * 1024 * 1024)

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

	reader_alive(r);
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
	if (!r->spooled && reader_put(r, r->head, r->head_n) != 0)
		return -1;
	return reader_put(r, p, n);
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

	reader_alive(r);
	if (r->beside != NULL)
		resp_link_listen(r->beside);
	return reader_out_of_time(r);
}

/* ---- what went wrong ---- */

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
	reader_tell(r, "http", "http", text,
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
		hint = BANNED_HINT;
	if (a->status == 401 || a->status == 403)
		reader_refused(r);
	reader_tell(r, "http", "http", text, hint);
}

/* ---- one batch ---- */

/* A 2xx answer has come to its end. */
static enum outcome
take_answer(struct reader *r)
{
	struct daemon *d = r->d;

	if (is_empty(r)) {
		spool_nothing(&d->spool);
		reader_tell_running(r, "http");
		return GOT_NOTHING;
	}
	if (r->first != '[') {
		spool_nothing(&d->spool);
		tell_alien(r);
		return GOT_ERROR;
	}
	if (!r->spooled)
		(void)reader_put(r, r->head, r->head_n);
	/* without a length an answer that is cut looks like a whole one */
	reader_finish(r, r->last == ']' ? SPOOL_END_OK : SPOOL_END_BROKEN);
	daemon_tell_consumed(d, clock_now_ms());
	if (r->last != ']') {
		reader_tell(
		    r, "http", "http", "unexpected EOF", BROKEN_OFF_HINT);
		return GOT_ERROR;
	}
	reader_tell_running(r, "http");
	return GOT_SOME;
}

enum outcome
http_pop(struct reader *r)
{
	struct daemon *d = r->d;
	struct http_answer answer;
	struct http_call call = {
		.method = "GET",
		.bearer = r->source.key,
		.connect_ms = CONNECT_MS,
		.total_ms = r->draining ? BESIDE_MS : TOTAL_MS,
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
	if (reader_ask(r) != 0)
		return GOT_NO_ROOM;
	rc = http_do(r->http, &call, &answer, &e);
	if (rc == 0 && answer.status / 100 == 2) {
		outcome = take_answer(r);
	} else if (rc == 0) {
		/* a gateway's time-out: the question went on to CPA */
		if (answer.status == 504)
			reader_finish(r, SPOOL_END_BROKEN);
		else
			spool_nothing(&d->spool);
		tell_status(r, &answer);
		if (answer.status == 404 || answer.status == 405 ||
		    answer.status == 501)
			outcome = GOT_UNSUPPORTED;
	} else {
		if (!r->spooled && r->first == '[')
			(void)reader_put(r, r->head, r->head_n);
		if (answer.sent || r->spooled)
			reader_finish(r, SPOOL_END_BROKEN);
		else
			spool_nothing(&d->spool);
		reader_tell(r, "http", "http", e.text,
		    answer.sent ? BROKEN_OFF_HINT : UNREACHED_HINT);
	}
	http_answer_free(&answer);
	return outcome;
}
