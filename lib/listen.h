/*
 * The listening socket of a FastCGI program: inherited from whoever started
 * it (web server, systemd, spawn-fcgi), or made here.
 *
 * Both calls give a descriptor that is O_NONBLOCK and FD_CLOEXEC.  The flag
 * O_NONBLOCK belongs to the socket itself, so every process that shares it
 * sees it; all of ours poll before they accept.
 */
#ifndef LISTEN_H
#define LISTEN_H

#include "attr.h"
#include "err.h"

/*
 * Find the socket that was passed on: descriptor 3 when LISTEN_PID names
 * this process (the variables are removed, so that children do not take them
 * for theirs), else descriptor 0 when it is a listening socket.  Returns the
 * descriptor, or -1 with ERR_MISSING when none was passed and ERR_INPUT when
 * LISTEN_FDS is wrong.  Call before any thread starts: it changes the
 * environment.
 */
int listen_adopt(struct err *e) ATTR_USE_RESULT;

/*
 * Make a Unix socket at path, mode 0660 from its birth, and listen on it.  A
 * socket file that nobody answers on is replaced; one that is in use is
 * ERR_CONFLICT, anything else at that place is ERR_INPUT.  Returns the
 * descriptor; the caller closes it and, if it wants to, unlinks the path.
 * Call before any thread starts: it changes the umask for a moment.
 */
int listen_unix(const char *path, struct err *e) ATTR_USE_RESULT;

#endif
