/*
 * Files and paths of the configuration: reading a small file whole, and
 * working out where the data are.
 */
#include "cfg_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define SYSTEM_DATA_DIR "/var/lib/cpa-manager"

int
cfg_no_memory(struct err *e)
{
	return fail(e, ERR_INPUT, "the configuration is too large");
}

struct str
cfg_env(const struct cfg_places *places, const char *name)
{
	return str_trim(str_of(places->env(name)));
}

const char *
cfg_directory_of(struct arena *a, const char *path)
{
	const char *slash = strrchr(path, '/');

	if (slash == NULL)
		return arena_strdup(a, STR("."));
	return arena_strdup(a,
	    (struct str){ path, slash == path ? 1 : (size_t)(slash - path) });
}

const char *
cfg_join(struct arena *a, const char *dir, const char *name)
{
	return arena_printf(a, "%s%s%s", dir,
	    *dir != '\0' && dir[strlen(dir) - 1] == '/' ? "" : "/", name);
}

int
cfg_read_file(const char *path, size_t limit, struct buf *out, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc = -1;

	buf_init(out, limit + 4096);
	if (fd == -1 && (errno == ENOENT || errno == ENOTDIR))
		return 0;
	if (fd == -1)
		return fail(
		    e, ERR_INPUT, "%s: %s", path, strerrordesc_np(errno));
	while (out->n <= limit) {
		char *room = buf_reserve(out, 4096);
		ssize_t got;

		if (room == NULL) {
			cfg_no_memory(e);
			goto out;
		}
		got = read(fd, room, 4096);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			fail(e, ERR_INPUT, "%s: %s", path,
			    strerrordesc_np(errno));
			goto out;
		}
		if (got == 0) {
			rc = 1;
			goto out;
		}
		buf_commit(out, (size_t)got);
	}
	fail(e, ERR_INPUT, "%s: larger than %zu bytes", path, limit);
out:
	close(fd);
	return rc;
}

/*
 * The directory: --data, variable, key, where the database is, beside the
 * config file, /var/lib.  A config file in /etc does not put data there.
 */
int
cfg_settle_paths(struct cfg *c, const struct cfg_places *places,
    const char *data_dir, struct err *e)
{
	struct arena *a = &c->arena;

	if (data_dir != NULL) {
		c->data_dir = arena_strdup(a, str_of(data_dir));
		c->db_path = NULL;
	} else if (cfg_env(places, "USAGE_DATA_DIR").n > 0) {
		/* the file's dbPath belongs to the file's dataDir */
		if (cfg_env(places, "USAGE_DB_PATH").n == 0)
			c->db_path = NULL;
	} else if (c->data_dir == NULL && c->db_path != NULL)
		c->data_dir = cfg_directory_of(a, c->db_path);
	else if (c->data_dir == NULL && c->file != NULL &&
		 strcmp(c->file, places->system_file) != 0) {
		const char *dir = cfg_directory_of(a, c->file);

		c->data_dir = dir == NULL ? NULL : cfg_join(a, dir, "data");
		if (c->data_dir == NULL)
			return cfg_no_memory(e);
	} else if (c->data_dir == NULL)
		c->data_dir = SYSTEM_DATA_DIR;

	if (c->data_dir == NULL)
		return cfg_no_memory(e);
	if (*c->data_dir == '\0')
		return fail(e, ERR_INPUT, "--data: must not be empty");
	if (c->db_path == NULL)
		c->db_path = cfg_join(a, c->data_dir, "usage.sqlite");
	if (c->data_key_path == NULL)
		c->data_key_path = cfg_join(a, c->data_dir, "data.key");
	c->spool_dir = cfg_join(a, c->data_dir, "spool");
	c->import_dir = cfg_join(a, c->data_dir, "imports");
	c->lock_path = c->db_path == NULL ?
			   NULL :
			   arena_printf(a, "%s.manager.lock", c->db_path);
	if (c->lock_path == NULL || c->data_key_path == NULL ||
	    c->spool_dir == NULL || c->import_dir == NULL)
		return cfg_no_memory(e);
	return 0;
}
