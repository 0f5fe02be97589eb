/*
 * What the first start does, whichever program starts first: data directory,
 * database and schema, data key, admin key.
 */
#ifndef BOOTSTRAP_H
#define BOOTSTRAP_H

#include "cfg.h"
#include "crypt.h"
#include "db.h"
#include "err.h"

/*
 * Open the database for writing, creating directory (0750), file and schema
 * where they are missing.  In the schema's transaction the admin key is
 * made: a generated one is written to admin-key.txt (0600) in the data
 * directory and, when standard error is a terminal, shown there once; it
 * never goes to the journal.
 *
 * Fails with ERR_UNAVAILABLE for a broken, newer, locked, read-only or
 * foreign database: the caller goes on without it and tries again.
 */
int bootstrap_db(
    const struct cfg *c, struct db *db, struct err *e) ATTR_USE_RESULT;

/*
 * The data key: from the configuration, else from its file, else a new file
 * -- but only when nothing in the database is sealed with another.  Fails
 * with ERR_UNAVAILABLE and what to do; k->present is false then.
 */
int bootstrap_data_key(const struct cfg *c, struct db *db, struct data_key *k,
    struct err *e) ATTR_USE_RESULT;

/*
 * Does the data key open everything that is sealed?  Creates nothing.
 * ERR_UNAVAILABLE with what to do when not; 0 also when nothing is sealed.
 */
int bootstrap_check_secrets(const struct cfg *c, struct db *db,
    struct data_key *k, struct err *e) ATTR_USE_RESULT;

/* Remove admin-key.txt, after the first login; harmless when it is gone. */
void bootstrap_forget_admin_file(const struct cfg *c);

/*
 * Replace the admin key.  key empty: generate one, returned in out.  Takes
 * effect at once for every process.  source: "cli" or "cli-generated".
 */
int bootstrap_reset_admin(
    struct db *db, struct str key, char out[64], struct err *e) ATTR_USE_RESULT;

#endif
