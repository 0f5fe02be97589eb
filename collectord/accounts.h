/*
 * CPA's accounts and its set-up, kept at hand: a thread asks for the list, and
 * the writer tells events from the latest one who paid for them.
 *
 * Only while events come that need it is CPA asked, and once a minute to see
 * whether it works without an event coming.  The list is
 * renewed before it is too old, so that storing waits for CPA only when
 * events come after a pause, and then for a moment.
 */
#ifndef ACCOUNTS_H
#define ACCOUNTS_H

#include "daemon.h"
#include "model/account_list.h"

/* For the daemon that outlives it; NULL when memory ran out. */
struct accounts *accounts_new(struct daemon *d);
/* After its thread has ended; NULL is fine. */
void accounts_free(struct accounts *a);

/*
 * For the writer: the list of the CPA that is configured, which lives until
 * accounts_release(), or NULL when there is none.  Waits for at most 5 s
 * when the list is missing, older than 30 s or dropped; not at the end, not
 * when CPA must not be asked, and not soon after it was asked in vain: then
 * an old list serves as well.
 */
const struct account_list *accounts_hold(struct accounts *a);
/* Does nothing when no list is held. */
void accounts_release(struct accounts *a);

/* CPA says that its accounts have changed: what is known is out of date. */
void accounts_drop(struct accounts *a);

/* Have those that wait look again: the end has come.  NULL is fine. */
void accounts_wake(struct accounts *a);

#endif
