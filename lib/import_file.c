#include "import_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypt.h"

#define NAME_CHARS 32

static int
disk(struct err *e, const char *what)
{
	return fail(e, ERR_UNAVAILABLE, "import file: %s: %s", what,
	    strerrordesc_np(errno));
}

int
import_file_create(struct import_file *f, const char *dir, enum codec codec,
    int64_t max_bytes, struct err *e)
{
	unsigned char random[NAME_CHARS / 2];

	*f = (struct import_file){ .fd = -1,
		.codec = codec,
		.codec_known = codec != CODEC_NONE,
		.max_bytes = max_bytes };
	if (mkdir(dir, 0770) == -1 && errno != EEXIST)
		return disk(e, "directory");
	if (random_bytes(random, sizeof random, e) != 0)
		return -1;
	hex_encode(random, sizeof random, f->name);
	if (!import_file_path(dir, str_of(f->name), f->path, sizeof f->path))
		return fail(e, ERR_INTERNAL, "import file: path is too long");
	f->fd = open(f->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0660);
	return f->fd == -1 ? disk(e, "create") : 0;
}

/* Unpacked bytes to the disk. */
static int
to_disk(void *to, const char *p, size_t n)
{
	struct import_file *f = to;

	if (f->max_bytes > 0 && (int64_t)n > f->max_bytes - f->bytes) {
		fail(&f->err, ERR_TOO_LARGE,
		    "body: larger than %lld bytes when unpacked",
		    (long long)f->max_bytes);
		return -1;
	}
	f->bytes += (int64_t)n;
	while (n > 0) {
		ssize_t got = write(f->fd, p, n);

		if (got == -1 && errno == EINTR)
			continue;
		if (got == -1) {
			disk(&f->err, "write");
			return -1;
		}
		p += got;
		n -= (size_t)got;
	}
	return 0;
}

/* How it begins tells how it is packed: JSON begins with neither. */
static enum codec
sniff(const char *p, size_t n)
{
	if (n >= 2 && memcmp(p, "\x1f\x8b", 2) == 0)
		return CODEC_GZIP;
	if (n >= 4 && memcmp(p, "\x28\xb5\x2f\xfd", 4) == 0)
		return CODEC_ZSTD;
	return CODEC_NONE;
}

/* The sink's own reason, when it was the one that gave up. */
static int
judge(struct import_file *f, int rc, struct err *e)
{
	if (rc != 0 && f->err.kind != ERR_NONE && e != NULL)
		*e = f->err;
	return rc;
}

static int
unpack(struct import_file *f, const char *p, size_t n, struct err *e)
{
	if (n == 0)
		return 0;
	if (f->unpacker == NULL &&
	    (f->unpacker = codec_unpacker(f->codec, to_disk, f)) == NULL)
		return fail(e, ERR_UNAVAILABLE, "out of memory");
	return judge(f, codec_add(f->unpacker, p, n, e), e);
}

/* The first bytes are as many as there will be, or as are needed. */
static int
decide(struct import_file *f, struct err *e)
{
	f->codec = sniff(f->first, f->n_first);
	f->codec_known = true;
	return unpack(f, f->first, f->n_first, e);
}

int
import_file_add(struct import_file *f, const char *p, size_t n, struct err *e)
{
	for (; !f->codec_known && n > 0; p++, n--) {
		f->first[f->n_first++] = *p;
		if (f->n_first == sizeof f->first && decide(f, e) != 0)
			return -1;
	}
	return unpack(f, p, n, e);
}

int
import_file_finish(struct import_file *f, struct err *e)
{
	if (!f->codec_known && decide(f, e) != 0)
		return -1;
	if (f->unpacker != NULL && judge(f, codec_end(f->unpacker, e), e) != 0)
		return -1;
	return fdatasync(f->fd) == -1 ? disk(e, "sync") : 0;
}

void
import_file_close(struct import_file *f, bool remove)
{
	if (f->fd != -1) {
		close(f->fd);
		if (remove)
			unlink(f->path);
	}
	f->fd = -1;
	codec_free(f->unpacker);
	f->unpacker = NULL;
}

bool
import_file_path(const char *dir, struct str name, char *out, size_t size)
{
	unsigned char raw[NAME_CHARS / 2];
	int n;

	if (hex_decode(name, raw, sizeof raw) != 0)
		return false;
	n = snprintf(out, size, "%s/%.*s", dir, STR_ARG(name));
	return n > 0 && (size_t)n < size;
}
