/*
 * The check of the admin key.
 */
#include "fcgi/auth.h"

#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>

#include "bootstrap.h"
#include "clock.h"
#include "fcgi/ctx.h"
#include "fcgi/request.h"
#include "fcgi/response.h"
#include "log.h"

const char *auth_class_text(enum auth_class class)
{
	static const char *const text[AUTH__MAX] = {
		[AUTH_NONE] = "none",
		[AUTH_ADMIN] = "admin",
		[AUTH_ADMIN_ONCE_CONFIGURED] = "admin-once-configured",
		[AUTH_METRICS] = "metrics",
	};

	return text[class];
}

struct str
bearer_key(struct str authorization)
{
	struct str s = str_trim(authorization);
	struct str word = { s.p, 7 };

	if (s.n < 7 || !str_eq_nocase(word, STR("Bearer ")))
		return (struct str){ "", 0 };
	return str_trim((struct str){ s.p + 7, s.n - 7 });
}

/*
 * The stored record, read on every request so that a reset takes effect at
 * once.  While the database cannot be read the last record known still
 * lets its owner see /status.
 */
static int
read_record(struct ctx *c, struct str *record, struct err *e)
{
	struct app *app = c->app;
	struct err why = { .kind = ERR_NONE };
	struct db *db = ctx_db(c, &why);
	char *copy;

	if (db != NULL && setting_get(db, "admin_credential_v1", &c->arena,
			      record, &why) == 0) {
		pthread_mutex_lock(&app->lock);
		if (record->n < sizeof app->admin_record) {
			memcpy(app->admin_record, record->p, record->n);
			app->admin_record[record->n] = '\0';
		}
		pthread_mutex_unlock(&app->lock);
		return 0;
	}
	if (why.kind == ERR_MISSING)
		return fail(e, ERR_INTERNAL,
		    "no admin key is stored; cpactl reset-admin-key makes one");
	pthread_mutex_lock(&app->lock);
	copy = arena_strdup(&c->arena, str_of(app->admin_record));
	pthread_mutex_unlock(&app->lock);
	if (copy == NULL || *copy == '\0') {
		if (e != NULL)
			*e = why;
		return -1;
	}
	*record = str_of(copy);
	return 0;
}

static int
denied(struct err *e)
{
	return fail_code(
	    e, ERR_DENIED, "invalid_admin_key", "invalid admin key");
}

static int
throttled(struct response *rs, int64_t wait_ms, struct err *e)
{
	char seconds[24];

	(void)snprintf(seconds, sizeof seconds, "%lld",
	    (long long)((wait_ms + 999) / 1000));
	response_header(rs, "Retry-After", seconds);
	return fail_code(e, ERR_THROTTLED, "login_throttled",
	    "too many wrong admin keys from this address; try again in %s "
	    "seconds",
	    seconds);
}

/*
 * A closed door is closed for the right key too: were it let in, every guess
 * would still be answered, and the limit would limit nothing.  Nor does the
 * right key clear the count: a page that asks every few seconds from behind the
 * same proxy would do that for whoever guesses there.  A request without any
 * key tests nothing and neither counts nor waits.
 */
static int
check_admin(
    struct ctx *c, struct request *rq, struct response *rs, struct err *e)
{
	struct throttle *t = c->app->throttle;
	struct str key = bearer_key(rq->authorization), record = { NULL, 0 };
	int64_t wait_ms;
	int match;

	if (rq->authorization.n == 0 &&
	    !atomic_exchange(&c->app->warned_no_authorization, true))
		log_line(LOG_WARN,
		    "a request came without Authorization; if "
		    "the client sent it, the web server drops it");
	if (key.n == 0)
		return denied(e);
	wait_ms = throttle_wait_ms(t, rq->remote, clock_mono_ms());
	if (wait_ms > 0)
		return throttled(rs, wait_ms, e);
	if (read_record(c, &record, e) != 0)
		return -1;
	match = admin_record_check(record, key, e);
	if (match < 0)
		return -1;
	if (match == 0) {
		throttle_wrong(t, rq->remote, clock_mono_ms());
		return denied(e);
	}
	bootstrap_forget_admin_file(c->cfg);
	rq->is_admin = true;
	return 0;
}

/* Is there a CPA connection?  The environment's, or a stored one. */
static int
is_configured(struct ctx *c, bool *yes, struct err *e)
{
	struct manager_config m;

	if (ctx_settings(c, &m, e) != 0)
		return -1;
	*yes = settings_connected(&m);
	settings_wipe(&m);
	return 0;
}

/*
 * From this machine itself.  Behind another proxy everybody seems to be, so a
 * request that was passed on is nobody's.
 */
static bool
is_local(const struct request *rq)
{
	return (str_starts(rq->remote, STR("127.")) ||
		   str_eq(rq->remote, STR("::1"))) &&
	       request_param(rq, "HTTP_X_FORWARDED_FOR").n == 0 &&
	       request_param(rq, "HTTP_FORWARDED").n == 0 &&
	       request_param(rq, "HTTP_X_REAL_IP").n == 0;
}

/* Digests have one length, so the comparison tells nothing of the key's. */
static bool
same_key(struct str a, struct str b)
{
	unsigned char x[SHA256_BYTES], y[SHA256_BYTES];
	bool same;

	sha256(a.p, a.n, x);
	sha256(b.p, b.n, y);
	same = CRYPTO_memcmp(x, y, sizeof x) == 0;
	explicit_bzero(x, sizeof x);
	explicit_bzero(y, sizeof y);
	return same;
}

static int
check_metrics(
    struct ctx *c, struct request *rq, struct response *rs, struct err *e)
{
	const struct cfg *cfg = c->cfg;
	struct str key = bearer_key(rq->authorization);
	int64_t wait_ms;

	if (cfg->metrics_loopback && is_local(rq))
		return 0;
	if (cfg->metrics_key == NULL)
		return fail(e, ERR_MISSING,
		    "metrics are off; see CPA_MANAGER_METRICS_KEY");
	wait_ms =
	    throttle_wait_ms(c->app->throttle, rq->remote, clock_mono_ms());
	if (key.n > 0 && wait_ms > 0)
		return throttled(rs, wait_ms, e);
	if (key.n > 0 && same_key(key, str_of(cfg->metrics_key)))
		return 0;
	if (key.n > 0)
		throttle_wrong(c->app->throttle, rq->remote, clock_mono_ms());
	return fail_code(
	    e, ERR_DENIED, "invalid_metrics_key", "invalid metrics key");
}

int
auth_check(struct ctx *c, struct request *rq, struct response *rs,
    enum auth_class class, struct err *e)
{
	bool configured;

	switch (class) {
	case AUTH_NONE:
		return 0;
	case AUTH_ADMIN_ONCE_CONFIGURED:
		/*
		 * Settings that cannot be read may hold a connection, so
		 * they close the route.
		 */
		if (is_configured(c, &configured, NULL) == 0 && !configured)
			return 0;
		return check_admin(c, rq, rs, e);
	case AUTH_METRICS:
		return check_metrics(c, rq, rs, e);
	case AUTH_ADMIN:
	case AUTH__MAX:
		break;
	}
	return check_admin(c, rq, rs, e);
}
