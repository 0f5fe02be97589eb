/*
 * The format of segments, shared by the files of collectord/spool*.c.
 */
#ifndef SPOOL_IMPL_H
#define SPOOL_IMPL_H

#include "spool.h"

#define SEGMENT_MAGIC "CPAMSPL1"

/* At the start of a segment; written once, but for `asking`. */
struct segment_head {
	char magic[8];
	int64_t segment;
	unsigned char id[16];
	char boot[40]; /* boot id of the machine, a text */
	uint32_t asking;
	uint32_t spare;
};

enum record_type { RECORD_INTENT = 1, RECORD_DATA = 2, RECORD_END = 3 };

struct record_head {
	uint32_t crc; /* of the rest of the head and the bytes that follow */
	uint32_t type;
	uint32_t length; /* bytes that follow */
	uint32_t value;  /* INTENT: count; END: enum spool_end */
	int64_t time_ms;
};

#define SEGMENT_HEAD ((int64_t)sizeof(struct segment_head))
#define RECORD_HEAD ((int64_t)sizeof(struct record_head))
#define RECORD_MAX ((uint32_t)(1024 * 1024)) /* bytes of one DATA record */

/* Check sum of a record. */
uint32_t record_crc(const struct record_head *h, const void *p);

/* The file of a segment. */
void segment_path(const struct spool *s, int64_t segment, char *out, size_t n);

/*
 * Read and check the head of a record at offset.  Returns 1, 0 when there is
 * no whole, sound record, -1 with *e when reading failed.  With `check` the
 * bytes behind it are read and checked too.
 */
int record_at(int fd, int64_t offset, int64_t end, bool check,
    struct record_head *h, struct err *e);

/* Read exactly n bytes.  Returns 1, 0 at the end of the file, -1 with *e. */
int read_exactly(int fd, int64_t offset, void *p, size_t n, struct err *e);

/*
 * The segments there are, oldest first, in malloc()ed memory.  Returns their
 * number, or -1 with *e.
 */
int segment_list(const struct spool *s, int64_t **out, struct err *e);

#endif
