/*
 * What the quota windows come to: contract/collector.md section 6.10.1.
 */
#include "model/metadata_impl.h"

#include <math.h>

struct window {
	struct str source;
	enum meta used, reset_at, minutes, first, last;
};

static const struct window windows[] = {
	{ { "primary", 7 }, META_quota_primary_used_percent,
	    META_quota_primary_reset_at_ms, META_quota_primary_window_minutes,
	    META_quota_primary_used_percent,
	    META_quota_primary_window_minutes },
	{ { "secondary", 9 }, META_quota_secondary_used_percent,
	    META_quota_secondary_reset_at_ms,
	    META_quota_secondary_window_minutes,
	    META_quota_secondary_used_percent,
	    META_quota_secondary_window_minutes },
};

#define WINDOWS (sizeof windows / sizeof *windows)

static bool
exists(const struct metadata *m, const struct window *w)
{
	for (int i = (int)w->first; i <= (int)w->last; i++)
		if (m->v[i].set)
			return true;
	return false;
}

static int64_t
reset_of(const struct metadata *m, const struct window *w)
{
	return m->v[w->reset_at].set ? m->v[w->reset_at].whole : 0;
}

static struct str
kind_of(const struct metadata *m, const struct window *w)
{
	double minutes = m->v[w->minutes].set ? m->v[w->minutes].real : 0;

	if (fabs(minutes - 300) <= 0.001)
		return STR("five_hour");
	if (fabs(minutes - 10080) <= 0.001)
		return STR("weekly");
	if (minutes >= 40320 - 0.001 && minutes <= 44640 + 0.001)
		return STR("monthly");
	return STR("unknown");
}

/* The fullest window; of equally full ones the one that is reset later. */
static const struct window *
fullest(const struct metadata *m)
{
	const struct window *best = NULL;

	for (size_t i = 0; i < WINDOWS; i++) {
		const struct window *w = &windows[i];
		double used;

		if (!m->v[w->used].set)
			continue;
		used = m->v[w->used].real;
		if (best == NULL || used > m->v[best->used].real ||
		    (used >= m->v[best->used].real &&
			reset_of(m, w) > reset_of(m, best)))
			best = w;
	}
	return best;
}

/* The window whose limit is reached, as the provider names it, else by use. */
static const struct window *
reached(const struct metadata *m)
{
	struct str named = meta_text(m, META_quota_rate_limit_reached_type);
	const struct window *best = NULL;

	for (size_t i = 0; i < WINDOWS; i++)
		if (str_eq_nocase(named, windows[i].source) &&
		    exists(m, &windows[i]))
			return &windows[i];
	for (size_t i = 0; i < WINDOWS; i++) {
		const struct window *w = &windows[i];

		if (m->v[w->used].set && m->v[w->used].real >= 100 &&
		    (best == NULL || reset_of(m, w) > reset_of(m, best)))
			best = w;
	}
	return best;
}

static void
summarise(struct metadata *m)
{
	const struct window *w = fullest(m);
	struct meta_value *at = &m->v[META_quota_recover_at_ms];

	if (w != NULL) {
		meta_set_real(m, META_quota_used_percent, m->v[w->used].real);
		at->set = true;
		at->whole = reset_of(m, w);
		meta_set_text(m, META_quota_summary_window_kind, kind_of(m, w));
		meta_set_text(m, META_quota_summary_window_source, w->source);
		return;
	}
	if (!m->v[META_quota_used_percent].set && !(at->set && at->whole != 0))
		return;
	if (!m->v[META_quota_summary_window_kind].set)
		meta_set_text(
		    m, META_quota_summary_window_kind, STR("unknown"));
	if (!m->v[META_quota_summary_window_source].set)
		meta_set_text(
		    m, META_quota_summary_window_source, STR("aggregate"));
}

void
metadata_quota(struct metadata *m)
{
	struct meta_value *at = &m->v[META_quota_recover_at_ms];
	const struct window *w;

	summarise(m);
	if ((w = reached(m)) != NULL) {
		meta_set_text(m, META_quota_reached_window_kind, kind_of(m, w));
		meta_set_text(m, META_quota_reached_window_source, w->source);
		if (!at->set || at->whole == 0)
			meta_set_whole(
			    m, META_quota_recover_at_ms, reset_of(m, w));
	} else if (meta_text(m, META_quota_rate_limit_reached_type).n > 0) {
		meta_set_text(
		    m, META_quota_reached_window_kind, STR("unknown"));
		meta_set_text(
		    m, META_quota_reached_window_source, STR("unknown"));
	}
}
