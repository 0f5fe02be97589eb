/*
 * CPA's list of accounts: whatever the answer holds, each account of it is
 * found by its index, and an event gets valid texts and keeps its own.
 */
#include <stdint.h>
#include <stdlib.h>

#include "json_tree.h"
#include "model/account_list.h"
#include "model/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define OWN "given by the event"

/* Look up what stands under "auth_index" in v and below. */
static void
check(const struct account_list *l, const struct json_tree *v, struct arena *a)
{
	struct str index = value_text(json_tree_get(v, STR("auth_index")), a);
	struct usage_event ev = { .auth_index = index,
		.auth_label_snapshot = STR(OWN) };
	const struct account *found;

	if (v->type == TREE_OBJECT && index.n > 0 &&
	    (found = account_list_find(l, index)) != NULL) {
		if (!str_eq(found->auth_index, index))
			abort();
		event_add_account(&ev, l);
		if (!utf8_valid(ev.account_snapshot) ||
		    !utf8_valid(ev.auth_file_snapshot) ||
		    !utf8_valid(ev.auth_provider_snapshot) ||
		    !utf8_valid(ev.auth_project_id_snapshot) ||
		    !str_eq(ev.auth_label_snapshot, STR(OWN)))
			abort();
	}
	if (v->type != TREE_OBJECT && v->type != TREE_LIST)
		return;
	for (v = v->first; v != NULL; v = v->next)
		check(l, v, a);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str answer = { (const char *)data, size };
	struct err e = { .kind = ERR_NONE };
	struct account_list *l = account_list_parse(answer, 1, &e);
	const struct json_tree *v;
	struct arena a;

	if (l == NULL) {
		if (e.kind == ERR_NONE || e.text[0] == '\0')
			abort();
		return 0;
	}
	arena_init(&a, (size_t)64 * 1024 * 1024);
	if ((v = json_tree_parse(answer, &a, NULL)) == NULL)
		abort();
	check(l, v, &a);
	/* every entry of a plain list is found */
	for (v = v->type == TREE_LIST ? v->first : NULL; v != NULL;
	     v = v->next) {
		struct str index =
		    value_text(json_tree_get(v, STR("auth_index")), &a);

		if (index.n > 0 && account_list_find(l, index) == NULL)
			abort();
	}
	arena_free(&a);
	account_list_free(l);
	return 0;
}
