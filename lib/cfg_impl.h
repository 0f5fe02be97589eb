/*
 * Where configuration is looked for (tests look elsewhere), and what cfg.c
 * and cfg_paths.c share.
 */
#ifndef CFG_IMPL_H
#define CFG_IMPL_H

#include "cfg.h"

struct cfg_places {
	const char *(*env)(const char *name); /* NULL: not set */
	const char *system_file; /* "/etc/cpa-manager/config.json" */
	const char
	    *beside_file; /* config.json beside the program; NULL: none */
	const char *secrets_dir; /* "/run/secrets" */
};

/* cfg_load() for other places. */
int cfg_load_from(struct cfg *c, const struct cfg_places *places,
    const char *data_dir, struct err *e) ATTR_USE_RESULT;

/* A trimmed variable; empty when it is not set or blank. */
struct str cfg_env(const struct cfg_places *places, const char *name);

/* Directory part of a path; "." when there is none.  NULL: out of memory. */
const char *cfg_directory_of(struct arena *a, const char *path);

/* dir/name, or NULL when out of memory. */
const char *cfg_join(struct arena *a, const char *dir, const char *name);

/*
 * Read a whole file, at most limit bytes; out is initialised.  Returns 1, 0
 * when it does not exist, or -1 with *e, which names the path.
 */
int cfg_read_file(const char *path, size_t limit, struct buf *out,
    struct err *e) ATTR_USE_RESULT;

/* Fill in every path of c that depends on another one. */
int cfg_settle_paths(struct cfg *c, const struct cfg_places *places,
    const char *data_dir, struct err *e) ATTR_USE_RESULT;

/* Set *e when the arena is spent.  Returns -1. */
int cfg_no_memory(struct err *e);

#endif
