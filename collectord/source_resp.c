/*
 * CPA's queue over RESP: AUTH, then LPOP or RPOP with a count.
 * contract/collector.md sections 1.5 and 3.3.
 */
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "reader.h"

#define REPLY_MS 30000
#define BESIDE_MS 5000 /* the subscription is not read meanwhile */
#define TRIAL_MS 5000  /* there is another way, which waits for this one */

static int64_t
reply_ms(const struct reader *r)
{
	return r->draining ? BESIDE_MS : REPLY_MS;
}

int64_t
resp_greeting_ms(const struct reader *r)
{
	return reader_is_auto(r) ? TRIAL_MS : REPLY_MS;
}

/* What can be done about an error of RESP. */
static const char *
hint_of(const struct err *e)
{
	struct str text = str_of(e->text);

	if (strcmp(err_code(e), "resp_prefix") == 0)
		return "A web server answers there, not CPA itself: enter "
		       "CPA's own address, or collect with mode auto or http.";
	if (str_contains(text, STR("banned")))
		return BANNED_HINT;
	if (str_contains(text, STR("unsupported channel")))
		return "CPA knows no queue of that name; it is \"usage\".";
	if (str_contains(text, STR("remote management key not set")))
		return "Set remote-management.secret-key in CPA's "
		       "configuration.";
	return "See CPA's log.";
}

static bool
is_refusal(struct str text)
{
	return str_contains(text, STR("invalid management key")) ||
	       str_contains(text, STR("IP banned"));
}

int
resp_connect(struct reader *r, struct resp_link *l, const char *transport,
    enum outcome *outcome)
{
	struct str words[] = { STR("AUTH"), str_of(r->source.key) };
	struct resp_token t;
	struct err e;

	*outcome = GOT_ERROR;
	if (!resp_link_open(l, r->d, &r->source, &e)) {
		reader_tell(r, NULL, "connect", e.text, UNREACHED_HINT);
		return -1;
	}
	if (resp_link_send(l, words, 2, &e) != 0 ||
	    resp_link_reply(l, r->beside, r->d, resp_greeting_ms(r), &t, &e) !=
		0) {
		if (strcmp(err_code(&e), "resp_prefix") == 0)
			*outcome = GOT_UNSUPPORTED;
		reader_tell(r, NULL, "auth", e.text, hint_of(&e));
		resp_link_close(l);
		return -1;
	}
	if (t.type == RESP_ERROR) {
		fail(&e, ERR_UPSTREAM, "%.*s", STR_ARG(t.text));
		if (is_refusal(t.text)) {
			reader_tell(r, transport, "auth", e.text,
			    str_contains(t.text, STR("banned")) ? BANNED_HINT :
								  REFUSED_HINT);
			reader_refused(r);
		} else {
			*outcome = GOT_UNSUPPORTED;
			reader_tell(r, NULL, "auth", e.text, hint_of(&e));
		}
		resp_link_close(l);
		return -1;
	}
	return 0;
}

/* An element of the answer, which is an event. */
static int
take(struct reader *r, struct str item)
{
	buf_clear(&r->frame);
	resp_bulk(&r->frame, item);
	if (r->frame.failed)
		return -1;
	return reader_put(r, r->frame.p, r->frame.n);
}

/*
 * Elements as they come, each whole, into the spool; *n of them.  0, or -1
 * with *e when the answer broke off.
 */
static int
take_answer(struct reader *r, int64_t *n, struct err *e)
{
	struct resp_token t;
	int64_t left = 1;

	*n = 0;
	if (resp_link_reply(&r->pop, r->beside, r->d, reply_ms(r), &t, e) != 0)
		return -1;
	if (t.type == RESP_ERROR)
		return fail_code(
		    e, ERR_UPSTREAM, "resp_error", "%.*s", STR_ARG(t.text));
	if (t.type == RESP_NUMBER)
		return fail_code(e, ERR_UPSTREAM, "resp_error",
		    "unexpected RESP pop response int64");
	if (t.type == RESP_NIL)
		return 0;
	if (t.type == RESP_ARRAY)
		left = t.number;
	for (bool one = t.type != RESP_ARRAY; left > 0; left--, one = false) {
		if (!one && resp_link_reply(&r->pop, r->beside, r->d,
				reply_ms(r), &t, e) != 0)
			return -1;
		if (t.type == RESP_ARRAY)
			left += t.number;
		if ((t.type != RESP_BULK && t.type != RESP_SIMPLE) ||
		    t.text.n == 0)
			continue;
		if (take(r, t.text) != 0)
			return fail(e, ERR_UPSTREAM, "out of memory");
		++*n;
	}
	return 0;
}

/* The answer did not come, or not whole. */
static enum outcome
answer_failed(struct reader *r, const struct err *e)
{
	bool refused = strcmp(err_code(e), "resp_error") == 0;
	bool alien = strcmp(err_code(e), "resp_prefix") == 0;

	/* an error in place of an answer took nothing off the queue */
	if (r->spooled || !(refused || alien))
		reader_finish(r, SPOOL_END_BROKEN);
	else
		spool_nothing(&r->d->spool);
	reader_tell(r, "resp", "consume", e->text,
	    refused || alien ? hint_of(e) : BROKEN_OFF_HINT);
	resp_link_close(&r->pop);
	return refused ? GOT_UNSUPPORTED : GOT_ERROR;
}

enum outcome
resp_pop(struct reader *r)
{
	char count[24];
	struct str words[] = {
		strcmp(r->source.side, "left") == 0 ? STR("LPOP") : STR("RPOP"),
		str_of(r->source.queue), { count, 0 }
	};
	enum outcome outcome;
	struct err e;
	int64_t n;

	/* what CPA has closed meanwhile must not be asked */
	if (r->pop.stream != NULL && resp_link_fill(&r->pop, NULL) != 0)
		resp_link_close(&r->pop);
	if (r->pop.stream == NULL &&
	    resp_connect(r, &r->pop, "resp", &outcome) != 0)
		return outcome;
	if (reader_ask(r) != 0)
		return GOT_NO_ROOM;
	words[2].n = (size_t)snprintf(
	    count, sizeof count, "%lld", (long long)r->source.batch_size);
	if (resp_link_send(&r->pop, words, 3, &e) != 0 ||
	    take_answer(r, &n, &e) != 0)
		return answer_failed(r, &e);
	if (n == 0)
		spool_nothing(&r->d->spool);
	else
		reader_finish(r, SPOOL_END_OK);
	if (n > 0)
		daemon_tell_consumed(r->d, clock_now_ms());
	reader_tell_running(r, "resp");
	return n > 0 ? GOT_SOME : GOT_NOTHING;
}
