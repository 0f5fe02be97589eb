/*
 * Telling the service manager how we are: the datagrams of sd_notify(3),
 * without libsystemd.  Where $NOTIFY_SOCKET is not set every call does
 * nothing, so callers need not ask who started them.
 */
#ifndef NOTIFY_H
#define NOTIFY_H

#include <stdint.h>

/*
 * Send one message: "READY=1", "STOPPING=1", "RELOADING=1", "WATCHDOG=1", or
 * several lines at once.  Never blocks.  Returns 1 when it was sent, 0 when
 * nobody listens, -1 with errno when it could not be sent; most callers
 * ignore the difference.
 */
int notify_send(const char *message);

/* "STATUS=<text>", one line for `systemctl status`; cut at 255 bytes. */
int notify_status(const char *text);

/*
 * How often, in milliseconds, to send "WATCHDOG=1": half of the limit that
 * the service manager set for this process, at least 1; 0 when it set none.
 */
int64_t notify_watchdog_ms(void);

#endif
