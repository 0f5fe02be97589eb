/*
 * Reading JSON fast: a tree in an arena, whose texts are views of the input
 * wherever they hold no escape.  It is what takes in payloads, several
 * thousand a second; request bodies go through json_in.h.
 *
 * It accepts what the reference's decoder accepts: numbers are doubles, NUL
 * is allowed in texts and keys, invalid UTF-8 and lone surrogate escapes
 * become U+FFFD, of equal keys the last one counts, keys match with case.
 */
#ifndef JSON_TREE_H
#define JSON_TREE_H

#include <stdbool.h>

#include "arena.h"
#include "err.h"
#include "json_out.h"
#include "str.h"

#define JSON_TREE_DEPTH 2048

enum json_tree_type {
	TREE_NULL,
	TREE_FALSE,
	TREE_TRUE,
	TREE_NUMBER,
	TREE_TEXT,
	TREE_LIST,
	TREE_OBJECT
};

struct json_tree {
	enum json_tree_type type;
	struct str key; /* of a member of an object */
	union {
		double number;
		struct str text;
		struct {
			struct json_tree *first;
			size_t n; /* members, equal keys counted each */
		};
	};
	struct json_tree *next; /* member or element after this one */
};

/*
 * Parse one JSON value and nothing after it.  The tree lives as long as both
 * a and text.  NULL with *e: ERR_INPUT says what is wrong and at which byte,
 * never what stands there; ERR_TOO_LARGE when a is full.
 */
const struct json_tree *json_tree_parse(
    struct str text, struct arena *a, struct err *e) ATTR_USE_RESULT;

/* Member by key, the last of several; NULL when absent or v is no object. */
const struct json_tree *json_tree_get(
    const struct json_tree *v, struct str key);

/* The text of a TREE_TEXT; empty for anything else and for NULL. */
struct str json_tree_text(const struct json_tree *v);

struct json_tree_place {
	const struct json_tree *v;
	size_t at; /* where it stood */
};

/*
 * Members of an object in the order of their keys' bytes, of equal keys the
 * last; *n of them, in a.  NULL when a is full.
 */
struct json_tree_place *json_tree_sorted(
    const struct json_tree *v, struct arena *a, size_t *n);

/* Write v compactly with sorted keys; a is for the sorting. */
void json_tree_write(
    const struct json_tree *v, struct json_out *o, struct arena *a);

#endif
