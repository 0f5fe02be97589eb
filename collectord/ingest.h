/*
 * From a batch in the spool to rows: split, normalise, store.
 */
#ifndef INGEST_H
#define INGEST_H

#include "db.h"
#include "model/account_list.h"
#include "spool.h"
#include "store.h"

struct ingest; /* opaque: caches and memory kept from batch to batch */

struct ingest_result {
	int64_t inserted, skipped, dead;
	bool refresh;      /* CPA said that its account list has changed */
	char problem[256]; /* why not all of the answer was usable, "" : fine */
	bool gap;          /* events may be missing: it stands in the gaps */
};

struct ingest *ingest_new(void);
void ingest_free(struct ingest *in);

/* Another database: the numbers of the last one's texts mean nothing in it. */
void ingest_forget(struct ingest *in);

/* What it stores with, for others who store in between. */
struct store *ingest_store(struct ingest *in);

/*
 * Complete events from CPA's list of accounts, which get(arg) gives, or NULL.
 * It is called at most once a batch, when there is an event that wants it,
 * and not inside a transaction; the list must live until the batch is over.
 */
void ingest_use_accounts(
    struct ingest *in, const struct account_list *(*get)(void *arg), void *arg);

/*
 * Store one batch, in transactions of at most 1000 events or about 40 ms.
 * The last one also moves the position in the spool past the batch and, when
 * the list in it does not come to its end, enters what may be missing into the
 * table of gaps.  `before_commit` (may be NULL) runs inside the last one.
 *
 * An event that the database refuses becomes a dead letter: it must not hold
 * up those behind it.
 *
 * On failure nothing of the current transaction is stored; calling it again
 * with the same batch stores what is missing and nothing twice.
 */
int ingest_batch(struct ingest *in, struct db *db, struct spool *spool,
    const struct spool_batch *batch, struct ingest_result *result,
    int (*before_commit)(struct db *db, void *arg, struct err *e), void *arg,
    struct err *e) ATTR_USE_RESULT;

#endif
