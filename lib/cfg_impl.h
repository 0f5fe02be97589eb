/*
 * Where configuration is looked for; tests look elsewhere.
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

#endif
