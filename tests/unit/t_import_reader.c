/*
 * The events of an import, out of its whole text: contract/database.md
 * sections 12.1, 12.3 and 12.4.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "model/import_reader.h"
#include "test_cmocka.h"

#define NOW_MS INT64_C(1800000000000)
#define EVENTS_MAX 64

/* What came of a text. */
static struct {
	int opened, ended; /* results of opening and of the last reading */
	struct err e;
	struct import_counts counts;
	enum import_format format;
	bool legacy;
	int64_t records;
	size_t n;
	char model[EVENTS_MAX][32], id[EVENTS_MAX][32];
	unsigned char hash[EVENTS_MAX][SHA256_BYTES];
	int64_t at[EVENTS_MAX]; /* records read up to the event */
} got;

static void
copy(char to[32], struct str s)
{
	snprintf(to, 32, "%.*s", STR_ARG(s));
}

static void
read_on(struct import_reader *r)
{
	struct usage_event ev;
	struct arena a;

	do {
		arena_init(&a, (size_t)64 << 20);
		got.ended = import_reader_next(r, NOW_MS, &a, &ev, &got.e);
		if (got.ended == 1 && got.n < EVENTS_MAX) {
			copy(got.model[got.n], ev.model);
			copy(got.id[got.n], ev.request_id);
			memcpy(got.hash[got.n], ev.hash, sizeof ev.hash);
			got.at[got.n++] = r->records;
		}
		arena_free(&a);
	} while (got.ended == 1);
}

/* Read it all, from memory as large as it is and no byte more. */
static void
read_text(struct str text)
{
	char *p = malloc(text.n == 0 ? 1 : text.n);
	struct import_reader r;

	assert_non_null(p);
	memcpy(p, text.p, text.n);
	memset(&got, 0, sizeof got);
	got.opened = import_reader_open(&r, (struct str){ p, text.n }, &got.e);
	if (got.opened == 0)
		read_on(&r);
	got.counts = r.counts;
	got.format = r.format;
	got.legacy = r.legacy;
	got.records = r.records;
	import_reader_close(&r);
	free(p);
}

static void
expect(struct str text, enum import_format format, size_t events,
    int64_t failed, int64_t unsupported)
{
	read_text(text);
	if (got.opened != 0 || got.ended != 0)
		FAIL("%.*s: %s\n", STR_ARG(text), got.e.text);
	if (got.n != events || got.counts.failed != failed ||
	    got.counts.unsupported != unsupported)
		FAIL("%.*s: %zu events, %lld failed, %lld unsupported\n",
		    STR_ARG(text), got.n, (long long)got.counts.failed,
		    (long long)got.counts.unsupported);
	assert_int_equal(got.format, (int)format);
	assert_int_equal(got.legacy,
	    format == IMPORT_LEGACY_EXPORT || format == IMPORT_LEGACY_PAYLOAD);
}

#define LINES(text, ...) expect(STR(text), IMPORT_LINES, __VA_ARGS__, 0)

/* Refused as a whole, before anything is read. */
static void
refused(const char *text, enum import_format format, int64_t unsupported,
    const char *why)
{
	read_text(str_of(text));
	assert_int_equal(got.opened, -1);
	assert_int_equal(got.e.kind, ERR_INPUT);
	assert_int_equal(got.format, (int)format);
	assert_int_equal(got.counts.unsupported, unsupported);
	assert_int_equal(got.counts.failed, 0);
	if (why != NULL)
		assert_string_equal(got.e.text, why);
	assert_true(got.e.text[0] != '\0');
}

#define EMPTY "empty usage import payload"
#define NO_DETAILS "legacy usage export does not contain request details"
#define SEVERAL "usage import payload contains multiple JSON values"

/* ---- the table of section 12.4 ------------------------------------------- */

static void
the_table(void **state)
{
	(void)state;
	refused("", IMPORT_NONE, 0, EMPTY);
	refused(" \t\r\n", IMPORT_NONE, 0, EMPTY);
	LINES("null", 0, 1);
	LINES("5", 0, 1);
	LINES("\"x\"", 0, 1);
	LINES("[]", 0, 0);
	LINES("{}", 1, 0);
	LINES("{\"apis\":{}}", 1, 0);
	LINES("[1,{\"model\":\"m1\"},null]", 1, 2);
	refused("{\"usage\":5}", IMPORT_LINES, 0, NO_DETAILS);
	assert_false(got.legacy);
	refused("{\"usage\":{}}", IMPORT_LEGACY_EXPORT, 1, NO_DETAILS);
	assert_false(got.legacy);
	refused(
	    "{\"usage\":{\"apis\":{}}}", IMPORT_LEGACY_EXPORT, 1, NO_DETAILS);
	assert_false(got.legacy);
	refused("{\"total_requests\":3}", IMPORT_LEGACY_PAYLOAD, 1, NO_DETAILS);
	assert_false(got.legacy);
	/* the warnings, but no event: whoever asked is told no details */
	expect(STR("{\"apis\":{\"POST /x\":{\"models\":"
		   "{\"m\":{\"details\":[]}}}}}"),
	    IMPORT_LEGACY_PAYLOAD, 0, 0, 1);
	refused("{\"bad", IMPORT_LINES, 0, "unexpected EOF");
	LINES("{\"model\":\"a\",\"timestamp\":1}}", 1, 1);
	read_text(STR("[{\"model\":\"z\",\"timestamp\":100}"));
	assert_int_equal(got.n, 1);
	assert_int_equal(got.ended, -1);
	assert_int_equal(got.e.kind, ERR_INPUT);
	assert_string_equal(got.e.text, "EOF");
	LINES("foo\n{\"model\":\"zz\",\"timestamp\":5}", 1, 1);
	LINES("{\"model\":\"a\"}{\"model\":\"b\"}", 2, 0);
	LINES("{\"model\":\"a\"}\n{\"model\":\"b\"}{\"model\":\"c\"}", 1, 1);
	LINES("{\"event_hash\":\"h1\"}\n{\"event_hash\":\"h1\"}", 2, 0);
	assert_memory_equal(got.hash[0], got.hash[1], SHA256_BYTES);
	LINES("{\"event_hash\":null,\"model\":\"m\",\"timestamp\":7}", 1, 0);
}

/* ---- lines --------------------------------------------------------------- */

static void
lines(void **state)
{
	(void)state;
	LINES(
	    "{\"model\":\"a\"}\n\n \r\n{\"model\":\"b\"}\r\n{\"model\":\"c\"}",
	    3, 0);
	assert_string_equal(got.model[0], "a");
	assert_string_equal(got.model[2], "c");
	assert_int_equal(got.records, 3);
	/* the first object may take several lines, and need not end its own */
	LINES("\n {\"model\":\n\"a\"\n} {\"model\":\"b\"}\n{\"model\":\n\"c\"}",
	    2, 2);
	LINES("\xef\xbb\xbf{\"model\":\"a\"}", 1, 0);
	LINES("\xef\xbb\xbf \n[{\"model\":\"a\"}]", 1, 0);
	LINES("{\"model\":\"a\"}\n\xef\xbb\xbf{\"model\":\"b\"}", 1, 1);
	refused("\xef\xbb\xbf", IMPORT_NONE, 0, EMPTY);
	/* one mark only */
	LINES("\xef\xbb\xbf\xef\xbb\xbf{\"model\":\"a\"}", 0, 1);
	/* what begins lines must be JSON, what follows need not */
	refused("{\"model\":}\n{\"model\":\"b\"}", IMPORT_LINES, 0, NULL);
	refused("{\"event_hash\":\"h\",}", IMPORT_LINES, 0, NULL);
	LINES("{\"model\":\"b\"}\n{\"model\":}", 1, 1);
	/* NUL is a byte like others */
	expect(STR("{\"model\":\"b\"}\n\0\n{\"model\":\"c\"}"), IMPORT_LINES, 2,
	    1, 0);
}

/* A snapshot is one only when it stands alone. */
static void
snapshots_among_lines(void **state)
{
#define SNAPSHOT                                                               \
	"{\"apis\":{\"e\":{\"models\":{\"m\":{\"details\":[{\"timestamp\":1}]" \
	"}}}}}"
	(void)state;
	LINES("{\"model\":\"a\"}\n" SNAPSHOT, 2, 0);
	assert_string_equal(got.model[1], "-");
	LINES("[" SNAPSHOT "]", 1, 0);
	assert_string_equal(got.model[0], "-");
	/* a hash, in either spelling, makes it an event */
	LINES("{\"event_hash\":\"h\",\"usage\":5}", 1, 0);
	LINES("{\"eventHash\":\"h\",\"apis\":{\"e\":{}}}", 1, 0);
	LINES("{\"event\\u005fhash\":\"h\",\"usage\":{}}", 1, 0);
	LINES("{\"event_hash\":5,\"total_requests\":3}", 1, 0);
	/* an empty one does not, nor does a second key when there is a first */
	refused(
	    "{\"event_hash\":\" \",\"usage\":5}", IMPORT_LINES, 0, NO_DETAILS);
	refused("{\"event_hash\":null,\"eventHash\":\"h\",\"usage\":5}",
	    IMPORT_LINES, 0, NO_DETAILS);
	refused("{\"success_count\":0}", IMPORT_LEGACY_PAYLOAD, 1, NO_DETAILS);
	refused("{\"failure_count\":0,\"apis\":{}}", IMPORT_LEGACY_PAYLOAD, 1,
	    NO_DETAILS);
	refused(SNAPSHOT " x", IMPORT_LEGACY_PAYLOAD, 0, SEVERAL);
	assert_true(got.legacy);
	refused(SNAPSHOT "\n" SNAPSHOT, IMPORT_LEGACY_PAYLOAD, 0, SEVERAL);
	expect(STR(SNAPSHOT " \n"), IMPORT_LEGACY_PAYLOAD, 1, 0, 0);
}

/* ---- lists --------------------------------------------------------------- */

static void
bad_list(const char *text, size_t events, const char *why)
{
	read_text(str_of(text));
	assert_int_equal(got.opened, 0);
	assert_int_equal(got.ended, -1);
	assert_int_equal(got.e.kind, ERR_INPUT);
	assert_int_equal(got.n, events);
	if (why != NULL)
		assert_string_equal(got.e.text, why);
}

static void
lists(void **state)
{
	(void)state;
	LINES(" [ {\"model\":\"a\"} ,\n{\"model\":\"b\"} ] \n", 2, 0);
	/* each element for itself */
	LINES("[{\"model\":\"a\"},{bad},tru,[{\"model\":\"b\"}],\"\"]", 1, 4);
	bad_list("[", 0, "EOF");
	bad_list("[{\"model\":\"a\"},", 1, "EOF");
	bad_list("[{\"model\":\"a\"},{\"model\":\"b\"", 1, "EOF");
	bad_list("[{\"model\":\"a\"},]", 1, NULL);
	bad_list("[{\"model\":\"a\"},,{\"model\":\"b\"}]", 1, NULL);
	bad_list("[{\"model\":\"a\"} {\"model\":\"b\"}]", 1, NULL);
	bad_list("[{\"model\":\"a\"}}", 1, NULL);
	bad_list("[{\"model\":\"a\"}] x", 1, SEVERAL);
	bad_list("[][]", 0, SEVERAL);
}

/* ---- snapshots ----------------------------------------------------------- */

#define DETAIL(n) "{\"timestamp\":\"2026-01-01T00:00:0" n "Z\"}"
#define GIVEN(id) "{\"timestamp\":\"2026-01-01T00:00:00Z\",\"id\":\"" id "\"}"

static void
snapshots(void **state)
{
	(void)state;
	expect(STR("{\"version\":1,\"usage\":{\"apis\":{\"e\":{\"models\":"
		   "{\"m\":{\"details\":[" GIVEN("1") "," GIVEN("2") "]}}}}}}"),
	    IMPORT_LEGACY_EXPORT, 2, 0, 0);
	assert_string_equal(got.model[0], "m");
	assert_string_equal(got.id[1], "2");
	/* in the order of names, not of the file; keys may hold escapes */
	expect(STR("{\"total_requests\":5,\"apis\":{"
		   "\"f\":{\"models\":{\"m\":{\"details\":[" GIVEN(
		       "5") "]}}},"
			    "\"e\":{\"models\":{"
			    "\"z\":{\"details\":[" GIVEN(
				"4") "]},"
				     "\"\\u0061\":{\"details\":[" GIVEN(
					 "1") "," GIVEN("2") "]},"
							     "\"a\\\\b\":{"
							     "\"deta\\u0069ls\""
							     ":[" GIVEN(
								 "3") "]}"
								      "}}}}"),
	    IMPORT_LEGACY_PAYLOAD, 5, 0, 0);
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(got.id[i][0], '1' + (int)i);
	assert_string_equal(got.model[0], "a");
	assert_string_equal(got.model[2], "a\\b");
}

/* Of equal names the last one counts, as in every object. */
static void
names_that_come_twice(void **state)
{
	(void)state;
	expect(
	    STR("{\"apis\":{\"e\":{\"models\":{\"m\":{\"details\":[" GIVEN("no") "]}}},\"a\":{\"models\":{\"m\":{\"details\":[" GIVEN(
		"no") "]},\"n\":{\"details\":[" GIVEN("2") "]},"
							   "\"\\u006d\":{"
							   "\"details\":"
							   "[" GIVEN(
							       "no") "],"
								     "\"details"
								     "\":"
								     "[" GIVEN(
									 "1") "]}}},\"e\":{\"models\":5,"
									      "\"models\":{\"m\":{\"details\":[" GIVEN(
										  "3") "]}}}}}"),
	    IMPORT_LEGACY_PAYLOAD, 3, 0, 0);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(got.id[i][0], '1' + (int)i);
	expect(STR("{\"apis\":5,\"usage\":{\"apis\":{\"no\":{}}},\"usage\":"
		   "{\"apis\":{\"e\":{\"models\":{\"m\":{\"details\":[" GIVEN(
		       "1") "]}}}}}}"),
	    IMPORT_LEGACY_EXPORT, 1, 0, 0);
}

static void
parts_without_details(void **state)
{
	static const struct {
		const char *apis;
		size_t events;
		int64_t failed, unsupported;
	} cases[] = {
		/* endpoints */
		{ "\"e\":5", 0, 1, 0 },
		{ "\"e\":null,\"f\":[]", 0, 2, 0 },
		{ "\"e\":{}", 0, 1, 0 },
		{ "\"e\":{\"models\":[]}", 0, 1, 0 },
		{ "\"e\":{\"models\":null}", 0, 1, 0 },
		{ "\"e\":{\"models\":{}}", 0, 0, 0 },
		/* models */
		{ "\"e\":{\"models\":{\"m\":5,\"n\":[],\"o\":null}}", 0, 3, 0 },
		{ "\"e\":{\"models\":{\"m\":{},\"n\":{\"details\":{}},"
		  "\"o\":{\"details\":null},\"p\":{\"details\":[]}}}",
		    0, 0, 4 },
		/* details */
		{ "\"e\":{\"models\":{\"m\":{\"details\":[5,null,{},"
		  "{\"timestamp\":\"\"}," DETAIL("1") "]}}}",
		    1, 4, 0 },
		{ "\"e\":{\"models\":{\"m\":{\"details\":[5]}}}", 0, 1, 0 },
		/* a list that is broken ends there, and nothing else does */
		{ "\"e\":{\"models\":{\"m\":{\"details\":[" DETAIL(
		      "1") ",]},\"n\":{\"details\":[" DETAIL("2") "]}}}",
		    2, 1, 0 },
		{ "\"e\":{\"models\":{\"m\":{\"details\":[,]},"
		  "\"n\":{\"details\":[" DETAIL("2") "]}}}",
		    1, 1, 0 },
		/* all kinds between good ones */
		{ "\"a\":5,\"b\":{\"models\":{\"m\":{\"details\":[" DETAIL(
		      "1") "]},\"n\":{}}},\"c\":{},"
			   "\"d\":{\"models\":{\"m\":{\"details\":[" DETAIL(
			       "2") "]}}}",
		    2, 2, 1 },
	};
	char text[1024];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		snprintf(text, sizeof text, "{\"apis\":{%s}}", cases[i].apis);
		expect(str_of(text), IMPORT_LEGACY_PAYLOAD, cases[i].events,
		    cases[i].failed, cases[i].unsupported);
	}
}

/* Where a detail stands makes its id: the same file gives the same events. */
static void
places_of_details(void **state)
{
#define TWO "[" DETAIL("1") "," DETAIL("1") "]"
	static const char text[] =
	    "{\"apis\":{\"e\":{\"models\":{\"m\":{\"details\":" TWO "},"
	    "\"n\":{\"details\":" TWO "}}},\"f\":{\"models\":"
	    "{\"m\":{\"details\":" TWO "}}}}}";
	unsigned char first[6][SHA256_BYTES];
	char ids[6][32];

	(void)state;
	expect(str_of(text), IMPORT_LEGACY_PAYLOAD, 6, 0, 0);
	memcpy(first, got.hash, sizeof first);
	memcpy(ids, got.id, sizeof ids);
	for (size_t i = 0; i < 6; i++)
		for (size_t k = 0; k < i; k++) {
			assert_string_not_equal(ids[i], ids[k]);
			assert_memory_not_equal(
			    first[i], first[k], SHA256_BYTES);
		}
	expect(str_of(text), IMPORT_LEGACY_PAYLOAD, 6, 0, 0);
	assert_memory_equal(first, got.hash, sizeof first);
	/* a detail before it that is none takes a place, too */
	expect(
	    STR("{\"apis\":{\"e\":{\"models\":{\"m\":{\"details\":[5," DETAIL(
		"1") "]}}}}}"),
	    IMPORT_LEGACY_PAYLOAD, 1, 1, 0);
	assert_memory_equal(got.hash[0], first[1], SHA256_BYTES);
}

/* Names that are no JSON are still names, and valid ones. */
static void
names_that_are_broken(void **state)
{
	(void)state;
	expect(
	    STR("{\"apis\":{\"e\xff\":{\"models\":{\"m\x01\":{\"details\":"
		"[" DETAIL("1") "]},\"\\x\":{\"details\":[" DETAIL(
		    "2") "]},\"\xff\x01\":{\"details\":[" DETAIL("3") "]}}}}}"),
	    IMPORT_LEGACY_PAYLOAD, 3, 0, 0);
	for (size_t i = 0; i < 3; i++)
		assert_true(utf8_valid(str_of(got.model[i])));
}

/* ---- large ones ---------------------------------------------------------- */

/* "before", then so many bytes of an object, then "behind". */
static struct buf
with_large(const char *before, const char *begin, size_t n, const char *behind)
{
	struct buf b;

	buf_init(&b, (size_t)64 << 20);
	buf_z(&b, before);
	buf_z(&b, begin);
	n -= strlen(begin) + 2;
	memset(buf_reserve(&b, n), 'x', n);
	buf_commit(&b, n);
	buf_z(&b, "\"}");
	buf_z(&b, behind);
	return b;
}

static void
lines_beyond_the_limit(void **state)
{
	struct buf b;

	(void)state;
	for (size_t over = 0; over < 2; over++) {
		size_t n = IMPORT_LINE_MAX + over;

		b = with_large("{\"model\":\"a\"}\n", "{\"filler\":\"", n,
		    "\n{\"model\":\"c\"}");
		expect(buf_view(&b), IMPORT_LINES, 3 - over, (int64_t)over, 0);
		buf_free(&b);
		b = with_large("", "{\"filler\":\"", n, "\n{\"model\":\"c\"}");
		expect(buf_view(&b), IMPORT_LINES, 2 - over, (int64_t)over, 0);
		buf_free(&b);
		b = with_large("[{\"model\":\"a\"},", "{\"filler\":\"", n,
		    ",{\"model\":\"c\"}]");
		expect(buf_view(&b), IMPORT_LINES, 3 - over, (int64_t)over, 0);
		buf_free(&b);
	}
}

static void
details_beyond_the_limit(void **state)
{
#define BEGIN "{\"apis\":{\"e\":{\"models\":{\"m\":{\"details\":["
	unsigned char second[SHA256_BYTES];
	struct buf b;

	(void)state;
	expect(STR(BEGIN "5," DETAIL("1") "]}}}}}"), IMPORT_LEGACY_PAYLOAD, 1,
	    1, 0);
	memcpy(second, got.hash[0], sizeof second);
	/* it takes its place, and the list is not an empty one */
	b = with_large(BEGIN, "{\"timestamp\":\"", IMPORT_LINE_MAX + 1,
	    "," DETAIL("1") "]}}}}}");
	expect(buf_view(&b), IMPORT_LEGACY_PAYLOAD, 1, 1, 0);
	assert_memory_equal(got.hash[0], second, sizeof second);
	buf_free(&b);
	b = with_large(
	    BEGIN, "{\"timestamp\":\"", IMPORT_LINE_MAX + 1, "]}}}}}");
	expect(buf_view(&b), IMPORT_LEGACY_PAYLOAD, 0, 1, 0);
	buf_free(&b);
}

/* ---- going on ------------------------------------------------------------ */

static const char *const whole[] = {
	"{\"model\":\"a\"}{\"model\":\"b\"}\nbad\n\n{\"model\":\"c\"}\n"
	"{\"model\":\"d\"}",
	"bad\n{\"model\":\"a\"}\n{\"model\":\"b\"}",
	"[1,{\"model\":\"a\"},{bad},{\"model\":\"b\"},{\"model\":\"c\"}"
	",2]",
	"{\"apis\":{\"e\":{\"models\":{\"m\":{\"details\":[" DETAIL(
	    "1") ",5," DETAIL("2") "]},\"n\":{},\"o\":{\"details\":"
				   "[" DETAIL("3") "]}}},\"f\":5,\"g\":"
						   "{\"models\":{\"m\":"
						   "{\"details\":"
						   "[" DETAIL("4") "]}}"
								   "}}"
								   "}",
};

/* Behind any event, the others come as they would have come. */
static void
passing_over_what_was_read(void **state)
{
	(void)state;
	for (size_t k = 0; k < sizeof whole / sizeof *whole; k++) {
		unsigned char hash[EVENTS_MAX][SHA256_BYTES];
		int64_t at[EVENTS_MAX], records;
		size_t n;

		read_text(str_of(whole[k]));
		assert_int_equal(got.ended, 0);
		memcpy(hash, got.hash, sizeof hash);
		memcpy(at, got.at, sizeof at);
		n = got.n;
		records = got.records;
		assert_true(n > 1);
		for (size_t from = 0; from <= n; from++) {
			int64_t skip = from == 0 ? 0 : at[from - 1];
			struct import_reader r;

			memset(&got, 0, sizeof got);
			assert_int_equal(
			    import_reader_open(&r, str_of(whole[k]), &got.e),
			    0);
			import_reader_skip(&r, skip);
			assert_int_equal(r.records, skip);
			read_on(&r);
			assert_int_equal(got.ended, 0);
			assert_int_equal(got.n, n - from);
			for (size_t i = 0; i < got.n; i++) {
				assert_memory_equal(
				    got.hash[i], hash[from + i], SHA256_BYTES);
				assert_int_equal(got.at[i], at[from + i]);
			}
			assert_int_equal(r.records, records);
			/* beyond the end there is nothing */
			import_reader_skip(&r, records + 10);
			assert_int_equal(r.records, records);
			import_reader_close(&r);
		}
	}
}

/* What does not fit any more is read by the next call, with more room. */
static void
too_little_room_loses_nothing(void **state)
{
	(void)state;
	for (size_t k = 0; k < sizeof whole / sizeof *whole; k++) {
		struct import_counts counts;
		struct import_reader r;
		struct usage_event ev;
		size_t n = 0, full = 0;
		struct arena a;
		struct err e;
		int rc;

		read_text(str_of(whole[k]));
		counts = got.counts;
		/* room for one event, not for two */
		arena_init(&a, 48);
		assert_int_equal(
		    import_reader_open(&r, str_of(whole[k]), &e), 0);
		while (
		    (rc = import_reader_next(&r, NOW_MS, &a, &ev, &e)) != 0) {
			if (rc < 0) {
				assert_int_equal(e.kind, ERR_TOO_LARGE);
				full++;
				arena_reset(&a);
				continue;
			}
			assert_memory_equal(ev.hash, got.hash[n], SHA256_BYTES);
			assert_int_equal(r.records, got.at[n]);
			n++;
		}
		assert_int_equal(n, got.n);
		assert_true(full > 0);
		assert_int_equal(r.counts.failed, counts.failed);
		assert_int_equal(r.counts.unsupported, counts.unsupported);
		import_reader_close(&r);
		/* one that never fits is passed over, and the end comes */
		arena_free(&a);
		arena_init(&a, 16);
		assert_int_equal(
		    import_reader_open(&r, str_of(whole[k]), &e), 0);
		assert_int_equal(
		    import_reader_next(&r, NOW_MS, &a, &ev, &e), 0);
		assert_int_equal(
		    r.counts.failed, counts.failed + (int64_t)got.n);
		import_reader_close(&r);
		arena_free(&a);
	}
}

static void
names_of_formats(void **state)
{
	(void)state;
	assert_string_equal(import_format_name(IMPORT_NONE), "");
	assert_string_equal(
	    import_format_name(IMPORT_LINES), "usage_service_jsonl");
	assert_string_equal(
	    import_format_name(IMPORT_LEGACY_EXPORT), "legacy_usage_export");
	assert_string_equal(
	    import_format_name(IMPORT_LEGACY_PAYLOAD), "legacy_usage_payload");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_table),
		cmocka_unit_test(lines),
		cmocka_unit_test(snapshots_among_lines),
		cmocka_unit_test(lists),
		cmocka_unit_test(snapshots),
		cmocka_unit_test(names_that_come_twice),
		cmocka_unit_test(parts_without_details),
		cmocka_unit_test(places_of_details),
		cmocka_unit_test(names_that_are_broken),
		cmocka_unit_test(lines_beyond_the_limit),
		cmocka_unit_test(details_beyond_the_limit),
		cmocka_unit_test(passing_over_what_was_read),
		cmocka_unit_test(too_little_room_loses_nothing),
		cmocka_unit_test(names_of_formats),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
