/*
 * Time zones by the names that the system's database has.
 */
#ifndef TIMEZONE_H
#define TIMEZONE_H

#include <stdbool.h>

#include "str.h"

/*
 * Is there a zone of that name?  "UTC" and "Local" always are.  Names that
 * lead out of the database are none.
 */
bool timezone_exists(struct str name);

#endif
