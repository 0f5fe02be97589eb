#include "contact.h"

#include <stdio.h>

#include "clock.h"
#include "log.h"

#define RETENTION_MS 60000 /* CPA's default */
#define SLACK_MS 2000      /* a slow answer is no outage */
#define TOUCH_MS 1000      /* the spool remembers to the second */

void
contact_init(struct contact *c, const struct spool *s)
{
	*c = (struct contact){ .last_ms = s->alive_ms,
		.retention_ms = RETENTION_MS };
}

/* How long nobody was in touch; across a start by the time of day. */
static int64_t
silence_ms(const struct contact *c)
{
	if (c->last_mono_ms != 0)
		return clock_mono_ms() - c->last_mono_ms;
	return clock_now_ms() - c->last_ms;
}

static void
tell_gap(struct contact *c, struct daemon *d, int64_t silence)
{
	int64_t now_ms = clock_now_ms();
	struct daemon_gap gap = { .from_ms = now_ms - silence };
	const char *what =
	    c->began ? "CPA was not reached" : "collectord did not run";

	if (silence > c->retention_ms + SLACK_MS) {
		/* what came after that was still in CPA's queue */
		gap.to_ms = c->was_gone ? now_ms : now_ms - c->retention_ms;
		text_set(gap.reason, sizeof gap.reason,
		    c->began ? "cpa_unreachable" : "collector_down");
		snprintf(gap.detail, sizeof gap.detail,
		    "%s for %lld s; CPA keeps events for %lld s", what,
		    (long long)(silence / 1000),
		    (long long)(c->retention_ms / 1000));
	} else if (c->was_gone) {
		gap.to_ms = now_ms;
		text_set(gap.reason, sizeof gap.reason, "cpa_restarted");
		text_set(gap.detail, sizeof gap.detail,
		    "CPA was down: what its queue held is lost");
	} else {
		return;
	}
	daemon_tell_gap(d, &gap);
}

void
contact_made(struct contact *c, struct daemon *d)
{
	int64_t silence = silence_ms(c);

	if (c->last_ms != 0)
		tell_gap(c, d, silence);
	/* the clock may be set; what has passed is counted apart */
	c->last_ms = clock_now_ms();
	c->last_mono_ms = clock_mono_ms();
	if (c->last_mono_ms - c->touched_mono_ms >= TOUCH_MS) {
		spool_touch(&d->spool);
		c->touched_mono_ms = c->last_mono_ms;
	}
	c->was_gone = false;
	c->began = true;
}

void
contact_failed(struct contact *c, bool refused)
{
	c->was_gone |= refused && c->last_ms != 0;
}
