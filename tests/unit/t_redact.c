/*
 * Secrets out of texts and payloads.  Left and right of each case stand what
 * goes in and what comes out; "hunter2" and the like never survive.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#undef fail

#include "model/normalise.h"
#include "model/redact.h"

static struct arena arena;

struct pair {
	const char *in, *out;
};

static void
check(const struct pair *cases, size_t n,
    struct str (*redact)(struct str, struct arena *))
{
	int bad = 0;

	for (size_t i = 0; i < n; i++) {
		struct str s;

		arena_reset(&arena);
		s = redact(str_of(cases[i].in), &arena);
		if (!str_eq(s, str_of(cases[i].out))) {
			print_error("%s\n  is   %.*s\n  want %s\n", cases[i].in,
			    STR_ARG(s), cases[i].out);
			bad++;
		}
		/* what is redacted stays as it is */
		if (!str_eq(redact(s, &arena), s)) {
			print_error("%s: again: %.*s\n", cases[i].in,
			    STR_ARG(redact(s, &arena)));
			bad++;
		}
	}
	assert_int_equal(bad, 0);
}

#define CHECK(cases) check(cases, sizeof cases / sizeof *cases, redact_summary)

/* The table of section 6.7. */
static void
what_the_reference_finds(void **state)
{
	static const struct pair cases[] = {
		{ "", "" },
		{ "  plain text  ", "plain text" },
		{ "Authorization: Bearer abcdefghijkl",
		    "Authorization: [redacted]" },
		{ "authorization=abc, next", "authorization=[redacted], next" },
		{ "bearer abcdefgh.ij", "Bearer [redacted]" },
		{ "access_token=abc&x=1", "access_token=[redacted]&x=1" },
		{ "\"refresh_token\": \"r-1\"",
		    "\"refresh_token\": \"[redacted]\"" },
		{ "id_token : 'x y'", "id_token : '[redacted]'" },
		{ "api key: k1", "api key: [redacted]" },
		{ "x-api-key=k2;", "x-api-key=[redacted]" },
		{ "{\"api_key\":\"k1\"}", "{\"api_key\":\"[redacted]\"}" },
		{ "key sk-proj-abcdef123456.", "key [redacted]." },
		{ "sk-ant-api03-xyz_12", "[redacted]" },
		{ "sk-12345", "sk-12345" },
		{ "sess-abcdef ghp_abcdef hf_abcdef pk_abcdef rk_abcdef",
		    "[redacted] [redacted] [redacted] [redacted] [redacted]" },
		{ "github_pat_abcdefghijklmnopqrst", "[redacted]" },
		{ "AIzaSyA123", "AIzaSyA123" },
		{ "AIzaSyA1234567", "[redacted]" },
		{ "\"Cookie\": \"a=b; c=d\"", "\"Cookie\": \"[redacted]\"" },
		{ "set-cookie: a=b; Path=/\nnext",
		    "set-cookie: [redacted]\nnext" },
		{ "user bob.smith@example.com", "user b***@example.com" },
		{ "a@b.io, +c@d.example", "a***@b.io, +***@d.example" },
		{ "no@host but x@y.z1", "no@host but x@y.z1" },
		{ "acce\xc5\xbf\xc5\xbf_to\xe2\x84\xaa"
		  "en=abc coo\xe2\x84\xaaie: x",
		    "acce\xc5\xbf\xc5\xbf_to\xe2\x84\xaa"
		    "en=[redacted] coo\xe2\x84\xaaie: [redacted]" },
	};

	(void)state;
	CHECK(cases);
}

/* What it lets through. */
static void
what_the_reference_leaks(void **state)
{
	static const struct pair cases[] = {
		{ "{\"Set-Cookie\":[\"sid=hunter2; Path=/\",\"b=2\"],\"x\":1}",
		    "{\"Set-Cookie\":[redacted],\"x\":1}" },
		{ "{\"Cookie\":[\"a]b\\\"]c\"],\"x\":1}",
		    "{\"Cookie\":[redacted],\"x\":1}" },
		{ "Cookie: a=1, b=2", "Cookie: [redacted]" },
		{ "Set-Cookie2: a=1", "Set-Cookie2: [redacted]" },
		{ "Authorization: Basic aHVudGVyMg==",
		    "Authorization: [redacted]" },
		{ "Authorization: Digest username=\"bob\", response=\"ab\"\nX: "
		  "1",
		    "Authorization: [redacted]\nX: 1" },
		{ "{\"authorization\":\"short\"}",
		    "{\"authorization\":\"[redacted]\"}" },
		{ "{\"Authorization\":\"Digest u=\\\"bob\\\", "
		  "r=\\\"x\\\"\",\"y\":2}",
		    "{\"Authorization\":\"[redacted]\",\"y\":2}" },
		{ "{\"authorization\":[\"Bearer x\"]}",
		    "{\"authorization\":[redacted]}" },
		{ "Proxy-Authorization: Basic x",
		    "Proxy-Authorization: [redacted]" },
		{ "bearer abc", "Bearer [redacted]" },
		{ "Authorization=Basic a\\/b== bearer c",
		    "Authorization=[redacted] Bearer [redacted]" },
		/* JSON inside a JSON text */
		{ "\"{\\\"authorization\\\":\\\"Basic "
		  "hunter2\\\",\\\"a\\\":1}\"",
		    "\"{\\\"authorization\\\":\\\"[redacted]\\\",\\\"a\\\":1}"
		    "\"" },
		{ "\"{\\\"api_key\\\":\\\"hunter 2\\\"}\"",
		    "\"{\\\"api_key\\\":\\\"[redacted]\\\"}\"" },
		{ "{\"X-Api-Key\":[\"zzz\"]}", "{\"X-Api-Key\":[redacted]}" },
		{ "{\"x-goog-api-key\":\"zz\"}",
		    "{\"x-goog-api-key\":\"[redacted]\"}" },
		{ "Incorrect API key provided: hunter2. See",
		    "Incorrect API key provided: [redacted] See" },
		{ "client_secret=hunter2&a=b", "client_secret=[redacted]&a=b" },
		{ "\"password\":\"hunter2\"", "\"password\":\"[redacted]\"" },
		{ "session_token: hunter2", "session_token: [redacted]" },
		{ "\"accessToken\":\"hunter2\"",
		    "\"accessToken\":\"[redacted]\"" },
		{ "Post \"https://h/v1?alt=sse&key=hunter2\": EOF",
		    "Post \"https://h/v1?alt=sse&key=[redacted]\": EOF" },
		{ "proxy http://bob:hunter2@proxy:8080 failed",
		    "proxy http://[redacted]@proxy:8080 failed" },
		{ "xai-0123456789abcdef", "[redacted]" },
		{ "jwt eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0", "jwt [redacted]" },
		{ "AKIAIOSFODNN7EXAMPLE", "[redacted]" },
		{ "ya29.a0AfH6SMBx-hunter2", "[redacted]" },
		/* the host of one is the name of the next */
		{ "bob@b.example.hunter2@c.example.hunter2@d.example",
		    "b***@b***@c***@d.example" },
	};

	(void)state;
	CHECK(cases);
}

/* A summary that hides what is no secret helps nobody. */
static void
what_stays(void **state)
{
	static const struct pair cases[] = {
		{ "{\"Www-Authenticate\":[\"Bearer realm=\\\"x\\\"\"]}",
		    "{\"Www-Authenticate\":[\"Bearer realm=\\\"x\\\"\"]}" },
		{ "bearer token is missing", "bearer token is missing" },
		{ "{\"code\":\"token_revoked\",\"max_tokens\":5}",
		    "{\"code\":\"token_revoked\",\"max_tokens\":5}" },
		{ "Tokens (actual/limit): 1,050/1,000",
		    "Tokens (actual/limit): 1,050/1,000" },
		{ "{\"X-Ratelimit-Limit-Tokens\":[\"50000\"]}",
		    "{\"X-Ratelimit-Limit-Tokens\":[\"50000\"]}" },
		{ "{\"X-Openai-Authorization-Error\":[\"401\"]}",
		    "{\"X-Openai-Authorization-Error\":[\"401\"]}" },
		{ "dial tcp 127.0.0.1:19209: connect: connection refused",
		    "dial tcp 127.0.0.1:19209: connect: connection refused" },
		{ "no cookie was sent", "no cookie was sent" },
	};

	(void)state;
	CHECK(cases);
}

static struct str
summary_of(char c, size_t n)
{
	static char text[200000];

	memset(text, c, n);
	arena_reset(&arena);
	return redact_summary((struct str){ text, n }, &arena);
}

static void
long_texts_are_cut(void **state)
{
	static char text[6000];
	struct str s;

	(void)state;
	assert_int_equal(summary_of('x', 4096).n, 4096);
	s = summary_of('x', 4097);
	assert_int_equal(s.n, 4099);
	assert_true(str_ends(s, STR("x...")));
	assert_int_equal(redact_summary(s, &arena).n, 4099);
	/* a character that would be cut leaves its place to dots */
	for (size_t i = 0; i + 2 < sizeof text; i += 3)
		memcpy(text + i, "\xe2\x82\xac", 3);
	s = redact_summary((struct str){ text, sizeof text }, &arena);
	assert_true(utf8_valid(s));
	assert_int_equal(s.n, 4099);
	assert_true(str_ends(s, STR("\xac....")));
	assert_true(str_eq(redact_summary(s, &arena), s));
	/* what the cut left behind a mark belongs to the value that it hides */
	memset(text, 'x', sizeof text);
	memcpy(text + 4076, "\"cookie\":\"hunter2\"", 18);
	s = redact_summary((struct str){ text, sizeof text }, &arena);
	assert_true(str_ends(s, STR("\"cookie\":\"[redacted]")));
	assert_true(str_eq(redact_summary(s, &arena), s));
}

/* A long secret needs no stack that a pattern does not have. */
static void
long_secrets_go_alone(void **state)
{
	static const struct {
		const char *head, *part, *tail, *out;
	} cases[] = {
		{ "{\"password\":\"", "\\\"x", "\",\"ok\":1}",
		    "{\"password\":\"[redacted]\",\"ok\":1}" },
		{ "{\"cookie\":[\"\"", ",\"a\\\"b\"", "],\"ok\":1}",
		    "{\"cookie\":[redacted],\"ok\":1}" },
		{ "'{\\\"api_key\\\":\\\"", "a\\/", "\\\",ok}'",
		    "'{\\\"api_key\\\":\\\"[redacted]\\\",ok}'" },
		{ "bearer ", "abc.", " ok", "Bearer [redacted] ok" },
		{ "token=x&access_token=", "a\\x", "&ok",
		    "token=x&access_token=[redacted]&ok" },
	};
	static char text[64 * 1024];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		size_t n = strlen(cases[i].head), part = strlen(cases[i].part);
		struct str s;

		memcpy(text, cases[i].head, n);
		for (; n + 100 < sizeof text; n += part)
			memcpy(text + n, cases[i].part, part);
		memcpy(text + n, cases[i].tail, strlen(cases[i].tail));
		n += strlen(cases[i].tail);
		arena_reset(&arena);
		s = redact_summary((struct str){ text, n }, &arena);
		if (!str_eq(s, str_of(cases[i].out)))
			print_error("%.*s\n", STR_ARG(s));
		assert_true(str_eq(s, str_of(cases[i].out)));
	}
}

/* Text that makes patterns try again and again ends in time, without leak. */
static void
hostile_texts_end(void **state)
{
	static const char *const parts[] = { "a", "\\", "\"", "[", " ", "@",
		"eyJ-", "://a:", "authorization", "cookie:[\"", "a@a.",
		"api_key=\\\"", "sk-", "bearer ", "=\\\\" };
	static char text[200000];
	struct timespec begin, end;

	(void)state;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		for (size_t k = 0; k < sizeof parts / sizeof *parts; k++) {
			size_t n = 0;
			struct str s;

			while (n + 64 < sizeof text) {
				memcpy(text + n, parts[i], strlen(parts[i]));
				n += strlen(parts[i]);
				if (n > sizeof text / 2)
					continue;
				memcpy(text + n, parts[k], strlen(parts[k]));
				n += strlen(parts[k]);
			}
			arena_reset(&arena);
			s = redact_summary((struct str){ text, n }, &arena);
			assert_true(utf8_valid(s));
			assert_true(s.n <= 4099);
		}
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
	/* 225 texts; a quadratic pattern would take minutes */
	assert_true(end.tv_sec - begin.tv_sec < 60);
}

static struct str
payload_4096(struct str s, struct arena *a)
{
	return redact_payload(s, 4096, a);
}

static void
payloads(void **state)
{
	static const struct pair cases[] = {
		{ "{\"source\":\"sk-upstream-key-0123\",\"api_key\":"
		  "\"hunter2\"}",
		    "{\"api_key\":\"[redacted]\",\"source\":\"m:sk-u..."
		    "0123\"}" },
		{ "{\"source\":\"hunter2\",\"key\":7}",
		    "{\"key\":\"[redacted]\",\"source\":\"m:****\"}" },
		{ "{\"source\":\"user@example.com\"}",
		    "{\"source\":\"use***@example.com\"}" },
		{ "{\"response_headers\":{\"Set-Cookie\":[\"a=b\"],"
		  "\"X-Api-Key\":[\"k\"],\"Server\":[\"s\"]}}",
		    "{\"response_headers\":{\"Server\":[\"s\"],"
		    "\"Set-Cookie\":\"[redacted]\",\"X-Api-Key\":"
		    "\"[redacted]\"}}" },
		{ "{\"My Secret-Key\":1,\"id token\":{\"a\":1},\"n\":null}",
		    "{\"My Secret-Key\":\"[redacted]\",\"id token\":"
		    "\"[redacted]\",\"n\":null}" },
		{ "{\"fail\":{\"body\":\"Authorization: Basic x\"}}",
		    "{\"fail\":{\"body\":\"Authorization: [redacted]\"}}" },
		{ "{\"user_agent\":\"a\\u0000\\u200b b\"}",
		    "{\"user_agent\":\"a b\"}" },
		{ "[1,\"sk-hunter2hunter2\"]", "[1,\"[redacted]\"]" },
		/* no JSON */
		{ "{\"source\":\"hunter2\",\"n\":1",
		    "{\"source\":\"[redacted]\",\"n\":1" },
		{ "{\"api_key\":\"hunter2\"", "{\"api_key\":\"[redacted]\"" },
		{ "{\"api_key\":\"hunter2", "{\"api_key\":\"[redacted]" },
		{ "\"api_key\":\"k\xff\"", "\"api_key\":\"[redacted]\"" },
		{ "bytes \xff\xfe", "bytes \xef\xbf\xbd\xef\xbf\xbd" },
		{ "", "" },
	};

	(void)state;
	check(cases, sizeof cases / sizeof *cases, payload_4096);
}

static void
payloads_are_cut(void **state)
{
	static char text[10000];
	struct str s;

	(void)state;
	memset(text, 'x', sizeof text);
	memcpy(text, "{\"a\":\"", 6);
	memcpy(text + sizeof text - 2, "\"}", 2);
	for (size_t limit = 0; limit < 40; limit++) {
		s = redact_payload(
		    (struct str){ text, sizeof text }, limit, &arena);
		assert_true(s.n <= limit);
	}
	assert_int_equal(
	    redact_payload((struct str){ text, sizeof text - 1 }, 5000, &arena)
		.n,
	    5000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_the_reference_finds),
		cmocka_unit_test(what_the_reference_leaks),
		cmocka_unit_test(what_stays),
		cmocka_unit_test(long_texts_are_cut),
		cmocka_unit_test(long_secrets_go_alone),
		cmocka_unit_test(hostile_texts_end),
		cmocka_unit_test(payloads),
		cmocka_unit_test(payloads_are_cut),
	};
	int rc;

	arena_init(&arena, 64 * 1024 * 1024);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	arena_free(&arena);
	return rc;
}
