/*
 * cpactl: what a person does from a shell.  One function a command; the
 * table of commands is in main.c.
 */
#ifndef CTL_H
#define CTL_H

#include <stdbool.h>

#include "cfg.h"
#include "db.h"
#include "err.h"

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_UNWELL = 3 };

/* A command: its own arguments begin at argv[1].  Returns the exit code. */
typedef int ctl_command(const struct cfg *c, int argc, char **argv);

ctl_command ctl_reset_admin_key, ctl_status, ctl_verify;

/*
 * Open the database that the configuration names; it must exist and have our
 * schema.  Says on standard error what is wrong.  Returns 0 or -1.
 */
int ctl_open(const struct cfg *c, struct db *db, enum db_mode mode);

/* "cpactl COMMAND: text" on standard error.  Returns EXIT_FAILED. */
int ctl_fail(const char *command, const char *text);

/* Refuse arguments that a command does not know.  Returns EXIT_USAGE. */
int ctl_usage(const char *command, const char *argument);

#endif
