/*
 * One line a record on standard error: time, level, program, what happened,
 * then key=value pairs.  Values with spaces, quotes or control characters
 * are quoted and escaped.  Under systemd the journal keeps the lines; the
 * level is given as its <N> prefix when standard error is the journal.
 *
 * Secrets never go in here.  There is no call that logs a header, a body or
 * a setting as a whole.
 */
#ifndef LOG_H
#define LOG_H

#include <stdint.h>

#include "str.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

enum log_type { LOG_T_INT, LOG_T_STR, LOG_T_DOUBLE };

struct log_pair {
	const char *key;
	enum log_type type;
	int64_t i;
	double d;
	struct str s;
};

#define LOG_INT(k, v) \
	((struct log_pair){ .key = (k), .type = LOG_T_INT, .i = (int64_t)(v) })
#define LOG_STR(k, v) \
	((struct log_pair){ .key = (k), .type = LOG_T_STR, .s = (v) })
#define LOG_Z(k, v) \
	((struct log_pair){ .key = (k), .type = LOG_T_STR, .s = str_of(v) })
#define LOG_DBL(k, v) \
	((struct log_pair){ .key = (k), .type = LOG_T_DOUBLE, .d = (v) })

/* log_write(LOG_INFO, "setup saved", LOG_Z("upstream", url), ...) */
#define log_write(level, ...) \
	log_write_(level, LOG_FIRST_(__VA_ARGS__, 0), LOG_PAIRS_(__VA_ARGS__))
#define LOG_FIRST_(what, ...) (what)
#define LOG_PAIRS_(what, ...)                                  \
	(const struct log_pair[]){ __VA_ARGS__ },              \
	    sizeof((const struct log_pair[]){ __VA_ARGS__ }) / \
		sizeof(struct log_pair)

/* Plain line without pairs. */
void log_line(enum log_level level, const char *what);

void log_write_(enum log_level level, const char *what,
    const struct log_pair *pairs, size_t n);

/* Name of the program and the highest level that is written. */
void log_open(const char *program, enum log_level highest);

#endif
