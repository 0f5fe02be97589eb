/*
 * Reading the spool: records, complete batches, what may be removed.
 */
#include "spool_impl.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"

#define SUFFIX ".spool"

/*
 * CRC-32 (IEEE 802.3), eight bytes at a time: table[k] carries a byte past k
 * further ones.
 */
static uint32_t crc_table[8][256];
static pthread_once_t crc_once = PTHREAD_ONCE_INIT;

static void
crc_make(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;

		for (int bit = 0; bit < 8; bit++)
			c = c & 1 ? 0xedb88320u ^ c >> 1 : c >> 1;
		crc_table[0][i] = c;
	}
	for (int k = 1; k < 8; k++)
		for (int i = 0; i < 256; i++) {
			uint32_t c = crc_table[k - 1][i];

			crc_table[k][i] = crc_table[0][c & 0xff] ^ c >> 8;
		}
}

static uint32_t
little_endian(const unsigned char *b)
{
	return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 |
	       (uint32_t)b[3] << 24;
}

static uint32_t
crc_add(uint32_t c, const void *p, size_t n)
{
	const unsigned char *b = p;

	for (; n >= 8; b += 8, n -= 8) {
		uint32_t x = c ^ little_endian(b), y = little_endian(b + 4);

		c = crc_table[7][x & 0xff] ^ crc_table[6][x >> 8 & 0xff] ^
		    crc_table[5][x >> 16 & 0xff] ^ crc_table[4][x >> 24] ^
		    crc_table[3][y & 0xff] ^ crc_table[2][y >> 8 & 0xff] ^
		    crc_table[1][y >> 16 & 0xff] ^ crc_table[0][y >> 24];
	}
	while (n-- > 0)
		c = crc_table[0][(c ^ *b++) & 0xff] ^ c >> 8;
	return c;
}

uint32_t
record_crc(const struct record_head *h, const void *p)
{
	uint32_t c = 0xffffffffu;

	pthread_once(&crc_once, crc_make);
	c = crc_add(
	    c, (const char *)h + sizeof h->crc, sizeof *h - sizeof h->crc);
	return ~crc_add(c, p, h->length);
}

void
segment_path(const struct spool *s, int64_t segment, char *out, size_t n)
{
	snprintf(out, n, "%s/%016" PRIx64 SUFFIX, s->dir, (uint64_t)segment);
}

int
read_exactly(int fd, int64_t offset, void *p, size_t n, struct err *e)
{
	char *to = p;

	while (n > 0) {
		ssize_t got = pread(fd, to, n, offset);

		if (got == -1 && errno == EINTR)
			continue;
		if (got == -1)
			return fail(e, ERR_UNAVAILABLE, "spool: %s",
			    strerrordesc_np(errno));
		if (got == 0)
			return 0;
		to += got;
		offset += got;
		n -= (size_t)got;
	}
	return 1;
}

int
record_at(int fd, int64_t offset, int64_t end, bool check,
    struct record_head *h, struct err *e)
{
	char *bytes = NULL;
	int rc;

	if (offset + RECORD_HEAD > end)
		return 0;
	if ((rc = read_exactly(fd, offset, h, sizeof *h, e)) <= 0)
		return rc;
	if (h->type < RECORD_INTENT || h->type > RECORD_END ||
	    h->length > RECORD_MAX || offset + RECORD_HEAD + h->length > end)
		return 0;
	if (!check)
		return 1;
	if ((bytes = malloc(h->length + 1)) == NULL)
		return fail(e, ERR_UNAVAILABLE, "spool: out of memory");
	rc = read_exactly(fd, offset + RECORD_HEAD, bytes, h->length, e);
	if (rc == 1 && record_crc(h, bytes) != h->crc)
		rc = 0;
	free(bytes);
	return rc;
}

static int
by_number(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* Number of a segment by its file's name, -1 for anything else. */
static int64_t
segment_number(const char *name)
{
	unsigned char raw[8];
	uint64_t v = 0;

	if (strlen(name) != 16 + sizeof SUFFIX - 1 ||
	    strcmp(name + 16, SUFFIX) != 0 ||
	    hex_decode((struct str){ name, 16 }, raw, 8) != 0)
		return -1;
	for (int i = 0; i < 8; i++)
		v = v << 8 | raw[i];
	return v > INT64_MAX ? -1 : (int64_t)v;
}

int
segment_list(const struct spool *s, int64_t **out, struct err *e)
{
	DIR *dir = opendir(s->dir);
	int64_t *list = NULL, *more, v;
	struct dirent *entry;
	size_t n = 0, size = 0;

	*out = NULL;
	if (dir == NULL)
		return fail(e, ERR_UNAVAILABLE, "spool %s: %s", s->dir,
		    strerrordesc_np(errno));
	while ((entry = readdir(dir)) != NULL) {
		if ((v = segment_number(entry->d_name)) < 0)
			continue;
		if (n == size) {
			size = size == 0 ? 16 : size * 2;
			more = reallocarray(list, size, sizeof *list);
			if (more == NULL) {
				free(list);
				closedir(dir);
				return fail(
				    e, ERR_UNAVAILABLE, "spool: out of memory");
			}
			list = more;
		}
		list[n++] = v;
	}
	closedir(dir);
	if (n > 0)
		qsort(list, n, sizeof *list, by_number);
	*out = list;
	return (int)n;
}

/* Have the segment open for reading.  Returns 1, 0 when it is gone, -1. */
static int
open_segment(struct spool *s, int64_t segment, struct err *e)
{
	char path[4096];

	if (s->read_fd != -1 && s->read_segment == segment)
		return 1;
	if (s->read_fd != -1)
		close(s->read_fd);
	segment_path(s, segment, path, sizeof path);
	s->read_fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	s->read_segment = segment;
	if (s->read_fd != -1)
		return 1;
	if (errno == ENOENT)
		return 0;
	return fail(
	    e, ERR_UNAVAILABLE, "spool %s: %s", path, strerrordesc_np(errno));
}

/* The oldest segment with a number above `segment`, 0 when there is none. */
static int
segment_after(
    const struct spool *s, int64_t segment, int64_t *out, struct err *e)
{
	int64_t *list;
	int n = segment_list(s, &list, e);

	*out = 0;
	if (n < 0)
		return -1;
	for (int i = 0; i < n && *out == 0; i++)
		if (list[i] > segment)
			*out = list[i];
	free(list);
	return 0;
}

/* What cannot be read up to `end` becomes a batch of its own. */
static int
lost_batch(int64_t end, struct spool_batch *b)
{
	log_write(LOG_ERROR, "spool segment is damaged",
	    LOG_INT("segment", b->at.segment), LOG_INT("from", b->at.offset),
	    LOG_INT("to", end));
	b->count = 0;
	b->has_data = false;
	b->how = SPOOL_END_LOST;
	b->asked_ms = b->end_ms = clock_now_ms();
	b->after = (struct spool_position){ b->at.segment, end };
	return 1;
}

/*
 * A complete batch that begins at b->at, before `end`: its records up to END.
 * Returns 1, 0 when it is not complete there, -1.
 */
static int
scan_batch(struct spool *s, int64_t end, struct spool_batch *b, struct err *e)
{
	int64_t at = b->at.offset;
	struct record_head h;
	int rc;

	b->has_data = false;
	for (bool first = true;; first = false) {
		if (at >= end)
			return 0;
		if ((rc = record_at(s->read_fd, at, end, false, &h, e)) < 0)
			return -1;
		if (rc == 0 || (first && h.type != RECORD_INTENT))
			return lost_batch(end, b);
		at += RECORD_HEAD + h.length;
		if (first) {
			b->count = h.value;
			b->asked_ms = h.time_ms;
			b->next = at;
		} else if (h.type == RECORD_DATA) {
			b->has_data = true;
		} else if (h.type == RECORD_END) {
			b->how = (enum spool_end)h.value;
			b->end_ms = h.time_ms;
			b->after = (struct spool_position){ b->at.segment, at };
			if (h.length == sizeof b->asked_ms)
				return read_exactly(s->read_fd,
				    at - (int64_t)h.length, &b->asked_ms,
				    sizeof b->asked_ms, e);
			return 1;
		} else {
			/* an INTENT that was never used, then another */
			b->count = h.value;
			b->asked_ms = h.time_ms;
			b->next = at;
		}
	}
}

int
spool_next(struct spool *s, struct spool_position *from, struct spool_batch *b,
    struct err *e)
{
	struct spool_position end;
	struct segment_head head;
	int64_t next;
	int rc;

	pthread_mutex_lock(&s->lock);
	end = s->end;
	pthread_mutex_unlock(&s->lock);
	/* a position of another spool says nothing about this one */
	if (from->segment > end.segment)
		*from = (struct spool_position){ 0, 0 };
	*b = (struct spool_batch){ .at = *from };
	while (b->at.segment <= end.segment) {
		rc = b->at.segment == 0 ? 0 : open_segment(s, b->at.segment, e);
		if (rc < 0)
			return -1;
		if (rc == 1) {
			int64_t upto = b->at.segment == end.segment ?
					   end.offset :
					   lseek(s->read_fd, 0, SEEK_END);

			if ((rc = read_exactly(
				 s->read_fd, 0, &head, sizeof head, e)) < 0)
				return -1;
			if (rc == 1)
				memcpy(b->id, head.id, sizeof b->id);
			if (b->at.offset < SEGMENT_HEAD)
				b->at.offset = SEGMENT_HEAD;
			if ((rc = scan_batch(s, upto, b, e)) != 0)
				return rc;
		}
		/* nothing complete is left here */
		*from = b->at;
		if (b->at.segment == end.segment)
			return 0;
		if (segment_after(s, b->at.segment, &next, e) != 0)
			return -1;
		if (next == 0)
			break;
		b->at = *from = (struct spool_position){ next, SEGMENT_HEAD };
	}
	/* somebody has removed the segments: there is nothing to read in them
	 */
	*from = end;
	return 0;
}

int
spool_read(
    struct spool *s, struct spool_batch *b, struct buf *out, struct err *e)
{
	struct record_head h;
	char *to;
	int rc;

	if ((rc = open_segment(s, b->at.segment, e)) < 0)
		return -1;
	if (rc == 0)
		return fail_code(e, ERR_INTERNAL, "spool_damaged",
		    "spool segment has gone away");
	rc = record_at(s->read_fd, b->next, b->after.offset, false, &h, e);
	if (rc < 0)
		return -1;
	if (rc == 0 || h.type != RECORD_DATA)
		return 0;
	if ((to = buf_reserve(out, h.length)) == NULL)
		return fail(
		    e, ERR_TOO_LARGE, "an element of the queue is too large");
	rc = read_exactly(s->read_fd, b->next + RECORD_HEAD, to, h.length, e);
	if (rc < 0)
		return -1;
	if (rc == 0 || record_crc(&h, to) != h.crc)
		return fail_code(e, ERR_INTERNAL, "spool_damaged",
		    "spool segment is damaged");
	buf_commit(out, h.length);
	b->next += RECORD_HEAD + h.length;
	return 1;
}

/* Complete bytes that lie at or after `from`; with the lock held. */
static int64_t
bytes_from(const struct spool *s, struct spool_position from)
{
	int64_t *list = NULL, sum = 0;
	int n = segment_list(s, &list, NULL);

	for (int i = 0; list != NULL && i < n; i++) {
		int64_t begin = SEGMENT_HEAD, end = 0;
		char path[4096];
		struct stat st;

		if (list[i] < from.segment || list[i] > s->end.segment)
			continue;
		segment_path(s, list[i], path, sizeof path);
		if (list[i] == s->end.segment)
			end = s->end.offset;
		else if (stat(path, &st) == 0)
			end = st.st_size;
		if (list[i] == from.segment && from.offset > begin)
			begin = from.offset;
		sum += end > begin ? end - begin : 0;
	}
	free(list);
	return sum;
}

static void
remove_before(const struct spool *s, int64_t segment)
{
	char path[4096];
	int64_t *list;
	int n = segment_list(s, &list, NULL);

	for (int i = 0; list != NULL && i < n && list[i] < segment; i++) {
		segment_path(s, list[i], path, sizeof path);
		/* one that stays is tried again with the next */
		(void)unlink(path);
	}
	free(list);
}

void
spool_release(struct spool *s, struct spool_position upto)
{
	struct spool_position was = s->released;
	bool elsewhere;

	if (upto.segment == was.segment && upto.offset == was.offset)
		return;
	pthread_mutex_lock(&s->lock);
	elsewhere = upto.segment > s->end.segment;
	pthread_mutex_unlock(&s->lock);
	/* of another spool: it says nothing about what was stored of ours */
	if (elsewhere)
		return;
	if (upto.segment != was.segment)
		remove_before(s, upto.segment);
	pthread_mutex_lock(&s->lock);
	if (upto.segment == s->end.segment && upto.offset >= s->end.offset)
		s->waiting_bytes = 0;
	else if (upto.segment == was.segment && upto.offset > was.offset)
		s->waiting_bytes -= upto.offset - was.offset;
	else
		s->waiting_bytes = bytes_from(s, upto);
	pthread_mutex_unlock(&s->lock);
	s->released = upto;
}

void
spool_wait(struct spool *s, struct spool_position from, int64_t timeout_ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += timeout_ms / 1000;
	until.tv_nsec += timeout_ms % 1000 * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&s->lock);
	/* one wait: whoever wakes us may have other reasons than new batches */
	if (!s->closed && s->end.segment <= from.segment &&
	    s->end.offset <= from.offset)
		pthread_cond_timedwait(&s->grown, &s->lock, &until);
	pthread_mutex_unlock(&s->lock);
}

void
spool_wake(struct spool *s)
{
	pthread_mutex_lock(&s->lock);
	pthread_cond_broadcast(&s->grown);
	pthread_mutex_unlock(&s->lock);
}

int64_t
spool_waiting_bytes(struct spool *s)
{
	int64_t n;

	pthread_mutex_lock(&s->lock);
	n = s->waiting_bytes;
	pthread_mutex_unlock(&s->lock);
	return n;
}
