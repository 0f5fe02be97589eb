/*
 * The detail of an event: what was packed comes back, what is broken is told.
 */
#include <string.h>

#include <zstd.h>

#include "event_detail.h"
#include "test_store.h"

static struct db db;
static int64_t dict_id; /* of our dictionary in it */

static int
open_all(void **state)
{
	int64_t again;
	struct err e;

	if (test_dir_make(state) != 0)
		return -1;
	open_store(&db, "detail.sqlite");
	/* there once, however often it is asked for */
	if (event_detail_dict(&db, &dict_id, &e) != 0 ||
	    event_detail_dict(&db, &again, &e) != 0 || again != dict_id ||
	    dict_id <= 0)
		return -1;
	return figure(&db, "SELECT count(*) FROM detail_dict") == 1 ? 0 : -1;
}

static int
close_all(void **state)
{
	db_close(&db);
	return test_dir_remove(state);
}

static void
expect_back(struct str summary, struct str metadata)
{
	struct usage_event ev = { .fail_summary = summary,
		.response_metadata_json = metadata };
	struct detail_packer *p = detail_packer_new();
	struct detail_reader *r = detail_reader_new();
	struct event_detail got;
	struct arena a;
	struct buf out;
	struct err e;

	arena_init(&a, 16 * 1024 * 1024);
	buf_init(&out, 16 * 1024 * 1024);
	/* twice: the packer keeps nothing of the first */
	for (int i = 0; i < 2; i++) {
		assert_int_equal(event_detail_pack(p, &ev, &out, &e), 0);
		if (summary.n == 0 && metadata.n == 0) {
			assert_int_equal(out.n, 0);
			continue;
		}
		assert_int_equal(event_detail_unpack(r, &db, &a, buf_view(&out),
				     dict_id, &got, &e),
		    0);
		assert_true(str_eq(got.fail_summary, summary));
		assert_true(str_eq(got.response_metadata, metadata));
	}
	buf_free(&out);
	arena_free(&a);
	detail_packer_free(p);
	detail_reader_free(r);
}

static void
what_was_packed_comes_back(void **state)
{
	(void)state;
	expect_back(STR(""), STR(""));
	expect_back(STR("429 too many"), STR(""));
	expect_back(STR(""), STR("{\"trace_id\":\"8f00-SJC\"}"));
	expect_back(STR("a \"quoted\" \\ text\nof <two> lines \xe2\x82\xac"),
	    STR("{\"a\":{\"b\":[1,2.5,null]}}"));
	/* names of our own inside the texts mislead nobody */
	expect_back(STR("\"response_metadata\":{\"x\":1}"),
	    STR("{\"response_metadata\":{\"fail_summary\":\"y\"}}"));
	expect_back(STR("nul\0inside"), STR("{}"));
}

static void
a_large_detail_comes_back(void **state)
{
	size_t n = 3 * 1024 * 1024;
	char *text = malloc(n);

	(void)state;
	for (size_t i = 0; i < n; i++)
		text[i] = (char)('a' + (i * i / 7) % 26);
	expect_back((struct str){ text, n }, STR("{\"a\":1}"));
	free(text);
}

static void
one_that_is_too_large_is_refused(void **state)
{
	size_t n = 5 * 1024 * 1024;
	struct usage_event ev = { .fail_summary = { malloc(n), n } };
	struct detail_packer *p = detail_packer_new();
	struct buf out;
	struct err e;

	(void)state;
	memset((void *)(uintptr_t)ev.fail_summary.p, 'x', n);
	buf_init(&out, 16 * 1024 * 1024);
	assert_int_equal(event_detail_pack(p, &ev, &out, &e), -1);
	assert_int_equal(e.kind, ERR_INTERNAL);
	free((void *)(uintptr_t)ev.fail_summary.p);
	/* the next one is packed all the same */
	ev.fail_summary = STR("short");
	assert_int_equal(event_detail_pack(p, &ev, &out, &e), 0);
	assert_true(out.n > 0);
	buf_free(&out);
	detail_packer_free(p);
}

static void
expect_broken(const void *p, size_t n, int64_t with)
{
	struct detail_reader *r = detail_reader_new();
	struct event_detail got;
	struct arena a;
	struct err e;

	arena_init(&a, 16 * 1024 * 1024);
	assert_int_equal(event_detail_unpack(
			     r, &db, &a, (struct str){ p, n }, with, &got, &e),
	    -1);
	assert_int_equal(got.fail_summary.n, 0);
	assert_int_equal(got.response_metadata.n, 0);
	arena_free(&a);
	detail_reader_free(r);
}

static void
broken_rows_are_told(void **state)
{
	struct usage_event ev = { .fail_summary = STR("some text, some text") };
	struct detail_packer *p = detail_packer_new();
	char other[256];
	struct buf out;
	struct err e;
	size_t n;

	(void)state;
	buf_init(&out, 1024 * 1024);
	assert_int_equal(event_detail_pack(p, &ev, &out, &e), 0);
	expect_broken("", 0, 0);
	expect_broken("plain text", 10, 0);
	for (size_t cut = 0; cut < out.n; cut++)
		expect_broken(out.p, cut, dict_id);
	/* a dictionary that is not there, or not named */
	expect_broken(out.p, out.n, 0);
	expect_broken(out.p, out.n, 77);
	/* compressed, but no JSON of ours */
	n = ZSTD_compress(other, sizeof other, "{\"fail_summary\":", 16, 3);
	expect_broken(other, n, 0);
	n = ZSTD_compress(other, sizeof other, "{\"fail_summary\":1}", 18, 3);
	expect_broken(other, n, 0);
	buf_free(&out);
	detail_packer_free(p);
}

static void
a_row_with_a_dictionary_is_read(void **state)
{
	static const char dict[] =
	    "{\"fail_summary\":\"The usage limit has been reached\"}";
	static const char json[] =
	    "{\"fail_summary\":\"The usage limit has been reached\","
	    "\"response_metadata\":{\"k\":1}}";
	ZSTD_CCtx *c = ZSTD_createCCtx();
	struct detail_reader *r = detail_reader_new();
	struct event_detail got;
	sqlite3_stmt *st = NULL;
	struct arena a;
	char blob[256];
	struct err e;
	size_t n;

	(void)state;
	n = ZSTD_compress_usingDict(
	    c, blob, sizeof blob, json, strlen(json), dict, strlen(dict), 3);
	ZSTD_freeCCtx(c);
	assert_false(ZSTD_isError(n));
	assert_int_equal(
	    sqlite3_prepare_v2(db.handle,
		"INSERT INTO detail_dict VALUES (5, ?)", -1, &st, NULL),
	    SQLITE_OK);
	sqlite3_bind_blob(st, 1, dict, (int)strlen(dict), SQLITE_STATIC);
	assert_int_equal(sqlite3_step(st), SQLITE_DONE);
	sqlite3_finalize(st);
	arena_init(&a, 1024 * 1024);
	assert_int_equal(event_detail_unpack(
			     r, &db, &a, (struct str){ blob, n }, 5, &got, &e),
	    0);
	assert_true(
	    str_eq(got.fail_summary, STR("The usage limit has been reached")));
	assert_true(str_eq(got.response_metadata, STR("{\"k\":1}")));
	arena_free(&a);
	detail_reader_free(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_packed_comes_back),
		cmocka_unit_test(a_large_detail_comes_back),
		cmocka_unit_test(one_that_is_too_large_is_refused),
		cmocka_unit_test(broken_rows_are_told),
		cmocka_unit_test(a_row_with_a_dictionary_is_read),
	};

	return cmocka_run_group_tests(tests, open_all, close_all);
}
