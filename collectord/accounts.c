#include "accounts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "cpa.h"
#include "http.h"
#include "log.h"

#define FETCH_MS 5000
#define ANSWER_MAX ((size_t)64 * 1024 * 1024)
#define FRESH_MS 30000  /* an older list is waited for */
#define RENEW_MS 20000  /* ... so it is renewed before */
#define LIVELY_MS 60000 /* so long after an event that needed it */
#define RETRY_MS 10000  /* after CPA was asked in vain */
/*
 * So long after that nobody waits: while events flow the next try is over by
 * then, and when it was in vain, too, storing has not even noticed.
 */
#define NO_WAIT_MS (RETRY_MS + FETCH_MS + 1000)
#define WATCH_MS 60000 /* between two looks at how many requests there were */
#define CONFIG_MS ((int64_t)10 * 60 * 1000) /* between two looks at that */
#define CONFIG_RETRY_MS 60000
#define TICK_MS 1000 /* the thread looks so often whether it is time */

/* One list and where it is from; the last to let go of it frees it. */
struct map {
	struct account_list *list;
	unsigned refs;
	char base[1024], key[512];
	int64_t asked_ms;    /* monotonic */
	unsigned generation; /* of what it shows */
};

/*
 * CPA counts the requests of its accounts.  When they grow and no event
 * comes, somebody else takes the events.
 */
struct watch {
	int64_t looked_ms;   /* Unix time of the last look; 0: none */
	int64_t requests;    /* as of then */
	int64_t consumed_ms; /* the last event, as of then */
};

struct accounts {
	struct daemon *d;
	pthread_mutex_t lock; /* covers what stands below */
	pthread_cond_t changed;
	struct map *map;         /* the latest; NULL: none */
	struct map *held;        /* by the writer; NULL: none */
	unsigned generation;     /* grows when CPA's accounts change */
	int64_t needed_ms;       /* monotonic: last asked for; 0: never */
	int64_t failed_ms;       /* monotonic: asked in vain; 0: not lately */
	unsigned failed_version; /* ... with that configuration */
	char logged[512];        /* the trouble that the log has last */
	struct watch watch;
	int64_t config_ms; /* monotonic: look at CPA's configuration then */
	unsigned config_version; /* ... with this of ours */
};

struct accounts *
accounts_new(struct daemon *d)
{
	struct accounts *a = calloc(1, sizeof *a);
	pthread_condattr_t monotonic;

	if (a == NULL)
		return NULL;
	a->d = d;
	pthread_mutex_init(&a->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&a->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	return a;
}

static void
let_go(struct map *m)
{
	if (m == NULL || --m->refs > 0)
		return;
	account_list_free(m->list);
	explicit_bzero(m->key, sizeof m->key);
	free(m);
}

void
accounts_free(struct accounts *a)
{
	if (a == NULL)
		return;
	let_go(a->held);
	let_go(a->map);
	pthread_cond_destroy(&a->changed);
	pthread_mutex_destroy(&a->lock);
	free(a);
}

/* ---- what is known; all under the lock ----------------------------------- */

/* The latest list; that of another CPA or key is dropped. */
static struct map *
latest(struct accounts *a, const struct source_config *s)
{
	if (a->map != NULL && (strcmp(a->map->base, s->base) != 0 ||
				  strcmp(a->map->key, s->key) != 0)) {
		let_go(a->map);
		a->map = NULL;
	}
	return a->map;
}

static bool
is_younger(struct accounts *a, const struct source_config *s, int64_t than_ms)
{
	const struct map *m = latest(a, s);

	return m != NULL && m->generation == a->generation &&
	       clock_mono_ms() - m->asked_ms < than_ms;
}

/* CPA may be asked, and has not failed to answer within the last ms. */
static bool
may_ask(const struct accounts *a, const struct source_config *s,
    unsigned version, int64_t ms)
{
	if (!s->enabled || s->base[0] == '\0' || s->key[0] == '\0')
		return false;
	/* five wrong tries make CPA ban us */
	if (s->refused_until_ms != 0 && s->refused_until_ms > clock_now_ms())
		return false;
	return a->failed_ms == 0 || a->failed_version != version ||
	       clock_mono_ms() - a->failed_ms >= ms;
}

/* One wait, of at most ms: whoever wakes us may have any reason. */
static void
wait_for_change(struct accounts *a, int64_t ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += ms % 1000 * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_cond_timedwait(&a->changed, &a->lock, &until);
}

/* ---- the writer's side --------------------------------------------------- */

const struct account_list *
accounts_hold(struct accounts *a)
{
	const struct account_list *list = NULL;
	struct source_config s;
	int64_t until, left;
	unsigned version;

	pthread_mutex_lock(&a->lock);
	a->needed_ms = clock_mono_ms();
	until = a->needed_ms + FETCH_MS;
	daemon_source(a->d, &s, &version);
	if (!is_younger(a, &s, FRESH_MS))
		pthread_cond_broadcast(&a->changed);
	while (!is_younger(a, &s, FRESH_MS) &&
	       may_ask(a, &s, version, NO_WAIT_MS) &&
	       !atomic_load(&a->d->stopping) &&
	       (left = until - clock_mono_ms()) > 0) {
		wait_for_change(a, left);
		/* it may have come to light that the key is refused */
		daemon_source(a->d, &s, &version);
	}
	let_go(a->held);
	if ((a->held = latest(a, &s)) != NULL) {
		a->held->refs++;
		list = a->held->list;
	}
	pthread_mutex_unlock(&a->lock);
	explicit_bzero(s.key, sizeof s.key);
	return list;
}

void
accounts_release(struct accounts *a)
{
	pthread_mutex_lock(&a->lock);
	let_go(a->held);
	a->held = NULL;
	pthread_mutex_unlock(&a->lock);
}

void
accounts_drop(struct accounts *a)
{
	pthread_mutex_lock(&a->lock);
	a->generation++;
	/* if events flow, the new list may be there before the next one */
	pthread_cond_broadcast(&a->changed);
	pthread_mutex_unlock(&a->lock);
}

void
accounts_wake(struct accounts *a)
{
	if (a == NULL)
		return;
	pthread_mutex_lock(&a->lock);
	pthread_cond_broadcast(&a->changed);
	pthread_mutex_unlock(&a->lock);
}

/* ---- the thread ---------------------------------------------------------- */

static bool
break_off(void *arg)
{
	struct daemon *d = arg;

	return atomic_load(&d->stopping);
}

/* Takes the list; NULL when memory ran out. */
static struct map *
make_map(struct account_list *list, const struct source_config *s,
    int64_t asked_ms, unsigned generation)
{
	struct map *m = calloc(1, sizeof *m);

	if (m == NULL) {
		account_list_free(list);
		return NULL;
	}
	m->list = list;
	m->refs = 1;
	m->asked_ms = asked_ms;
	m->generation = generation;
	text_set(m->base, sizeof m->base, s->base);
	text_set(m->key, sizeof m->key, s->key);
	return m;
}

/* Ask CPA.  Returns what it says, or NULL with *e; *status 0: no answer. */
static struct map *
fetch(struct accounts *a, struct http *http, const struct source_config *s,
    unsigned generation, int *status, struct err *e)
{
	struct http_answer answer;
	struct http_call call = {
		.method = "GET",
		.bearer = s->key,
		.connect_ms = FETCH_MS,
		.total_ms = FETCH_MS,
		.body_limit_bytes = ANSWER_MAX,
		.follow = true,
		.insecure_tls = s->tls_skip_verify,
		.stop = break_off,
		.stop_arg = a->d,
	};
	int64_t at_ms = clock_now_ms(), asked_ms = clock_mono_ms();
	struct account_list *list;
	struct map *m = NULL;
	char url[1200], line[96];

	snprintf(url, sizeof url, "%s/v0/management/auth-files", s->base);
	call.url = url;
	*status = 0;
	if (http_do(http, &call, &answer, e) != 0)
		goto out;
	*status = answer.status;
	if (answer.status / 100 != 2) {
		http_status_line(&answer, line, sizeof line);
		fail(e, ERR_UPSTREAM, "%s", line);
		goto out;
	}
	list = account_list_parse(buf_view(&answer.body), at_ms, e);
	if (list != NULL &&
	    (m = make_map(list, s, asked_ms, generation)) == NULL)
		fail(e, ERR_INTERNAL, "out of memory");
out:
	/* of a credential that is a key it holds the key */
	buf_wipe(&answer.body);
	return m;
}

/* The latest list from now on; takes it. */
static void
put_map(struct accounts *a, struct map *m)
{
	a->failed_ms = 0;
	if (a->logged[0] != '\0')
		log_line(LOG_INFO, "accounts are read again");
	a->logged[0] = '\0';
	let_go(a->map);
	a->map = m;
}

/* Asked in vain: an old list of the same CPA goes on to serve. */
static void
put_failure(struct accounts *a, unsigned version, const char *text)
{
	a->failed_ms = clock_mono_ms();
	a->failed_version = version;
	if (strcmp(a->logged, text) == 0 || atomic_load(&a->d->stopping))
		return;
	log_write(LOG_WARN, "accounts not read", LOG_Z("error", text));
	text_set(a->logged, sizeof a->logged, text);
}

/*
 * Compare with the last look: requests without events.  Those that were made
 * just now have an event on its way.
 */
static void
watch(struct accounts *a, const struct map *m)
{
	struct watch now = { .looked_ms = clock_now_ms(),
		.requests = account_list_requests(m->list) };
	struct watch *last = &a->watch;
	int64_t since_ms = now.looked_ms - last->looked_ms;

	now.consumed_ms = daemon_consumed(a->d);
	if (now.consumed_ms != last->consumed_ms)
		atomic_store(&a->d->others_consume, false);
	else if (since_ms < WATCH_MS && since_ms >= 0)
		return; /* too soon to tell */
	else if (last->looked_ms != 0 && now.requests > last->requests)
		atomic_store(&a->d->others_consume, true);
	*last = now;
}

/* While all is quiet: is it time for another look? */
static bool
is_watch_due(const struct accounts *a)
{
	int64_t since_ms = clock_now_ms() - a->watch.looked_ms;

	/* a wrong key is tried by the reader alone */
	return daemon_is_running(a->d) &&
	       (a->watch.looked_ms == 0 || since_ms < 0 ||
		   since_ms >= WATCH_MS);
}

/* Ask for the list if it is time to.  Under the lock, but not all along. */
static bool
renew(struct accounts *a, struct http *http)
{
	unsigned version, generation = a->generation;
	struct source_config s;
	struct map *m;
	bool due;
	struct err e;
	int status;

	daemon_source(a->d, &s, &version);
	due =
	    ((a->needed_ms != 0 && clock_mono_ms() - a->needed_ms < LIVELY_MS &&
		 !is_younger(a, &s, RENEW_MS)) ||
		is_watch_due(a)) &&
	    may_ask(a, &s, version, RETRY_MS);
	if (due) {
		pthread_mutex_unlock(&a->lock);
		m = fetch(a, http, &s, generation, &status, &e);
		if (status == 401 || status == 403)
			daemon_tell_refused(a->d, version);
		pthread_mutex_lock(&a->lock);
		if (m != NULL)
			watch(a, m);
		if (m != NULL)
			put_map(a, m);
		else
			put_failure(a, version, e.text);
		pthread_cond_broadcast(&a->changed);
	}
	explicit_bzero(s.key, sizeof s.key);
	return due;
}

/*
 * How CPA is set up: whether it publishes usage at all, and how long it keeps
 * it.  Asked here since the reader has no time to wait.  Not under the lock.
 */
static void
look_at_config(struct accounts *a, struct http *http)
{
	struct source_config s;
	struct cpa_usage usage;
	unsigned version;
	struct err e;
	int status;

	daemon_source(a->d, &s, &version);
	if (version != a->config_version) {
		a->config_version = version;
		a->config_ms = 0;
	}
	/* a wrong key is tried by the reader alone */
	if (!daemon_is_running(a->d) || clock_mono_ms() < a->config_ms)
		goto out;
	if (cpa_fetch_config(
		http, s.base, s.key, FETCH_MS, &usage, &status, &e) == 0) {
		atomic_store(&a->d->retention_ms, usage.retention_s * 1000);
		atomic_store(&a->d->usage_off, !usage.statistics_enabled);
		a->config_ms = clock_mono_ms() + CONFIG_MS;
	} else {
		if (status == 401 || status == 403)
			daemon_tell_refused(a->d, version);
		a->config_ms = clock_mono_ms() + CONFIG_RETRY_MS;
	}
out:
	explicit_bzero(s.key, sizeof s.key);
}

void *
accounts_main(void *arg)
{
	struct daemon *d = arg;
	struct accounts *a = d->accounts;
	struct http *http;
	struct err e;

	if ((http = http_new(&e)) == NULL) {
		log_write(LOG_ERROR, "accounts", LOG_Z("error", e.text));
		atomic_store(&d->failed, true);
		return NULL;
	}
	pthread_mutex_lock(&a->lock);
	while (!atomic_load(&d->stopping)) {
		pthread_mutex_unlock(&a->lock);
		look_at_config(a, http);
		pthread_mutex_lock(&a->lock);
		if (!renew(a, http))
			wait_for_change(a, TICK_MS);
	}
	pthread_mutex_unlock(&a->lock);
	http_free(http);
	return NULL;
}
