/*
 * The order of the checks: path, route, key, method, body, handler; with the
 * key before the route for what lies below /v0/management/.
 */
#include "fcgi/dispatch.h"

#include <inttypes.h>
#include <stdio.h>

#include "clock.h"
#include "fcgi/cors.h"
#include "fcgi/ctx.h"
#include "fcgi/limits.h"
#include "fcgi/request.h"
#include "fcgi/response.h"
#include "fcgi/routes.h"
#include "log.h"

static int
method_not_allowed(unsigned methods, struct response *rs, struct err *e)
{
	char allow[64];

	routes_allow(methods, allow, sizeof allow);
	response_header(rs, "Allow", allow);
	return fail_code(
	    e, ERR_METHOD, "method_not_allowed", "method not allowed");
}

static void
answer_options(const struct route_match *m, struct response *rs)
{
	char allow[64];

	rs->status = 204;
	if (m->path_known && !m->key_first) {
		routes_allow(m->methods, allow, sizeof allow);
		response_header(rs, "Allow", allow);
	}
}

static int
route_request(struct ctx *c, struct request *rq, struct response *rs,
    const struct client_io *io, enum auth_class *class, struct err *e)
{
	struct route_match m;
	const struct route *table;
	size_t n;

	table = routes_all(&n);
	route_find(table, n, rq, &m);
	if (m.route != NULL)
		*class = m.route->auth;
	if (m.path_known || rq->method == METHOD_OPTIONS)
		cors_apply(rs, c->cfg->cors_origins, rq->origin);
	if (rq->method == METHOD_OPTIONS) {
		answer_options(&m, rs);
		return 0;
	}
	if (!m.path_known) {
		response_text(rs, 404, "404 page not found\n");
		return 0;
	}
	if (m.key_first && auth_check(c, rq, rs, AUTH_ADMIN, e) != 0)
		return -1;
	if (m.route == NULL)
		return method_not_allowed(m.methods, rs, e);
	if (!m.key_first && auth_check(c, rq, rs, m.route->auth, e) != 0)
		return -1;
	rq->read_body = io->read;
	rq->body_from = io->io;
	rq->body_max_bytes = m.route->body_max_bytes;
	if (m.route->body_max_bytes > 0 && !m.route->streamed &&
	    request_read_body(rq, &c->body, m.route->body_max_bytes, io->read,
		io->io, e) != 0)
		return -1;
	return m.route->handler(c, rq, rs, e);
}

/*
 * What went wrong becomes the answer.  Headers that the failing part added
 * (Allow, Retry-After, CORS) stay.  A connection to the database that gave
 * an error is not trusted any further.
 */
static void
answer_error(
    struct ctx *c, struct request *rq, struct response *rs, struct err *e)
{
	if (e->kind == ERR_INTERNAL || e->kind == ERR_UNAVAILABLE)
		ctx_db_close(c);
	if (e->kind == ERR_INTERNAL)
		log_write(LOG_ERROR, "request failed", LOG_Z("id", rq->id),
		    LOG_Z("error", e->text));
	if (!rq->is_admin)
		ctx_hide_paths(c, e);
	if (rs->head_sent) {
		response_break(rs);
		return;
	}
	response_error(rs, e);
}

static void
log_request(
    const struct request *rq, const struct response *rs, int64_t took_ns)
{
	struct str path = rq->path.n > 0 ? rq->path : rq->target;
	int64_t took_us = took_ns / 1000; /* as exact as anybody reads it */

	if (path.n > 512)
		path.n = 512;
	log_write(LOG_INFO, "request", LOG_STR("method", rq->method_text),
	    LOG_STR("path", path), LOG_INT("status", rs->status),
	    LOG_DBL("ms", (double)took_us / 1000),
	    LOG_INT("bytes", rs->sent_bytes), LOG_STR("remote", rq->remote),
	    LOG_Z("id", rq->id));
}

int
dispatch(struct ctx *c, char *const *params, const struct client_io *io)
{
	int64_t start_ns = clock_mono_ns();
	struct err e = { .kind = ERR_NONE };
	enum auth_class class = AUTH_NONE;
	struct request rq;
	struct response rs;
	int parsed;

	parsed = request_parse(&rq, &c->arena, params, &e);
	(void)snprintf(rq.id, sizeof rq.id, "%s-%06" PRIx64, c->app->instance,
	    (uint64_t)atomic_fetch_add(&c->app->request_count, 1));
	response_init(&rs, &c->head, &c->out, io->write, io->io,
	    rq.method == METHOD_HEAD, rq.id);
	ctx_set_deadline(c, STATEMENT_TIME_MS);
	if (parsed != 0 || route_request(c, &rq, &rs, io, &class, &e) != 0)
		answer_error(c, &rq, &rs, &e);
	(void)response_finish(&rs);
	if (rs.status >= 100 && rs.status < 600)
		atomic_fetch_add(&c->app->answers[class][rs.status / 100], 1);
	log_request(&rq, &rs, clock_mono_ns() - start_ns);
	db_rollback(&c->db);
	buf_wipe(&c->body); /* it may hold keys */
	arena_reset(&c->arena);
	return rs.broken ? -1 : 0;
}
