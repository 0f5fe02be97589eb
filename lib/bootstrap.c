#include "bootstrap.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "json_in.h"
#include "log.h"
#include "settings_impl.h"

#define ADMIN_FILE "admin-key.txt"
#define ADMIN_SETTING "admin_credential_v1"
#define RECORD_MAX_BYTES 4096
#define SEALED_MAX_BYTES (1024 * 1024)

/* ---- data directory -------------------------------------------------------
 */

/* Make a directory and what is missing above it. */
static int
make_directory(const char *path, mode_t mode, struct err *e)
{
	char text[PATH_MAX];
	size_t n = strlen(path);

	if (n == 0 || n >= sizeof text)
		return fail(e, ERR_UNAVAILABLE, "directory name too long");
	memcpy(text, path, n + 1);
	for (char *p = text + 1;; p++) {
		char c = *p;

		if (c != '/' && c != '\0')
			continue;
		*p = '\0';
		if (mkdir(text, mode) == -1 && errno != EEXIST)
			return fail(e, ERR_UNAVAILABLE,
			    "cannot make the data directory %s: %s", text,
			    strerrordesc_np(errno));
		*p = c;
		if (c == '\0')
			return 0;
	}
}

/*
 * A database that has several names could be opened under two of them at
 * once, each with a lock and a WAL of its own.
 */
static int
check_file(const char *path, struct err *e)
{
	struct stat st;

	if (lstat(path, &st) == -1) {
		if (errno == ENOENT)
			return 0;
		return fail(e, ERR_UNAVAILABLE, "database %s: %s", path,
		    strerrordesc_np(errno));
	}
	if (S_ISLNK(st.st_mode) && stat(path, &st) == -1)
		return fail(e, ERR_UNAVAILABLE,
		    "database %s is a dangling symbolic link", path);
	if (S_ISDIR(st.st_mode))
		return fail(e, ERR_UNAVAILABLE,
		    "database %s is a directory; USAGE_DB_PATH names a file",
		    path);
	if (st.st_nlink > 1)
		return fail(e, ERR_UNAVAILABLE,
		    "database %s has multiple hard links; keep one name", path);
	return 0;
}

/* ---- admin key ------------------------------------------------------------
 */

static int
admin_file_path(const char *data_dir, char out[PATH_MAX], struct err *e)
{
	int n = snprintf(out, PATH_MAX, "%s/%s", data_dir, ADMIN_FILE);

	if (n < 0 || n >= PATH_MAX)
		return fail(
		    e, ERR_UNAVAILABLE, "data directory: name too long");
	return 0;
}

static bool
admin_file_remove(const char *data_dir)
{
	char path[PATH_MAX];

	return admin_file_path(data_dir, path, NULL) == 0 && unlink(path) == 0;
}

/* Leave the key where only this user can read it, durably. */
static int
admin_file_write(const char *data_dir, const char *key, struct err *e)
{
	char path[PATH_MAX], line[80];
	int dir = -1, fd, n, rc = -1;

	if (admin_file_path(data_dir, path, e) != 0)
		return -1;
	/* never into a file that somebody else made and can read */
	(void)admin_file_remove(data_dir);
	n = snprintf(line, sizeof line, "%s\n", key);
	fd = open(
	    path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd == -1 || write(fd, line, (size_t)n) != n || fsync(fd) == -1 ||
	    (dir = open(data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == -1 ||
	    fsync(dir) == -1)
		fail(e, ERR_UNAVAILABLE, "cannot write %s: %s", path,
		    strerrordesc_np(errno));
	else
		rc = 0;
	explicit_bzero(line, sizeof line);
	if (dir != -1)
		close(dir);
	if (fd != -1)
		close(fd);
	return rc;
}

void
bootstrap_forget_admin_file(const struct cfg *c)
{
	if (admin_file_remove(c->data_dir))
		log_write(LOG_INFO, "admin key file removed",
		    LOG_Z("directory", c->data_dir));
}

static int
admin_put(struct db *db, struct str key, const char *source, int64_t created_ms,
    int64_t rotated_ms, struct err *e)
{
	struct buf record;
	int rc;

	buf_init(&record, RECORD_MAX_BYTES);
	rc = admin_record_make(key, source, created_ms, rotated_ms, &record, e);
	if (rc == 0)
		rc = setting_put(db, ADMIN_SETTING, buf_view(&record), e);
	buf_free(&record);
	return rc;
}

/* A first start, and the key that it made ("" : one was given). */
struct first {
	const struct cfg *c;
	bool made;
	char key[64];
};

/* Inside the transaction that makes the schema: the key exists from then on. */
static int
first_start(struct db *db, int from_version, void *arg, struct err *e)
{
	struct first *first = arg;
	const struct cfg *c = first->c;
	bool connected = c->cpa_url != NULL && c->cpa_key != NULL;

	if (from_version > 0)
		return 0;
	if (settings_put_bootstrap(db, connected, e) != 0)
		return -1;
	first->made = true;
	if (c->admin_key != NULL)
		return admin_put(
		    db, str_of(c->admin_key), "env", clock_now_ms(), 0, e);
	if (admin_key_generate(first->key, e) != 0 ||
	    admin_put(
		db, str_of(first->key), "generated", clock_now_ms(), 0, e) != 0)
		return -1;
	return admin_file_write(c->data_dir, first->key, e);
}

/* Say once where the new key is; the journal never sees the key itself. */
static void
announce(const struct first *first)
{
	if (first->key[0] == '\0') {
		log_line(LOG_INFO, "database made; the admin key is the "
				   "configured one");
		return;
	}
	log_write(LOG_INFO,
	    "database made; the admin key is in a file until "
	    "the first login",
	    LOG_Z("directory", first->c->data_dir), LOG_Z("file", ADMIN_FILE));
	if (isatty(STDERR_FILENO))
		dprintf(STDERR_FILENO,
		    "\n  Admin key: %s\n  It is also in %s/%s until the "
		    "first login.\n\n",
		    first->key, first->c->data_dir, ADMIN_FILE);
}

/* Make the directory that a file stands in. */
static int
make_directory_of(const char *file, struct err *e)
{
	char text[PATH_MAX];
	const char *slash = strrchr(file, '/');
	size_t n = slash == NULL ? 0 : (size_t)(slash - file);

	if (n == 0)
		return 0;
	if (n >= sizeof text)
		return fail(e, ERR_UNAVAILABLE, "database name too long");
	memcpy(text, file, n);
	text[n] = '\0';
	return make_directory(text, 0750, e);
}

int
bootstrap_db(const struct cfg *c, struct db *db, struct err *e)
{
	struct first first = { .c = c };
	char path[PATH_MAX];
	int rc;

	db->handle = NULL;
	if (make_directory(c->data_dir, 0750, e) != 0 ||
	    make_directory_of(c->db_path, e) != 0 ||
	    check_file(c->db_path, e) != 0)
		return -1;
	/* WAL and lock stand beside the file itself, not beside a link to it */
	if (db_open(db, realpath(c->db_path, path) == NULL ? c->db_path : path,
		DB_CREATE, e) != 0)
		return -1;
	rc = db_migrate(db, first_start, &first, e);
	if (rc == 0 && first.made)
		announce(&first);
	if (rc != 0) {
		/* undone with the schema: the key in the file opens nothing */
		if (first.key[0] != '\0')
			admin_file_remove(c->data_dir);
		db_close(db);
	}
	explicit_bzero(&first, sizeof first);
	return rc;
}

int
bootstrap_reset_admin(
    struct db *db, struct str key, char out[64], struct err *e)
{
	int64_t created_ms = clock_now_ms();
	struct str old;
	struct arena a;
	json_t *row;
	int rc = -1;

	arena_init(&a, RECORD_MAX_BYTES);
	out[0] = '\0';
	if (key.n > 0 && utf8_length(key) < ADMIN_KEY_MIN) {
		fail(e, ERR_INPUT, "admin key must have at least %d characters",
		    ADMIN_KEY_MIN);
		goto out;
	}
	/* the time of its making stays; a broken row is simply replaced */
	if (setting_get(db, ADMIN_SETTING, &a, &old, NULL) == 0 &&
	    (row = json_in_parse(old, true, NULL)) != NULL) {
		(void)json_in_i64(
		    row, "createdAtMs", "createdAtMs", &created_ms, NULL);
		json_decref(row);
	}
	if (key.n > 0)
		rc = admin_put(db, key, "cli", created_ms, clock_now_ms(), e);
	else if (admin_key_generate(out, e) == 0)
		rc = admin_put(db, str_of(out), "cli-generated", created_ms,
		    clock_now_ms(), e);
	if (rc != 0)
		explicit_bzero(out, 64);
out:
	arena_free(&a);
	return rc;
}

/* ---- data key -------------------------------------------------------------
 */

/* The first sealed text inside a row's JSON; empty when there is none. */
static struct str
sealed_part(struct str row)
{
	const char *from =
	    row.n == 0 ? NULL : memmem(row.p, row.n, "enc:v1:", 7);
	const char *end;

	if (from == NULL)
		return (struct str){ NULL, 0 };
	row.n -= (size_t)(from - row.p);
	end = memchr(from, '"', row.n);
	return (struct str){ from, end == NULL ? row.n : (size_t)(end - from) };
}

/*
 * Try the key, if there is one, on each row that holds something sealed.
 * *sealed: there are such rows; *opens: the key fits all of them.
 */
static int
try_key(struct db *db, const struct data_key *k, bool *sealed, bool *opens,
    struct err *e)
{
	sqlite3_stmt *st = db_stmt(db, SQL_setting_sealed, e);
	int rc;

	*sealed = false;
	*opens = true;
	if (st == NULL)
		return -1;
	while ((rc = db_step(db, st, e)) == 1) {
		struct str part = sealed_part(db_col_str(st, 1));
		struct buf plain;

		if (part.n == 0)
			continue;
		*sealed = true;
		buf_init(&plain, SEALED_MAX_BYTES);
		if (!k->present || secret_open(k, part, &plain, NULL) != 0)
			*opens = false;
		buf_wipe(&plain);
	}
	return rc;
}

/* What a person can do when the key that secrets were sealed with is gone. */
#define DATA_KEY_ADVICE                                                    \
	"restore the key from the backup of the data directory; if it is " \
	"lost, run the setup again and enter the CPA key"

int
bootstrap_check_secrets(
    const struct cfg *c, struct db *db, struct data_key *k, struct err *e)
{
	const char *where = c->data_key_text != NULL ?
				"given by the configuration" :
				c->data_key_path;
	struct err why;
	bool sealed, opens;
	int rc;

	*k = (struct data_key){ .present = false };
	err_clear(&why);
	rc = c->data_key_text != NULL ?
		 data_key_parse(str_of(c->data_key_text), true, k, &why) :
		 data_key_load(c->data_key_path, k, &why);
	if (rc != 0 && why.kind == ERR_INPUT)
		return fail_code(e, ERR_UNAVAILABLE, "data_key_broken",
		    "data key %s cannot be used (%s); restore it from the "
		    "backup of the data directory, or move it away, run the "
		    "setup again and enter the CPA key",
		    where, why.text);
	if (rc != 0 && why.kind != ERR_MISSING)
		return fail_code(e, ERR_UNAVAILABLE, "data_key_unreadable",
		    "%s; make the file readable for this user", why.text);
	if (try_key(db, k, &sealed, &opens, e) != 0) {
		data_key_wipe(k);
		return -1;
	}
	if (!opens && k->present) {
		data_key_wipe(k);
		return fail_code(e, ERR_UNAVAILABLE, "data_key_wrong",
		    "data key %s is not the one that the stored secrets were "
		    "sealed with; " DATA_KEY_ADVICE,
		    where);
	}
	if (!k->present && sealed)
		return fail_code(e, ERR_UNAVAILABLE, "data_key_missing",
		    "data key %s is missing, but the database holds secrets "
		    "sealed with it; " DATA_KEY_ADVICE,
		    where);
	return 0;
}

int
bootstrap_data_key(
    const struct cfg *c, struct db *db, struct data_key *k, struct err *e)
{
	if (bootstrap_check_secrets(c, db, k, e) != 0)
		return -1;
	if (k->present)
		return 0;
	if (data_key_create(c->data_key_path, k, e) != 0)
		return -1;
	log_write(LOG_INFO, "data key made", LOG_Z("path", c->data_key_path));
	return 0;
}
