/*
 * Writing the spool: opening it after whatever happened, and appending.
 */
#include "spool.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "crypt.h"
#include "log.h"
#include "spool_impl.h"

#define SEGMENT_MAX ((int64_t)8 * 1024 * 1024) /* then a new one begins */
#define FRESHEN_MIN ((int64_t)64 * 1024)       /* stored data that may stay */
#define FRESHEN_MS 3000                        /* ... and for how long */
#define COPY_BYTES ((size_t)64 * 1024)
#define RESERVE_MIN ((int64_t)4 * 1024 * 1024)
#define BOOT_FILE "/proc/sys/kernel/random/boot_id"

static int
spool_fail(const char *what, int saved, struct err *e)
{
	if (saved == ENOSPC || saved == EDQUOT || saved == EFBIG)
		return fail_code(e, ERR_UNAVAILABLE, "disk_full",
		    "spool: the disk is full (%s); make room, collection "
		    "goes on by itself",
		    what);
	return fail(
	    e, ERR_UNAVAILABLE, "spool: %s: %s", what, strerrordesc_np(saved));
}

static int
write_exactly(int fd, int64_t offset, const void *p, size_t n)
{
	const char *from = p;

	while (n > 0) {
		ssize_t put = pwrite(fd, from, n, offset);

		if (put == -1 && errno == EINTR)
			continue;
		if (put == -1)
			return -1;
		from += put;
		offset += put;
		n -= (size_t)put;
	}
	return 0;
}

/* Text that changes with each start of the machine, "" when there is none. */
static void
boot_id(char out[40])
{
	int fd = open(BOOT_FILE, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	memset(out, 0, 40);
	if (fd == -1)
		return;
	n = read(fd, out, 36);
	if (n != 36)
		memset(out, 0, 40);
	close(fd);
}

/* Append one record; the tail moves only when all of it was written. */
static int
append(struct spool *s, enum record_type type, uint32_t value, const void *p,
    size_t n, struct err *e)
{
	struct record_head h = {
		.type = type,
		.length = (uint32_t)n,
		.value = value,
		.time_ms = clock_now_ms(),
	};

	h.crc = record_crc(&h, p);
	if (write_exactly(s->fd, s->tail, &h, sizeof h) != 0 ||
	    write_exactly(s->fd, s->tail + RECORD_HEAD, p, n) != 0)
		return spool_fail("append", errno, e);
	s->tail += RECORD_HEAD + (int64_t)n;
	return 0;
}

/* Not synced on purpose, see spool.h. */
static void
set_asking(struct spool *s, uint32_t asking)
{
	s->asking = asking != 0;
	if (write_exactly(s->fd, offsetof(struct segment_head, asking), &asking,
		sizeof asking) != 0)
		log_write(LOG_WARN, "spool: flag not written",
		    LOG_Z("error", strerrordesc_np(errno)));
}

static int
sync_file(struct spool *s, struct err *e)
{
	s->unsynced = fdatasync(s->fd) == -1;
	return s->unsynced ? spool_fail("sync", errno, e) : 0;
}

/*
 * Write once more what the batch in hand has on the disk: after a sync that
 * failed, the kernel may hold those pages for clean and the next sync would
 * pass over them.
 */
static int
rewrite_batch(struct spool *s, struct err *e)
{
	char *copy = malloc(COPY_BYTES);
	int rc = copy == NULL ? fail(e, ERR_UNAVAILABLE, "out of memory") : 0;

	for (int64_t at = s->intent; rc == 0 && at < s->tail;) {
		size_t n = s->tail - at < (int64_t)COPY_BYTES ?
			       (size_t)(s->tail - at) :
			       COPY_BYTES;

		if (read_exactly(s->fd, at, copy, n, e) != 1)
			rc = fail(e, ERR_UNAVAILABLE, "spool: cannot be read");
		else if (write_exactly(s->fd, at, copy, n) != 0)
			rc = spool_fail("rewrite", errno, e);
		at += (int64_t)n;
	}
	free(copy);
	return rc;
}

/* A new segment, durable with its name, becomes the current one. */
static int
new_segment(struct spool *s, struct err *e)
{
	struct segment_head head = { .magic = SEGMENT_MAGIC };
	/*
	 * Never the number of a segment that was removed: the position in the
	 * database may still name that one, and would hide what is in this.
	 * A millisecond is too coarse for it, its thousandth is not.
	 */
	int64_t number = clock_now_ms() * 1000 + clock_mono_ns() / 1000 % 1000;
	char path[4096];
	int fd;

	/* grows also when the clock was set back */
	if (number <= s->segment)
		number = s->segment + 1;
	head.segment = number;
	boot_id(head.boot);
	if (random_bytes(head.id, sizeof head.id, e) != 0)
		return -1;
	segment_path(s, number, path, sizeof path);
	fd = open(
	    path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd == -1)
		return spool_fail("new segment", errno, e);
	if (write_exactly(fd, 0, &head, sizeof head) != 0 ||
	    fdatasync(fd) == -1 || fsync(s->dir_fd) == -1) {
		int saved = errno;

		close(fd);
		unlink(path);
		return spool_fail("new segment", saved, e);
	}
	if (s->fd != -1) {
		/* what an append that failed has left would look like damage */
		if (ftruncate(s->fd, s->tail) == -1)
			log_write(LOG_WARN, "spool: not cut",
			    LOG_Z("error", strerrordesc_np(errno)));
		close(s->fd);
	}
	s->fd = fd;
	s->segment = number;
	s->tail = s->reserved = SEGMENT_HEAD;
	s->intent = s->soiled_ms = 0;
	pthread_mutex_lock(&s->lock);
	s->end = (struct spool_position){ number, SEGMENT_HEAD };
	pthread_mutex_unlock(&s->lock);
	return 0;
}

/* Give a segment a head again whose own cannot be trusted. */
static int
mend_head(
    struct spool *s, int64_t number, struct segment_head *head, struct err *e)
{
	*head = (struct segment_head){
		.magic = SEGMENT_MAGIC, .segment = number, .asking = 1
	};
	if (random_bytes(head->id, sizeof head->id, e) != 0)
		return -1;
	return write_exactly(s->fd, 0, head, sizeof *head) == 0 ?
		   0 :
		   spool_fail("head", errno, e);
}

/* Batches that a segment holds, and its sound length; cuts what is torn. */
static int
settle_segment(struct spool *s, int64_t number, struct err *e)
{
	struct record_head h;
	struct segment_head head;
	struct stat st;
	int64_t asked_ms;
	bool open_batch = false, data = false, damaged;
	char path[4096], boot[40];
	int64_t size;
	int rc;

	segment_path(s, number, path, sizeof path);
	s->fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (s->fd == -1)
		return spool_fail(path, errno, e);
	if (fstat(s->fd, &st) == -1) {
		rc = spool_fail(path, errno, e);
		goto out;
	}
	size = st.st_size;
	/* every question touches the flag, and so the time of the file */
	asked_ms =
	    (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
	rc = read_exactly(s->fd, 0, &head, sizeof head, e);
	if (rc < 0)
		goto out;
	damaged = rc == 1 && memcmp(head.magic, SEGMENT_MAGIC, 8) != 0;
	if (rc == 0 || (damaged && size == SEGMENT_HEAD)) {
		/* its making was cut short: nothing can be in it */
		rc = unlink(path) == 0 ? 0 : spool_fail(path, errno, e);
		goto out;
	}
	if (damaged && (rc = mend_head(s, number, &head, e)) != 0)
		goto out;
	s->tail = SEGMENT_HEAD;
	while ((rc = record_at(s->fd, s->tail, size, true, &h, e)) == 1) {
		s->tail += RECORD_HEAD + h.length;
		open_batch = h.type != RECORD_END;
		data = open_batch && (data || h.type == RECORD_DATA);
	}
	if (rc < 0)
		goto out;
	/* bytes that are no record: something was there, so it is in doubt */
	damaged |= size - s->tail >= (open_batch ? 1 : RECORD_HEAD);
	if (s->tail < size && ftruncate(s->fd, s->tail) == -1) {
		rc = spool_fail("cut", errno, e);
		goto out;
	}
	boot_id(boot);
	if (damaged && !open_batch)
		rc = append(s, RECORD_INTENT, 0, NULL, 0, e);
	if (rc == 0 &&
	    (damaged ||
		(open_batch && (data || head.asking != 0 || boot[0] == '\0' ||
				   memcmp(boot, head.boot, sizeof boot) != 0))))
		rc = append(s, RECORD_END, SPOOL_END_KILLED, &asked_ms,
		    sizeof asked_ms, e);
	if (rc == 0)
		rc = sync_file(s, e);
	s->waiting_bytes += s->tail - SEGMENT_HEAD;
out:
	close(s->fd);
	s->fd = -1;
	return rc < 0 ? -1 : 0;
}

static int
open_directory(struct spool *s, const char *dir, struct err *e)
{
	int n = snprintf(s->dir, sizeof s->dir, "%s", dir);

	if (n < 0 || (size_t)n >= sizeof s->dir)
		return fail(e, ERR_UNAVAILABLE, "spool: name too long");
	if (mkdir(dir, 0700) == -1 && errno != EEXIST)
		return spool_fail(dir, errno, e);
	s->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dir_fd == -1)
		return spool_fail(dir, errno, e);
	return 0;
}

int
spool_open(struct spool *s, const char *dir, int64_t limit_bytes, struct err *e)
{
	pthread_condattr_t monotonic;
	int64_t *list = NULL;
	struct stat st;
	int n, rc = -1;

	*s = (struct spool){ .limit_bytes = limit_bytes,
		.fd = -1,
		.dir_fd = -1,
		.read_fd = -1 };
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&s->grown, &monotonic);
	pthread_condattr_destroy(&monotonic);
	/* before anything is changed in it */
	if (stat(dir, &st) == 0)
		s->alive_ms = (int64_t)st.st_mtim.tv_sec * 1000 +
			      st.st_mtim.tv_nsec / 1000000;
	if (open_directory(s, dir, e) != 0 ||
	    (n = segment_list(s, &list, e)) < 0)
		goto out;
	for (int i = 0; i < n; i++) {
		if (settle_segment(s, list[i], e) != 0)
			goto out;
		s->segment = list[i];
	}
	rc = new_segment(s, e);
out:
	free(list);
	if (rc != 0)
		spool_close(s);
	return rc;
}

void
spool_close(struct spool *s)
{
	pthread_mutex_lock(&s->lock);
	s->closed = true;
	pthread_cond_broadcast(&s->grown);
	pthread_mutex_unlock(&s->lock);
	if (s->fd != -1)
		close(s->fd);
	if (s->read_fd != -1)
		close(s->read_fd);
	if (s->dir_fd != -1)
		close(s->dir_fd);
	s->fd = s->read_fd = s->dir_fd = -1;
}

void
spool_forget(struct spool *s)
{
	char path[4096];

	if (s->fd == -1 || s->asking || spool_waiting_bytes(s) > 0)
		return;
	segment_path(s, s->segment, path, sizeof path);
	if (unlink(path) == -1)
		log_write(LOG_WARN, "spool: not removed", LOG_Z("path", path),
		    LOG_Z("error", strerrordesc_np(errno)));
}

/* Room for what a batch may bring, so that a full disk shows before it is asked
 * for. */
static int
reserve(struct spool *s, struct err *e)
{
	int64_t need = RESERVE_MIN;
	struct statvfs fs;

	if (2 * s->largest_bytes > need)
		need = 2 * s->largest_bytes;
	if (s->reserved - s->tail >= need)
		return 0;
	/* the same again, so that it need not be done for each batch */
	if (fallocate(s->fd, FALLOC_FL_KEEP_SIZE, s->tail, 2 * need) == 0) {
		s->reserved = s->tail + 2 * need;
		return 0;
	}
	if (fallocate(s->fd, FALLOC_FL_KEEP_SIZE, s->tail, need) == 0) {
		s->reserved = s->tail + need;
		return 0;
	}
	if (errno != EOPNOTSUPP && errno != ENOSYS)
		return spool_fail("reserve", errno, e);
	if (fstatvfs(s->fd, &fs) == 0 &&
	    (int64_t)(fs.f_bavail * fs.f_frsize) < need)
		return spool_fail("reserve", ENOSPC, e);
	return 0;
}

int
spool_ask(struct spool *s, unsigned count, struct err *e)
{
	int64_t waiting = spool_waiting_bytes(s);

	if (waiting > s->limit_bytes)
		return fail_code(e, ERR_UNAVAILABLE, "spool_full",
		    "spool: %lld MiB wait to be stored, which is the limit; "
		    "see why the database does not take them",
		    (long long)(waiting >> 20));
	if (reserve(s, e) != 0)
		return -1;
	/* another size than announced is announced anew */
	if (s->intent == 0 || s->intent_count != count) {
		int64_t at = s->tail;

		if (append(s, RECORD_INTENT, count, NULL, 0, e) != 0 ||
		    sync_file(s, e) != 0) {
			s->tail = at;
			return -1;
		}
		s->intent = at;
		s->intent_count = count;
	}
	s->batch_bytes = 0;
	s->asked_ms = clock_now_ms();
	set_asking(s, 1);
	return 0;
}

int
spool_data(struct spool *s, const void *p, size_t n, struct err *e)
{
	const char *from = p;
	int64_t before = s->tail;

	while (n > 0) {
		size_t piece = n > RECORD_MAX ? RECORD_MAX : n;

		if (append(s, RECORD_DATA, 0, from, piece, e) != 0) {
			s->tail = before;
			return -1;
		}
		from += piece;
		n -= piece;
	}
	if (s->soiled_ms == 0)
		s->soiled_ms = clock_mono_ms();
	s->batch_bytes += s->tail - before;
	return 0;
}

int
spool_done(
    struct spool *s, enum spool_end how, unsigned next_count, struct err *e)
{
	int64_t before = s->tail, complete;
	bool roll = s->tail >= SEGMENT_MAX;

	if (s->unsynced && rewrite_batch(s, e) != 0)
		return -1;
	if (append(s, RECORD_END, how, &s->asked_ms, sizeof s->asked_ms, e) !=
	    0)
		return -1;
	complete = s->tail;
	/* between the two records: now no batch is open */
	set_asking(s, 0);
	if (!roll && append(s, RECORD_INTENT, next_count, NULL, 0, e) != 0)
		goto fail;
	if (sync_file(s, e) != 0)
		goto fail;
	if (s->batch_bytes > s->largest_bytes)
		s->largest_bytes = s->batch_bytes;
	s->intent = roll ? 0 : complete;
	s->intent_count = next_count;
	pthread_mutex_lock(&s->lock);
	s->waiting_bytes += complete - s->end.offset;
	s->end = (struct spool_position){ s->segment, complete };
	pthread_cond_broadcast(&s->grown);
	pthread_mutex_unlock(&s->lock);
	/* not fatal: the old segment serves until a new one can be made */
	if (roll && new_segment(s, e) != 0)
		log_write(LOG_WARN, "spool: no new segment",
		    LOG_Z("error", e == NULL ? "" : e->text));
	return 0;
fail:
	set_asking(s, 1);
	s->tail = before;
	return -1;
}

void
spool_nothing(struct spool *s)
{
	set_asking(s, 0);
}

void
spool_touch(struct spool *s)
{
	/* the directory's own time: files come and go with each segment */
	if (futimens(s->dir_fd, NULL) == -1)
		log_write(LOG_WARN, "spool: not touched",
		    LOG_Z("error", strerrordesc_np(errno)));
}

int
spool_freshen(struct spool *s, struct err *e)
{
	if (s->soiled_ms == 0 || spool_waiting_bytes(s) > 0)
		return 0;
	if (s->tail < FRESHEN_MIN &&
	    clock_mono_ms() - s->soiled_ms < FRESHEN_MS)
		return 0;
	return new_segment(s, e);
}
