/*
 * Cross-origin headers, contract/http-api.md section 4.1.
 */
#include "fcgi/cors.h"

#include <stdbool.h>
#include <stddef.h>

void
cors_apply(struct response *rs, const char *const *origins, struct str origin)
{
	const char *allowed = origins[0];
	bool any;

	if (allowed == NULL)
		return;
	for (size_t i = 0; origins[i] != NULL; i++)
		if (str_eq(str_of(origins[i]), STR("*")) ||
		    str_eq(str_of(origins[i]), origin)) {
			allowed = origins[i];
			break;
		}
	any = str_eq(str_of(allowed), STR("*"));
	if (any)
		response_header(rs, "Access-Control-Allow-Origin", "*");
	else if (origin.n > 0 && str_eq(str_of(allowed), origin)) {
		response_header(rs, "Access-Control-Allow-Origin", allowed);
		response_header(rs, "Vary", "Origin");
	}
	response_header(rs, "Access-Control-Allow-Methods",
	    "GET, POST, PUT, PATCH, DELETE, OPTIONS");
	response_header(
	    rs, "Access-Control-Allow-Headers", "Authorization, Content-Type");
}
