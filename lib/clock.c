#include "clock.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "str.h"

#define OFFSET_AGE_MS 100 /* the test clock's file is read this often */

static _Atomic(int64_t (*)(void)) source;
static atomic_int_fast64_t offset_ms, offset_read_ms;

static int64_t
read_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Offset that a whole-stack test asks for, 0 outside of tests. */
static int64_t
test_offset_ms(void)
{
	const char *path = getenv("CPA_MANAGER_TEST_CLOCK");
	int64_t now, v;
	char text[32];
	ssize_t n;
	int fd;

	if (path == NULL)
		return 0;
	now = clock_mono_ms();
	if (now - atomic_load(&offset_read_ms) < OFFSET_AGE_MS)
		return atomic_load(&offset_ms);
	atomic_store(&offset_read_ms, now);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) == -1)
		return atomic_load(&offset_ms);
	n = read(fd, text, sizeof text);
	close(fd);
	if (n > 0 &&
	    str_i64(str_trim((struct str){ text, (size_t)n }), &v) == 0)
		atomic_store(&offset_ms, v);
	return atomic_load(&offset_ms);
}

int64_t
clock_now_ms(void)
{
	int64_t (*fn)(void) = atomic_load(&source);

	if (fn != NULL)
		return fn();
	return read_ns(CLOCK_REALTIME) / 1000000 + test_offset_ms();
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
