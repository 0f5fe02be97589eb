/*
 * Events read back as they were stored, and written as an import had them.
 */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collectord/store.h"
#include "dict.h"
#include "event_json.h"
#include "event_read.h"
#include "model/import_event.h"
#include "test_store.h"

#define NOW_MS INT64_C(1800000000000)
#define DATA "tests/data/reference-export.jsonl"

static struct db db;
static struct store *store;
static struct arena arena;
static struct event_reader *reader;
static unsigned databases;

static int
setup(void **state)
{
	char name[32];

	(void)state;
	snprintf(name, sizeof name, "%u.sqlite", databases++);
	open_store(&db, name);
	store = store_new();
	reader = event_reader_new(&db);
	arena_init(&arena, (size_t)64 << 20);
	return store != NULL && reader != NULL ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	event_reader_free(reader);
	store_free(store);
	arena_free(&arena);
	db_close(&db);
	return 0;
}

static bool
put(const struct usage_event *ev)
{
	bool inserted = false;
	struct err e;

	if (store_event(store, &db, ev, NOW_MS, &inserted, &e) != 0)
		FAIL("%s\n", e.text);
	return inserted;
}

static void
import(const char *json, struct usage_event *ev)
{
	struct err e;

	if (import_record(str_of(json), NOW_MS, &arena, ev, &e) != 0)
		FAIL("%s: %s\n", json, e.text);
}

/* Step to the next row in order of arrival, from the first on when asked. */
static bool
next_row(sqlite3_stmt **st, struct event_row *row)
{
	struct err e;
	int rc;

	if (*st == NULL) {
		assert_non_null(*st = db_stmt(&db, SQL_events_arrived, &e));
		db_bind_i64(*st, P_events_arrived_after_id, 0);
		db_bind_i64(*st, P_events_arrived_limit, INT64_MAX);
	}
	if ((rc = db_step(&db, *st, &e)) == 0)
		return false;
	assert_int_equal(rc, 1);
	if (event_reader_get(reader, db_col_i64(*st, 0), &arena, row, &e) != 1)
		FAIL("%s\n", e.text);
	return true;
}

/* ---- field by field ------------------------------------------------------ */

#define AT(field) offsetof(struct usage_event, field)

static const struct {
	const char *name;
	size_t at;
} texts[] = {
	{ "ts_text", AT(ts_text) },
	{ "hash_text", AT(hash_text) },
	{ "request_id", AT(request_id) },
	{ "model", AT(model) },
	{ "requested_model", AT(requested_model) },
	{ "resolved_model", AT(resolved_model) },
	{ "provider", AT(provider) },
	{ "executor_type", AT(executor_type) },
	{ "endpoint", AT(endpoint) },
	{ "method", AT(method) },
	{ "path", AT(path) },
	{ "auth_type", AT(auth_type) },
	{ "auth_index", AT(auth_index) },
	{ "source", AT(source) },
	{ "account_snapshot", AT(account_snapshot) },
	{ "auth_label_snapshot", AT(auth_label_snapshot) },
	{ "auth_file_snapshot", AT(auth_file_snapshot) },
	{ "auth_provider_snapshot", AT(auth_provider_snapshot) },
	{ "auth_project_id_snapshot", AT(auth_project_id_snapshot) },
	{ "client_ip", AT(client_ip) },
	{ "x_forwarded_for", AT(x_forwarded_for) },
	{ "user_agent", AT(user_agent) },
	{ "reasoning_effort", AT(reasoning_effort) },
	{ "service_tier", AT(service_tier) },
	{ "request_service_tier", AT(request_service_tier) },
	{ "response_service_tier", AT(response_service_tier) },
	{ "fail_summary", AT(fail_summary) },
	{ "response_metadata_json", AT(response_metadata_json) },
}, numbers[] = {
	{ "ts_ms", AT(ts_ms) },
	{ "auth_snapshot_at_ms", AT(auth_snapshot_at_ms) },
	{ "input_tokens", AT(input_tokens) },
	{ "output_tokens", AT(output_tokens) },
	{ "reasoning_tokens", AT(reasoning_tokens) },
	{ "cached_tokens", AT(cached_tokens) },
	{ "cache_tokens", AT(cache_tokens) },
	{ "cache_read_tokens", AT(cache_read_tokens) },
	{ "cache_creation_tokens", AT(cache_creation_tokens) },
	{ "total_tokens", AT(total_tokens) },
}, optional[] = {
	{ "latency_ms", AT(latency_ms) },
	{ "ttft_ms", AT(ttft_ms) },
	{ "fail_status_code", AT(fail_status_code) },
};

static struct str *
text_at(const struct usage_event *ev, size_t at)
{
	return (void *)((char *)(uintptr_t)ev + at);
}

static int64_t *
number_at(const struct usage_event *ev, size_t at)
{
	return (void *)((char *)(uintptr_t)ev + at);
}

static struct opt_i64 *
optional_at(const struct usage_event *ev, size_t at)
{
	return (void *)((char *)(uintptr_t)ev + at);
}

/* What was stored, and what was read; only how a time came is not kept. */
static void
assert_same(const struct usage_event *want, const struct usage_event *have)
{
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct str w = *text_at(want, texts[i].at);
		struct str h = *text_at(have, texts[i].at);

		if (!str_eq(w, h))
			FAIL("%s is \"%.*s\", want \"%.*s\"\n", texts[i].name,
			    STR_ARG(h), STR_ARG(w));
	}
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		if (*number_at(want, numbers[i].at) !=
		    *number_at(have, numbers[i].at))
			FAIL("%s differs\n", numbers[i].name);
	for (size_t i = 0; i < sizeof optional / sizeof *optional; i++) {
		struct opt_i64 w = *optional_at(want, optional[i].at);
		struct opt_i64 h = *optional_at(have, optional[i].at);

		if (w.set != h.set || (w.set && w.v != h.v))
			FAIL("%s differs\n", optional[i].name);
	}
	assert_int_equal(want->ts_ns, have->ts_ns);
	assert_int_equal(want->ts_text_given, have->ts_text_given);
	assert_int_equal(want->hash_given, have->hash_given);
	assert_memory_equal(want->hash, have->hash, SHA256_BYTES);
	assert_int_equal(want->flags, have->flags);
	assert_int_equal(
	    want->created_ms > 0 ? want->created_ms : NOW_MS, have->created_ms);
	assert_int_equal(want->has_source_hash, have->has_source_hash);
	assert_int_equal(want->has_api_key_hash, have->has_api_key_hash);
	if (want->has_source_hash)
		assert_memory_equal(
		    want->source_hash, have->source_hash, SHA256_BYTES);
	if (want->has_api_key_hash)
		assert_memory_equal(
		    want->api_key_hash, have->api_key_hash, SHA256_BYTES);
}

/* Store one, read it, and nothing else is there. */
static void
expect_back(const struct usage_event *ev)
{
	struct event_row row;
	sqlite3_stmt *st = NULL;

	run_sql(&db, "DELETE FROM events");
	assert_true(put(ev));
	assert_true(next_row(&st, &row));
	assert_same(ev, &row.ev);
	assert_int_equal(row.id, sqlite3_last_insert_rowid(db.handle));
	assert_false(next_row(&st, &row));
}

/* An event whose every text and number is another one. */
static struct usage_event
full_event(void)
{
	struct usage_event ev = { .ts_ms = INT64_C(1700000000123),
		.ts_ns = 456789,
		.created_ms = 1700000000999,
		.flags = EVENT_FAILED | EVENT_CACHE_SEPARATE,
		.has_source_hash = true,
		.has_api_key_hash = true };
	char built[40];

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		*text_at(&ev, texts[i].at) = str_of(texts[i].name);
	for (size_t i = 1; i < sizeof numbers / sizeof *numbers; i++)
		*number_at(&ev, numbers[i].at) = (int64_t)i << 40;
	for (size_t i = 0; i < sizeof optional / sizeof *optional; i++)
		*optional_at(&ev, optional[i].at) =
		    (struct opt_i64){ true, (int64_t)i };
	memset(ev.source_hash, 1, sizeof ev.source_hash);
	memset(ev.api_key_hash, 0, sizeof ev.api_key_hash);
	ev.hash_text = (struct str){ NULL, 0 };
	ev.response_metadata_json = STR("{\"trace\":{\"request_id\":\"t\"}}");
	ev.ts_text.n = event_time_text(ev.ts_ms, ev.ts_ns, built);
	ev.ts_text.p =
	    arena_strdup(&arena, (struct str){ built, ev.ts_text.n });
	event_hash(&ev);
	return ev;
}

static void
every_field_comes_back(void **state)
{
	struct usage_event ev = full_event();
	struct event_row row;
	sqlite3_stmt *st = NULL;

	(void)state;
	expect_back(&ev);
	assert_true(next_row(&st, &row));
	assert_true(str_eq(row.header.trace_id, STR("")));
	db_reset(st);
	/* one text at a time is not there */
	for (size_t i = 2; i < sizeof texts / sizeof *texts; i++) {
		struct usage_event less = ev;

		*text_at(&less, texts[i].at) = (struct str){ NULL, 0 };
		event_hash(&less);
		expect_back(&less);
	}
	for (size_t i = 0; i < sizeof optional / sizeof *optional; i++) {
		struct usage_event less = ev;

		optional_at(&less, optional[i].at)->set = false;
		event_hash(&less);
		expect_back(&less);
	}
	for (uint32_t flags = 0; flags < 8; flags++) {
		ev.flags = flags;
		event_hash(&ev);
		expect_back(&ev);
	}
}

static void
nothing_comes_back_as_nothing(void **state)
{
	struct usage_event ev = { .ts_ms = 0,
		.ts_text = STR("1970-01-01T00:00:00Z") };

	(void)state;
	event_hash(&ev);
	expect_back(&ev);
	ev.ts_ms = -1;
	ev.ts_text = STR("1969-12-31T23:59:59.999Z");
	ev.input_tokens = INT64_MIN;
	ev.output_tokens = INT64_MAX;
	event_hash(&ev);
	expect_back(&ev);
}

static void
request_ids(void **state)
{
	static const char *const ids[] = { "00",
		"f354bbbec8d5a567d5898ee74fcaaf9b", "F354", "f35", "0g",
		"legacy:6a596592fce1b46b", "5", "-",
		"0123456789abcdef0123456789abcdef"
		"0123456789abcdef0123456789abcdef",
		"0123456789abcdef0123456789abcdef"
		"0123456789abcdef0123456789abcdef00",
		"\xc3\xa9" };
	struct usage_event ev = full_event();

	(void)state;
	for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
		ev.request_id = str_of(ids[i]);
		event_hash(&ev);
		expect_back(&ev);
	}
	ev.request_id = STR("a\0b");
	event_hash(&ev);
	expect_back(&ev);
}

/* What cannot be computed again is kept; what can is not. */
static void
what_an_import_brought(void **state)
{
	struct usage_event ev;

	(void)state;
	import("{\"event_hash\":\"0123456789abcdef0123456789abcdef0123456789"
	       "abcdef0123456789abcdef\",\"timestamp_ms\":5,\"timestamp\":"
	       "\"2023-11-14T23:13:20.123+01:00\",\"model\":\"m\"}",
	    &ev);
	assert_true(ev.hash_given && ev.ts_text_given);
	expect_back(&ev);
	import("{\"event_hash\":\"h 1\",\"timestamp_ms\":1700000000123,"
	       "\"timestamp\":\"2023-11-14T22:13:20.123456789Z\"}",
	    &ev);
	assert_int_equal(ev.flags & EVENT_HASH_TEXT, EVENT_HASH_TEXT);
	expect_back(&ev);
	assert_int_equal(
	    figure(&db, "SELECT count(*) FROM events WHERE ts_text IS NULL"),
	    1);
	ev = full_event();
	expect_back(&ev);
	assert_int_equal(figure(&db, "SELECT count(*) FROM events WHERE "
				     "hash_rest IS NULL AND ts_text IS NULL"),
	    1);
}

/* Without a time only its hash can tell that it came before. */
static void
an_undated_event_comes_once(void **state)
{
	struct usage_event ev, later;
	struct event_row row;
	sqlite3_stmt *st = NULL;
	struct err e;

	(void)state;
	import("{\"event_hash\":\"h1\",\"model\":\"m\"}", &ev);
	assert_true(ev.undated);
	assert_true(put(&ev));
	assert_false(put(&ev));
	assert_int_equal(import_record(STR("{\"event_hash\":\"h1\"}"),
			     NOW_MS + 1000, &arena, &later, &e),
	    0);
	assert_int_equal(later.ts_ms, NOW_MS + 1000);
	assert_false(put(&later));
	import("{\"event_hash\":\"h2\"}", &later);
	assert_true(put(&later));
	assert_int_equal(figure(&db, "SELECT count(*) FROM events"), 2);
	assert_true(next_row(&st, &row));
	assert_same(&ev, &row.ev);
	db_reset(st);
	/* forgotten with the event */
	run_sql(&db, "DELETE FROM events");
	assert_int_equal(figure(&db, "SELECT count(*) FROM undated"), 0);
	assert_true(put(&ev));
	/* dated ones stand nowhere else */
	import("{\"event_hash\":\"h3\",\"timestamp\":5}", &later);
	assert_false(later.undated);
	assert_true(put(&later));
	assert_false(put(&later));
	assert_int_equal(figure(&db, "SELECT count(*) FROM undated"), 1);
}

/* ---- many texts ---------------------------------------------------------- */

enum { MANY = 5000 }; /* more than the reader keeps, of each kind */

static char *
text_of(char out[32], const char *what, int i)
{
	snprintf(out, 32, "%s %d", what, i);
	return out;
}

static void
assert_many(const struct usage_event *ev, int i)
{
	char want[32];

	assert_true(str_eq(ev->model, str_of(text_of(want, "model", i))));
	assert_true(str_eq(ev->path, str_of(text_of(want, "path", i))));
	assert_true(str_eq(ev->endpoint, STR("always the same")));
	assert_true(
	    str_eq(ev->account_snapshot, str_of(text_of(want, "account", i))));
	assert_int_equal(ev->api_key_hash[0], i & 0xff);
	assert_int_equal(ev->api_key_hash[1], i >> 8);
}

static void
more_texts_than_are_kept(void **state)
{
	struct event_row row;
	sqlite3_stmt *st = NULL;
	struct err e;

	(void)state;
	assert_int_equal(db_begin(&db, &e), 0);
	for (int i = 0; i < MANY; i++) {
		char model[32], path[32], account[32];
		struct usage_event ev = { .ts_ms = i,
			.model = str_of(text_of(model, "model", i)),
			.path = str_of(text_of(path, "path", i)),
			.endpoint = STR("always the same"),
			.account_snapshot =
			    str_of(text_of(account, "account", i)),
			.has_api_key_hash = true };

		ev.api_key_hash[0] = (unsigned char)i;
		ev.api_key_hash[1] = (unsigned char)(i >> 8);
		event_hash(&ev);
		assert_true(put(&ev));
	}
	assert_int_equal(db_commit(&db, &e), 0);
	/* twice, so that what is kept of the first reading is used and
	 * replaced */
	for (int k = 0; k < 2; k++) {
		st = NULL;
		for (int i = 0; next_row(&st, &row); i++)
			assert_many(&row.ev, i);
	}
	/* the other way round */
	for (int i = MANY - 1; i >= 0; i--) {
		assert_int_equal(
		    event_reader_get(reader, i + 1, &arena, &row, &e), 1);
		assert_many(&row.ev, i);
	}
	/* and out of the statement of an export */
	st = db_stmt(&db, SQL_events_ascending, &e);
	db_bind_i64(st, P_events_ascending_after_ms, 0);
	db_bind_i64(st, P_events_ascending_after_id, 0);
	db_bind_i64(st, P_events_ascending_to_ms, MANY);
	db_bind_i64(st, P_events_ascending_newest_id, MANY - 1);
	db_bind_i64(st, P_events_ascending_limit, INT64_MAX);
	for (int i = 0; i < MANY - 1; i++) {
		assert_int_equal(db_step(&db, st, &e), 1);
		assert_int_equal(
		    event_reader_row(reader, st, &arena, &row, &e), 0);
		assert_int_equal(row.id, i + 1);
		assert_many(&row.ev, i);
	}
	assert_int_equal(db_step(&db, st, &e), 0);
}

/*
 * All texts of a row want the same few places: each keeps its own, and the
 * next row reads right as well.
 */
static void
texts_that_want_the_same_place(void **state)
{
	static const struct {
		const char *column;
		enum dict_kind kind;
		int turn;
		size_t at;
	} columns[] = {
		{ "model_id", DICT_MODEL, 0, AT(model) },
		{ "requested_model_id", DICT_MODEL, 1, AT(requested_model) },
		{ "resolved_model_id", DICT_MODEL, 2, AT(resolved_model) },
		{ "provider_id", DICT_PROVIDER, 0, AT(provider) },
		{ "executor_id", DICT_EXECUTOR, 0, AT(executor_type) },
		{ "endpoint_id", DICT_ENDPOINT, 0, AT(endpoint) },
		{ "method_id", DICT_METHOD, 0, AT(method) },
		{ "path_id", DICT_PATH, 0, AT(path) },
		{ "auth_type_id", DICT_AUTH_TYPE, 0, AT(auth_type) },
		{ "client_ip_id", DICT_CLIENT_IP, 0, AT(client_ip) },
		{ "forwarded_for_id", DICT_FORWARDED_FOR, 0,
		    AT(x_forwarded_for) },
		{ "user_agent_id", DICT_USER_AGENT, 0, AT(user_agent) },
		{ "effort_id", DICT_EFFORT, 0, AT(reasoning_effort) },
		{ "service_tier_id", DICT_TIER, 0, AT(service_tier) },
		{ "request_tier_id", DICT_TIER, 1, AT(request_service_tier) },
		{ "response_tier_id", DICT_TIER, 2, AT(response_service_tier) },
	};
	const size_t n = sizeof columns / sizeof *columns;
	struct usage_event ev = full_event();
	struct event_row row;
	sqlite3_stmt *st = NULL;
	char sql[256];

	(void)state;
	for (int k = 0; k < 3; k++) {
		ev.ts_ms = k;
		assert_true(put(&ev));
		for (size_t i = 0; i < n; i++) {
			/* as lib/event_read.c spreads them */
			int id = 100000 * 2048 - 641 * (int)columns[i].kind +
				 2048 * (3 * k + columns[i].turn);

			snprintf(sql, sizeof sql,
			    "INSERT INTO dict VALUES (%d, %d, '%s of %d');"
			    "UPDATE events SET %s = %d WHERE ts_ms = %d",
			    (int)columns[i].kind, id, columns[i].column, k,
			    columns[i].column, id, k);
			run_sql(&db, sql);
		}
	}
	for (int round = 0; round < 2; round++) {
		st = NULL;
		for (int k = 0; next_row(&st, &row); k++)
			for (size_t i = 0; i < n; i++) {
				snprintf(sql, sizeof sql, "%s of %d",
				    columns[i].column, k);
				assert_true(
				    str_eq(*text_at(&row.ev, columns[i].at),
					str_of(sql)));
			}
	}
}

/* ---- broken rows --------------------------------------------------------- */

static void
what_is_missing_reads_as_empty(void **state)
{
	struct usage_event ev = full_event();
	struct event_row row;
	sqlite3_stmt *st = NULL;

	(void)state;
	assert_true(put(&ev));
	run_sql(&db, "UPDATE events SET path_id = 77, identity_id = 77;"
		     "DELETE FROM event_detail;"
		     "UPDATE dict SET value = x'00' WHERE kind = 8;"
		     "UPDATE dict SET value = '' WHERE kind = 2");
	assert_true(next_row(&st, &row));
	assert_int_equal(row.ev.path.n, 0);
	assert_int_equal(row.ev.provider.n, 0);
	assert_int_equal(row.ev.account_snapshot.n, 0);
	assert_int_equal(row.ev.fail_summary.n, 0);
	assert_false(row.ev.has_source_hash || row.ev.has_api_key_hash);
	assert_true(str_eq(row.ev.model, STR("model")));
	db_reset(st);
}

static void
a_broken_detail_is_told(void **state)
{
	struct usage_event ev = full_event();
	struct event_row row;
	struct arena small;
	int64_t id;
	struct err e;

	(void)state;
	assert_true(put(&ev));
	id = sqlite3_last_insert_rowid(db.handle);
	for (size_t limit = 0; limit < 64; limit += 16) {
		arena_init(&small, limit);
		assert_int_equal(
		    event_reader_get(reader, id, &small, &row, &e), -1);
		assert_int_equal(e.kind, ERR_TOO_LARGE);
		arena_free(&small);
	}
	/* with room it is read all the same */
	assert_int_equal(event_reader_get(reader, id, &arena, &row, &e), 1);
	assert_same(&ev, &row.ev);
	assert_int_equal(event_reader_get(reader, id + 1, &arena, &row, &e), 0);
	run_sql(&db, "UPDATE event_detail SET data = x'00112233'");
	assert_int_equal(event_reader_get(reader, id, &arena, &row, &e), -1);
	assert_int_equal(e.kind, ERR_INTERNAL);
	event_reader_free(NULL);
}

static void
the_newest_id(void **state)
{
	struct usage_event ev = full_event();
	int64_t id = -1;
	struct err e;

	(void)state;
	assert_int_equal(events_newest_id(&db, &id, &e), 0);
	assert_int_equal(id, 0);
	for (int i = 1; i < 4; i++) {
		ev.ts_ms = 100 - i;
		assert_true(put(&ev));
		assert_int_equal(events_newest_id(&db, &id, &e), 0);
		assert_int_equal(id, i);
	}
}

/* ---- lines of an export -------------------------------------------------- */

static void
assert_line(
    struct buf *b, const struct event_row *row, bool whole, const char *want)
{
	struct json_out o;

	buf_clear(b);
	json_out_init(&o, b, NULL, NULL);
	event_json(&o, row, whole);
	assert_int_equal(json_out_done(&o), 0);
	if (strcmp(buf_text(b), want) != 0)
		FAIL("have %swant %s", buf_text(b), want);
}

/* Each line of the reference's export: imported, stored, read, written. */
static void
an_export_comes_back_as_it_was(void **state)
{
	struct usage_event ev;
	struct event_row row;
	sqlite3_stmt *st = NULL;
	char *line = NULL;
	size_t size = 0, lines = 0;
	struct buf b;
	FILE *f = fopen(DATA, "re");

	(void)state;
	assert_non_null(f);
	while (getline(&line, &size, f) > 0) {
		import(line, &ev);
		/* nothing of it has to be kept beside its columns */
		assert_false(ev.hash_given || ev.ts_text_given || ev.undated);
		assert_true(put(&ev));
		assert_false(put(&ev));
	}
	buf_init(&b, 1 << 20);
	rewind(f);
	for (; next_row(&st, &row); lines++) {
		assert_true(getline(&line, &size, f) > 0);
		assert_line(&b, &row, false, line);
	}
	assert_true(lines > 30);
	assert_true(getline(&line, &size, f) <= 0);
	buf_free(&b);
	free(line);
	fclose(f);
}

#define NO_TOKENS                                                         \
	"\"input_tokens\":0,\"output_tokens\":0,\"reasoning_tokens\":0,"  \
	"\"cached_tokens\":0,\"cache_tokens\":0,\"cache_read_tokens\":0," \
	"\"cache_creation_tokens\":0,\"total_tokens\":0,"
#define FIRST                                                            \
	"{\"event_hash\":\"0123456789abcdef0123456789abcdef0123456789"   \
	"abcdef0123456789abcdef\",\"timestamp_ms\":1700000000123,"       \
	"\"timestamp\":\"2023-11-14T23:13:20.123+01:00\",\"model\":"     \
	"\"m (high)\",\"analytics_model\":\"a\",\"requested_model\":"    \
	"\"a(high)\",\"endpoint\":\"POST /x\",\"source\":\"a***@b.io\"," \
	"\"service_tier\":\"q\","
#define LAST                                                              \
	"\"input_tokens\":1,\"output_tokens\":2,\"reasoning_tokens\":0,"  \
	"\"cached_tokens\":0,\"cache_tokens\":0,\"cache_read_tokens\":3," \
	"\"cache_creation_tokens\":0,\"total_tokens\":9,"                 \
	"\"latency_ms\":0,\"failed\":true,\"fail_status_code\":429,"      \
	"\"fail_summary\":\"slow \\u0026 steady\","                       \
	"\"header_trace_id\":\"t\",\"created_at_ms\":8,"                  \
	"\"response_metadata\":{\"trace\":{\"primary_trace_id\":\"t\","   \
	"\"request_id\":\"t\"}}}\n"

static void
odd_lines_come_back_as_they_were(void **state)
{
	static const char *const lines[] = {
		"{\"event_hash\":\"any text \\u003c\",\"timestamp_ms\":5,"
		"\"timestamp\":\"yesterday\",\"model\":\"-\","
		"\"analytics_model\":\"-\",\"endpoint\":\"-\"," NO_TOKENS
		"\"failed\":false,\"created_at_ms\":7}\n",
		FIRST LAST,
		/* the tier asked for and the mode, which the reference reads */
		FIRST "\"request_service_tier\":\"p\","
		      "\"cache_input_mode\":\"included_in_input\"," LAST,
	};
	const bool whole[] = { false, false, true };
	struct usage_event ev;
	struct event_row row;
	struct buf b;

	(void)state;
	buf_init(&b, 1 << 20);
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		sqlite3_stmt *st = NULL;

		run_sql(&db, "DELETE FROM events");
		import(lines[i], &ev);
		assert_true(put(&ev));
		assert_true(next_row(&st, &row));
		assert_line(&b, &row, whole[i], lines[i]);
		db_reset(st);
	}
	buf_free(&b);
}

/* With all that is kept, an export brings back more than the reference's. */
static void
whole_lines(void **state)
{
	struct usage_event ev, again;
	struct event_row row = { .id = 1 };
	struct json_out o;
	struct buf b;
	struct err e;

	(void)state;
	buf_init(&b, 1 << 20);
	import("{\"event_hash\":\"h\",\"timestamp\":5,\"model\":\"claude\","
	       "\"service_tier\":\"s\",\"request_service_tier\":\"q\","
	       "\"response_service_tier\":\"p\","
	       "\"cache_input_mode\":\"included_in_input\","
	       "\"created_at_ms\":7}",
	    &ev);
	row.ev = ev;
	json_out_init(&o, &b, NULL, NULL);
	event_json(&o, &row, true);
	assert_int_equal(json_out_done(&o), 0);
	assert_true(str_contains(buf_view(&b),
	    STR("\"service_tier\":\"p\",\"request_service_tier\":\"q\","
		"\"response_service_tier\":\"p\","
		"\"cache_input_mode\":\"included_in_input\",")));
	assert_int_equal(
	    import_record(buf_view(&b), NOW_MS, &arena, &again, &e), 0);
	assert_same(&ev, &again);
	assert_string_equal(event_cache_mode(&ev), "included_in_input");
	ev.flags |= EVENT_CACHE_SEPARATE;
	assert_string_equal(event_cache_mode(&ev), "separate_from_input");
	ev.flags |= EVENT_CACHE_MODE_EMPTY;
	assert_null(event_cache_mode(&ev));
	buf_free(&b);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_field_comes_back),
		TEST(nothing_comes_back_as_nothing),
		TEST(request_ids),
		TEST(what_an_import_brought),
		TEST(an_undated_event_comes_once),
		TEST(more_texts_than_are_kept),
		TEST(texts_that_want_the_same_place),
		TEST(what_is_missing_reads_as_empty),
		TEST(a_broken_detail_is_told),
		TEST(the_newest_id),
		TEST(an_export_comes_back_as_it_was),
		TEST(odd_lines_come_back_as_they_were),
		TEST(whole_lines),
	};

	return cmocka_run_group_tests(tests, test_dir_make, test_dir_remove);
}
