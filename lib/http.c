/*
 * One call at a time over one CURL handle, which keeps its connections
 * between calls.  Redirects are followed here and not by libcurl, because
 * only we know that they must not leave the origin.
 */
#include "http.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <curl/curl.h>

#include "clock.h"
#include "http_impl.h"

#define REDIRECTS_MAX 10
#define ERROR_BODY_BYTES (64 * 1024) /* kept of an answer that is not 2xx */
#define SINK_READ_BYTES (128L * 1024)

struct http {
	CURL *curl;
	char error_text[CURL_ERROR_SIZE];
};

int
http_global_init(struct err *e)
{
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return fail(e, ERR_INTERNAL, "libcurl does not start");
	return 0;
}

void
http_global_cleanup(void)
{
	curl_global_cleanup();
}

struct http *
http_new(struct err *e)
{
	struct http *h = calloc(1, sizeof *h);

	if (h == NULL || (h->curl = curl_easy_init()) == NULL) {
		free(h);
		fail(e, ERR_INTERNAL, "HTTP client: out of memory");
		return NULL;
	}
	return h;
}

void
http_free(struct http *h)
{
	if (h == NULL)
		return;
	curl_easy_cleanup(h->curl);
	free(h);
}

/* ---- what libcurl calls ------------------------------------------------- */

/* "HTTP/1.1 401 Unauthorized" begins an answer; 100 Continue is one too. */
static void
take_status_line(struct http_answer *a, struct str line)
{
	const char *space = memchr(line.p, ' ', line.n);
	struct str rest;
	int64_t status;

	a->reason[0] = '\0';
	a->cpa_version[0] = '\0';
	a->status = 0;
	if (space == NULL)
		return;
	rest.p = space + 1;
	rest.n = line.n - (size_t)(rest.p - line.p);
	if (rest.n < 3 || str_i64((struct str){ rest.p, 3 }, &status) != 0)
		return;
	a->status = (int)status;
	rest = str_trim((struct str){ rest.p + 3, rest.n - 3 });
	snprintf(a->reason, sizeof a->reason, "%.*s", STR_ARG(rest));
}

static size_t
on_header(char *p, size_t size, size_t n, void *arg)
{
	static const struct str version = { "x-cpa-version:", 14 };
	struct http_transfer *t = arg;
	struct str line = str_trim((struct str){ p, size * n });

	if (str_starts(line, STR("HTTP/")))
		take_status_line(t->answer, line);
	else if (line.n > version.n &&
		 str_eq_nocase((struct str){ line.p, version.n }, version)) {
		line.p += version.n;
		line.n -= version.n;
		line = str_trim(line);
		snprintf(t->answer->cpa_version, sizeof t->answer->cpa_version,
		    "%.*s", STR_ARG(line));
	}
	return size * n;
}

static size_t
give_up(struct http_transfer *t, enum http_broken why)
{
	t->broken = why;
	return 0; /* anything but the size given ends the transfer */
}

static size_t
on_body(char *p, size_t size, size_t count, void *arg)
{
	struct http_transfer *t = arg;
	struct buf *body = &t->answer->body;
	size_t n = size * count, room = body->limit_bytes - body->n;

	if (t->call->sink != NULL && t->answer->status / 100 != 2) {
		buf_add(body, p, n < room ? n : room);
		return n <= room ? n : give_up(t, BROKEN_ENOUGH);
	}
	t->received_bytes += n;
	if (t->received_bytes > t->call->body_limit_bytes)
		return give_up(t, BROKEN_LIMIT);
	if (t->call->sink != NULL)
		return t->call->sink(t->call->sink_to, p, n) == 0 ?
			   n :
			   give_up(t, BROKEN_SINK);
	buf_add(body, p, n);
	return body->failed ? give_up(t, BROKEN_MEMORY) : n;
}

static int
on_progress(void *arg, curl_off_t down_total, curl_off_t down,
    curl_off_t up_total, curl_off_t up)
{
	struct http_transfer *t = arg;

	(void)down_total;
	(void)down;
	(void)up_total;
	(void)up;
	if (t->call->stop == NULL || !t->call->stop(t->call->stop_arg))
		return 0;
	t->broken = BROKEN_STOP;
	return 1;
}

/* Called before each sending of the request over a connection. */
static int
on_send(void *arg, char *peer_ip, char *own_ip, int peer_port, int own_port)
{
	struct http_transfer *t = arg;

	(void)peer_ip;
	(void)own_ip;
	(void)peer_port;
	(void)own_port;
	if (t->sent && t->call->once) {
		t->broken = BROKEN_TWICE;
		return CURL_PREREQFUNC_ABORT;
	}
	t->sent = true;
	return CURL_PREREQFUNC_OK;
}

/* ---- URLs ---------------------------------------------------------------- */

/*
 * Parse url into u.  The parser would take "host:80/path" for a URL with a
 * scheme of its own, so the separator is asked for first.
 */
static int
url_parse(CURLU *u, const char *method, const char *url, struct err *e)
{
	char name[400], *scheme = NULL;
	int rc = -1;
	CURLUcode code;

	http_call_name(method, url, name, sizeof name);
	if (strstr(url, "://") == NULL)
		return fail(
		    e, ERR_INPUT, "%s: unsupported protocol scheme \"\"", name);
	code = curl_url_set(u, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME);
	if (code != CURLUE_OK) {
		http_url_redact(url, name, sizeof name);
		return fail(e, ERR_INPUT, "parse \"%s\": %s", name,
		    curl_url_strerror(code));
	}
	if (curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK)
		return fail(e, ERR_UPSTREAM, "%s: out of memory", name);
	if (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0)
		fail(e, ERR_INPUT, "%s: unsupported protocol scheme \"%s\"",
		    name, scheme);
	else
		rc = 0;
	curl_free(scheme);
	return rc;
}

static bool
part_equal(CURLU *a, CURLU *b, CURLUPart part)
{
	char *x = NULL, *y = NULL;
	bool equal;

	equal = curl_url_get(a, part, &x, CURLU_DEFAULT_PORT) == CURLUE_OK &&
		curl_url_get(b, part, &y, CURLU_DEFAULT_PORT) == CURLUE_OK &&
		strcasecmp(x, y) == 0;
	curl_free(x);
	curl_free(y);
	return equal;
}

static bool
same_origin(CURLU *a, CURLU *b)
{
	return part_equal(a, b, CURLUPART_SCHEME) &&
	       part_equal(a, b, CURLUPART_HOST) &&
	       part_equal(a, b, CURLUPART_PORT);
}

/* This machine: 127.0.0.0/8, ::1, localhost and what is below it. */
static bool
is_loopback(CURLU *u)
{
	char *text = NULL;
	struct str host;
	bool yes;

	if (curl_url_get(u, CURLUPART_HOST, &text, 0) != CURLUE_OK)
		return false;
	host = str_of(text);
	yes = str_starts(host, STR("127.")) || str_eq(host, STR("[::1]")) ||
	      str_eq_nocase(host, STR("localhost")) ||
	      (host.n > 10 &&
		  str_eq_nocase((struct str){ host.p + host.n - 10, 10 },
		      STR(".localhost")));
	curl_free(text);
	return yes;
}

/* ---- one request --------------------------------------------------------- */

/* Append "name: value"; sets *failed. */
static struct curl_slist *
add_header(
    struct curl_slist *list, bool *failed, const char *name, const char *value)
{
	struct curl_slist *longer;
	struct buf line;

	buf_init(&line, strlen(name) + strlen(value) + 8);
	buf_printf(&line, "%s:%s%s", name, *value != '\0' ? " " : "", value);
	longer = line.failed ? NULL : curl_slist_append(list, buf_text(&line));
	buf_wipe(&line);
	if (longer == NULL)
		*failed = true;
	return longer != NULL ? longer : list;
}

/* The list holds the key; curl_slist_free_all() alone would leave it. */
static void
wipe_headers(struct curl_slist *list)
{
	for (struct curl_slist *l = list; l != NULL; l = l->next)
		explicit_bzero(l->data, strlen(l->data));
	curl_slist_free_all(list);
}

static struct curl_slist *
make_headers(const struct http_call *c, bool has_body, bool *failed)
{
	struct curl_slist *list = NULL;

	/* no wait for "100 Continue" before a large body */
	list = add_header(list, failed, "Expect", "");
	if (c->bearer != NULL) {
		struct buf value;

		buf_init(&value, strlen(c->bearer) + 16);
		buf_printf(&value, "Bearer %s", c->bearer);
		list =
		    add_header(list, failed, "Authorization", buf_text(&value));
		*failed |= value.failed;
		buf_wipe(&value);
	}
	/* libcurl's own guess for a body would be a form */
	if (has_body)
		list = add_header(list, failed, "Content-Type",
		    c->body_type != NULL ? c->body_type : "");
	return list;
}

static long
clamp_ms(int64_t ms)
{
	return ms < 1 ? 1 : ms > INT_MAX ? INT_MAX : (long)ms;
}

CURLcode
http_set_trust(CURL *curl, bool insecure)
{
	const char *file = getenv("SSL_CERT_FILE");
	const char *dir = getenv("SSL_CERT_DIR");
	CURLcode rc;

	rc = curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, insecure ? 0L : 1L);
	if (rc == CURLE_OK)
		rc = curl_easy_setopt(
		    curl, CURLOPT_SSL_VERIFYHOST, insecure ? 0L : 2L);
	if (rc == CURLE_OK && file != NULL && *file != '\0')
		rc = curl_easy_setopt(curl, CURLOPT_CAINFO, file);
	if (rc == CURLE_OK && dir != NULL && *dir != '\0')
		rc = curl_easy_setopt(curl, CURLOPT_CAPATH, dir);
	return rc;
}

/*
 * Describe one hop to libcurl.  The handle is reset first: nothing of the
 * call before stays, but its connections.
 */
static CURLcode
set_up(struct http *h, struct http_transfer *t, const char *method,
    struct str body, struct curl_slist *headers, bool direct, int64_t left_ms)
{
	const struct http_call *c = t->call;
	CURLcode rc = CURLE_OK;
	CURL *curl = h->curl;

#define SET(option, value)                                          \
	do {                                                        \
		if (rc == CURLE_OK)                                 \
			rc = curl_easy_setopt(curl, option, value); \
	} while (0)

	curl_easy_reset(curl);
	h->error_text[0] = '\0';
	SET(CURLOPT_ERRORBUFFER, h->error_text);
	SET(CURLOPT_URL, t->url);
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_TCP_KEEPALIVE, 1L);
	SET(CURLOPT_USERAGENT, "cpa-manager/" CPA_MANAGER_VERSION);
	SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	if (direct)
		SET(CURLOPT_PROXY, "");
	SET(CURLOPT_HTTPHEADER, headers);
	if (rc == CURLE_OK)
		rc = http_set_trust(curl, c->insecure_tls);
	if (c->connect_ms > 0)
		SET(CURLOPT_CONNECTTIMEOUT_MS, clamp_ms(c->connect_ms));
	if (c->total_ms > 0)
		SET(CURLOPT_TIMEOUT_MS, clamp_ms(left_ms));
	if (c->sink != NULL)
		SET(CURLOPT_BUFFERSIZE, SINK_READ_BYTES);
	if (strcmp(method, "HEAD") == 0)
		SET(CURLOPT_NOBODY, 1L);
	else if (body.p != NULL) {
		SET(CURLOPT_POSTFIELDS, body.p);
		SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.n);
	}
	SET(CURLOPT_CUSTOMREQUEST, method);
	SET(CURLOPT_HEADERFUNCTION, on_header);
	SET(CURLOPT_HEADERDATA, t);
	SET(CURLOPT_WRITEFUNCTION, on_body);
	SET(CURLOPT_WRITEDATA, t);
	SET(CURLOPT_XFERINFOFUNCTION, on_progress);
	SET(CURLOPT_XFERINFODATA, t);
	SET(CURLOPT_NOPROGRESS, 0L);
	SET(CURLOPT_PREREQFUNCTION, on_send);
	SET(CURLOPT_PREREQDATA, t);
#undef SET
	return rc;
}

static int
request(struct http *h, struct http_transfer *t, const char *method,
    struct str body, bool direct, int64_t left_ms, struct err *e)
{
	struct curl_slist *headers;
	bool failed = false;
	CURLcode code;

	headers = make_headers(t->call, body.p != NULL, &failed);
	code = failed ? CURLE_OUT_OF_MEMORY :
			set_up(h, t, method, body, headers, direct, left_ms);
	if (code == CURLE_OK)
		code = curl_easy_perform(h->curl);
	curl_easy_setopt(h->curl, CURLOPT_HTTPHEADER, NULL);
	wipe_headers(headers);
	if (code == CURLE_OK || t->broken == BROKEN_ENOUGH)
		return 0;
	return http_fail(t, code, e);
}

/* Where a redirect leads, owned by the caller; NULL when it is none. */
static char *
redirect_target(CURL *curl, int status)
{
	char *target = NULL;

	if (status != 301 && status != 302 && status != 303 && status != 307 &&
	    status != 308)
		return NULL;
	if (curl_easy_getinfo(curl, CURLINFO_REDIRECT_URL, &target) !=
		CURLE_OK ||
	    target == NULL)
		return NULL;
	return strdup(target);
}

static int
refuse_redirect(const struct http_transfer *t, CURLU *to, struct err *e)
{
	char name[360], *scheme = NULL, *host = NULL, *port = NULL;

	http_call_name(t->call->method, t->url, name, sizeof name);
	curl_url_get(to, CURLUPART_SCHEME, &scheme, 0);
	curl_url_get(to, CURLUPART_HOST, &host, 0);
	curl_url_get(to, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT);
	fail(e, ERR_UPSTREAM,
	    "%s: redirected to another origin, %s://%.80s:%s; not followed",
	    name, scheme != NULL ? scheme : "?", host != NULL ? host : "?",
	    port != NULL ? port : "?");
	curl_free(scheme);
	curl_free(host);
	curl_free(port);
	return -1;
}

/* A value that would end its header line early. */
static bool
breaks_header(const char *value)
{
	return value != NULL && strpbrk(value, "\r\n") != NULL;
}

static int
follow(struct http *h, struct http_transfer *t, CURLU *origin, CURLU *next,
    int64_t end_ms, struct err *e)
{
	const char *method = t->call->method;
	struct str body = t->call->body;
	bool direct = is_loopback(origin);
	char *url = NULL, name[360];
	int rc = -1;

	/* a request that usually has a body says so when it has none */
	if (body.p == NULL &&
	    (strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 ||
		strcmp(method, "PATCH") == 0))
		body = STR("");
	for (int hops = 0;; hops++) {
		char *target;

		t->sent = false;
		if (request(h, t, method, body, direct,
			end_ms - clock_mono_ms(), e) != 0)
			goto out;
		if (!t->call->follow || (target = redirect_target(h->curl,
					     t->answer->status)) == NULL)
			break;
		if (curl_url_set(next, CURLUPART_URL, target,
			CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK ||
		    !same_origin(origin, next)) {
			refuse_redirect(t, next, e);
			free(target);
			goto out;
		}
		free(url);
		t->url = url = target;
		if (hops == REDIRECTS_MAX) {
			http_call_name(method, url, name, sizeof name);
			fail(e, ERR_UPSTREAM, "%s: stopped after %d redirects",
			    name, REDIRECTS_MAX);
			goto out;
		}
		if (t->answer->status < 307 && strcmp(method, "HEAD") != 0) {
			method = "GET";
			body = (struct str){ NULL, 0 };
		}
		buf_clear(&t->answer->body);
		t->received_bytes = 0;
		t->broken = BROKEN_NOT;
	}
	rc = 0;
out:
	t->url = t->call->url;
	free(url);
	return rc;
}

int
http_do(struct http *h, const struct http_call *call,
    struct http_answer *answer, struct err *e)
{
	struct http_transfer t = { .curl = h->curl,
		.url = call->url,
		.error_text = h->error_text,
		.call = call,
		.answer = answer };
	int64_t end_ms = clock_mono_ms() + call->total_ms;
	CURLU *origin = curl_url(), *next = curl_url();
	int rc = -1;

	*answer = (struct http_answer){ .status = 0 };
	buf_init(&answer->body,
	    call->sink == NULL ? call->body_limit_bytes : ERROR_BODY_BYTES);
	if (origin == NULL || next == NULL)
		fail(e, ERR_UPSTREAM, "HTTP client: out of memory");
	else if (url_parse(origin, call->method, call->url, e) != 0)
		;
	else if (breaks_header(call->bearer) || breaks_header(call->body_type))
		fail(e, ERR_INPUT, "invalid header field value for %s",
		    breaks_header(call->bearer) ? "\"Authorization\"" :
						  "\"Content-Type\"");
	else
		rc = follow(h, &t, origin, next, end_ms, e);
	answer->sent = t.sent;
	curl_url_cleanup(origin);
	curl_url_cleanup(next);
	return rc;
}

void
http_answer_free(struct http_answer *a)
{
	buf_free(&a->body);
}

void
http_status_line(const struct http_answer *a, char *out, size_t n)
{
	snprintf(out, n, "%d%s%s", a->status, a->reason[0] != '\0' ? " " : "",
	    a->reason);
}
