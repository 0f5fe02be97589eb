#include "model/account_list.h"

#include <stdlib.h>

#include "json_tree.h"
#include "model/mask.h"
#include "model/record.h"
#include "model/tokens.h"

/* A tree takes 64 bytes a value, and "[1," is a value in two bytes. */
#define WORK_BYTES(n) ((n)*40 + (size_t)256 * 1024)
#define WORK_MAX ((size_t)512 * 1024 * 1024)

struct account_list {
	struct arena arena; /* of all that is below */
	struct account *accounts;
	size_t n; /* sorted by index, none twice */
	int64_t at_ms;
	int64_t requests; /* of all accounts together */
};

/* Names in order of preference, closed by NULL. */
#define NAMES(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* ---- reading ------------------------------------------------------------- */

/* The first of several members that is not empty, as text. */
static struct str
first_text(
    const struct json_tree *file, const char *const *names, struct arena *a)
{
	struct str s = { NULL, 0 };

	for (; s.n == 0 && *names != NULL; names++)
		s = value_text(json_tree_get(file, str_of(*names)), a);
	return s;
}

/* A credential that is a key itself has the key where others have a person. */
static bool
is_key(struct str s)
{
	return s.n > 0 && !str_contains(s, STR("@")) && looks_secret(s);
}

static struct str
person(const struct json_tree *file, const char *const *names, struct arena *a)
{
	struct str s = { NULL, 0 };

	for (; s.n == 0 && *names != NULL; names++) {
		s = first_text(file, NAMES(*names), a);
		if (is_key(s))
			s.n = 0;
	}
	return s;
}

static void
read_account(const struct json_tree *file, struct arena *a, struct account *out)
{
	out->auth_index =
	    first_text(file, NAMES("auth_index", "authIndex", "auth-index"), a);
	out->account = person(file, NAMES("account", "email"), a);
	out->label = first_text(file, NAMES("label", "name"), a);
	if (out->label.n == 0)
		out->label = person(file, NAMES("email", "account"), a);
	out->file = first_text(file, NAMES("name"), a);
	out->provider = first_text(file, NAMES("provider", "type"), a);
	out->project = first_text(file,
	    NAMES("project_id", "projectId", "gemini_virtual_project",
		"geminiVirtualProject"),
	    a);
	/* which is the file's name when there is nothing better */
	if (out->account.n == 0)
		out->account = out->label;
}

/*
 * The first entry of the list in an answer, which may be the list, an object
 * around it, or one entry; *known says whether it was any of these.
 */
static const struct json_tree *
first_entry(const struct json_tree *v, struct arena *a, bool *known)
{
	const char *const *name =
	    NAMES("auth_files", "authFiles", "files", "items", "data");

	*known = true;
	if (v->type == TREE_LIST)
		return v->first;
	if (v->type == TREE_OBJECT) {
		bool empty = false;

		for (; *name != NULL; name++) {
			const struct json_tree *list =
			    json_tree_get(v, str_of(*name));

			if (list != NULL && list->type == TREE_LIST)
				return list->first;
			empty |= list != NULL && list->type == TREE_NULL;
		}
		if (first_text(v, NAMES("name", "id"), a).n > 0)
			return v;
		if (empty)
			return NULL;
	}
	*known = false;
	return NULL;
}

/* ---- the list ------------------------------------------------------------ */

struct entry {
	struct account account;
	size_t place; /* in the answer */
};

static int
compare_entries(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	int c = str_cmp(x->account.auth_index, y->account.auth_index);

	return c != 0 ? c : (x->place > y->place) - (x->place < y->place);
}

/* Entries of the answer that have an index, sorted; *n of them. */
static struct entry *
read_entries(const struct json_tree *first, struct arena *a, size_t *n)
{
	const struct json_tree *v;
	struct entry *entries;
	size_t count = 0;

	for (v = first; v != NULL; v = v->next)
		count++;
	*n = 0;
	if ((entries = arena_array(a, count, sizeof *entries)) == NULL)
		return NULL;
	for (v = first; v != NULL; v = v->next) {
		struct entry *e = &entries[*n];

		if (v->type != TREE_OBJECT)
			continue;
		read_account(v, a, &e->account);
		e->place = *n;
		*n += e->account.auth_index.n > 0;
	}
	qsort(entries, *n, sizeof *entries, compare_entries);
	return entries;
}

static struct str
keep_text(struct str s, struct arena *a)
{
	return (struct str){ s.n == 0 ? NULL : arena_strdup(a, s), s.n };
}

/* Take the last of those with the same index, with texts of their own. */
static void
keep_entries(struct account_list *l, const struct entry *entries, size_t n)
{
	struct arena *a = &l->arena;

	if ((l->accounts = arena_array(a, n, sizeof *l->accounts)) == NULL)
		return; /* the arena says so */
	for (size_t i = 0; i < n; i++) {
		const struct account *from = &entries[i].account;

		if (i + 1 < n &&
		    str_eq(from->auth_index, entries[i + 1].account.auth_index))
			continue;
		l->accounts[l->n++] = (struct account){
			.auth_index = keep_text(from->auth_index, a),
			.account = keep_text(from->account, a),
			.label = keep_text(from->label, a),
			.file = keep_text(from->file, a),
			.provider = keep_text(from->provider, a),
			.project = keep_text(from->project, a),
		};
	}
}

/* Every entry counts, also one that events do not name. */
static int64_t
count_requests(const struct json_tree *v)
{
	uint64_t n = 0;

	for (; v != NULL; v = v->next)
		n += (uint64_t)value_int(json_tree_get(v, STR("success"))) +
		     (uint64_t)value_int(json_tree_get(v, STR("failed")));
	return (int64_t)n;
}

struct account_list *
account_list_parse(struct str answer, int64_t at_ms, struct err *e)
{
	size_t limit =
	    answer.n < WORK_MAX / 40 ? WORK_BYTES(answer.n) : WORK_MAX;
	struct account_list *l = calloc(1, sizeof *l), *out = NULL;
	const struct json_tree *v;
	const struct entry *entries;
	struct arena work;
	bool known;
	size_t n;

	arena_init(&work, limit);
	if (l == NULL) {
		fail(e, ERR_TOO_LARGE, "out of memory");
		goto out;
	}
	arena_init(&l->arena, limit);
	l->at_ms = at_ms;
	if ((v = json_tree_parse(answer, &work, e)) == NULL)
		goto out;
	v = first_entry(v, &work, &known);
	if (!known) {
		fail(e, ERR_INPUT, "no list of accounts");
		goto out;
	}
	l->requests = count_requests(v);
	/* one entry that is the answer itself has nothing after it */
	entries = read_entries(v, &work, &n);
	if (entries != NULL)
		keep_entries(l, entries, n);
	/* a text that did not fit reads as empty: no list rather than that */
	if (work.failed || l->arena.failed) {
		fail(e, ERR_TOO_LARGE, "the list of accounts is too large");
		goto out;
	}
	out = l;
	l = NULL;
out:
	account_list_free(l);
	arena_free(&work);
	return out;
}

int64_t
account_list_requests(const struct account_list *l)
{
	return l->requests;
}

void
account_list_free(struct account_list *l)
{
	if (l == NULL)
		return;
	arena_free(&l->arena);
	free(l);
}

const struct account *
account_list_find(const struct account_list *l, struct str auth_index)
{
	size_t low = 0, high = l->n;

	while (low < high) {
		size_t middle = (low + high) / 2;
		const struct account *a = &l->accounts[middle];
		int c = str_cmp(auth_index, a->auth_index);

		if (c == 0)
			return a;
		if (c < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

/* ---- events -------------------------------------------------------------- */

bool
event_wants_account(const struct usage_event *ev)
{
	return ev->auth_index.n > 0 && (ev->account_snapshot.n == 0 ||
					   ev->auth_project_id_snapshot.n == 0);
}

static bool
fill(struct str *to, struct str from)
{
	if (to->n > 0 || from.n == 0)
		return false;
	*to = from;
	return true;
}

void
event_add_account(struct usage_event *ev, const struct account_list *l)
{
	const struct account *a;
	bool filled = false;

	if (!event_wants_account(ev) ||
	    (a = account_list_find(l, ev->auth_index)) == NULL)
		return;
	filled |= fill(&ev->account_snapshot, a->account);
	filled |= fill(&ev->auth_label_snapshot, a->label);
	filled |= fill(&ev->auth_file_snapshot, a->file);
	filled |= fill(&ev->auth_provider_snapshot, a->provider);
	filled |= fill(&ev->auth_project_id_snapshot, a->project);
	if (!filled)
		return;
	if (ev->auth_snapshot_at_ms == 0)
		ev->auth_snapshot_at_ms = l->at_ms;
	ev->service_tier = effective_tier(ev);
}
