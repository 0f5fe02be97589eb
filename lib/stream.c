#include "stream.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "clock.h"
#include "http_impl.h"

#define KEEPALIVE_S 30L /* a peer that is gone is noticed in minutes */

struct stream {
	CURL *curl;
	curl_socket_t fd;
	char error_text[CURL_ERROR_SIZE];
	const struct stream_options *options; /* while connecting */
	bool stopped;
};

static int
on_progress(void *arg, curl_off_t down_total, curl_off_t down,
    curl_off_t up_total, curl_off_t up)
{
	struct stream *s = arg;

	(void)down_total;
	(void)down;
	(void)up_total;
	(void)up;
	s->stopped =
	    s->options->stop != NULL && s->options->stop(s->options->stop_arg);
	return s->stopped;
}

/* Scheme, host and port of a URL, and nothing else of it, in *out. */
static int
origin_of(const char *url, char **out, struct err *e)
{
	CURLU *u = curl_url();
	char *scheme = NULL;
	int rc = -1;

	*out = NULL;
	if (u == NULL) {
		fail(e, ERR_UPSTREAM, "out of memory");
		goto out;
	}
	if (curl_url_set(u, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME) !=
		CURLUE_OK ||
	    curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK) {
		fail(e, ERR_INPUT, "invalid upstream URL \"%.200s\"", url);
		goto out;
	}
	if (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0) {
		fail(
		    e, ERR_INPUT, "unsupported upstream scheme \"%s\"", scheme);
		goto out;
	}
	curl_url_set(u, CURLUPART_PATH, NULL, 0);
	curl_url_set(u, CURLUPART_QUERY, NULL, 0);
	curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0);
	curl_url_set(u, CURLUPART_USER, NULL, 0);
	curl_url_set(u, CURLUPART_PASSWORD, NULL, 0);
	if (curl_url_get(u, CURLUPART_URL, out, 0) != CURLUE_OK)
		fail(e, ERR_UPSTREAM, "out of memory");
	else
		rc = 0;
out:
	curl_free(scheme);
	curl_url_cleanup(u);
	return rc;
}

static CURLcode
set_up(struct stream *s, const char *url, const struct stream_options *o)
{
	CURLcode rc = CURLE_OK;

#define SET(option, value)                                             \
	do {                                                           \
		if (rc == CURLE_OK)                                    \
			rc = curl_easy_setopt(s->curl, option, value); \
	} while (0)

	SET(CURLOPT_ERRORBUFFER, s->error_text);
	SET(CURLOPT_URL, url);
	SET(CURLOPT_CONNECT_ONLY, 1L);
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	/* with it CPA takes the connection for HTTP */
	SET(CURLOPT_SSL_ENABLE_ALPN, 0L);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_PROXY, "");
	SET(CURLOPT_TCP_KEEPALIVE, 1L);
	SET(CURLOPT_TCP_KEEPIDLE, KEEPALIVE_S);
	SET(CURLOPT_TCP_KEEPINTVL, KEEPALIVE_S);
	if (rc == CURLE_OK)
		rc = http_set_trust(s->curl, o->insecure_tls);
	SET(CURLOPT_CONNECTTIMEOUT_MS,
	    (long)(o->connect_ms < INT_MAX ? o->connect_ms : INT_MAX));
	SET(CURLOPT_XFERINFOFUNCTION, on_progress);
	SET(CURLOPT_XFERINFODATA, s);
	SET(CURLOPT_NOPROGRESS, 0L);
#undef SET
	return rc;
}

struct stream *
stream_open(const char *url, const struct stream_options *o, struct err *e)
{
	struct stream *s = calloc(1, sizeof *s);
	char *origin = NULL;
	CURLcode code;

	if (s == NULL || (s->curl = curl_easy_init()) == NULL) {
		fail(e, ERR_UPSTREAM, "out of memory");
		goto fail;
	}
	if (origin_of(url, &origin, e) != 0)
		goto fail;
	s->options = o;
	code = set_up(s, origin, o);
	if (code == CURLE_OK)
		code = curl_easy_perform(s->curl);
	if (code == CURLE_OK)
		code =
		    curl_easy_getinfo(s->curl, CURLINFO_ACTIVESOCKET, &s->fd);
	if (code != CURLE_OK) {
		if (s->stopped)
			fail(e, ERR_UPSTREAM, "context canceled");
		else
			http_connect_fail(
			    s->curl, origin, s->error_text, code, e);
		goto fail;
	}
	s->options = NULL;
	curl_free(origin);
	return s;
fail:
	curl_free(origin);
	stream_close(s);
	return NULL;
}

void
stream_close(struct stream *s)
{
	if (s == NULL)
		return;
	curl_easy_cleanup(s->curl);
	free(s);
}

int
stream_fd(const struct stream *s)
{
	return (int)s->fd;
}

int64_t
stream_read(struct stream *s, char *p, size_t n, struct err *e)
{
	size_t got = 0;
	CURLcode code = curl_easy_recv(s->curl, p, n, &got);

	if (code == CURLE_AGAIN)
		return 0;
	if (code == CURLE_OK && got > 0)
		return (int64_t)got;
	if (code == CURLE_OK || code == CURLE_UNSUPPORTED_PROTOCOL)
		return fail(e, ERR_UPSTREAM, "EOF");
	if (errno == ECONNRESET)
		return fail(
		    e, ERR_UPSTREAM, "read tcp: connection reset by peer");
	return fail(e, ERR_UPSTREAM, "read tcp: %s", curl_easy_strerror(code));
}

/* Until it takes bytes again; false when it does not within ms. */
static bool
wait_writable(struct stream *s, int64_t until_ms)
{
	struct pollfd p = { .fd = (int)s->fd, .events = POLLOUT };
	int64_t left = until_ms - clock_mono_ms();

	return left > 0 && poll(&p, 1, (int)left) > 0;
}

int
stream_write(
    struct stream *s, const char *p, size_t n, int64_t ms, struct err *e)
{
	int64_t until_ms = clock_mono_ms() + (ms < INT_MAX ? ms : INT_MAX);

	while (n > 0) {
		size_t sent = 0;
		CURLcode code = curl_easy_send(s->curl, p, n, &sent);

		p += sent;
		n -= sent;
		if (code == CURLE_OK)
			continue;
		if (code != CURLE_AGAIN)
			return fail(e, ERR_UPSTREAM, "write tcp: %s",
			    errno == EPIPE ? "broken pipe" :
					     curl_easy_strerror(code));
		if (!wait_writable(s, until_ms))
			return fail(e, ERR_UPSTREAM, "write tcp: i/o timeout");
	}
	return 0;
}
