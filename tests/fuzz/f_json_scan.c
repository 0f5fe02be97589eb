/*
 * Walking through JSON without reading it.  Of valid JSON the walk sees what
 * the tree holds, value by value; of any bytes it sees parts that lie in them,
 * one behind the other, and comes to an end.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "json_scan.h"
#include "json_tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LIMIT ((size_t)16 * 1024 * 1024)
#define INPUT_MAX ((size_t)64 * 1024)
#define DEPTH_MAX 64 /* each level looks through what lies below it */

static void
check(bool holds)
{
	if (!holds)
		abort();
}

/* ---- valid JSON ---------------------------------------------------------- */

static void same(struct str text, const struct json_tree *v, unsigned depth);

static void
same_list(struct json_scan *s, const struct json_tree *v, unsigned depth)
{
	struct str element;

	for (v = v->first; v != NULL; v = v->next) {
		check(json_scan_element(s, &element) == JSON_SCAN_PART);
		same(element, v, depth);
	}
	check(json_scan_element(s, &element) == JSON_SCAN_END);
}

static void
same_object(struct json_scan *s, const struct json_tree *v, unsigned depth)
{
	struct str key, value;
	struct arena a;

	arena_init(&a, LIMIT);
	for (v = v->first; v != NULL; v = v->next) {
		check(json_scan_member(s, &key, &value) == JSON_SCAN_PART);
		check(str_eq(
		    json_tree_text(json_tree_parse(key, &a, NULL)), v->key));
		arena_reset(&a);
		same(value, v, depth);
	}
	check(json_scan_member(s, &key, &value) == JSON_SCAN_END);
	arena_free(&a);
}

/* text is the value v, with nothing around it. */
static void
same(struct str text, const struct json_tree *v, unsigned depth)
{
	const struct json_tree *again;
	struct json_scan s;
	struct arena a;

	if (v->type == TREE_LIST || v->type == TREE_OBJECT) {
		check(*text.p == (v->type == TREE_LIST ? '[' : '{'));
		if (depth == DEPTH_MAX)
			return;
		json_scan_init(&s, text);
		if (v->type == TREE_LIST)
			same_list(&s, v, depth + 1);
		else
			same_object(&s, v, depth + 1);
		check(s.p == text.p + text.n);
		return;
	}
	arena_init(&a, LIMIT);
	check((again = json_tree_parse(text, &a, NULL)) != NULL);
	check(again->type == v->type);
	if (v->type == TREE_TEXT)
		check(str_eq(again->text, v->text));
	if (v->type == TREE_NUMBER)
		check(
		    memcmp(&again->number, &v->number, sizeof v->number) == 0);
	arena_free(&a);
}

static void
check_valid(struct str text, const struct json_tree *v)
{
	struct str value, cut;

	check(json_scan_value(text, &value) == JSON_SCAN_PART);
	check(str_trim(value).n == value.n);
	same(value, v, 0);
	if (v->type != TREE_TEXT && v->type != TREE_LIST &&
	    v->type != TREE_OBJECT)
		return;
	/* without its end it is cut, wherever that is */
	for (size_t n = 0; n < 16 && n < value.n; n++) {
		cut = (struct str){ value.p, value.n * n / 16 };
		check(json_scan_value(cut, &value) == JSON_SCAN_CUT);
		value.n = (size_t)(text.p + text.n - value.p);
		check(json_scan_value(text, &value) == JSON_SCAN_PART);
	}
}

/* ---- any bytes ----------------------------------------------------------- */

static const char *
check_part(struct str text, const char *from, struct str part)
{
	check(part.n > 0 && part.p >= from);
	check(part.p + part.n <= text.p + text.n);
	return part.p + part.n;
}

static void
check_any(struct str text)
{
	struct str first, second;
	const char *at;
	struct json_scan s;

	if (json_scan_value(text, &first) == JSON_SCAN_PART)
		(void)check_part(text, text.p, first);
	/* whatever stands there is taken for the opening bracket */
	json_scan_init(&s, text);
	at = text.p;
	while (json_scan_element(&s, &first) == JSON_SCAN_PART)
		at = check_part(text, at, first);
	check(s.p >= at && s.p <= s.end);
	json_scan_init(&s, text);
	at = text.p;
	while (json_scan_member(&s, &first, &second) == JSON_SCAN_PART) {
		at = check_part(text, at, first);
		check(*first.p == '"');
		at = check_part(text, at, second);
	}
	check(s.p >= at && s.p <= s.end);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = { (const char *)data, size };
	const struct json_tree *v;
	struct arena a;

	if (size > INPUT_MAX)
		return 0;
	arena_init(&a, LIMIT);
	check_any(text);
	if ((v = json_tree_parse(text, &a, NULL)) != NULL)
		check_valid(text, v);
	arena_free(&a);
	return 0;
}
