/*
 * What a web server passes on: the first line of the input is REQUEST_URI,
 * the others are further parameters.  A path that is accepted is clean.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fcgi/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PARAMS_MAX 64

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char method[] = "REQUEST_METHOD=GET";
	static const char uri[] = "REQUEST_URI=";
	char *params[PARAMS_MAX + 1] = { method };
	char *text = malloc(size + sizeof uri);
	struct request rq;
	struct arena a;
	struct err e;
	size_t n = 1;

	if (text == NULL)
		return 0;
	memcpy(text, uri, sizeof uri - 1);
	memcpy(text + sizeof uri - 1, data, size);
	text[size + sizeof uri - 1] = '\0';
	for (char *p = text; n < PARAMS_MAX && p != NULL;) {
		params[n++] = p;
		if ((p = strchr(p, '\n')) != NULL)
			*p++ = '\0';
	}
	params[n] = NULL;
	arena_init(&a, 1024 * 1024);
	memset(&rq, 0, sizeof rq);
	if (request_parse(&rq, &a, params, &e) == 0) {
		if (!utf8_valid(rq.path) || rq.nsegments == 0 ||
		    rq.nsegments > SEGMENTS_MAX)
			abort();
		for (size_t i = 0; i < rq.nsegments; i++)
			if (str_eq(rq.segment[i], STR("..")) ||
			    str_eq(rq.segment[i], STR(".")) ||
			    (rq.segment[i].n > 0 &&
				memchr(rq.segment[i].p, '\0',
				    rq.segment[i].n) != NULL))
				abort();
	}
	arena_free(&a);
	free(text);
	return 0;
}
