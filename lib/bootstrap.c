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
#include "json_out.h"
#include "log.h"
#include "settings.h"

#define ADMIN_FILE "admin-key.txt"
#define ADMIN_SETTING "admin_credential_v1"
#define RECORD_MAX_BYTES 4096

/* ---- data directory ------------------------------------------------------- */

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

/* ---- admin key ------------------------------------------------------------ */

static int
admin_file_path(const char *data_dir, char out[PATH_MAX], struct err *e)
{
	int n = snprintf(out, PATH_MAX, "%s/%s", data_dir, ADMIN_FILE);

	if (n < 0 || n >= PATH_MAX)
		return fail(e, ERR_UNAVAILABLE, "data directory: name too long");
	return 0;
}

/* Leave the key where only this user can read it. */
static int
admin_file_write(const char *data_dir, const char *key, struct err *e)
{
	char path[PATH_MAX], line[80];
	int fd, n, rc = -1;

	if (admin_file_path(data_dir, path, e) != 0)
		return -1;
	n = snprintf(line, sizeof line, "%s\n", key);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
	    0600);
	if (fd == -1)
		return fail(e, ERR_UNAVAILABLE, "cannot write %s: %s", path,
		    strerrordesc_np(errno));
	if (write(fd, line, (size_t)n) != n || fsync(fd) == -1)
		fail(e, ERR_UNAVAILABLE, "cannot write %s: %s", path,
		    strerrordesc_np(errno));
	else
		rc = 0;
	explicit_bzero(line, sizeof line);
	close(fd);
	return rc;
}

void
bootstrap_forget_admin_file(const struct cfg *c)
{
	char path[PATH_MAX];

	if (admin_file_path(c->data_dir, path, NULL) == 0 &&
	    unlink(path) == 0)
		log_write(LOG_INFO, "first login: key file removed",
		    LOG_Z("path", path));
}

static int
admin_put(struct db *db, struct str key, const char *source,
    int64_t created_ms, int64_t rotated_ms, struct err *e)
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

static int
bootstrap_state_put(struct db *db, struct err *e)
{
	struct json_out o;
	struct buf b;
	int rc = -1;

	buf_init(&b, RECORD_MAX_BYTES);
	json_out_init(&o, &b, NULL, NULL);
	json_out_object(&o);
	json_out_kint(&o, "version", 1);
	json_out_kz(&o, "status", "fresh");
	json_out_kbool(&o, "adminReady", true);
	json_out_kbool(&o, "projectInitialized", false);
	json_out_kbool(&o, "dataKeyReady", true);
	json_out_kbool(&o, "migratedLegacy", false);
	json_out_kbool(&o, "hasHistoricalData", false);
	json_out_kint(&o, "updatedAtMs", clock_now_ms());
	json_out_object_end(&o);
	if (o.failed || b.failed)
		fail(e, ERR_UNAVAILABLE, "out of memory");
	else
		rc = setting_put(db, "bootstrap_state_v1", buf_view(&b), e);
	buf_free(&b);
	return rc;
}

/* Inside the transaction that makes the schema: the key exists from then on. */
static int
first_start(struct db *db, int from_version, void *arg, struct err *e)
{
	const struct cfg *c = arg;
	char key[64];
	int rc;

	if (from_version > 0)
		return 0;
	if (bootstrap_state_put(db, e) != 0)
		return -1;
	if (c->admin_key != NULL)
		return admin_put(
		    db, str_of(c->admin_key), "env", clock_now_ms(), 0, e);
	if (admin_key_generate(key, e) != 0)
		return -1;
	rc = admin_put(db, str_of(key), "generated", clock_now_ms(), 0, e);
	if (rc == 0)
		rc = admin_file_write(c->data_dir, key, e);
	if (rc == 0 && isatty(STDERR_FILENO))
		dprintf(STDERR_FILENO,
		    "\n  Admin key: %s\n  It is also in %s/%s until the "
		    "first login.\n\n",
		    key, c->data_dir, ADMIN_FILE);
	explicit_bzero(key, sizeof key);
	return rc;
}

int
bootstrap_db(const struct cfg *c, struct db *db, struct err *e)
{
	char path[PATH_MAX];

	db->handle = NULL;
	if (make_directory(c->data_dir, 0750, e) != 0 ||
	    check_file(c->db_path, e) != 0)
		return -1;
	/* WAL and lock stand beside the file itself, not beside a link to it */
	if (db_open(db, realpath(c->db_path, path) == NULL ? c->db_path : path,
		DB_CREATE, e) != 0)
		return -1;
	if (db_migrate(db, first_start, (void *)(uintptr_t)c, e) != 0) {
		db_close(db);
		return -1;
	}
	return 0;
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
	if (key.n > 0 && key.n < ADMIN_KEY_MIN) {
		fail(e, ERR_INPUT, "admin key must have at least %d characters",
		    ADMIN_KEY_MIN);
		goto out;
	}
	/* the time of its making stays; a broken row is simply replaced */
	if (setting_get(db, ADMIN_SETTING, &a, &old, NULL) == 0 &&
	    (row = json_in_parse(old, true, NULL)) != NULL) {
		(void)json_in_i64(row, "createdAtMs", "createdAtMs",
		    &created_ms, NULL);
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

/* ---- data key ------------------------------------------------------------- */

/* Try the key on everything that is sealed.  *sealed: is there anything? */
static int
check_sealed(struct db *db, const struct data_key *k, bool *sealed,
    struct err *e)
{
	sqlite3_stmt *st = db_stmt(db, SQL_setting_sealed, e);
	int rc;

	*sealed = false;
	if (st == NULL)
		return -1;
	while ((rc = db_step(db, st, e)) == 1) {
		struct str value = db_col_str(st, 1), s;
		const char *from = memmem(value.p, value.n, "enc:v1:", 7);
		struct buf plain;

		*sealed = true;
		if (from == NULL || !k->present)
			continue;
		s = (struct str) { from, (size_t)(value.p + value.n - from) };
		for (size_t i = 0; i < s.n; i++)
			if (s.p[i] == '"')
				s.n = i;
		buf_init(&plain, 1024 * 1024);
		rc = secret_open(k, s, &plain, e);
		buf_wipe(&plain);
		if (rc != 0) {
			db_reset(st);
			return -1;
		}
	}
	return rc;
}

int
bootstrap_check_secrets(const struct cfg *c, struct db *db,
    struct data_key *k, struct err *e)
{
	static const char advice[] =
	    "restore it from the backup of the data directory, or enter the "
	    "CPA connection again";
	bool sealed;

	*k = (struct data_key) { .present = false };
	if (c->data_key_text != NULL) {
		if (data_key_parse(str_of(c->data_key_text), true, k, e) != 0)
			return -1;
	} else if (data_key_load(c->data_key_path, k, e) != 0 &&
	    e->kind != ERR_MISSING) {
		e->kind = ERR_UNAVAILABLE;
		e->code = "data_key_broken";
		return fail_prefix(e, "the data key cannot be used; %s", advice);
	}
	if (check_sealed(db, k, &sealed, e) != 0) {
		data_key_wipe(k);
		return fail_code(e, ERR_UNAVAILABLE, "data_key_wrong",
		    "data key %s is not the one that the stored secrets were "
		    "sealed with; %s",
		    c->data_key_text != NULL ? "(from the environment)" :
					       c->data_key_path,
		    advice);
	}
	if (!k->present && sealed)
		return fail_code(e, ERR_UNAVAILABLE, "data_key_missing",
		    "data key %s is missing, but the database holds secrets "
		    "sealed with it; %s",
		    c->data_key_path, advice);
	return 0;
}

int
bootstrap_data_key(const struct cfg *c, struct db *db, struct data_key *k,
    struct err *e)
{
	if (bootstrap_check_secrets(c, db, k, e) != 0)
		return -1;
	if (k->present)
		return 0;
	if (data_key_create(c->data_key_path, k, e) != 0)
		return -1;
	log_write(
	    LOG_INFO, "data key created", LOG_Z("path", c->data_key_path));
	return 0;
}
