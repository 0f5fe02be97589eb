/*
 * cpactl reset-admin-key: for whoever has lost the key but has the machine.
 * Every process reads the key's record for each login, so the new one is in
 * force with the commit.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bootstrap.h"
#include "ctl/ctl.h"

#define NAME "reset-admin-key"
#define KEY_FILE_MAX ((size_t)4096)

/* All of a file, a pipe too; at most size bytes.  Returns the length or -1. */
static ssize_t
read_whole(const char *path, char *to, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY), saved;
	size_t n = 0;
	ssize_t got;

	if (fd == -1)
		return -1;
	do {
		got = read(fd, to + n, size - n);
		if (got > 0)
			n += (size_t)got;
	} while (n < size && (got > 0 || (got == -1 && errno == EINTR)));
	saved = errno;
	close(fd);
	errno = saved;
	return got == -1 ? -1 : (ssize_t)n;
}

/* The key in a file, without white space around it, as a view into text. */
static int
read_key(const char *path, char text[KEY_FILE_MAX], struct str *key)
{
	ssize_t n = read_whole(path, text, KEY_FILE_MAX);

	if (n == -1)
		return ctl_fail(NAME, "admin key file %s: %s", path,
		    strerrordesc_np(errno));
	*key = str_trim((struct str){ text, (size_t)n });
	if (key->n == 0)
		return ctl_fail(NAME, "admin key file %s is empty", path);
	if ((size_t)n == KEY_FILE_MAX)
		return ctl_fail(NAME, "admin key file %s is too long", path);
	/* such a key could be set, but no header could carry it */
	for (size_t i = 0; i < key->n; i++)
		if ((unsigned char)key->p[i] < 0x20 || key->p[i] == 0x7f)
			return ctl_fail(NAME,
			    "admin key file %s: the key must be one line of "
			    "text",
			    path);
	if (!utf8_valid(*key))
		return ctl_fail(
		    NAME, "admin key file %s: the key must be UTF-8", path);
	return EXIT_OK;
}

int
ctl_reset_admin_key(const struct cfg *c, const struct ctl_args *a)
{
	char text[KEY_FILE_MAX], made[64] = "";
	struct str key = { NULL, 0 };
	int code = EXIT_FAILED;
	struct db db = { .handle = NULL };
	struct err e;

	if (a->admin_key_file != NULL &&
	    read_key(a->admin_key_file, text, &key) != EXIT_OK)
		goto out;
	if (ctl_open(NAME, c, &db, DB_WRITE) != 0)
		goto out;
	if (bootstrap_reset_admin(&db, key, made, &e) != 0) {
		ctl_fail(NAME, "%s", e.text);
		goto out;
	}
	/* the key of the first start opens nothing any more */
	bootstrap_forget_admin_file(c);
	puts("CPA Manager admin key reset.");
	if (key.n > 0)
		puts("Use the provided admin key to log in.");
	else
		printf("New admin key: %s\n"
		       "Save this value now. It will not be shown again.\n",
		    made);
	code = EXIT_OK;
out:
	db_close(&db);
	explicit_bzero(made, sizeof made);
	explicit_bzero(text, sizeof text);
	return code;
}
