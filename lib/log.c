#include "log.h"

#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "json_out.h"

/*
 * A pipe takes up to 4096 bytes (PIPE_BUF) as a whole, so that the lines of
 * threads and processes that share standard error never mix.  What does not
 * fit is cut, and the cut is shown.
 */
#define LINE_BYTES 4096
#define CUT_MARK " ..."

struct line {
	char p[LINE_BYTES];
	size_t n;
	bool cut;
};

static const struct {
	const char *name, *journal;
} levels[] = {
	[LOG_ERROR] = { "error", "<3>" },
	[LOG_WARN] = { "warn", "<4>" },
	[LOG_INFO] = { "info", "<6>" },
	[LOG_DEBUG] = { "debug", "<7>" },
};

static char program_name[64] = "cpa-manager";
static _Atomic int highest_level = LOG_INFO;
static _Atomic bool to_journal;

/* Is standard error the very stream that systemd connected to the journal? */
static bool
stderr_is_journal(void)
{
	const char *named = getenv("JOURNAL_STREAM");
	char mine[64];
	struct stat st;

	if (named == NULL || fstat(STDERR_FILENO, &st) != 0)
		return false;
	snprintf(mine, sizeof mine, "%ju:%ju", (uintmax_t)st.st_dev,
	    (uintmax_t)st.st_ino);
	return strcmp(named, mine) == 0;
}

void
log_open(const char *program, enum log_level highest)
{
	snprintf(program_name, sizeof program_name, "%s", program);
	atomic_store(&highest_level, (int)highest);
	atomic_store(&to_journal, stderr_is_journal());
}

/* Add all of it or, from then on, nothing. */
static void
put(struct line *l, const char *p, size_t n)
{
	const size_t room = LINE_BYTES - sizeof CUT_MARK; /* and a newline */

	if (l->cut || n > room - l->n) {
		l->cut = true;
		return;
	}
	memcpy(l->p + l->n, p, n);
	l->n += n;
}

static void
put_z(struct line *l, const char *z)
{
	put(l, z, strlen(z));
}

/* Characters that could end a line, steer a terminal or turn text around. */
static bool
is_hidden(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0x2028 ||
	       c == 0x2029 || (c >= 0x202a && c <= 0x202e) ||
	       (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

static bool
needs_quotes(struct str s)
{
	uint32_t code;
	int n;

	if (s.n == 0)
		return true;
	while ((n = utf8_next(s, &code)) > 0) {
		if (code == ' ' || code == '"' || code == '\\' || code == '=' ||
		    is_hidden(code))
			return true;
		s.p += n;
		s.n -= (size_t)n;
	}
	return n < 0;
}

static void
put_escaped(struct line *l, struct str s, bool quoted)
{
	char tmp[16];
	uint32_t code;
	int n;

	for (; s.n > 0 && !l->cut; s.p += n, s.n -= (size_t)n) {
		n = utf8_next(s, &code);
		if (n < 0) {
			n = 1;
			snprintf(tmp, sizeof tmp, "\\x%02x",
			    (unsigned)(unsigned char)s.p[0]);
			put_z(l, tmp);
		} else if (code == '\n') {
			put_z(l, "\\n");
		} else if (code == '\t') {
			put_z(l, "\\t");
		} else if (is_hidden(code)) {
			snprintf(tmp, sizeof tmp, "\\u%04x", (unsigned)code);
			put_z(l, tmp);
		} else if (quoted && (code == '"' || code == '\\')) {
			tmp[0] = '\\';
			tmp[1] = (char)code;
			put(l, tmp, 2);
		} else
			put(l, s.p, (size_t)n);
	}
}

static void
put_text(struct line *l, struct str s)
{
	bool quoted = needs_quotes(s);

	if (quoted)
		put(l, "\"", 1);
	put_escaped(l, s, quoted);
	if (quoted)
		put(l, "\"", 1);
}

static void
put_double(struct line *l, double d)
{
	char tmp[32] = "";
	size_t n;

	if (isfinite(d)) {
		n = double_text(d, tmp);
		put(l, tmp, n);
	} else
		put_z(l, isnan(d) ? "nan" : d < 0 ? "-inf" : "inf");
}

static void
put_pair(struct line *l, const struct log_pair *pair)
{
	char tmp[32];

	put(l, " ", 1);
	put_z(l, pair->key);
	put(l, "=", 1);
	switch (pair->type) {
	case LOG_T_INT:
		snprintf(tmp, sizeof tmp, "%lld", (long long)pair->i);
		put_z(l, tmp);
		break;
	case LOG_T_STR:
		put_text(l, pair->s);
		break;
	case LOG_T_DOUBLE:
		put_double(l, pair->d);
		break;
	}
}

static void
put_time(struct line *l)
{
	int64_t now_ms = clock_now_ms(), ms = now_ms % 1000;
	char day[32], tmp[64];
	struct tm tm;
	time_t s;

	if (ms < 0)
		ms += 1000;
	s = (time_t)((now_ms - ms) / 1000);
	if (gmtime_r(&s, &tm) == NULL ||
	    strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &tm) == 0)
		return;
	snprintf(tmp, sizeof tmp, "%s.%03dZ ", day, (int)ms);
	put_z(l, tmp);
}

void
log_write_(enum log_level level, const char *what, const struct log_pair *pairs,
    size_t n)
{
	int saved = errno;
	ssize_t written;
	struct line l;

	if ((int)level > atomic_load(&highest_level))
		return;
	l.n = 0;
	l.cut = false;
	if (atomic_load(&to_journal))
		put_z(&l, levels[level].journal);
	else {
		put_time(&l);
		put_z(&l, levels[level].name);
		put(&l, " ", 1);
	}
	put_z(&l, program_name);
	put(&l, " ", 1);
	put_escaped(&l, str_of(what), false);
	for (size_t i = 0; i < n; i++)
		put_pair(&l, &pairs[i]);
	if (l.cut) {
		memcpy(l.p + l.n, CUT_MARK, sizeof CUT_MARK - 1);
		l.n += sizeof CUT_MARK - 1;
	}
	l.p[l.n++] = '\n';
	written = write(STDERR_FILENO, l.p, l.n);
	(void)written; /* nobody could be told that a line is lost */
	errno = saved;
}

void
log_line(enum log_level level, const char *what)
{
	log_write_(level, what, NULL, 0);
}
