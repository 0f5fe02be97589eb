/*
 * Cuts a JSON array that arrives in pieces into its elements without parsing
 * them, so that a bad element spoils nothing but itself and a cut answer
 * keeps what was whole.
 */
#ifndef JSON_SPLIT_H
#define JSON_SPLIT_H

#include <stdbool.h>
#include <stddef.h>

#include "str.h"

enum json_split_result {
	JSON_SPLIT_ELEMENT, /* *element is the next one, trimmed */
	JSON_SPLIT_MORE,    /* the bytes end inside the array */
	JSON_SPLIT_END,     /* the closing bracket was read, or null */
	JSON_SPLIT_BAD      /* not an array */
};

struct json_split {
	size_t pos;   /* where the next element begins */
	size_t scan;  /* bytes from there on that were looked at already */
	size_t depth; /* brackets open after them */
	bool in_string, escaped, started, ended;
};

/* Start at the beginning of an answer. */
void json_split_init(struct json_split *s);

/*
 * Find the next element in `all`, the whole answer as far as it is known;
 * call again with a longer view after JSON_SPLIT_MORE.  Elements are views
 * into `all`, in any other case empty.  Nothing between two commas is no
 * element.  Every byte is looked at once, however small the pieces are.
 *
 * A caller may drop the pos bytes before the next element from the front of
 * `all`, setting pos to 0.
 */
enum json_split_result json_split_next(
    struct json_split *s, struct str all, struct str *element);

#endif
