/*
 * A directory for one test program, files in it, and child processes that
 * answer by their exit status.
 */
#ifndef TEST_DIR_H
#define TEST_DIR_H

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* cmocka's fail_msg() calls the fail() that lib/err.h takes for itself. */
#define FAIL(...) (print_error(__VA_ARGS__), _fail(__FILE__, __LINE__))

static char test_dir[] = "/tmp/cpam-test.XXXXXX";

static inline int
test_dir_make(void **state)
{
	(void)state;
	memcpy(test_dir + sizeof test_dir - 7, "XXXXXX", 6);
	return mkdtemp(test_dir) == NULL ? -1 : 0;
}

static inline int
test_dir_drop(
    const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st;
	(void)type;
	(void)where;
	return remove(path);
}

static inline int
test_dir_remove(void **state)
{
	(void)state;
	return nftw(test_dir, test_dir_drop, 16, FTW_DEPTH | FTW_PHYS);
}

/* Path of a file in the directory; four answers live at a time. */
static inline const char *
in_dir(const char *name)
{
	static char paths[4][PATH_MAX];
	static unsigned next;
	char *path = paths[next++ % 4];

	snprintf(path, PATH_MAX, "%s/%s", test_dir, name);
	return path;
}

static inline bool
file_exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

static inline mode_t
file_mode(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 ? st.st_mode & 07777 : (mode_t)-1;
}

/* The content, NUL-terminated; the caller frees it.  NULL: no such file. */
static inline char *
file_read(const char *path, size_t *n)
{
	FILE *f = fopen(path, "re");
	struct stat st;
	char *p = NULL;

	if (f != NULL && fstat(fileno(f), &st) == 0 &&
	    (p = calloc(1, (size_t)st.st_size + 1)) != NULL)
		*n = fread(p, 1, (size_t)st.st_size, f);
	if (f != NULL)
		fclose(f);
	return p;
}

static inline void
file_write(const char *path, const void *p, size_t n)
{
	FILE *f = fopen(path, "we");

	if (f == NULL || fwrite(p, 1, n, f) != n || fclose(f) != 0)
		abort();
}

/*
 * Run fn in a child; its result (0..255) comes back.  A child that dies of a
 * signal gives -1.
 */
static inline int
in_child(int (*fn)(void *arg), void *arg)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(fn(arg));
	if (pid == -1 || waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#endif
