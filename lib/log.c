#include "log.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "buf.h"
#include "clock.h"
#include "json_out.h"

#define LINE_MAX_BYTES 4096

static const char *program_name = "cpa-manager";
static atomic_int highest_level = LOG_INFO;

static const struct {
	const char *name;
	int syslog; /* the journal's priority */
} levels[] = {
	[LOG_ERROR] = { "error", 3 },
	[LOG_WARN] = { "warn", 4 },
	[LOG_INFO] = { "info", 6 },
	[LOG_DEBUG] = { "debug", 7 },
};

void
log_open(const char *program, enum log_level highest)
{
	program_name = program;
	atomic_store(&highest_level, (int)highest);
}

static void
add_time(struct buf *b)
{
	int64_t ms = clock_now_ms();
	time_t s = (time_t)(ms / 1000);
	struct tm tm;

	if (gmtime_r(&s, &tm) == NULL)
		return;
	buf_printf(b, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ ", tm.tm_year + 1900,
	    tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
	    (int)(ms % 1000));
}

static bool
is_plain(struct str s)
{
	if (s.n == 0)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c <= ' ' || c == '"' || c == '=' || c == '\\' || c >= 0x7f)
			return false;
	}
	return true;
}

/* Quoted unless plain; what could break the line is escaped. */
static void
add_value(struct buf *b, struct str s)
{
	if (is_plain(s)) {
		buf_str(b, s);
		return;
	}
	buf_char(b, '"');
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c == '"' || c == '\\') {
			buf_char(b, '\\');
			buf_char(b, (char)c);
		} else if (c == '\n')
			buf_z(b, "\\n");
		else if (c < ' ' || c == 0x7f)
			buf_printf(b, "\\x%02x", c);
		else
			buf_char(b, (char)c);
	}
	buf_char(b, '"');
}

void
log_write_(enum log_level level, const char *what, const struct log_pair *pairs,
    size_t n)
{
	char number[32];
	struct buf b;

	if ((int)level > atomic_load(&highest_level))
		return;
	buf_init(&b, LINE_MAX_BYTES);
	if (getenv("JOURNAL_STREAM") != NULL)
		buf_printf(
		    &b, "<%d>%s %s", levels[level].syslog, program_name, what);
	else {
		add_time(&b);
		buf_printf(
		    &b, "%s %s %s", levels[level].name, program_name, what);
	}
	for (size_t i = 0; i < n; i++) {
		buf_printf(&b, " %s=", pairs[i].key);
		switch (pairs[i].type) {
		case LOG_T_INT:
			buf_printf(&b, "%lld", (long long)pairs[i].i);
			break;
		case LOG_T_DOUBLE:
			buf_add(&b, number, double_text(pairs[i].d, number));
			break;
		case LOG_T_STR:
			add_value(&b, pairs[i].s);
			break;
		}
	}
	/* a line that was too long is cut, never lost */
	if (b.failed && b.n > 0)
		b.p[b.n - 1] = '\n';
	else
		buf_char(&b, '\n');
	/* one write a line, so that lines of threads do not mix */
	if (b.n > 0 && write(STDERR_FILENO, b.p, b.n) == -1) {
		/* nowhere is left to say it */
	}
	buf_free(&b);
}

void
log_line(enum log_level level, const char *what)
{
	log_write_(level, what, NULL, 0);
}
