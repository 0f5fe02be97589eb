/*
 * What the tests of lib/model share: the payloads of tests/data.
 */
#ifndef TEST_MODEL_H
#define TEST_MODEL_H

#include <jansson.h>
#include <stdio.h>

/* A file of JSON lines as a list; NULL when it cannot be read. */
static inline json_t *
load_lines(const char *path)
{
	json_t *list = json_array(), *line;
	FILE *f = fopen(path, "r");
	char *text = NULL;
	size_t size = 0;

	if (f == NULL)
		return NULL;
	while (getline(&text, &size, f) > 0) {
		line = json_loads(text, JSON_ALLOW_NUL | JSON_DECODE_ANY, NULL);
		if (line == NULL || json_array_append_new(list, line) != 0)
			break;
	}
	free(text);
	fclose(f);
	return list;
}

#endif
