/* The HTTP client against a real server: answers, limits, errors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#undef fail /* lib/err.h has one of its own */

#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "clock.h"
#include "http.h"
#include "http_impl.h"
#include "test_server.h"

static struct test_server server;
static char url[256];

/* An answer's bytes by the path of the request. */
static const struct canned {
	const char *path, *bytes;
	bool keep; /* the connection */
} canned[] = {
	{ "/ok",
	    "HTTP/1.1 200 OK\r\nX-Cpa-Version:  7.2.1 \r\n"
	    "Content-Length: 5\r\n\r\nhello",
	    true },
	{ "/chunked",
	    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	    "3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
	    true },
	{ "/no-reason", "HTTP/1.1 204\r\n\r\n", true },
	{ "/denied", "HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno",
	    true },
	{ "/continue",
	    "HTTP/1.1 100 Continue\r\nX-Cpa-Version: 1\r\n\r\n"
	    "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n",
	    true },
	{ "/cut", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", false },
	{ "/cut-chunk",
	    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf",
	    false },
	{ "/nothing", "", false },
	{ "/old", "what is this\r\n", false },
	{ "/slow-body", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
	    true },
	{ "/slow", "", true },
	{ "/to-ok",
	    "HTTP/1.1 302 Found\r\nLocation: ok\r\n"
	    "Content-Length: 4\r\n\r\nmove",
	    true },
	{ "/to-echo-303",
	    "HTTP/1.1 303 See Other\r\nLocation: /echo\r\n"
	    "Content-Length: 0\r\n\r\n",
	    true },
	{ "/to-echo-307",
	    "HTTP/1.1 307 Temporary Redirect\r\nLocation: /echo\r\n"
	    "Content-Length: 0\r\n\r\n",
	    true },
	{ "/to-itself",
	    "HTTP/1.1 302 Found\r\nLocation: /to-itself\r\n"
	    "Content-Length: 0\r\n\r\n",
	    true },
	{ "/to-other",
	    "HTTP/1.1 302 Found\r\n"
	    "Location: http://u:p@127.0.0.1:1/ok?token=t\r\n"
	    "Content-Length: 0\r\n\r\n",
	    true },
	{ "/to-https",
	    "HTTP/1.1 301 Moved\r\nLocation: https://127.0.0.1/ok\r\n"
	    "Content-Length: 0\r\n\r\n",
	    true },
};

static bool
echo(struct test_server *s, int fd)
{
	char head[128];

	snprintf(head, sizeof head,
	    "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n",
	    strlen(s->request));
	test_server_say(fd, head);
	test_server_say(fd, s->request);
	return true;
}

/* /big/STATUS: 200 KiB */
static bool
big(int fd, int status)
{
	static char block[1024];
	char head[128];

	memset(block, 'x', sizeof block);
	snprintf(head, sizeof head,
	    "HTTP/1.1 %d Big\r\nContent-Length: %d\r\n\r\n", status,
	    200 * 1024);
	test_server_say(fd, head);
	for (int i = 0; i < 200; i++)
		test_server_write(fd, block, sizeof block);
	return true;
}

static bool
answer(struct test_server *s, int fd)
{
	const char *path = strchr(s->request, ' ') + 1;
	size_t n = strcspn(path, " ?");

	if (strncmp(path, "/echo", n) == 0)
		return echo(s, fd);
	if (strncmp(path, "/big/", 5) == 0)
		return big(fd, path[5] == '2' ? 200 : 500);
	/* answers the first request of a connection, not the second */
	if (strncmp(path, "/second-dies", n) == 0) {
		if (s->requests == 2)
			return false;
		test_server_say(
		    fd, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
		return true;
	}
	for (size_t i = 0; i < sizeof canned / sizeof *canned; i++)
		if (strlen(canned[i].path) == n &&
		    strncmp(path, canned[i].path, n) == 0) {
			test_server_say(fd, canned[i].bytes);
			return canned[i].keep;
		}
	test_server_say(
	    fd, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
	return true;
}

static int
start(void **state)
{
	struct err e;

	test_server_start(&server, answer);
	*state = http_new(&e);
	return *state == NULL;
}

static int
end(void **state)
{
	http_free(*state);
	test_server_end(&server);
	return 0;
}

static struct http_call
get(const char *path)
{
	snprintf(url, sizeof url, "http://127.0.0.1:%d%s", server.port, path);
	return (struct http_call){ .method = "GET",
		.url = url,
		.connect_ms = 2000,
		.total_ms = 5000,
		.body_limit_bytes = 1024 * 1024 };
}

/* `Get "http://127.0.0.1:PORT<path>": <why>` */
static void
assert_failed(struct http *h, const struct http_call *c, const char *why)
{
	struct http_answer a;
	struct err e = { 0 };
	char want[512], name[400];

	assert_int_equal(http_do(h, c, &a, &e), -1);
	http_call_name(c->method, c->url, name, sizeof name);
	snprintf(want, sizeof want, "%s: %s", name, why);
	assert_string_equal(e.text, want);
	assert_int_equal(e.kind, ERR_UPSTREAM);
	http_answer_free(&a);
}

static void
answers_as_they_are(void **state)
{
	static const struct {
		const char *path, *line, *body, *version;
	} cases[] = { { "/ok", "200 OK", "hello", "7.2.1" },
		{ "/chunked", "200 OK", "hello", "" },
		{ "/no-reason", "204", "", "" },
		{ "/denied", "401 Unauthorized", "no", "" },
		{ "/continue", "201 Created", "", "" },
		{ "/to-ok", "302 Found", "move", "" },
		{ "/unknown", "404 Not Found", "", "" } };

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct http_call c = get(cases[i].path);
		struct http_answer a;
		char line[96];

		assert_int_equal(http_do(*state, &c, &a, NULL), 0);
		http_status_line(&a, line, sizeof line);
		assert_string_equal(line, cases[i].line);
		assert_string_equal(buf_text(&a.body), cases[i].body);
		assert_string_equal(a.cpa_version, cases[i].version);
		http_answer_free(&a);
	}
	assert_int_equal(server.connections, 1); /* one, kept all the time */
}

static void
request_as_described(void **state)
{
	struct http_call c = get("/echo?a=1");
	struct http_answer a;
	const char *text;

	c.bearer = "the key";
	assert_int_equal(http_do(*state, &c, &a, NULL), 0);
	text = buf_text(&a.body);
	assert_memory_equal(text, "GET /echo?a=1 HTTP/1.1\r\n", 24);
	assert_non_null(strstr(text, "\r\nAuthorization: Bearer the key\r\n"));
	assert_non_null(strstr(text, "\r\nUser-Agent: cpa-manager/"));
	assert_null(strstr(text, "Content-Type"));
	http_answer_free(&a);

	c.bearer = NULL; /* nothing of the call before is left */
	c.method = "PUT";
	c.body = STR("{\"value\":true}");
	c.body_type = "application/json";
	assert_int_equal(http_do(*state, &c, &a, NULL), 0);
	text = buf_text(&a.body);
	assert_memory_equal(text, "PUT /echo?a=1 HTTP/1.1\r\n", 24);
	assert_null(strstr(text, "Authorization"));
	assert_null(strstr(text, "Expect"));
	assert_non_null(strstr(text, "\r\nContent-Type: application/json\r\n"));
	assert_non_null(strstr(text, "\r\nContent-Length: 14\r\n"));
	assert_non_null(strstr(text, "\r\n\r\n{\"value\":true}"));
	http_answer_free(&a);

	c = get("/echo");
	c.method = "POST";
	assert_int_equal(http_do(*state, &c, &a, NULL), 0);
	text = buf_text(&a.body);
	assert_non_null(strstr(text, "\r\nContent-Length: 0\r\n"));
	assert_null(strstr(text, "Content-Type"));
	http_answer_free(&a);

	c = get("/echo");
	c.method = "DELETE";
	assert_int_equal(http_do(*state, &c, &a, NULL), 0);
	assert_memory_equal(buf_text(&a.body), "DELETE /echo HTTP/1.1\r\n", 23);
	http_answer_free(&a);
}

static void
broken_answers(void **state)
{
	struct http_call c = get("/cut");

	assert_failed(*state, &c, "unexpected EOF");
	c = get("/cut-chunk");
	assert_failed(*state, &c, "unexpected EOF");
	c = get("/nothing");
	assert_failed(*state, &c, "EOF");
	c = get("/old");
	assert_failed(*state, &c, "malformed HTTP response");
}

static void
bodies_have_a_limit(void **state)
{
	struct http_call c = get("/ok");
	struct http_answer a;

	c.body_limit_bytes = 5;
	assert_int_equal(http_do(*state, &c, &a, NULL), 0);
	assert_string_equal(buf_text(&a.body), "hello");
	http_answer_free(&a);
	c.body_limit_bytes = 4;
	assert_failed(*state, &c, "the answer is larger than 4 bytes");
	c = get("/chunked");
	c.body_limit_bytes = 4;
	assert_failed(*state, &c, "the answer is larger than 4 bytes");
	c = get("/big/200");
	c.body_limit_bytes = 100000;
	assert_failed(*state, &c, "the answer is larger than 100000 bytes");
}

static void
waiting_has_a_limit(void **state)
{
	struct http_call c = get("/slow");
	int64_t begin = clock_mono_ms();

	c.total_ms = 100;
	assert_failed(*state, &c,
	    "context deadline exceeded (Client.Timeout exceeded while "
	    "awaiting headers)");
	c = get("/slow-body");
	c.total_ms = 100;
	assert_failed(*state, &c,
	    "context deadline exceeded (Client.Timeout or context "
	    "cancellation while reading body)");
	assert_in_range(clock_mono_ms() - begin, 190, 2000);
}

/* A listener whose backlog is full does not answer the handshake. */
static void
connecting_has_a_limit(void **state)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	int port, listener = test_listener(&port, 0), fd[8];
	struct http_call c;
	char to[64], why[96];

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	a.sin_port = htons((uint16_t)port);
	for (int i = 0; i < 8; i++) {
		fd[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)connect(fd[i], (struct sockaddr *)&a, sizeof a);
	}
	c = get("/");
	snprintf(to, sizeof to, "http://127.0.0.1:%d/", port);
	snprintf(why, sizeof why, "dial tcp 127.0.0.1:%d: i/o timeout", port);
	c.url = to;
	c.connect_ms = 150;
	assert_failed(*state, &c, why);
	for (int i = 0; i < 8; i++)
		close(fd[i]);
	close(listener);
}

static void
nobody_there(void **state)
{
	struct http_call c = get("/");
	char to[64], want[256];
	struct http_answer a;
	struct err e = { 0 };
	int port = test_free_port();

	snprintf(
	    to, sizeof to, "http://127.0.0.1:%d/v0/management/config", port);
	c.url = to;
	assert_int_equal(http_do(*state, &c, &a, &e), -1);
	snprintf(want, sizeof want,
	    "Get \"http://127.0.0.1:%d/v0/management/config\": "
	    "dial tcp 127.0.0.1:%d: connect: connection refused",
	    port, port);
	assert_string_equal(e.text, want);
	assert_int_equal(e.kind, ERR_UPSTREAM);
	assert_int_equal(a.status, 0);
	http_answer_free(&a);

	/* an empty label is no name anywhere, so no name server is asked */
	c.url = "http://no..such.invalid/x";
	assert_failed(
	    *state, &c, "dial tcp: lookup no..such.invalid: no such host");
}

static void
urls_that_are_none(void **state)
{
	static const struct {
		const char *url, *text;
	} cases[] = {
		{ "127.0.0.1:80/x", "Get \"127.0.0.1:80/x\": unsupported "
				    "protocol scheme \"\"" },
		{ "", "Get \"\": unsupported protocol scheme \"\"" },
		{ "ftp://h/x",
		    "Get \"ftp://h/x\": unsupported protocol scheme \"ftp\"" },
		{ "file:///etc/passwd",
		    "Get \"file:///etc/passwd\": unsupported protocol scheme "
		    "\"file\"" },
		{ "http://u:secret@[::1/x", "parse \"http://[::1/x\": " },
		{ "http://h:99999/x", "parse \"http://h:99999/x\": " },
		{ "http://a b/x", "parse \"http://a b/x\": " },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct http_call c = get("/");
		struct http_answer a;
		struct err e = { 0 };

		c.url = cases[i].url;
		assert_int_equal(http_do(*state, &c, &a, &e), -1);
		assert_int_equal(e.kind, ERR_INPUT);
		assert_memory_equal(
		    e.text, cases[i].text, strlen(cases[i].text));
		http_answer_free(&a);
	}
}

static void
errors_carry_no_secrets(void **state)
{
	char to[256], want[256];
	struct http_call c = get("/");
	struct http_answer a;
	struct err e = { 0 };

	snprintf(to, sizeof to,
	    "http://user:p%%40ss@127.0.0.1:%d/cut?count=1&api_key=abc&x",
	    server.port);
	c.url = to;
	c.bearer = "the key";
	assert_int_equal(http_do(*state, &c, &a, &e), -1);
	snprintf(want, sizeof want,
	    "Get \"http://127.0.0.1:%d/cut?count=1&api_key=***&x\": "
	    "unexpected EOF",
	    server.port);
	assert_string_equal(e.text, want);
	http_answer_free(&a);
}

static void
bearer_cannot_add_headers(void **state)
{
	struct http_call c = get("/echo");
	struct http_answer a;
	struct err e = { 0 };

	c.bearer = "a\r\nX-Admin: 1";
	assert_int_equal(http_do(*state, &c, &a, &e), -1);
	assert_int_equal(e.kind, ERR_INPUT);
	assert_string_equal(
	    e.text, "invalid header field value for \"Authorization\"");
	assert_int_equal(server.requests, 0);
	http_answer_free(&a);
}

static void
redirects_within_the_origin(void **state)
{
	struct http_call c = get("/to-ok");
	struct http_answer a;

	c.follow = true;
	assert_int_equal(http_do(*state, &c, &a, NULL), 0);
	assert_int_equal(a.status, 200);
	assert_string_equal(buf_text(&a.body), "hello");
	http_answer_free(&a);

	c = get("/to-echo-303");
	c.follow = true;
	c.method = "PUT";
	c.body = STR("data");
	c.bearer = "the key";
	assert_int_equal(http_do(*state, &c, &a, NULL), 0);
	assert_memory_equal(buf_text(&a.body), "GET /echo HTTP/1.1\r\n", 20);
	assert_non_null(strstr(buf_text(&a.body), "Bearer the key"));
	assert_null(strstr(buf_text(&a.body), "data"));
	http_answer_free(&a);

	c.url = get("/to-echo-307").url;
	assert_int_equal(http_do(*state, &c, &a, NULL), 0);
	assert_memory_equal(buf_text(&a.body), "PUT /echo HTTP/1.1\r\n", 20);
	assert_non_null(strstr(buf_text(&a.body), "\r\n\r\ndata"));
	http_answer_free(&a);

	c = get("/to-itself");
	c.follow = true;
	assert_failed(*state, &c, "stopped after 10 redirects");
}

static void
redirects_elsewhere_refused(void **state)
{
	struct http_call c = get("/to-other");

	c.follow = true;
	c.bearer = "the key";
	assert_failed(*state, &c,
	    "redirected to another origin, http://127.0.0.1:1; not followed");
	c = get("/to-https");
	c.follow = true;
	assert_failed(*state, &c,
	    "redirected to another origin, https://127.0.0.1:443; not "
	    "followed");
}

struct taken {
	struct buf b;
	size_t limit;
};

static int
take(void *to, const char *p, size_t n)
{
	struct taken *t = to;

	buf_add(&t->b, p, n);
	return t->b.n > t->limit ? -1 : 0;
}

static void
sink_takes_good_answers(void **state)
{
	struct http_call c = get("/big/200");
	struct taken t = { .limit = SIZE_MAX };
	struct http_answer a;

	buf_init(&t.b, 1024 * 1024);
	c.sink = take;
	c.sink_to = &t;
	assert_int_equal(http_do(*state, &c, &a, NULL), 0);
	assert_int_equal(t.b.n, 200 * 1024);
	assert_int_equal(a.body.n, 0);
	http_answer_free(&a);

	/* of another one the beginning is kept, for the message */
	buf_clear(&t.b);
	c.url = get("/big/500").url;
	assert_int_equal(http_do(*state, &c, &a, NULL), 0);
	assert_int_equal(a.status, 500);
	assert_int_equal(a.body.n, 64 * 1024);
	assert_int_equal(t.b.n, 0);
	http_answer_free(&a);

	t.limit = 10;
	c.url = get("/big/200").url;
	assert_failed(*state, &c, "the answer was broken off by its reader");
	t.limit = SIZE_MAX;
	c.body_limit_bytes = 1000;
	assert_failed(*state, &c, "the answer is larger than 1000 bytes");
	buf_free(&t.b);
}

static bool
stop_after(void *arg)
{
	return clock_mono_ms() > *(const int64_t *)arg;
}

static void
stop_breaks_off(void **state)
{
	int64_t begin = clock_mono_ms(), when = begin + 100;
	struct http_call c = get("/slow");

	c.total_ms = 20000;
	c.stop = stop_after;
	c.stop_arg = &when;
	assert_failed(*state, &c, "context canceled");
	assert_in_range(clock_mono_ms() - begin, 100, 3000);
}

static void
dead_connection_sends_again(void **state)
{
	struct http_call c = get("/second-dies");
	struct http_answer a;

	for (int i = 0; i < 2; i++) {
		assert_int_equal(http_do(*state, &c, &a, NULL), 0);
		assert_int_equal(a.status, 200);
		http_answer_free(&a);
	}
	assert_int_equal(server.requests, 3);
	assert_int_equal(server.connections, 2);
}

static void
once_is_once(void **state)
{
	struct http_call c = get("/second-dies");
	struct http_answer a;

	c.once = true;
	assert_int_equal(http_do(*state, &c, &a, NULL), 0);
	http_answer_free(&a);
	assert_failed(*state, &c, "EOF");
	assert_int_equal(server.requests, 2);
	/* the next call is a new one */
	assert_int_equal(http_do(*state, &c, &a, NULL), 0);
	http_answer_free(&a);
}

static void
no_proxy_for_this_machine(void **state)
{
	struct http_call c = get("/ok");
	struct http_answer a;
	char proxy[64];
	struct err e = { 0 };

	snprintf(proxy, sizeof proxy, "http_proxy=http://127.0.0.1:%d",
	    test_free_port());
	assert_int_equal(putenv(proxy), 0);
	assert_int_equal(http_do(*state, &c, &a, NULL), 0);
	assert_int_equal(a.status, 200);
	http_answer_free(&a);
	/* but for others: the proxy refuses, nobody is looked up */
	c.url = "http://cpa.invalid/";
	assert_int_equal(http_do(*state, &c, &a, &e), -1);
	assert_non_null(strstr(e.text, "connect: connection refused"));
	http_answer_free(&a);
	unsetenv("http_proxy");
}

/* ---- TLS ------------------------------------------------------------------
 */

static SSL_CTX *tls;

/* The server's loop, with TLS and one answer for everything. */
static void *
tls_run(void *arg)
{
	struct test_server *s = arg;

	while (test_server_wait(s, s->listener, -1)) {
		int fd = accept(s->listener, NULL, NULL);
		SSL *ssl = SSL_new(tls);
		char request[4096];

		SSL_set_fd(ssl, fd);
		if (SSL_accept(ssl) == 1 &&
		    SSL_read(ssl, request, sizeof request) > 0) {
			static const char text[] =
			    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"
			    "Connection: close\r\n\r\nhi";

			SSL_write(ssl, text, sizeof text - 1);
			SSL_shutdown(ssl);
		}
		SSL_free(ssl);
		close(fd);
	}
	return NULL;
}

static void
make_certificate(void)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	X509_NAME *name = X509_get_subject_name(cert);

	X509_set_version(cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
	X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
	X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
	    (const unsigned char *)"127.0.0.1", -1, -1, 0);
	X509_set_issuer_name(cert, name);
	X509_set_pubkey(cert, key);
	assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
	tls = SSL_CTX_new(TLS_server_method());
	assert_int_equal(SSL_CTX_use_certificate(tls, cert), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(tls, key), 1);
	X509_free(cert);
	EVP_PKEY_free(key);
}

static void
certificates_are_checked(void **state)
{
	struct http_call c = get("/");
	struct test_server s = { .port = 0 };
	struct http_answer a;
	char to[64];

	make_certificate();
	s.listener = test_listener(&s.port, 4);
	assert_int_equal(pipe(s.stop), 0);
	assert_int_equal(pthread_create(&s.thread, NULL, tls_run, &s), 0);

	snprintf(to, sizeof to, "https://127.0.0.1:%d/", s.port);
	c.url = to;
	assert_failed(*state, &c,
	    "tls: failed to verify certificate: x509: certificate signed by "
	    "unknown authority");
	c.insecure_tls = true;
	assert_int_equal(http_do(*state, &c, &a, NULL), 0);
	assert_string_equal(buf_text(&a.body), "hi");
	http_answer_free(&a);
	c.insecure_tls = false; /* and is not remembered */
	assert_failed(*state, &c,
	    "tls: failed to verify certificate: x509: certificate signed by "
	    "unknown authority");

	test_server_end(&s);
	SSL_CTX_free(tls);
}

/* A web server without TLS answers the handshake with its error page. */
static void *
plain_run(void *arg)
{
	int fd = accept(*(const int *)arg, NULL, NULL);
	char hello[4096];

	if (recv(fd, hello, sizeof hello, 0) > 0)
		test_server_say(fd, "HTTP/1.0 400 Bad Request\r\n\r\n");
	shutdown(fd, SHUT_WR);
	while (recv(fd, hello, sizeof hello, 0) > 0)
		;
	close(fd);
	return NULL;
}

static void
https_to_a_plain_server(void **state)
{
	struct http_call c = get("/");
	int port, listener = test_listener(&port, 1);
	pthread_t t;
	char to[64];

	assert_int_equal(pthread_create(&t, NULL, plain_run, &listener), 0);
	snprintf(to, sizeof to, "https://127.0.0.1:%d/", port);
	c.url = to;
	assert_failed(
	    *state, &c, "http: server gave HTTP response to HTTPS client");
	pthread_join(t, NULL);
	close(listener);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, start, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(answers_as_they_are),
		TEST(request_as_described),
		TEST(broken_answers),
		TEST(bodies_have_a_limit),
		TEST(waiting_has_a_limit),
		TEST(connecting_has_a_limit),
		TEST(nobody_there),
		TEST(urls_that_are_none),
		TEST(errors_carry_no_secrets),
		TEST(bearer_cannot_add_headers),
		TEST(redirects_within_the_origin),
		TEST(redirects_elsewhere_refused),
		TEST(sink_takes_good_answers),
		TEST(stop_breaks_off),
		TEST(dead_connection_sends_again),
		TEST(once_is_once),
		TEST(no_proxy_for_this_machine),
		TEST(certificates_are_checked),
		TEST(https_to_a_plain_server),
	};
	int rc;

	if (http_global_init(NULL) != 0)
		return 1;
	rc = cmocka_run_group_tests_name("http", tests, NULL, NULL);
	http_global_cleanup();
	return rc;
}
