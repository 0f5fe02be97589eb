/*
 * Two readers of JSON, one truth: json_tree.h against jansson.
 */
#ifndef TEST_TREE_H
#define TEST_TREE_H

#include <jansson.h>
#include <math.h>

#include "json_in.h"
#include "json_tree.h"

/* True when both hold the same value; a is for sorting keys. */
static inline bool
same_value(const struct json_tree *v, const json_t *j, struct arena *a)
{
	const struct json_tree *m;
	size_t n = 0;

	switch (v->type) {
	case TREE_NULL:
		return json_is_null(j);
	case TREE_FALSE:
		return json_is_false(j);
	case TREE_TRUE:
		return json_is_true(j);
	case TREE_NUMBER:
		return json_is_number(j) &&
		       fabs(v->number - json_number_value(j)) <= 0;
	case TREE_TEXT:
		return json_is_string(j) && str_eq(v->text, json_in_text(j));
	case TREE_LIST:
		if (!json_is_array(j) || json_array_size(j) != v->n)
			return false;
		for (m = v->first; m != NULL; m = m->next)
			if (!same_value(m, json_array_get(j, n++), a))
				return false;
		return true;
	case TREE_OBJECT:
		if (json_tree_sorted(v, a, &n) == NULL || !json_is_object(j) ||
		    json_object_size(j) != n)
			return false;
		for (m = v->first; m != NULL; m = m->next)
			if (!same_value(json_tree_get(v, m->key),
				json_object_getn(j, m->key.p, m->key.n), a))
				return false;
		return true;
	}
	return false;
}

#endif
