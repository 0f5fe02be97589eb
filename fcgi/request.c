/*
 * Parsing of a request's parameters.  This is where foreign bytes become
 * typed values; nothing behind it looks at raw text again.
 */
#include "fcgi/request.h"

#include <string.h>

#include "clock.h"
#include "json_in.h"

static const char *const method_names[METHOD__MAX] = {
	[METHOD_GET] = "GET",
	[METHOD_HEAD] = "HEAD",
	[METHOD_POST] = "POST",
	[METHOD_PUT] = "PUT",
	[METHOD_PATCH] = "PATCH",
	[METHOD_DELETE] = "DELETE",
	[METHOD_OPTIONS] = "OPTIONS",
	[METHOD_OTHER] = "OTHER",
	[METHOD_ANY] = "ANY",
};

const char *
method_text(enum http_method m)
{
	return method_names[m];
}

static enum http_method
method_parse(struct str s)
{
	for (enum http_method m = METHOD_GET; m < METHOD_OTHER; m++)
		if (str_eq(s, str_of(method_names[m])))
			return m;
	return METHOD_OTHER;
}

struct str
request_param(const struct request *rq, const char *name)
{
	size_t n = strlen(name);

	for (char *const *p = rq->params; *p != NULL; p++)
		if (strncmp(*p, name, n) == 0 && (*p)[n] == '=')
			return str_of(*p + n + 1);
	return (struct str){ NULL, 0 };
}

static size_t
params_size(char *const *params)
{
	size_t n = 0;

	for (char *const *p = params; *p != NULL; p++)
		n += strlen(*p) + 1;
	return n;
}

/*
 * The header under the names that web servers use for it: nginx and Apache's
 * CGIPassAuth, mod_fcgid's FcgidPassHeader, and mod_rewrite's work-around.
 */
static struct str
find_authorization(const struct request *rq)
{
	static const char *const names[] = { "HTTP_AUTHORIZATION",
		"Authorization", "REDIRECT_HTTP_AUTHORIZATION" };

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct str s = request_param(rq, names[i]);

		if (s.n > 0)
			return s;
	}
	return (struct str){ "", 0 };
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/*
 * Decode percent escapes, and '+' as a space when plus is true.  The result
 * is in the arena.  what names the part of the request in errors.
 */
static int
decode(struct arena *a, struct str in, bool plus, const char *what,
    struct str *out, struct err *e)
{
	char *p = arena_alloc(a, in.n + 1);
	size_t n = 0;

	if (p == NULL)
		return fail(e, ERR_TOO_LARGE, "%s: too large", what);
	for (size_t i = 0; i < in.n; i++) {
		char c = in.p[i];

		if (c == '%') {
			int hi, lo;

			if (in.n - i < 3 || (hi = hex_digit(in.p[i + 1])) < 0 ||
			    (lo = hex_digit(in.p[i + 2])) < 0)
				return fail(e, ERR_INPUT,
				    "%s: bad percent escape", what);
			c = (char)(hi * 16 + lo);
			i += 2;
		} else if (plus && c == '+')
			c = ' ';
		if (c == '\0')
			return fail(e, ERR_INPUT, "%s: NUL byte", what);
		p[n++] = c;
	}
	*out = (struct str){ p, n };
	if (!utf8_valid(*out))
		return fail(e, ERR_INPUT, "%s: not valid UTF-8", what);
	return 0;
}

/* The part of *rest before the separator; *rest moves behind it. */
static struct str
cut(struct str *rest, char separator, bool *last)
{
	const char *p =
	    rest->n > 0 ? memchr(rest->p, separator, rest->n) : NULL;
	struct str part = *rest;

	*last = p == NULL;
	if (p != NULL) {
		part.n = (size_t)(p - rest->p);
		rest->p = p + 1;
		rest->n -= part.n + 1;
	} else
		*rest = (struct str){ "", 0 };
	return part;
}

/*
 * Split, then decode, then judge: an encoded slash stays inside its segment,
 * and what the web server in front of us may have understood differently is
 * refused rather than cleaned.
 */
static int
parse_path(struct request *rq, struct err *e)
{
	struct str rest = rq->target;
	bool last;

	if (rest.n == 0 || rest.p[0] != '/')
		return fail(e, ERR_INPUT, "path: must begin with a slash");
	rest.p++;
	rest.n--;
	do {
		struct str raw = cut(&rest, '/', &last);
		struct str *seg = &rq->segment[rq->nsegments];

		if (rq->nsegments == SEGMENTS_MAX)
			return fail(e, ERR_INPUT, "path: too many segments");
		if (raw.n == 0 && !last)
			return fail(e, ERR_INPUT, "path: empty segment");
		if (decode(rq->arena, raw, false, "path", seg, e) != 0)
			return -1;
		if (str_eq(*seg, STR(".")) || str_eq(*seg, STR("..")))
			return fail(e, ERR_INPUT, "path: dot segment");
		rq->nsegments++;
	} while (!last);
	return 0;
}

/* The decoded path as one text, for the log. */
static int
join_path(struct request *rq, struct err *e)
{
	size_t n = 0;
	char *p;

	for (size_t i = 0; i < rq->nsegments; i++)
		n += rq->segment[i].n + 1;
	if ((p = arena_alloc(rq->arena, n + 1)) == NULL)
		return fail(e, ERR_TOO_LARGE, "path: too large");
	rq->path = (struct str){ p, n };
	for (size_t i = 0; i < rq->nsegments; i++) {
		*p++ = '/';
		if (rq->segment[i].n > 0)
			memcpy(p, rq->segment[i].p, rq->segment[i].n);
		p += rq->segment[i].n;
	}
	return 0;
}

static int
parse_query(struct request *rq, struct str text, struct err *e)
{
	struct str rest = text;
	size_t max = 1;
	bool last;

	if (text.n == 0)
		return 0;
	for (size_t i = 0; i < text.n; i++)
		max += text.p[i] == '&';
	if (max > QUERY_PAIRS_MAX)
		return fail(e, ERR_INPUT, "query: too many parameters");
	rq->query = arena_array(rq->arena, max, sizeof *rq->query);
	if (rq->query == NULL)
		return fail(e, ERR_TOO_LARGE, "query: too large");
	do {
		struct str pair = cut(&rest, '&', &last), name;
		struct query_pair *q = &rq->query[rq->nquery];
		bool bare;

		if (pair.n == 0)
			continue;
		name = cut(&pair, '=', &bare);
		if (decode(rq->arena, name, true, "query", &q->name, e) != 0 ||
		    decode(rq->arena, pair, true, "query", &q->value, e) != 0)
			return -1;
		rq->nquery++;
	} while (!last);
	return 0;
}

/*
 * Some clients ask for an absolute URI; web servers pass it on as it came.
 */
static struct str
strip_origin(struct str uri)
{
	static const struct str schemes[] = { { "http://", 7 },
		{ "https://", 8 } };

	for (size_t i = 0; i < 2; i++) {
		const char *slash;

		if (!str_starts(uri, schemes[i]))
			continue;
		uri.p += schemes[i].n;
		uri.n -= schemes[i].n;
		slash = uri.n > 0 ? memchr(uri.p, '/', uri.n) : NULL;
		if (slash == NULL)
			return STR("/");
		uri.n -= (size_t)(slash - uri.p);
		uri.p = slash;
		return uri;
	}
	return uri;
}

int
request_parse(
    struct request *rq, struct arena *a, char *const *params, struct err *e)
{
	struct str uri, query = { "", 0 };
	const char *mark;

	*rq = (struct request){ .arena = a, .params = params };
	rq->method_text = request_param(rq, "REQUEST_METHOD");
	rq->method = method_parse(rq->method_text);
	rq->remote = request_param(rq, "REMOTE_ADDR");
	rq->origin = request_param(rq, "HTTP_ORIGIN");
	rq->authorization = find_authorization(rq);

	uri = request_param(rq, "REQUEST_URI");
	if (uri.p == NULL)
		return fail(e, ERR_INPUT,
		    "REQUEST_URI: the web server did not pass it on");
	uri = strip_origin(uri);
	mark = uri.n > 0 ? memchr(uri.p, '?', uri.n) : NULL;
	rq->target = uri;
	if (mark != NULL) {
		rq->target.n = (size_t)(mark - uri.p);
		query = (struct str){ mark + 1, uri.n - rq->target.n - 1 };
	}
	if (params_size(params) > HEADERS_MAX)
		return fail(
		    e, ERR_HEADERS, "headers: more than 64 KiB together");
	if (uri.n > TARGET_MAX)
		return fail(e, ERR_INPUT, "path: longer than 16 KiB");
	/* OPTIONS * asks about the server, not about a path */
	if (rq->method == METHOD_OPTIONS && str_eq(rq->target, STR("*"))) {
		rq->path = rq->target;
		return 0;
	}
	if (parse_path(rq, e) != 0 || join_path(rq, e) != 0)
		return -1;
	return parse_query(rq, query, e);
}

int
request_stream_body(struct request *rq,
    int (*sink)(void *to, const char *p, size_t n, struct err *e), void *to,
    struct err *e)
{
	struct str length = request_param(rq, "CONTENT_LENGTH");
	int64_t announced, deadline_ms = clock_mono_ms() + BODY_TIME_MS;
	bool known = str_i64(length, &announced) == 0 && announced >= 0;
	size_t got = 0;
	char piece[8192];
	int n;

	if (known && (uint64_t)announced > rq->body_max_bytes)
		goto large;
	while (
	    (n = rq->read_body(rq->body_from, piece, (int)sizeof piece)) > 0) {
		if ((size_t)n > rq->body_max_bytes - got)
			goto large;
		got += (size_t)n;
		if (sink(to, piece, (size_t)n, e) != 0)
			return -1;
		if (clock_mono_ms() > deadline_ms)
			return fail(e, ERR_TIMEOUT,
			    "body: not complete after %d seconds",
			    BODY_TIME_MS / 1000);
	}
	if (n < 0)
		return fail(
		    e, ERR_TIMEOUT, "body: it broke off or came too slowly");
	if (known && (uint64_t)announced != got)
		return fail(e, ERR_INPUT,
		    "body: %zu bytes came, %lld were announced", got,
		    (long long)announced);
	return 0;
large:
	return fail(e, ERR_TOO_LARGE, "body: larger than %zu bytes",
	    rq->body_max_bytes);
}

static int
into_buffer(void *to, const char *p, size_t n, struct err *e)
{
	struct buf *into = to;

	buf_add(into, p, n);
	return into->failed ? fail(e, ERR_UNAVAILABLE, "out of memory") : 0;
}

int
request_read_body(struct request *rq, struct buf *into, size_t cap_bytes,
    int (*read)(void *from, char *p, int n), void *from, struct err *e)
{
	buf_clear(into);
	rq->body_max_bytes = cap_bytes;
	rq->read_body = read;
	rq->body_from = from;
	if (request_stream_body(rq, into_buffer, into, e) != 0)
		return -1;
	rq->body = buf_view(into);
	return 0;
}

json_t *
request_json(const struct request *rq, struct err *e)
{
	json_t *body = json_in_parse(rq->body, false, e);

	if (body == NULL || json_is_object(body) || json_is_null(body))
		return body;
	json_decref(body);
	fail(e, ERR_INPUT, "body: must be a JSON object");
	return NULL;
}

struct str
request_query(const struct request *rq, const char *name)
{
	for (size_t i = 0; i < rq->nquery; i++)
		if (str_eq(rq->query[i].name, str_of(name)))
			return rq->query[i].value;
	return (struct str){ NULL, 0 };
}

int
request_query_i64(const struct request *rq, const char *name, int64_t min,
    int64_t max, int64_t *out, struct err *e)
{
	struct str s = request_query(rq, name);
	int64_t v;

	if (s.n == 0)
		return 0;
	if (str_i64(s, &v) != 0)
		return fail(e, ERR_INPUT, "%s must be an integer", name);
	if (v < min || v > max)
		return fail(e, ERR_INPUT, "%s must be within %lld and %lld",
		    name, (long long)min, (long long)max);
	*out = v;
	return 0;
}
