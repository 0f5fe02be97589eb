/*
 * Giving up what a program does not need once it has started.
 */
#ifndef CONFINE_H
#define CONFINE_H

#include "attr.h"
#include "err.h"

/*
 * No new privileges through exec, and no core dump or ptrace by other
 * processes of the same user: keys are in memory.  Call after everything is
 * open; holds for all threads of the process.  Returns 0, or -1 with
 * ERR_INTERNAL.
 */
int confine(struct err *e) ATTR_USE_RESULT;

#endif
