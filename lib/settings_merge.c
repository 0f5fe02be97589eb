/*
 * Putting a configuration object over another: contract/http-api.md section
 * 8.3.  A stored row and a submitted object go through the same rules; only
 * the connection's key and the refusals of section 8.5 are the submitted
 * object's own.
 */
#include "settings_impl.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TIME_POINTS_MAX 1440

/* Text that may stand in a header or a URL: no control characters. */
static bool
one_line(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
			return false;
	return true;
}

/* Non-blank text, trimmed and copied; otherwise *out stays. */
static int
take_text(const json_t *obj, const char *key, const char *path, struct arena *a,
    const char **out, struct err *e)
{
	struct str s = { NULL, 0 };
	char *copy;

	if (json_in_str(obj, key, path, &s, e) != 0)
		return -1;
	s = str_trim(s);
	if (s.n == 0)
		return 0;
	if (memchr(s.p, '\0', s.n) != NULL)
		return fail(e, ERR_INPUT, "%s must not hold a NUL", path);
	if ((copy = arena_strdup(a, s)) == NULL)
		return fail(e, ERR_TOO_LARGE, "%s is too long", path);
	*out = copy;
	return 0;
}

static int
take_line(const json_t *obj, const char *key, const char *path, struct arena *a,
    const char **out, struct err *e)
{
	const char *text = *out;

	if (take_text(obj, key, path, a, &text, e) != 0)
		return -1;
	if (!one_line(str_of(text)))
		return fail(
		    e, ERR_INPUT, "%s must not hold control characters", path);
	*out = text;
	return 0;
}

/* A number above 0; otherwise *out stays. */
static int
take_positive(const json_t *obj, const char *key, const char *path,
    int64_t *out, struct err *e)
{
	int64_t v = 0;

	if (json_in_i64(obj, key, path, &v, e) != 0)
		return -1;
	if (v > 0)
		*out = v;
	return 0;
}

/* A number that counts as 0 when it is left out. */
static int
take_count(const json_t *obj, const char *key, const char *path, int64_t *out,
    struct err *e)
{
	int64_t v = 0;

	if (json_in_i64(obj, key, path, &v, e) != 0)
		return -1;
	if (v >= 0)
		*out = v;
	return 0;
}

static int
collector(
    const json_t *obj, struct arena *a, struct manager_config *m, struct err *e)
{
	struct str mode = { NULL, 0 }, side = { NULL, 0 };
	bool tls = false;

	if (json_in_bool(obj, "enabled", "collector.enabled",
		&m->collector_enabled, e) != 0 ||
	    json_in_str(obj, "collectorMode", "collector.collectorMode", &mode,
		e) != 0 ||
	    take_line(obj, "queue", "collector.queue", a, &m->queue, e) != 0 ||
	    json_in_str(obj, "popSide", "collector.popSide", &side, e) != 0 ||
	    take_positive(obj, "batchSize", "collector.batchSize",
		&m->batch_size, e) != 0 ||
	    take_positive(obj, "pollIntervalMs", "collector.pollIntervalMs",
		&m->poll_interval_ms, e) != 0 ||
	    take_positive(obj, "queryLimit", "collector.queryLimit",
		&m->query_limit, e) != 0 ||
	    json_in_bool(
		obj, "tlsSkipVerify", "collector.tlsSkipVerify", &tls, e) != 0)
		return -1;
	if (str_trim(mode).n > 0)
		m->mode = collector_mode_parse(mode);
	side = str_trim(side);
	if (str_eq_nocase(side, STR("left")))
		m->pop_side = "left";
	else if (str_eq_nocase(side, STR("right")))
		m->pop_side = "right";
	m->tls_skip_verify = tls;
	return 0;
}

bool
time_zone_known(struct str name)
{
	char path[256], magic[4];
	bool known;
	int fd, n;

	if (str_eq(name, STR("UTC")) || str_eq(name, STR("Local")))
		return true;
	/* no zone has a dot in its name; ways out of the directory do */
	if (name.n == 0 || name.p[0] == '/' ||
	    memchr(name.p, '.', name.n) != NULL ||
	    memchr(name.p, '\0', name.n) != NULL)
		return false;
	n = snprintf(
	    path, sizeof path, "/usr/share/zoneinfo/%.*s", STR_ARG(name));
	if (n < 0 || (size_t)n >= sizeof path)
		return false;
	/* tables of zones and leap seconds stand in that directory as well */
	if ((fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)) == -1)
		return false;
	known = read(fd, magic, sizeof magic) == sizeof magic &&
		memcmp(magic, "TZif", sizeof magic) == 0;
	close(fd);
	return known;
}

/* One or two digits, or -1. */
static int
clock_part(struct str s)
{
	int v = 0;

	if (s.n < 1 || s.n > 2)
		return -1;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return -1;
		v = v * 10 + (s.p[i] - '0');
	}
	return v;
}

/* "H:M" to minutes of the day, -1 when it is no time. */
static int
time_point(struct str s)
{
	const char *colon = s.n == 0 ? NULL : memchr(s.p, ':', s.n);
	int hour, minute;

	if (colon == NULL)
		return -1;
	hour = clock_part((struct str){ s.p, (size_t)(colon - s.p) });
	minute = clock_part(
	    (struct str){ colon + 1, (size_t)(s.p + s.n - colon - 1) });
	if (hour < 0 || hour > 23 || minute < 0 || minute > 59)
		return -1;
	return hour * 60 + minute;
}

/* Valid time points, without repeats, in order; NULL-terminated. */
static int
time_points(const struct str *texts, size_t n, struct arena *a,
    const char ***out, struct err *e)
{
	bool *at = arena_alloc(a, TIME_POINTS_MAX);
	const char **list;
	size_t count = 0;
	int m;

	if (at == NULL)
		return fail(e, ERR_TOO_LARGE, "out of memory");
	for (size_t i = 0; i < n; i++)
		if ((m = time_point(str_trim(texts[i]))) >= 0 && !at[m]) {
			at[m] = true;
			count++;
		}
	if (count == 0)
		return 0;
	if ((list = arena_array(a, count + 1, sizeof *list)) == NULL)
		return fail(e, ERR_TOO_LARGE, "out of memory");
	*out = list;
	for (m = 0; m < TIME_POINTS_MAX; m++)
		if (at[m] && (*list++ = arena_printf(
				  a, "%02d:%02d", m / 60, m % 60)) == NULL)
			return fail(e, ERR_TOO_LARGE, "out of memory");
	return 0;
}

static int
schedule(const json_t *obj, struct arena *a, struct inspection_config *i,
    struct err *e)
{
	static const char where[] = "codexInspection.schedule.timePoints";
	struct str mode = { NULL, 0 }, zone = { NULL, 0 }, *texts = NULL;
	const char **points = NULL;
	int64_t interval = 0;
	bool present = false;
	size_t n = 0;

	if (json_in_str(
		obj, "mode", "codexInspection.schedule.mode", &mode, e) != 0 ||
	    json_in_strings(
		obj, "timePoints", where, a, &texts, &n, &present, e) != 0 ||
	    json_in_i64(obj, "intervalMinutes",
		"codexInspection.schedule.intervalMinutes", &interval,
		e) != 0 ||
	    json_in_str(obj, "timeZone", "codexInspection.schedule.timeZone",
		&zone, e) != 0 ||
	    (present && time_points(texts, n, a, &points, e) != 0))
		return -1;
	if (points != NULL)
		i->time_points = points;
	if (interval > 0)
		i->interval_minutes = interval;
	zone = str_trim(zone);
	if (zone.n > 0 && time_zone_known(zone) &&
	    (i->time_zone = arena_strdup(a, zone)) == NULL)
		return fail(e, ERR_TOO_LARGE, "out of memory");
	mode = str_trim(mode);
	if (str_eq_nocase(mode, STR("interval")))
		i->schedule_mode = "interval";
	else if (str_eq_nocase(mode, STR("time_points")))
		i->schedule_mode = "time_points";
	else if (points != NULL)
		i->schedule_mode = "time_points";
	else if (interval > 0)
		i->schedule_mode = "interval";
	if (strcmp(i->schedule_mode, "time_points") == 0 &&
	    i->time_points == NULL)
		i->schedule_mode = "interval";
	if (i->interval_minutes <= 0)
		i->interval_minutes = 60;
	return 0;
}

static int
targets(const json_t *obj, struct arena *a, struct inspection_config *i,
    struct err *e)
{
	struct str type = { NULL, 0 }, *list = NULL;
	bool present = false, codex = false, xai = false;
	size_t n = 0;

	if (json_in_str(obj, "targetType", "codexInspection.targetType", &type,
		e) != 0 ||
	    json_in_strings(obj, "targetTypes", "codexInspection.targetTypes",
		a, &list, &n, &present, e) != 0)
		return -1;
	if (!present) {
		list = &type;
		n = 1;
	}
	for (size_t j = 0; j < n; j++) {
		codex |= str_eq_nocase(str_trim(list[j]), STR("codex"));
		xai |= str_eq_nocase(str_trim(list[j]), STR("xai"));
	}
	if (codex || xai) {
		i->target_codex = codex;
		i->target_xai = xai;
	} else if (!i->has_target_types)
		i->target_codex = true;
	i->has_target_types = true;
	i->target_type = i->target_codex ? "codex" : "xai";
	return 0;
}

static int
inspection(const json_t *obj, struct arena *a, struct inspection_config *i,
    struct err *e)
{
	const json_t *plan = NULL;
	int64_t workers = 0, delete_workers = 0;
	bool inference = false, recover = false;
	double threshold = 0;
	struct str action = { NULL, 0 };

	if (json_in_bool(obj, "enabled", "codexInspection.enabled", &i->enabled,
		e) != 0 ||
	    json_in_object(
		obj, "schedule", "codexInspection.schedule", &plan, e) != 0 ||
	    schedule(plan, a, i, e) != 0 || targets(obj, a, i, e) != 0 ||
	    take_positive(
		obj, "workers", "codexInspection.workers", &workers, e) != 0 ||
	    take_positive(obj, "deleteWorkers", "codexInspection.deleteWorkers",
		&delete_workers, e) != 0 ||
	    take_positive(obj, "timeout", "codexInspection.timeout",
		&i->timeout_ms, e) != 0 ||
	    take_count(obj, "retries", "codexInspection.retries", &i->retries,
		e) != 0 ||
	    take_count(obj, "sampleSize", "codexInspection.sampleSize",
		&i->sample_size, e) != 0 ||
	    take_line(obj, "userAgent", "codexInspection.userAgent", a,
		&i->user_agent, e) != 0 ||
	    take_line(obj, "xaiInferenceUserAgent",
		"codexInspection.xaiInferenceUserAgent", a, &i->xai_user_agent,
		e) != 0 ||
	    take_line(obj, "xaiInferenceModel",
		"codexInspection.xaiInferenceModel", a, &i->xai_model,
		e) != 0 ||
	    take_text(obj, "xaiInferencePrompt",
		"codexInspection.xaiInferencePrompt", a, &i->xai_prompt,
		e) != 0 ||
	    json_in_bool(obj, "xaiInferenceEnabled",
		"codexInspection.xaiInferenceEnabled", &inference, e) != 0 ||
	    json_in_bool(obj, "autoRecoverEnabled",
		"codexInspection.autoRecoverEnabled", &recover, e) != 0 ||
	    json_in_double(obj, "usedPercentThreshold",
		"codexInspection.usedPercentThreshold", &threshold, e) != 0 ||
	    json_in_str(obj, "autoActionMode", "codexInspection.autoActionMode",
		&action, e) != 0)
		return -1;
	if (workers > 0)
		i->workers = workers;
	if (delete_workers > 0)
		i->delete_workers = delete_workers;
	else if (workers > 0)
		i->delete_workers = workers;
	i->xai_inference_enabled = inference;
	i->auto_recover_enabled = recover;
	if (threshold > 0 && threshold <= 1)
		threshold *= 100;
	if (threshold > 0 && threshold <= 100)
		i->used_percent_threshold = threshold;
	action = str_trim(action);
	for (const char *const *p = (const char *const[]){ "none", "enable",
		 "disable", "delete", NULL };
	     *p != NULL; p++)
		if (str_eq_nocase(action, str_of(*p)))
			i->auto_action_mode = *p;
	return 0;
}

/* Everything but the connection. */
static int
merge_common(
    const json_t *obj, struct arena *a, struct manager_config *m, struct err *e)
{
	const json_t *part = NULL;

	if (json_in_object(obj, "collector", "collector", &part, e) != 0)
		return -1;
	if (part != NULL && collector(part, a, m, e) != 0)
		return -1;
	part = NULL;
	if (json_in_object(
		obj, "codexInspection", "codexInspection", &part, e) != 0)
		return -1;
	if (part != NULL)
		return inspection(part, a, &m->inspection, e);
	/* any merge leaves the list of targets filled */
	return targets(NULL, a, &m->inspection, e);
}

int
settings_merge_row(
    const json_t *row, struct arena *a, struct manager_config *m, struct err *e)
{
	const json_t *connection = NULL;
	struct str url = { NULL, 0 };

	if (json_in_object(
		row, "cpaConnection", "cpaConnection", &connection, e) != 0 ||
	    json_in_str(connection, "cpaBaseUrl", "cpaConnection.cpaBaseUrl",
		&url, e) != 0 ||
	    merge_common(row, a, m, e) != 0)
		return -1;
	if (url.n > 0 && (m->cpa_url = cpa_url_normalise(a, url)) == NULL)
		return fail(e, ERR_TOO_LARGE, "out of memory");
	return 0;
}

/* What section 8.5 step 1 refuses before anything is merged. */
static int
refuse_inspection(const json_t *obj, struct arena *a, struct err *e)
{
	const json_t *part = NULL, *plan = NULL;
	struct str type = { NULL, 0 }, zone = { NULL, 0 }, *list = NULL;
	bool present = false;
	size_t n = 0;

	if (json_in_object(
		obj, "codexInspection", "codexInspection", &part, e) != 0 ||
	    json_in_str(part, "targetType", "codexInspection.targetType", &type,
		e) != 0 ||
	    json_in_strings(part, "targetTypes", "codexInspection.targetTypes",
		a, &list, &n, &present, e) != 0 ||
	    json_in_object(
		part, "schedule", "codexInspection.schedule", &plan, e) != 0 ||
	    json_in_str(plan, "timeZone", "codexInspection.schedule.timeZone",
		&zone, e) != 0)
		return -1;
	type = str_trim(type);
	if (type.n > 0 && !str_eq_nocase(type, STR("codex")) &&
	    !str_eq_nocase(type, STR("xai")))
		return fail(e, ERR_INPUT,
		    "unsupported inspection target type \"%.*s\"",
		    STR_ARG(type));
	if (present && n == 0)
		return fail(e, ERR_INPUT,
		    "at least one inspection target type is required");
	for (size_t i = 0; i < n; i++) {
		type = str_trim(list[i]);
		if (!str_eq_nocase(type, STR("codex")) &&
		    !str_eq_nocase(type, STR("xai")))
			return fail(e, ERR_INPUT,
			    "unsupported inspection target type \"%.*s\"",
			    STR_ARG(type));
	}
	zone = str_trim(zone);
	if (zone.n > 0 && !time_zone_known(zone))
		return fail_code(e, ERR_INPUT, "invalid_time_zone",
		    "invalid time zone \"%.*s\": unknown time zone %.*s",
		    STR_ARG(zone), STR_ARG(zone));
	return 0;
}

/*
 * The connection: nothing given keeps it; a key that is left out or is the
 * mask stays, but only for the host it was typed for.
 */
static int
merge_connection(const json_t *obj, const struct manager_config *base,
    struct arena *a, struct manager_config *m, struct err *e)
{
	const json_t *part = NULL;
	struct str url = { NULL, 0 }, key = { NULL, 0 };
	bool typed;

	if (json_in_object(obj, "cpaConnection", "cpaConnection", &part, e) !=
		0 ||
	    json_in_str(
		part, "cpaBaseUrl", "cpaConnection.cpaBaseUrl", &url, e) != 0 ||
	    json_in_str(part, "managementKey", "cpaConnection.managementKey",
		&key, e) != 0)
		return -1;
	url = str_trim(url);
	key = str_trim(key);
	typed = key.n > 0 && !str_eq(key, STR(KEY_MASK));
	if (url.n == 0 && !typed)
		return 0;
	if (!one_line(url) || (typed && !one_line(key)))
		return fail(e, ERR_INPUT,
		    "cpaConnection must not hold control characters");
	if (url.n > 0 && (m->cpa_url = cpa_url_normalise(a, url)) == NULL)
		return fail(e, ERR_TOO_LARGE, "out of memory");
	if (typed) {
		if ((m->cpa_key = arena_strdup(a, key)) == NULL)
			return fail(e, ERR_TOO_LARGE, "out of memory");
	} else if (base->cpa_key[0] == '\0')
		return fail_code(e, ERR_INPUT, "cpa_connection_required",
		    "cpaBaseUrl and managementKey are required");
	else if (!cpa_url_same_host(str_of(m->cpa_url), str_of(base->cpa_url)))
		return fail_code(e, ERR_INPUT, "cpa_key_required",
		    "cpaConnection.managementKey must be typed again when "
		    "cpaBaseUrl names another host");
	return 0;
}

int
settings_merge(const json_t *submitted, const struct manager_config *base,
    struct arena *a, struct manager_config *out, struct err *e)
{
	struct manager_config m = *base;

	if (refuse_inspection(submitted, a, e) != 0 ||
	    merge_connection(submitted, base, a, &m, e) != 0 ||
	    merge_common(submitted, a, &m, e) != 0)
		return -1;
	*out = m;
	return 0;
}
