/*
 * When two names of client keys count as the same.
 */
#ifndef ALIAS_NAME_H
#define ALIAS_NAME_H

#include <stddef.h>

#include "arena.h"
#include "str.h"

/*
 * The name in lower case, by Unicode's simple rule, for comparing; in the
 * arena.  p is NULL when memory is spent.
 */
struct str alias_fold(struct str name, struct arena *a);

/* Characters in valid UTF-8. */
size_t alias_length(struct str name);

#endif
