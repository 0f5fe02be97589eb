/*
 * The daemon's side of jobs (lib/jobs.h): takes the oldest and works on it
 * in short steps between batches.
 */
#ifndef COLLECTORD_JOBS_H
#define COLLECTORD_JOBS_H

#include "db.h"
#include "err.h"
#include "store.h"

struct jobs; /* opaque: the job in hand */

/* import_dir must stay.  NULL without memory. */
struct jobs *jobs_new(const char *import_dir);
void jobs_free(struct jobs *j);

/* Leave the job in hand: another database, or other directories. */
void jobs_forget(struct jobs *j, const char *import_dir);

/*
 * Do a little: at most one transaction of about 40 ms.  1: there is more to
 * do at once; 0: there is nothing; -1: the database does not play along, and
 * the same will be tried again by the next call.
 */
int jobs_step(struct jobs *j, struct db *db, struct store *store,
    struct err *e) ATTR_USE_RESULT;

#endif
