#include "cpa.h"
#include "cpa_impl.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "clock.h"
#include "crypt.h"
#include "json_in.h"
#include "json_out.h"
#include "settings.h"

#define CONNECT_MS (10 * 1000)
#define CONFIG_BYTES (8 * 1024 * 1024) /* CPA's whole configuration */
#define RETENTION_DEFAULT_S 60
#define REFUSED_KEY "cpa_refused_v1"

/* One of several spellings of a member. */
static const json_t *
member(const json_t *config, const char *const *names)
{
	for (; *names != NULL; names++) {
		const json_t *v = json_in_get(config, *names);

		if (v != NULL)
			return v;
	}
	return NULL;
}

static bool
read_flag(const json_t *v)
{
	struct str s = str_trim(json_in_text(v));

	return json_is_true(v) || str_eq(s, STR("1")) ||
	       str_eq_nocase(s, STR("true")) || str_eq_nocase(s, STR("yes")) ||
	       str_eq_nocase(s, STR("on"));
}

/* A number, cut to a whole one, or a text that is one. */
static bool
read_seconds(const json_t *v, int64_t *out)
{
	double d = NAN;
	char text[64], *end;
	struct str s;

	if (json_is_integer(v)) {
		*out = json_integer_value(v);
		return true;
	}
	if (json_is_real(v))
		d = json_real_value(v);
	else if (json_is_string(v)) {
		s = str_trim(json_in_text(v));
		if (str_i64(s, out) == 0)
			return true;
		if (s.n == 0 || s.n >= sizeof text)
			return false;
		memcpy(text, s.p, s.n);
		text[s.n] = '\0';
		d = strtod(text, &end);
		if (end != text + s.n)
			return false;
	}
	/* the largest whole number that a double holds exactly */
	if (!(fabs(d) <= 9007199254740992.0))
		return false;
	*out = (int64_t)d;
	return true;
}

static void
read_config(const json_t *config, struct cpa_usage *out)
{
	static const char *const statistics[] = { "usage-statistics-enabled",
		"usageStatisticsEnabled", NULL };
	static const char *const retention[] = {
		"redis-usage-queue-retention-seconds",
		"redisUsageQueueRetentionSeconds", NULL
	};

	out->statistics_enabled = read_flag(member(config, statistics));
	out->retention_default =
	    !read_seconds(member(config, retention), &out->retention_s);
	if (out->retention_default)
		out->retention_s = RETENTION_DEFAULT_S;
}

/* base + path, to be freed; NULL when out of memory. */
static char *
make_url(const char *base, const char *path)
{
	size_t base_n = strlen(base), path_n = strlen(path);
	char *url = malloc(base_n + path_n + 1);

	if (url != NULL) {
		memcpy(url, base, base_n);
		memcpy(url + base_n, path, path_n + 1);
	}
	return url;
}

int
cpa_call(struct http *h, const char *base, const char *path,
    struct http_call *c, struct http_answer *answer, struct err *e)
{
	char *url = make_url(base, path);
	int rc;

	*answer = (struct http_answer){ .status = 0 };
	if (url == NULL)
		return fail(e, ERR_UPSTREAM, "out of memory");
	c->url = url;
	c->connect_ms = CONNECT_MS;
	if (c->body_limit_bytes == 0)
		c->body_limit_bytes = CONFIG_BYTES;
	rc = http_do(h, c, answer, e);
	/* without an answer it is one code whatever the cause */
	if (rc != 0 && e != NULL)
		e->code = "request_failed";
	free(url);
	return rc;
}

int
cpa_fetch_config(struct http *h, const char *base, const char *key,
    int64_t timeout_ms, struct cpa_usage *out, int *status, struct err *e)
{
	struct http_call c = { .method = "GET",
		.bearer = key,
		.total_ms = timeout_ms,
		.follow = true };
	struct http_answer answer;
	json_t *config = NULL;
	char line[96];
	int rc = -1;

	*out = (struct cpa_usage){ .retention_s = RETENTION_DEFAULT_S };
	*status = 0;
	if (cpa_call(h, base, "/v0/management/config", &c, &answer, e) != 0)
		goto out;
	*status = answer.status;
	if (answer.status / 100 != 2) {
		http_status_line(&answer, line, sizeof line);
		fail_code(e, ERR_UPSTREAM, "management_api_validation_failed",
		    "management API validation failed: %s", line);
		goto out;
	}
	config = json_in_parse(buf_view(&answer.body), false, NULL);
	if (!json_is_object(config)) {
		fail_code(e, ERR_UPSTREAM, "request_failed",
		    "the answer to GET /v0/management/config is no JSON "
		    "object; is CPA at this address?");
		goto out;
	}
	read_config(config, out);
	snprintf(out->version, sizeof out->version, "%s", answer.cpa_version);
	rc = 0;
out:
	json_decref(config);
	/* CPA's configuration holds the keys of its clients */
	buf_wipe(&answer.body);
	return rc;
}

int
cpa_enable_usage(
    struct http *h, const char *base, const char *key, struct err *e)
{
	struct http_call c = { .method = "PUT",
		.bearer = key,
		.body = STR("{\"value\":true}"),
		.body_type = "application/json",
		.total_ms = CPA_CALL_MS,
		.follow = true };
	struct http_answer answer;
	char line[96];
	int rc;

	rc = cpa_call(
	    h, base, "/v0/management/usage-statistics-enabled", &c, &answer, e);
	if (rc == 0 && answer.status / 100 != 2) {
		http_status_line(&answer, line, sizeof line);
		rc = fail_code(e, ERR_UPSTREAM,
		    "enable_cpa_usage_statistics_failed",
		    "enable CPA usage statistics failed: %s", line);
	}
	http_answer_free(&answer);
	return rc;
}

/* ---- refused until --------------------------------------------------------
 */

static void
connection_digest(
    const char *base, const char *key, char out[2 * SHA256_BYTES + 1])
{
	size_t base_n = strlen(base), key_n = strlen(key);
	unsigned char digest[SHA256_BYTES];
	struct buf text;

	buf_init(&text, base_n + key_n + 1);
	buf_add(&text, base, base_n + 1); /* with its NUL */
	buf_add(&text, key, key_n);
	sha256(buf_text(&text), text.n, digest);
	hex_encode(digest, sizeof digest, out);
	buf_wipe(&text);
}

int
cpa_refused(struct db *db, const char *base, const char *key, int64_t *until_ms,
    struct err *e)
{
	char digest[2 * SHA256_BYTES + 1];
	struct str row, stored = { NULL, 0 };
	int64_t now = clock_now_ms(), until = 0;
	json_t *state = NULL;
	struct err why = { .kind = ERR_NONE };
	struct arena a;
	int rc = 0;

	*until_ms = 0;
	arena_init(&a, 64 * 1024);
	if (setting_get(db, REFUSED_KEY, &a, &row, &why) != 0) {
		if (why.kind != ERR_MISSING)
			rc = fail_code(e, why.kind, why.code, "%s", why.text);
		goto out;
	}
	/* a row that cannot be read costs one more try, nothing else */
	state = json_in_parse(row, true, NULL);
	if (json_in_str(state, "digest", "digest", &stored, NULL) != 0 ||
	    json_in_i64(state, "untilMs", "untilMs", &until, NULL) != 0)
		goto out;
	connection_digest(base, key, digest);
	/* further away than we ever set it: the clock was put back */
	if (str_eq(stored, str_of(digest)) && until > now &&
	    until <= now + CPA_REFUSED_MS)
		*until_ms = until;
out:
	json_decref(state);
	arena_free(&a);
	return rc;
}

int
cpa_set_refused(struct db *db, const char *base, const char *key, struct err *e)
{
	char digest[2 * SHA256_BYTES + 1], row[160];
	int n;

	connection_digest(base, key, digest);
	n = snprintf(row, sizeof row, "{\"digest\":\"%s\",\"untilMs\":%lld}",
	    digest, (long long)(clock_now_ms() + CPA_REFUSED_MS));
	return setting_put(db, REFUSED_KEY, (struct str){ row, (size_t)n }, e);
}

int
cpa_clear_refused(struct db *db, struct err *e)
{
	struct err why = { .kind = ERR_NONE };
	struct arena a;
	struct str row;
	int rc;

	/* nearly always there is nothing to clear, and no need to write */
	arena_init(&a, 64 * 1024);
	rc = setting_get(db, REFUSED_KEY, &a, &row, &why);
	if (rc != 0)
		rc = why.kind == ERR_MISSING ?
			 0 :
			 fail_code(e, why.kind, why.code, "%s", why.text);
	else if (!str_eq(row, STR("{}")))
		rc = setting_put(db, REFUSED_KEY, STR("{}"), e);
	arena_free(&a);
	return rc;
}
