#include "clock.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "str.h"

#define LOOK_MS 100 /* how often the file of the test hook is read */

typedef int64_t source_fn(void);

static _Atomic(source_fn *) source;

static pthread_once_t hook_once = PTHREAD_ONCE_INIT;
static const char *hook_file; /* NULL: the time of day is taken as it is */
static _Atomic int64_t hook_offset_ms, hook_next_ms;

static int64_t
read_ns(clockid_t id)
{
	struct timespec t;

	if (clock_gettime(id, &t) != 0)
		return 0;
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/*
 * Take the offset from the file.  One that cannot be read, or is just being
 * written, leaves the offset alone.
 */
static void
hook_read(void)
{
	char text[32];
	int64_t offset;
	ssize_t n;
	int fd;

	if ((fd = open(hook_file, O_RDONLY | O_CLOEXEC)) == -1)
		return;
	n = read(fd, text, sizeof text);
	close(fd);
	if (n > 0 &&
	    str_i64(str_trim((struct str){ text, (size_t)n }), &offset) == 0)
		atomic_store(&hook_offset_ms, offset);
}

static void
hook_open(void)
{
	const char *file = getenv("CPA_MANAGER_TEST_CLOCK");

	if (file == NULL || file[0] == '\0')
		return;
	hook_file = file;
	atomic_store(&hook_next_ms, clock_mono_ms() + LOOK_MS);
	hook_read();
}

static int64_t
hook_offset(void)
{
	int64_t next, now;

	pthread_once(&hook_once, hook_open);
	if (hook_file == NULL)
		return 0;
	now = clock_mono_ms();
	next = atomic_load(&hook_next_ms);
	/* of several threads, the one that moves the time on looks */
	if (now >= next &&
	    atomic_compare_exchange_strong(&hook_next_ms, &next, now + LOOK_MS))
		hook_read();
	return atomic_load(&hook_offset_ms);
}

int64_t
clock_now_ms(void)
{
	source_fn *fn = atomic_load(&source);

	if (fn != NULL)
		return fn();
	return read_ns(CLOCK_REALTIME) / 1000000 + hook_offset();
}

int64_t
clock_mono_ms(void)
{
	return read_ns(CLOCK_MONOTONIC) / 1000000;
}

int64_t
clock_mono_ns(void)
{
	return read_ns(CLOCK_MONOTONIC);
}

void
clock_set_source(int64_t (*fn)(void))
{
	atomic_store(&source, fn);
}
