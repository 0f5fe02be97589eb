/* The first start: directory, database, admin key, data key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#undef fail /* lib/err.h has one of its own */

#include "bootstrap.h"
#include "settings.h"
#include "test_dir.h"

#define SEALED_ROW                                     \
	"{\"cpaConnection\":{\"cpaBaseUrl\":\"http://" \
	"h\",\"managementKey\":\"%s\"}}"

static struct arena arena;

static int
begin(void **state)
{
	arena_init(&arena, 1024 * 1024);
	umask(0027);
	return test_dir_make(state);
}

static int
end(void **state)
{
	arena_free(&arena);
	return test_dir_remove(state);
}

/* A data directory that does not exist yet, two levels down. */
static struct cfg
config(void)
{
	struct cfg c = { .mode = MODE_AUTO, .queue = "usage" };

	c.data_dir = arena_printf(&arena, "%s/new/data", test_dir);
	c.db_path = arena_printf(&arena, "%s/usage.sqlite", c.data_dir);
	c.data_key_path = arena_printf(&arena, "%s/data.key", c.data_dir);
	c.pop_side = "right";
	return c;
}

static const char *
beside(const struct cfg *c, const char *name)
{
	return arena_printf(&arena, "%s/%s", c->data_dir, name);
}

static void
start(const struct cfg *c, struct db *db)
{
	struct err e;

	if (bootstrap_db(c, db, &e) != 0)
		FAIL("%s\n", e.text);
}

static struct str
row(struct db *db, const char *key)
{
	struct str value;
	struct err e;

	if (setting_get(db, key, &arena, &value, &e) != 0)
		FAIL("%s\n", e.text);
	return value;
}

static int
fits(struct db *db, const char *key)
{
	return admin_record_check(
	    row(db, "admin_credential_v1"), str_of(key), NULL);
}

/* The line of admin-key.txt, in the arena; NULL: no such file. */
static const char *
admin_file(const struct cfg *c)
{
	size_t n;
	char *p = file_read(beside(c, "admin-key.txt"), &n);
	const char *copy;

	if (p == NULL)
		return NULL;
	assert_true(n > 0 && p[n - 1] == '\n');
	copy = arena_strdup(&arena, (struct str){ p, n - 1 });
	free(p);
	return copy;
}

static void
first_start_makes_everything(void **state)
{
	struct cfg c = config();
	struct db db;
	struct data_key k;
	struct err e;
	const char *key;

	(void)state;
	start(&c, &db);
	assert_int_equal(file_mode(c.data_dir), 0750);
	assert_int_equal(file_mode(c.db_path), 0640);
	assert_int_equal(db_schema_check(&db, &e), 0);

	key = admin_file(&c);
	assert_non_null(key);
	assert_int_equal(file_mode(beside(&c, "admin-key.txt")), 0600);
	assert_int_equal(strlen(key), sizeof ADMIN_KEY_PREFIX - 1 + 32);
	assert_true(str_starts(str_of(key), STR(ADMIN_KEY_PREFIX)));
	assert_int_equal(fits(&db, key), 1);
	assert_int_equal(fits(&db, "cmp_admin_something_else"), 0);
	assert_true(str_contains(
	    row(&db, "admin_credential_v1"), STR("\"source\":\"generated\"")));
	assert_false(
	    str_contains(row(&db, "admin_credential_v1"), str_of(key)));
	assert_true(str_contains(
	    row(&db, "bootstrap_state_v1"), STR("\"status\":\"fresh\"")));

	assert_int_equal(bootstrap_data_key(&c, &db, &k, &e), 0);
	assert_true(k.present);
	assert_int_equal(file_mode(c.data_key_path), 0600);
	data_key_wipe(&k);
	db_close(&db);
}

static void
second_start_changes_nothing(void **state)
{
	struct cfg c = config();
	struct db db;
	struct str before, after;
	const char *key;

	(void)state;
	start(&c, &db);
	before = row(&db, "admin_credential_v1");
	key = admin_file(&c);
	db_close(&db);
	bootstrap_forget_admin_file(&c);
	assert_false(file_exists(beside(&c, "admin-key.txt")));
	bootstrap_forget_admin_file(&c);

	/* a key that is configured later is not the key */
	c.admin_key = "another-key-of-a-person";
	start(&c, &db);
	after = row(&db, "admin_credential_v1");
	assert_true(str_eq(before, after));
	assert_int_equal(fits(&db, key), 1);
	assert_int_equal(fits(&db, c.admin_key), 0);
	assert_false(file_exists(beside(&c, "admin-key.txt")));
	db_close(&db);
}

static void
given_admin_key_is_used_and_not_written(void **state)
{
	struct cfg c = config();
	struct db db;

	(void)state;
	c.admin_key = "a-key-that-a-person-gave";
	c.cpa_url = "http://127.0.0.1:8317";
	c.cpa_key = "cpa-key";
	start(&c, &db);
	assert_int_equal(fits(&db, c.admin_key), 1);
	assert_true(str_contains(
	    row(&db, "admin_credential_v1"), STR("\"source\":\"env\"")));
	assert_true(str_contains(
	    row(&db, "bootstrap_state_v1"), STR("\"status\":\"ready\"")));
	assert_false(file_exists(beside(&c, "admin-key.txt")));
	db_close(&db);
}

/* Somebody else's file of that name, readable by all, gets no key. */
static void
admin_file_is_made_anew(void **state)
{
	struct cfg c = config();
	struct db db;
	int fd;

	(void)state;
	assert_int_equal(mkdir(in_dir("new"), 0755), 0);
	assert_int_equal(mkdir(c.data_dir, 0770), 0);
	file_write(beside(&c, "admin-key.txt"), "mine\n", 5);
	assert_int_equal(chmod(beside(&c, "admin-key.txt"), 0666), 0);
	fd = open(beside(&c, "admin-key.txt"), O_RDONLY | O_CLOEXEC);
	start(&c, &db);
	assert_int_equal(file_mode(beside(&c, "admin-key.txt")), 0600);
	assert_int_equal(fits(&db, admin_file(&c)), 1);
	{
		char old[64];

		assert_int_equal(read(fd, old, sizeof old), 5);
		assert_memory_equal(old, "mine\n", 5);
	}
	close(fd);
	db_close(&db);
}

/* The key file cannot be written: no database either, and the next try works.
 */
static void
failed_start_leaves_no_key(void **state)
{
	struct cfg c = config();
	struct db db;
	struct err e;

	(void)state;
	assert_int_equal(mkdir(in_dir("new"), 0755), 0);
	assert_int_equal(mkdir(c.data_dir, 0755), 0);
	assert_int_equal(mkdir(beside(&c, "admin-key.txt"), 0755), 0);
	assert_int_equal(bootstrap_db(&c, &db, &e), -1);
	assert_int_equal(e.kind, ERR_UNAVAILABLE);
	assert_non_null(strstr(e.text, "admin-key.txt"));
	assert_null(db.handle);
	assert_int_equal(rmdir(beside(&c, "admin-key.txt")), 0);
	start(&c, &db);
	assert_int_equal(fits(&db, admin_file(&c)), 1);
	db_close(&db);
}

/* Both programs start at once: one key, the one in the file. */
static int
start_waiting(void *arg)
{
	struct cfg c = config();
	struct data_key k;
	struct db db;
	struct err e;
	char byte;
	int *gate = arg;

	close(gate[1]);
	if (read(gate[0], &byte, 1) != 0 || bootstrap_db(&c, &db, &e) != 0 ||
	    bootstrap_data_key(&c, &db, &k, &e) != 0)
		return 1;
	db_close(&db);
	return 0;
}

static void
two_programs_share_one_key(void **state)
{
	struct cfg c = config();
	pid_t pids[4];
	struct db db;
	int gate[2], status;

	(void)state;
	assert_int_equal(pipe2(gate, O_CLOEXEC), 0);
	for (int i = 0; i < 4; i++)
		if ((pids[i] = fork()) == 0)
			_exit(start_waiting(gate));
	close(gate[0]);
	close(gate[1]);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	start(&c, &db);
	assert_int_equal(fits(&db, admin_file(&c)), 1);
	db_close(&db);
}

static void
links_are_resolved_or_refused(void **state)
{
	struct cfg c = config();
	struct db db;
	struct err e;
	const char *real;

	(void)state;
	start(&c, &db);
	db_close(&db);
	real = c.db_path;

	c.db_path = in_dir("link.sqlite");
	assert_int_equal(symlink(real, c.db_path), 0);
	start(&c, &db);
	assert_string_equal(sqlite3_db_filename(db.handle, "main"), real);
	db_close(&db);
	assert_false(file_exists(in_dir("link.sqlite-wal")));

	c.db_path = in_dir("dangling.sqlite");
	assert_int_equal(symlink("nowhere", c.db_path), 0);
	assert_int_equal(bootstrap_db(&c, &db, &e), -1);
	assert_non_null(strstr(e.text, "dangling symbolic link"));

	c.db_path = in_dir("hard.sqlite");
	assert_int_equal(link(real, c.db_path), 0);
	assert_int_equal(bootstrap_db(&c, &db, &e), -1);
	assert_non_null(strstr(e.text, "multiple hard links"));
	assert_int_equal(unlink(c.db_path), 0);

	c.db_path = test_dir;
	assert_int_equal(bootstrap_db(&c, &db, &e), -1);
	assert_non_null(strstr(e.text, "is a directory"));
	assert_int_equal(e.kind, ERR_UNAVAILABLE);
}

static void
directory_that_cannot_be_made(void **state)
{
	struct cfg c = config();
	struct db db;
	struct err e;

	(void)state;
	file_write(in_dir("new"), "", 0);
	assert_int_equal(bootstrap_db(&c, &db, &e), -1);
	assert_int_equal(e.kind, ERR_UNAVAILABLE);
	assert_non_null(strstr(e.text, "/new"));
}

/* ---- reset ----------------------------------------------------------------
 */

static void
reset_replaces_the_key_at_once(void **state)
{
	struct cfg c = config();
	struct db db, other;
	struct err e;
	const char *old;
	char key[64];

	(void)state;
	start(&c, &db);
	old = admin_file(&c);
	assert_int_equal(db_open(&other, c.db_path, DB_READ, &e), 0);
	assert_int_equal(fits(&other, old), 1);

	assert_int_equal(bootstrap_reset_admin(&db, STR(""), key, &e), 0);
	assert_true(str_starts(str_of(key), STR(ADMIN_KEY_PREFIX)));
	assert_int_equal(fits(&other, old), 0);
	assert_int_equal(fits(&other, key), 1);
	assert_true(str_contains(row(&db, "admin_credential_v1"),
	    STR("\"source\":\"cli-generated\"")));
	assert_true(str_contains(
	    row(&db, "admin_credential_v1"), STR("\"rotatedAtMs\":")));

	assert_int_equal(
	    bootstrap_reset_admin(&db, STR("sixteen-letters!"), key, &e), 0);
	assert_string_equal(key, "");
	assert_int_equal(fits(&other, "sixteen-letters!"), 1);
	assert_true(str_contains(
	    row(&db, "admin_credential_v1"), STR("\"source\":\"cli\"")));

	assert_int_equal(
	    bootstrap_reset_admin(&db, STR("fifteen-letters"), key, &e), -1);
	assert_int_equal(e.kind, ERR_INPUT);
	assert_int_equal(fits(&other, "sixteen-letters!"), 1);
	db_close(&other);
	db_close(&db);
}

/* ---- data key -------------------------------------------------------------
 */

/* A database that holds a secret sealed with the key of *c. */
static void
start_sealed(const struct cfg *c, struct db *db)
{
	struct data_key k;
	struct err e;
	struct buf b;
	const char *value;

	start(c, db);
	assert_int_equal(bootstrap_data_key(c, db, &k, &e), 0);
	buf_init(&b, 1024);
	assert_int_equal(secret_seal(&k, STR("cpa-secret"), &b, &e), 0);
	value = arena_printf(&arena, SEALED_ROW, buf_text(&b));
	assert_int_equal(
	    setting_put(db, "manager_config_v1", str_of(value), &e), 0);
	buf_free(&b);
	data_key_wipe(&k);
}

static void
no_key(const struct cfg *c, struct db *db, const char *code)
{
	struct data_key k;
	struct err e;

	memset(&k, 0xff, sizeof k);
	assert_int_equal(bootstrap_data_key(c, db, &k, &e), -1);
	assert_false(k.present);
	assert_int_equal(e.kind, ERR_UNAVAILABLE);
	if (strcmp(err_code(&e), code) != 0)
		FAIL("%s: %s\n", err_code(&e), e.text);
	assert_non_null(strstr(e.text, "enter the CPA key"));
}

static void
lost_data_key_is_not_replaced(void **state)
{
	struct cfg c = config();
	struct data_key k;
	struct db db;
	struct err e;

	(void)state;
	start_sealed(&c, &db);
	assert_int_equal(rename(c.data_key_path, beside(&c, "kept")), 0);
	no_key(&c, &db, "data_key_missing");
	assert_false(file_exists(c.data_key_path));

	/* put back, it serves again */
	assert_int_equal(rename(beside(&c, "kept"), c.data_key_path), 0);
	assert_int_equal(bootstrap_data_key(&c, &db, &k, &e), 0);
	assert_true(k.present);

	/* with nothing sealed, a new one is harmless */
	assert_int_equal(unlink(c.data_key_path), 0);
	assert_int_equal(
	    setting_put(&db, "manager_config_v1", STR("{}"), &e), 0);
	assert_int_equal(bootstrap_data_key(&c, &db, &k, &e), 0);
	assert_true(file_exists(c.data_key_path));
	db_close(&db);
}

/* The way out of a lost key: a new one, and the connection typed again. */
static void
lost_data_key_is_overcome(void **state)
{
	struct cfg c = config();
	struct manager_config m;
	struct data_key k;
	struct db db;
	struct err e;

	(void)state;
	start_sealed(&c, &db);
	assert_int_equal(unlink(c.data_key_path), 0);
	assert_int_equal(bootstrap_check_secrets(&c, &db, &k, &e), -1);
	assert_int_equal(settings_load_unsealed(&db, &c, &arena, &m, &e), 0);
	assert_string_equal(m.cpa_key, "");
	m.cpa_key = "typed again";
	assert_int_equal(data_key_create(c.data_key_path, &k, &e), 0);
	assert_int_equal(settings_save(&db, &k, &m, true, &e), 0);
	data_key_wipe(&k);

	assert_int_equal(bootstrap_data_key(&c, &db, &k, &e), 0);
	assert_int_equal(settings_load(&db, &c, &k, &arena, &m, &e), 0);
	assert_string_equal(m.cpa_key, "typed again");
	data_key_wipe(&k);
	db_close(&db);
}

static void
looking_at_secrets_makes_no_key(void **state)
{
	struct cfg c = config();
	struct data_key k;
	struct db db;
	struct err e;

	(void)state;
	start(&c, &db);
	assert_int_equal(bootstrap_check_secrets(&c, &db, &k, &e), 0);
	assert_false(k.present);
	assert_false(file_exists(c.data_key_path));
	db_close(&db);
}

static void
wrong_data_key_is_not_used(void **state)
{
	static const char other[] =
	    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\n";
	struct cfg c = config();
	struct data_key k;
	struct db db;
	struct err e;

	(void)state;
	start_sealed(&c, &db);
	file_write(c.data_key_path, other, sizeof other - 1);
	no_key(&c, &db, "data_key_wrong");
	file_write(c.data_key_path, "", 0);
	no_key(&c, &db, "data_key_broken");
	file_write(c.data_key_path, "short\n", 6);
	no_key(&c, &db, "data_key_broken");
	/* what cannot be read may well be the right one */
	assert_int_equal(unlink(c.data_key_path), 0);
	assert_int_equal(mkdir(c.data_key_path, 0700), 0);
	assert_int_equal(bootstrap_data_key(&c, &db, &k, &e), -1);
	assert_string_equal(err_code(&e), "data_key_unreadable");
	assert_false(k.present);
	c.data_key_text = "a passphrase";
	no_key(&c, &db, "data_key_wrong");
	db_close(&db);
}

static void
configured_data_key_needs_no_file(void **state)
{
	struct cfg c = config();
	struct data_key k;
	struct db db;
	struct err e;

	(void)state;
	c.data_key_text = "correct horse";
	start_sealed(&c, &db);
	assert_false(file_exists(c.data_key_path));
	assert_int_equal(bootstrap_data_key(&c, &db, &k, &e), 0);
	assert_true(k.present);
	/* the trouble is the database's, and said to be */
	assert_int_equal(
	    sqlite3_exec(db.handle, "DROP TABLE settings", NULL, NULL, NULL),
	    SQLITE_OK);
	assert_int_equal(bootstrap_data_key(&c, &db, &k, &e), -1);
	assert_null(strstr(e.text, "data key"));
	assert_false(k.present);
	db_close(&db);
}

int
main(void)
{
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, begin, end)
	const struct CMUnitTest tests[] = {
		CASE(first_start_makes_everything),
		CASE(second_start_changes_nothing),
		CASE(given_admin_key_is_used_and_not_written),
		CASE(admin_file_is_made_anew),
		CASE(failed_start_leaves_no_key),
		CASE(two_programs_share_one_key),
		CASE(links_are_resolved_or_refused),
		CASE(directory_that_cannot_be_made),
		CASE(reset_replaces_the_key_at_once),
		CASE(lost_data_key_is_not_replaced),
		CASE(lost_data_key_is_overcome),
		CASE(looking_at_secrets_makes_no_key),
		CASE(wrong_data_key_is_not_used),
		CASE(configured_data_key_needs_no_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
