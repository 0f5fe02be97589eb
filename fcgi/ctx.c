/*
 * State of the program and of its threads.
 */
#include "fcgi/ctx.h"

#include <string.h>

#include "bootstrap.h"
#include "clock.h"
#include "fcgi/auth.h"
#include "fcgi/limits.h"
#include "log.h"

#define DB_RETRY_MS 1000

int
app_init(struct app *app, const struct cfg *cfg, struct err *e)
{
	unsigned char r[5];

	*app = (struct app){ .cfg = cfg,
		.listen_fd = -1,
		.stop_fd = -1,
		.started_ms = clock_now_ms() };
	pthread_mutex_init(&app->lock, NULL);
	if (random_bytes(r, sizeof r, e) != 0)
		return -1;
	hex_encode(r, sizeof r, app->instance);
	if ((app->throttle = throttle_new()) == NULL)
		return fail(e, ERR_INTERNAL, "out of memory");
	return 0;
}

void
app_free(struct app *app)
{
	throttle_free(app->throttle);
	app->throttle = NULL;
	pthread_mutex_destroy(&app->lock);
}

int
ctx_init(struct ctx *c, struct app *app, struct err *e)
{
	*c = (struct ctx){ .app = app, .cfg = app->cfg };
	arena_init(&c->arena, REQUEST_ARENA_MAX);
	buf_init(&c->head, HEADERS_MAX);
	buf_init(&c->out, ANSWER_MAX);
	buf_init(&c->body, ANSWER_MAX);
	c->http = http_new(e);
	return c->http != NULL ? 0 : -1;
}

void
ctx_free(struct ctx *c)
{
	http_free(c->http);
	db_close(&c->db);
	data_key_wipe(&c->key);
	buf_wipe(&c->body);
	buf_free(&c->out);
	buf_free(&c->head);
	arena_free(&c->arena);
}

void
ctx_set_deadline(struct ctx *c, int64_t ms)
{
	c->deadline_ms = clock_mono_ms() + ms;
	if (c->db.handle != NULL)
		db_deadline(&c->db, c->deadline_ms);
}

void
ctx_db_close(struct ctx *c)
{
	db_close(&c->db);
}

/* Remove a directory and its slash from a text, wherever it stands. */
static void
hide_directory(char *text, const char *path)
{
	const char *slash = strrchr(path, '/');
	size_t n = slash == NULL ? 0 : (size_t)(slash - path) + 1;
	char *at = text;

	while (n > 0 && (at = strstr(at, path)) != NULL)
		memmove(at, at + n, strlen(at + n) + 1);
}

void
ctx_hide_paths(const struct ctx *c, struct err *e)
{
	hide_directory(e->text, c->cfg->db_path);
	hide_directory(e->text, c->cfg->data_key_path);
}

/* Is it too early to try again?  Then *e says why it failed last time. */
static bool
db_must_wait(struct app *app, struct err *e)
{
	bool wait;

	pthread_mutex_lock(&app->lock);
	wait = clock_mono_ms() < app->db_retry_at_ms;
	if (wait && e != NULL)
		*e = app->db_err;
	pthread_mutex_unlock(&app->lock);
	return wait;
}

/* Keep the reason for the other threads; log it when it is a new one. */
static void
db_note_failure(struct app *app, const struct err *why)
{
	bool news;

	pthread_mutex_lock(&app->lock);
	news = strcmp(app->db_err.text, why->text) != 0;
	app->db_err = *why;
	app->db_retry_at_ms = clock_mono_ms() + DB_RETRY_MS;
	pthread_mutex_unlock(&app->lock);
	if (news)
		log_write(LOG_ERROR,
		    "the database cannot be used; trying "
		    "again every second",
		    LOG_Z("error", why->text));
}

static void
db_note_success(struct app *app)
{
	bool news;

	pthread_mutex_lock(&app->lock);
	news = app->db_err.kind != ERR_NONE;
	err_clear(&app->db_err);
	app->db_retry_at_ms = 0;
	pthread_mutex_unlock(&app->lock);
	if (news)
		log_line(LOG_INFO, "the database can be used again");
}

struct db *
ctx_db(struct ctx *c, struct err *e)
{
	struct err why = { .kind = ERR_NONE };

	if (c->db.handle != NULL)
		return &c->db;
	if (db_must_wait(c->app, e))
		return NULL;
	if (bootstrap_db(c->cfg, &c->db, &why) != 0) {
		why.kind = ERR_UNAVAILABLE;
		db_note_failure(c->app, &why);
		if (e != NULL)
			*e = why;
		return NULL;
	}
	db_note_success(c->app);
	db_deadline(&c->db, c->deadline_ms);
	return &c->db;
}

const struct data_key *
ctx_key(struct ctx *c, struct err *e)
{
	struct db *db;

	if (c->key.present)
		return &c->key;
	if ((db = ctx_db(c, e)) == NULL)
		return NULL;
	if (bootstrap_data_key(c->cfg, db, &c->key, e) != 0)
		return NULL;
	return &c->key;
}

int
ctx_settings(struct ctx *c, struct manager_config *m, struct err *e)
{
	struct db *db = ctx_db(c, e);
	struct err why = { .kind = ERR_NONE };

	*m = (struct manager_config){ .cpa_url = "", .cpa_key = "" };
	if (db == NULL)
		return -1;
	/*
	 * A key that cannot be had matters only when something sealed is to
	 * be opened; its error says more than "cannot be opened" then.
	 */
	if (ctx_key(c, &why) != NULL)
		err_clear(&why);
	if (settings_load(db, c->cfg, &c->key, &c->arena, m, e) == 0)
		return 0;
	if (e != NULL && e->kind == ERR_UNAVAILABLE) {
		if (!c->key.present && why.kind != ERR_NONE)
			*e = why;
		/* the file may be put right while we run: read it afresh */
		data_key_wipe(&c->key);
	}
	return -1;
}
