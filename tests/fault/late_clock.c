/*
 * Preloaded into a program: once the file named by LATE_CLOCK_FLAG exists, a
 * minute more has passed.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int
clock_gettime(clockid_t id, struct timespec *t)
{
	const char *flag = getenv("LATE_CLOCK_FLAG");
	int (*real)(clockid_t, struct timespec *);
	int rc;

	*(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
	rc = real(id, t);
	if (rc == 0 && id == CLOCK_MONOTONIC && flag != NULL &&
	    access(flag, F_OK) == 0)
		t->tv_sec += 61;
	return rc;
}
