/*
 * Preloaded into a program: while the file named by FULL_DISK_FLAG exists,
 * nothing can be written, as on a disk without room.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static int
is_full(void)
{
	const char *flag = getenv("FULL_DISK_FLAG");

	return flag != NULL && access(flag, F_OK) == 0;
}

#define REFUSE(condition)               \
	do {                            \
		if (condition) {        \
			errno = ENOSPC; \
			return -1;      \
		}                       \
	} while (0)

/* What goes to the log's descriptors is to be read by the test. */
static bool
is_data(int fd)
{
	struct stat st;

	return fd > 2 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

ssize_t
write(int fd, const void *p, size_t n)
{
	ssize_t (*real)(int, const void *, size_t);

	REFUSE(is_data(fd) && is_full());
	*(void **)&real = dlsym(RTLD_NEXT, "write");
	return real(fd, p, n);
}

ssize_t
pwrite(int fd, const void *p, size_t n, off_t at)
{
	ssize_t (*real)(int, const void *, size_t, off_t);

	/* the spool's flag overwrites what is there: that needs no room */
	REFUSE(n > 4 && is_full());
	*(void **)&real = dlsym(RTLD_NEXT, "pwrite");
	return real(fd, p, n, at);
}

ssize_t
pwrite64(int fd, const void *p, size_t n, off64_t at)
{
	ssize_t (*real)(int, const void *, size_t, off64_t);

	REFUSE(n > 4 && is_full());
	*(void **)&real = dlsym(RTLD_NEXT, "pwrite64");
	return real(fd, p, n, at);
}

int
fallocate(int fd, int mode, off_t at, off_t n)
{
	int (*real)(int, int, off_t, off_t);

	REFUSE(is_full());
	*(void **)&real = dlsym(RTLD_NEXT, "fallocate");
	return real(fd, mode, at, n);
}

int
fallocate64(int fd, int mode, off64_t at, off64_t n)
{
	int (*real)(int, int, off64_t, off64_t);

	REFUSE(is_full());
	*(void **)&real = dlsym(RTLD_NEXT, "fallocate64");
	return real(fd, mode, at, n);
}
