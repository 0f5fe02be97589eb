/*
 * Numbers for texts: the same text the same number, whatever the cache knows.
 */
#include <string.h>

#include "intern.h"
#include "test_store.h"

static int64_t
id_of(struct intern *in, struct db *db, enum dict_kind kind, struct str s)
{
	struct err e;
	int64_t id = -1;

	if (intern_text(in, db, kind, s, &id, &e) != 0)
		FAIL("%s", e.text);
	return id;
}

static void
the_empty_text_is_0(void **state)
{
	struct intern *in = intern_new();
	struct db db;

	(void)state;
	open_store(&db, "empty.sqlite");
	assert_int_equal(id_of(in, &db, DICT_MODEL, STR("")), 0);
	assert_int_equal(figure(&db, "SELECT count(*) FROM dict"), 0);
	db_close(&db);
	intern_free(in);
}

static void
each_kind_counts_from_1(void **state)
{
	struct intern *in = intern_new();
	struct db db;

	(void)state;
	open_store(&db, "kinds.sqlite");
	assert_int_equal(id_of(in, &db, DICT_MODEL, STR("a")), 1);
	assert_int_equal(id_of(in, &db, DICT_MODEL, STR("b")), 2);
	assert_int_equal(id_of(in, &db, DICT_PROVIDER, STR("b")), 1);
	assert_int_equal(id_of(in, &db, DICT_MODEL, STR("a")), 1);
	/* another cache finds the same in the database */
	intern_free(in);
	in = intern_new();
	assert_int_equal(id_of(in, &db, DICT_MODEL, STR("b")), 2);
	assert_int_equal(id_of(in, &db, DICT_PROVIDER, STR("b")), 1);
	assert_int_equal(figure(&db, "SELECT count(*) FROM dict"), 3);
	db_close(&db);
	intern_free(in);
}

static void
any_bytes_are_a_text(void **state)
{
	static const struct str odd[] = {
		{ "a\0b", 3 },
		{ "a", 1 },
		{ "a\0c", 3 },
		{ "\xff\xfe", 2 },
		{ " ", 1 },
	};
	struct intern *in = intern_new();
	struct db db;
	char *large = malloc(300000);

	(void)state;
	open_store(&db, "odd.sqlite");
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
			assert_int_equal(
			    id_of(in, &db, DICT_PATH, odd[i]), i + 1);
		intern_clear(in);
	}
	/* too large for the cache, not for the table */
	memset(large, 'x', 300000);
	for (int round = 0; round < 2; round++)
		assert_int_equal(
		    id_of(in, &db, DICT_PATH, (struct str){ large, 300000 }),
		    6);
	assert_int_equal(
	    figure(&db, "SELECT length(value) FROM dict WHERE id = 6"), 300000);
	free(large);
	db_close(&db);
	intern_free(in);
}

static void
keys_are_kept_as_bytes(void **state)
{
	struct intern *in = intern_new();
	struct db db;

	(void)state;
	open_store(&db, "keys.sqlite");
	assert_int_equal(
	    id_of(in, &db, DICT_API_KEY, STR("0123456789abcdef")), 1);
	intern_clear(in);
	assert_int_equal(
	    id_of(in, &db, DICT_API_KEY, STR("0123456789abcdef")), 1);
	assert_int_equal(
	    figure(
		&db, "SELECT count(*) FROM dict WHERE typeof(value) = 'blob'"),
	    1);
	db_close(&db);
	intern_free(in);
}

/* More texts than the cache holds: it begins anew and stays right. */
static void
more_than_the_cache_holds(void **state)
{
	struct intern *in = intern_new();
	struct db db;
	struct err e;
	char text[32];
	int n = 40000;

	(void)state;
	open_store(&db, "many.sqlite");
	for (int round = 0; round < 2; round++) {
		assert_int_equal(db_begin(&db, &e), 0);
		for (int i = 0; i < n; i++) {
			snprintf(
			    text, sizeof text, "10.0.%d.%d", i / 250, i % 250);
			assert_int_equal(
			    id_of(in, &db, DICT_CLIENT_IP, str_of(text)),
			    i + 1);
		}
		assert_int_equal(db_commit(&db, &e), 0);
	}
	assert_int_equal(figure(&db, "SELECT count(*) FROM dict"), n);
	db_close(&db);
	intern_free(in);
}

static void
after_a_rollback_numbers_are_given_again(void **state)
{
	struct intern *in = intern_new();
	struct db db;
	struct err e;

	(void)state;
	open_store(&db, "rollback.sqlite");
	assert_int_equal(db_begin(&db, &e), 0);
	assert_int_equal(id_of(in, &db, DICT_MODEL, STR("gone")), 1);
	db_rollback(&db);
	intern_clear(in);
	assert_int_equal(id_of(in, &db, DICT_MODEL, STR("stays")), 1);
	assert_int_equal(id_of(in, &db, DICT_MODEL, STR("gone")), 2);
	db_close(&db);
	intern_free(in);
}

static void
a_failure_is_told(void **state)
{
	struct intern *in = intern_new();
	struct db db;
	struct err e;
	int64_t id;

	(void)state;
	open_store(&db, "fail.sqlite");
	run_sql(&db, "CREATE TRIGGER no BEFORE INSERT ON dict BEGIN "
		     "SELECT raise(ABORT, 'not now'); END");
	assert_int_equal(
	    intern_text(in, &db, DICT_MODEL, STR("a"), &id, &e), -1);
	run_sql(&db, "DROP TRIGGER no");
	/* and is not remembered */
	assert_int_equal(id_of(in, &db, DICT_MODEL, STR("a")), 1);
	db_close(&db);
	intern_free(in);
}

static void
identities_differ_by_any_field(void **state)
{
	struct usage_event ev[] = {
		{ .auth_index = STR("0123456789abcdef") },
		{ .auth_index = STR("0123456789abcdef"), .source = STR("a") },
		{ .auth_index = STR("0123456789abcdef"),
		    .source = STR("a"),
		    .has_source_hash = true },
		{ .account_snapshot = STR("a") },
		{ .auth_label_snapshot = STR("a") },
		{ .auth_file_snapshot = STR("a") },
		{ .auth_provider_snapshot = STR("a") },
		{ .auth_project_id_snapshot = STR("a") },
		/* no field runs into the next */
		{ .account_snapshot = STR("a"),
		    .auth_label_snapshot = STR("b") },
		{ .account_snapshot = STR("ab") },
		{ .source = STR("") },
	};
	const size_t n = sizeof ev / sizeof *ev;
	struct intern *in = intern_new();
	struct db db;
	struct err e;
	int64_t id;

	(void)state;
	open_store(&db, "identities.sqlite");
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < n; i++) {
			assert_int_equal(
			    intern_identity(in, &db, &ev[i], &id, &e), 0);
			assert_int_equal(id, i + 1);
		}
		if (round == 1)
			intern_clear(in);
	}
	assert_int_equal(figure(&db, "SELECT count(*) FROM identities"), n);
	assert_int_equal(
	    figure(&db, "SELECT id FROM identities WHERE source_hash IS NOT "
			"NULL"),
	    3);
	db_close(&db);
	intern_free(in);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_empty_text_is_0),
		cmocka_unit_test(each_kind_counts_from_1),
		cmocka_unit_test(any_bytes_are_a_text),
		cmocka_unit_test(keys_are_kept_as_bytes),
		cmocka_unit_test(more_than_the_cache_holds),
		cmocka_unit_test(after_a_rollback_numbers_are_given_again),
		cmocka_unit_test(a_failure_is_told),
		cmocka_unit_test(identities_differ_by_any_field),
	};

	return cmocka_run_group_tests(tests, test_dir_make, test_dir_remove);
}
