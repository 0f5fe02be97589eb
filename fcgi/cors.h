/*
 * Which other origins' pages may call us: none, unless the configuration
 * lists some.
 */
#ifndef CORS_H
#define CORS_H

#include "fcgi/response.h"
#include "str.h"

/*
 * Add the headers for a request from `origin` (may be empty).  origins is
 * NULL-terminated; an empty list adds nothing.
 */
void cors_apply(
    struct response *rs, const char *const *origins, struct str origin);

#endif
