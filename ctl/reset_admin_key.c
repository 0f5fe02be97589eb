/*
 * cpactl reset-admin-key: for whoever has lost the key but has the machine.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bootstrap.h"
#include "ctl/ctl.h"

#define NAME "reset-admin-key"
#define KEY_FILE_MAX 4096

/* The key in a file, trimmed, as a view into text. */
static int
read_key(const char *path, char text[KEY_FILE_MAX], struct str *key)
{
	char why[512];
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd == -1 || (n = read(fd, text, KEY_FILE_MAX)) == -1) {
		snprintf(
		    why, sizeof why, "%s: %s", path, strerrordesc_np(errno));
		if (fd != -1)
			close(fd);
		ctl_fail(NAME, why);
		return -1;
	}
	close(fd);
	*key = str_trim((struct str){ text, (size_t)n });
	if (key->n == 0) {
		ctl_fail(NAME, "admin key file is empty");
		return -1;
	}
	return 0;
}

int
ctl_reset_admin_key(const struct cfg *c, int argc, char **argv)
{
	char text[KEY_FILE_MAX], made[64];
	struct str key = { NULL, 0 };
	int code = EXIT_FAILED;
	struct db db;
	struct err e;

	if (argc == 3 && strcmp(argv[1], "--admin-key-file") == 0) {
		if (read_key(argv[2], text, &key) != 0)
			return EXIT_FAILED;
	} else if (argc > 1)
		return ctl_usage(NAME, argv[1]);
	if (ctl_open(c, &db, DB_WRITE) != 0)
		goto out;
	if (bootstrap_reset_admin(&db, key, made, &e) != 0) {
		ctl_fail(NAME, e.text);
		goto close;
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
close:
	db_close(&db);
out:
	explicit_bzero(made, sizeof made);
	explicit_bzero(text, sizeof text);
	return code;
}
