/*
 * Errors of the HTTP client as a person reads them.  The wording is that of
 * the reference's runtime: panels and documents know these sentences.
 */
#include "http_impl.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#define URL_SHOWN_MAX 320

/* Words in the name of a parameter whose value may be a secret. */
static const char *const telling[] = { "key", "token", "secret", "password",
	"auth", "code", "sig" };

static bool
is_telling(struct str name)
{
	for (size_t i = 0; i < sizeof telling / sizeof *telling; i++)
		if (str_contains_nocase(name, str_of(telling[i])))
			return true;
	return false;
}

/* Append the query, values of telling parameters replaced. */
static void
add_query(struct buf *b, const char *p)
{
	while (*p != '\0' && *p != '#') {
		size_t whole = strcspn(p, "&#"), name = strcspn(p, "=&#");

		if (name < whole && is_telling((struct str){ p, name })) {
			buf_add(b, p, name);
			buf_z(b, "=***");
		} else
			buf_add(b, p, whole);
		p += whole;
		if (*p == '&')
			buf_char(b, *p++);
	}
}

void
http_url_redact(const char *url, char *out, size_t n)
{
	const char *rest, *authority = strstr(url, "://");
	struct buf b;
	size_t host_n;

	buf_init(&b, strlen(url) + 1024);
	authority = authority == NULL ? url : authority + 3;
	host_n = strcspn(authority, "/?#");
	rest = authority;
	for (const char *p = authority; p < authority + host_n; p++)
		if (*p == '@')
			rest = p + 1;
	buf_add(&b, url, (size_t)(authority - url));
	buf_add(&b, rest, strcspn(rest, "?#"));
	rest += strcspn(rest, "?#");
	if (*rest == '?') {
		buf_char(&b, '?');
		add_query(&b, rest + 1);
	}
	snprintf(out, n, "%s", buf_text(&b));
	buf_free(&b);
}

void
http_call_name(const char *method, const char *url, char *out, size_t n)
{
	char shown[URL_SHOWN_MAX], verb[16];
	size_t i = 0;

	http_url_redact(url, shown, sizeof shown);
	for (; method[i] != '\0' && i + 1 < sizeof verb; i++)
		verb[i] = (char)(i == 0 ? toupper((unsigned char)method[i]) :
					  tolower((unsigned char)method[i]));
	verb[i] = '\0';
	snprintf(out, n, "%s \"%s\"", verb, shown);
}

/* "h:p" of the peer that was spoken to, else of the URL. */
static void
peer_name(const struct http_transfer *t, char *out, size_t n)
{
	char *host = NULL, *port = NULL, *ip = NULL;
	CURLU *u = curl_url();
	long number = 0;

	if (curl_easy_getinfo(t->curl, CURLINFO_PRIMARY_IP, &ip) == CURLE_OK &&
	    ip != NULL && *ip != '\0' &&
	    curl_easy_getinfo(t->curl, CURLINFO_PRIMARY_PORT, &number) ==
		CURLE_OK &&
	    number > 0)
		snprintf(out, n, strchr(ip, ':') ? "[%s]:%ld" : "%s:%ld", ip,
		    number);
	else if (u != NULL &&
		 curl_url_set(u, CURLUPART_URL, t->url, 0) == CURLUE_OK &&
		 curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
		 curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) ==
		     CURLUE_OK)
		snprintf(out, n, "%s:%s", host, port);
	else
		snprintf(out, n, "?");
	curl_free(host);
	curl_free(port);
	curl_url_cleanup(u);
}

/* Text of an errno in lower case; what when there is none. */
static void
errno_text(const struct http_transfer *t, const char *what, char *out, size_t n)
{
	const char *text = NULL;
	long number = 0;

	if (curl_easy_getinfo(t->curl, CURLINFO_OS_ERRNO, &number) ==
		CURLE_OK &&
	    number > 0)
		text = strerrordesc_np((int)number);
	snprintf(out, n, "%s", text != NULL ? text : what);
	out[0] = (char)tolower((unsigned char)out[0]);
}

static void
timeout_text(
    const struct http_transfer *t, const char *peer, char *out, size_t n)
{
	curl_off_t connected = 0;

	curl_easy_getinfo(t->curl, CURLINFO_PRETRANSFER_TIME_T, &connected);
	if (t->answer->status != 0)
		snprintf(out, n,
		    "context deadline exceeded (Client.Timeout or context "
		    "cancellation while reading body)");
	else if (connected != 0)
		snprintf(out, n,
		    "context deadline exceeded (Client.Timeout exceeded while "
		    "awaiting headers)");
	else
		snprintf(out, n, "dial tcp %s: i/o timeout", peer);
}

static void
certificate_text(const struct http_transfer *t, char *out, size_t n)
{
	const char *why = t->error_text;
	long result = 0;

	curl_easy_getinfo(t->curl, CURLINFO_SSL_VERIFYRESULT, &result);
	switch (result) {
	case X509_V_OK: /* the chain is good, so it is the name */
		break;
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
		why = "certificate signed by unknown authority";
		break;
	case X509_V_ERR_CERT_HAS_EXPIRED:
	case X509_V_ERR_CERT_NOT_YET_VALID:
		why = "certificate has expired or is not yet valid";
		break;
	default:
		why = X509_verify_cert_error_string(result);
	}
	snprintf(out, n, "tls: failed to verify certificate: x509: %s", why);
}

static void
tls_text(const struct http_transfer *t, char *out, size_t n)
{
	char cause[128];

	if (strstr(t->error_text, "wrong version number") != NULL)
		snprintf(
		    out, n, "http: server gave HTTP response to HTTPS client");
	else if (*t->error_text != '\0')
		snprintf(out, n, "tls: %s", t->error_text);
	else {
		errno_text(t, "handshake failed", cause, sizeof cause);
		snprintf(out, n, "tls: %s", cause);
	}
}

static void
lookup_text(const struct http_transfer *t, char *out, size_t n)
{
	CURLU *u = curl_url();
	char *host = NULL;

	if (u != NULL && curl_url_set(u, CURLUPART_URL, t->url, 0) == CURLUE_OK)
		curl_url_get(u, CURLUPART_HOST, &host, 0);
	snprintf(out, n, "dial tcp: lookup %s: no such host",
	    host != NULL ? host : "?");
	curl_free(host);
	curl_url_cleanup(u);
}

/* Text of a transfer that we ended; NULL when curl's code is the reason. */
static const char *
broken_text(const struct http_transfer *t, char *out, size_t n)
{
	switch (t->broken) {
	case BROKEN_LIMIT:
		snprintf(out, n, "the answer is larger than %zu bytes",
		    t->call->body_limit_bytes);
		return out;
	case BROKEN_SINK:
		return "the answer was broken off by its reader";
	case BROKEN_MEMORY:
		return "out of memory";
	case BROKEN_STOP:
		return "context canceled";
	case BROKEN_TWICE:
		return "EOF";
	case BROKEN_NOT:
	case BROKEN_ENOUGH:
		break;
	}
	return NULL;
}

/* What happened, without what was asked for. */
static void
cause_text(const struct http_transfer *t, CURLcode code, char *out, size_t n)
{
	char peer[300], cause[128];
	const char *what;

	peer_name(t, peer, sizeof peer);
	switch (code) {
	case CURLE_COULDNT_CONNECT:
		errno_text(t, "connection failed", cause, sizeof cause);
		snprintf(out, n, "dial tcp %s: connect: %s", peer, cause);
		break;
	case CURLE_COULDNT_RESOLVE_HOST:
		lookup_text(t, out, n);
		break;
	case CURLE_OPERATION_TIMEDOUT:
		timeout_text(t, peer, out, n);
		break;
	case CURLE_GOT_NOTHING:
		snprintf(out, n, "EOF");
		break;
	case CURLE_PARTIAL_FILE:
		snprintf(out, n, "unexpected EOF");
		break;
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
		errno_text(t, "connection broken", cause, sizeof cause);
		what = code == CURLE_RECV_ERROR ? "read" : "write";
		snprintf(out, n, "%s tcp %s: %s: %s", what, peer, what, cause);
		break;
	case CURLE_PEER_FAILED_VERIFICATION:
		certificate_text(t, out, n);
		break;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_CACERT_BADFILE:
		tls_text(t, out, n);
		break;
	case CURLE_UNSUPPORTED_PROTOCOL: /* ours were checked: HTTP/0.9 */
	case CURLE_WEIRD_SERVER_REPLY:
		snprintf(out, n, "malformed HTTP response");
		break;
	default:
		/* never the error buffer: it may quote what we sent */
		snprintf(out, n, "%s", curl_easy_strerror(code));
	}
}

int
http_fail(const struct http_transfer *t, CURLcode code, struct err *e)
{
	char name[URL_SHOWN_MAX + 32], why[480];
	const char *text;

	http_call_name(t->call->method, t->url, name, sizeof name);
	if ((text = broken_text(t, why, sizeof why)) == NULL) {
		cause_text(t, code, why, sizeof why);
		text = why;
	}
	return fail(e, ERR_UPSTREAM, "%s: %s", name, text);
}

void
http_connect_fail(CURL *curl, const char *url, const char *error_text,
    CURLcode code, struct err *e)
{
	struct http_answer none = { .status = 0 };
	struct http_transfer t = { .curl = curl,
		.url = url,
		.error_text = error_text,
		.answer = &none };
	char why[480];

	cause_text(&t, code, why, sizeof why);
	fail(e, ERR_UPSTREAM, "%s", why);
}
