/*
 * CPA's list of accounts, and what events are told of it: who paid.
 * contract/collector.md section 9.  No I/O here.
 */
#ifndef MODEL_ACCOUNT_LIST_H
#define MODEL_ACCOUNT_LIST_H

#include "err.h"
#include "model/event.h"

struct account {
	struct str auth_index; /* what events name it by; never empty */
	struct str account, label, file, provider, project; /* empty: unknown */
};

struct account_list; /* opaque; not changed once it is made */

/*
 * Read the answer to GET /v0/management/auth-files, which was asked for at
 * at_ms (Unix time).  Nothing of the answer is needed afterwards;
 * account_list_free() the list.  NULL with *e: ERR_INPUT when it is no such
 * list, ERR_TOO_LARGE when it takes more memory than it may.
 */
struct account_list *account_list_parse(
    struct str answer, int64_t at_ms, struct err *e) ATTR_USE_RESULT;

/* NULL is fine. */
void account_list_free(struct account_list *l);

/* Requests that CPA has made with all of them since it started. */
int64_t account_list_requests(const struct account_list *l);

/* The account of that index, NULL when there is none.  It lives as l does. */
const struct account *account_list_find(
    const struct account_list *l, struct str auth_index);

/* Does the list have anything to say to an event like this one? */
bool event_wants_account(const struct usage_event *ev);

/*
 * Fill the snapshots of ev that are empty and, if that was any, the time of
 * the snapshot and the service tier, which depends on them.  What is there
 * already stays, and so does the hash.  The new texts are views of l.
 */
void event_add_account(struct usage_event *ev, const struct account_list *l);

#endif
