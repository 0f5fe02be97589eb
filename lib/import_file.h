/*
 * The file that an import is handed over in: written by whoever takes it in,
 * read and removed by collectord.
 */
#ifndef IMPORT_FILE_H
#define IMPORT_FILE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "codec.h"
#include "err.h"
#include "str.h"

#define IMPORT_JOB "usage_import"
/* Of what comes over HTTP, after unpacking; cpactl has no limit. */
#define IMPORT_FILE_MAX ((int64_t)1024 * 1024 * 1024)

struct import_file {
	int fd; /* -1: closed */
	char path[PATH_MAX], name[33];
	struct codec_stream *unpacker; /* NULL: nothing came yet */
	enum codec codec;
	bool codec_known; /* false: the first bytes decide */
	char first[4];    /* held until they do */
	size_t n_first;
	int64_t bytes, max_bytes;
	struct err err; /* why the sink gave up */
};

/*
 * Make a file in dir, which is made when it is not there.  codec: how what is
 * added is packed; CODEC_NONE looks at the first bytes.  At most max_bytes
 * after unpacking, 0: no limit.
 */
int import_file_create(struct import_file *f, const char *dir, enum codec codec,
    int64_t max_bytes, struct err *e) ATTR_USE_RESULT;

/*
 * Add bytes as they come.  ERR_INPUT: not of the format; ERR_TOO_LARGE;
 * ERR_UNAVAILABLE: the disk does not take them.
 */
int import_file_add(struct import_file *f, const char *p, size_t n,
    struct err *e) ATTR_USE_RESULT;

/* The end: everything is on the disk. */
int import_file_finish(struct import_file *f, struct err *e) ATTR_USE_RESULT;

/* Close it; remove it as well, unless it was handed over. */
void import_file_close(struct import_file *f, bool remove);

/* Path of a file by the name in a job's args; false for another name. */
bool import_file_path(const char *dir, struct str name, char *out, size_t size);

#endif
