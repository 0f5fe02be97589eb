/*
 * Reading a payload's members as the reference does: contract/collector.md
 * section 6.1.  An object's members are laid out by known key once, so that a
 * field of many spellings costs no searches; keys match with case.
 */
#ifndef MODEL_RECORD_H
#define MODEL_RECORD_H

#include "arena.h"
#include "json_tree.h"
#include "str.h"

enum key {
#define KEY(name) KEY_##name,
#include "model/keys.def"
#undef KEY
	KEY__MAX
};

/* The members of an object by known key; NULL: absent. */
struct record {
	const struct json_tree *v[KEY__MAX];
};

/* The key that a text is, or KEY__MAX. */
enum key key_find(struct str name);
struct str key_name(enum key key);

/* Lay out the members of v; none when it is NULL or no object. */
void record_index(struct record *r, const struct json_tree *v);

/* Keys in order of preference. */
#define KEYS(...) ((const unsigned char[]){ __VA_ARGS__, KEY__MAX })

/*
 * Value of the first key that is present, even if it is null, empty or 0;
 * NULL when none is.
 */
const struct json_tree *record_first(
    const struct record *r, const unsigned char *keys);

/*
 * A value as text, trimmed: numbers in decimal, lists and objects as the
 * reference prints them, null as "".  A view of the tree, or in a.
 */
struct str value_text(const struct json_tree *v, struct arena *a);
struct str record_str(
    const struct record *r, const unsigned char *keys, struct arena *a);

/* A value as a whole number: truncated, parsed from text, else 0. */
int64_t value_int(const struct json_tree *v);
int64_t record_int(const struct record *r, const unsigned char *keys);

/* True for a member that is there and not null. */
bool value_given(const struct json_tree *v);

/*
 * A number as the reference writes it in a text: whole ones in digits, else
 * the shortest decimal without an exponent.  In a.
 */
struct str number_text(double d, struct arena *a);

#endif
