/*
 * cpactl: what a person does from a shell.  One file a command; the table of
 * commands and their arguments is in main.c, which also reads the command
 * line.
 */
#ifndef CTL_H
#define CTL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "cfg.h"
#include "db.h"
#include "err.h"
#include "str.h"

enum {
	EXIT_OK = 0,
	EXIT_FAILED = 1, /* not done, or verify found something */
	EXIT_USAGE = 2,
	EXIT_UNWELL = 3 /* status: nothing is being collected */
};

enum ctl_format { FORMAT_TABLE, FORMAT_JSON, FORMAT_CSV };

/* The arguments of all commands; each has only those of its own set. */
struct ctl_args {
	const char *data_dir;       /* NULL: as configured */
	const char *admin_key_file; /* NULL: make a key */
	bool json;
	char *const *words; /* those that are no options */
	int n_words;
	const char *output; /* NULL: standard output */
	bool full, failed, follow;
	bool from_set, to_set, limit_set;
	int64_t from_ms, to_ms, limit;
	const char *model, *provider, *account; /* NULL: any */
	const char *api_key_hash;               /* how it begins */
	enum ctl_format format;
};

/*
 * A command.  Says on standard error what went wrong; returns the exit code.
 */
typedef int ctl_command(const struct cfg *c, const struct ctl_args *a);

ctl_command ctl_events, ctl_export, ctl_import, ctl_reset_admin_key, ctl_status,
    ctl_verify;

/*
 * Open the database that the configuration names; it must exist and have our
 * schema.  Says on standard error what is wrong, for `command`.  Returns 0,
 * or -1 with *db closed.
 */
int ctl_open(const char *command, const struct cfg *c, struct db *db,
    enum db_mode mode) ATTR_USE_RESULT;

/* "cpactl COMMAND: text" on standard error.  Returns EXIT_FAILED. */
int ctl_fail(const char *command, const char *fmt, ...) ATTR_PRINTF(2, 3);

/*
 * Print a text that came from elsewhere: what would move a terminal's cursor
 * or change its colours becomes '?'.
 */
void ctl_put_text(FILE *to, const char *text);
void ctl_put_str(FILE *to, struct str s);

/* Is it such a character? */
bool ctl_steers(uint32_t code);

/*
 * A file to be removed when a signal ends us, instead of the one named
 * before; NULL: none.
 */
void ctl_leftover(const char *path);

#endif
