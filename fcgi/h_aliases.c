/*
 * /v0/management/api-key-aliases: names for the hashes of client keys
 * (contract/http-api.md section 11).
 */
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "fcgi/alias_name.h"
#include "fcgi/ctx.h"
#include "fcgi/request.h"
#include "fcgi/response.h"
#include "fcgi/routes.h"
#include "json_in.h"

#define ALIAS_CHARS 120
#define HASH_CHARS 64

struct alias {
	struct str hash;         /* lower case */
	struct str name, folded; /* as given; for comparing */
	int64_t updated_ms;
	bool removed;
};

struct alias_set {
	struct alias *list;
	size_t n;
};

/* ---- reading --------------------------------------------------------------
 */

static int
write_list(struct ctx *c, struct response *rs, struct err *e)
{
	struct db *db = ctx_db(c, e);
	sqlite3_stmt *st;
	struct json_out *o;
	int rc;

	if (db == NULL || (st = db_stmt(db, SQL_alias_list, e)) == NULL)
		return -1;
	o = response_json(rs, 200);
	json_out_object(o);
	json_out_key(o, "items");
	json_out_array(o);
	while ((rc = db_step(db, st, e)) == 1) {
		json_out_object(o);
		json_out_kstr(o, "apiKeyHash", db_col_str(st, 0));
		json_out_kstr(o, "alias", db_col_str(st, 1));
		json_out_kint(o, "updatedAtMs", db_col_i64(st, 2));
		json_out_object_end(o);
	}
	json_out_array_end(o);
	json_out_object_end(o);
	(void)json_out_done(o);
	return rc;
}

int
aliases_get(
    struct ctx *c, struct request *rq, struct response *rs, struct err *e)
{
	(void)rq;
	return write_list(c, rs, e);
}

/* ---- checking -------------------------------------------------------------
 */

/* A SHA-256 in hexadecimal, trimmed and lowered; empty when it is none. */
static struct str
clean_hash(struct str text, struct arena *a)
{
	unsigned char raw[HASH_CHARS / 2];
	char *hex;

	if (hex_decode(str_trim(text), raw, sizeof raw) != 0 ||
	    (hex = arena_alloc(a, HASH_CHARS + 1)) == NULL)
		return (struct str){ NULL, 0 };
	hex_encode(raw, sizeof raw, hex);
	return (struct str){ hex, HASH_CHARS };
}

static struct alias *
find_hash(const struct alias_set *set, struct str hash)
{
	for (size_t i = 0; i < set->n; i++)
		if (!set->list[i].removed && str_eq(set->list[i].hash, hash))
			return &set->list[i];
	return NULL;
}

static bool
has_hash(const struct str *list, size_t n, struct str hash)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(list[i], hash))
			return true;
	return false;
}

static int
read_item(const json_t *item, struct arena *a, struct alias *out, struct err *e)
{
	struct str hash = { NULL, 0 }, name = { NULL, 0 };
	int64_t updated_ms = 0;

	if (!json_is_object(item))
		return fail(e, ERR_INPUT, "items must hold objects");
	if (json_in_str(item, "apiKeyHash", "items.apiKeyHash", &hash, e) !=
		0 ||
	    json_in_str(item, "alias", "items.alias", &name, e) != 0 ||
	    json_in_i64(
		item, "updatedAtMs", "items.updatedAtMs", &updated_ms, e) != 0)
		return -1;
	out->hash = clean_hash(hash, a);
	out->name = str_trim(name);
	out->updated_ms = updated_ms > 0 ? updated_ms : clock_now_ms();
	if (out->hash.n == 0)
		return fail(e, ERR_INPUT, "valid apiKeyHash is required");
	if (out->name.n == 0)
		return fail(e, ERR_INPUT, "alias is required");
	if (memchr(out->name.p, '\0', out->name.n) != NULL)
		return fail(e, ERR_INPUT, "alias must not hold a NUL");
	if (alias_length(out->name) > ALIAS_CHARS)
		return fail(
		    e, ERR_INPUT, "alias must be 120 characters or less");
	out->folded = alias_fold(out->name, a);
	if (out->folded.p == NULL)
		return fail(e, ERR_TOO_LARGE, "too many items");
	return 0;
}

static int
read_items(
    const json_t *body, struct arena *a, struct alias_set *set, struct err *e)
{
	const json_t *items = json_in_get(body, "items");

	if (items == NULL)
		return fail_code(e, ERR_INPUT, "api_key_aliases_required",
		    "api key aliases are required");
	if (!json_is_array(items))
		return fail(e, ERR_INPUT, "items must be a list");
	set->n = json_array_size(items);
	set->list = arena_array(a, set->n, sizeof *set->list);
	if (set->list == NULL)
		return fail(e, ERR_TOO_LARGE, "too many items");
	for (size_t i = 0; i < set->n; i++)
		if (read_item(json_array_get(items, i), a, &set->list[i], e) !=
		    0)
			return -1;
	return 0;
}

static int
duplicate(struct err *e)
{
	return fail_code(e, ERR_INPUT, "api_key_alias_duplicate",
	    "api key alias already exists");
}

static int
by_name(const void *a, const void *b)
{
	const struct alias *const *x = a, *const *y = b;

	return str_cmp((*x)->folded, (*y)->folded);
}

/* The same name twice in one request, for different keys. */
static int
check_items(const struct alias_set *set, struct arena *a, struct err *e)
{
	const struct alias **sorted = arena_array(a, set->n, sizeof *sorted);

	if (sorted == NULL)
		return fail(e, ERR_TOO_LARGE, "too many items");
	for (size_t i = 0; i < set->n; i++)
		sorted[i] = &set->list[i];
	qsort(sorted, set->n, sizeof *sorted, by_name);
	for (size_t i = 1; i < set->n; i++)
		if (str_eq(sorted[i]->folded, sorted[i - 1]->folded) &&
		    !str_eq(sorted[i]->hash, sorted[i - 1]->hash))
			return duplicate(e);
	return 0;
}

/* ---- writing --------------------------------------------------------------
 */

static int
read_stored(
    struct db *db, struct arena *a, struct alias_set *set, struct err *e)
{
	sqlite3_stmt *st = db_stmt(db, SQL_alias_list, e);
	size_t size = 0;
	int rc;

	*set = (struct alias_set){ NULL, 0 };
	if (st == NULL)
		return -1;
	while ((rc = db_step(db, st, e)) == 1) {
		if (set->n == size) {
			struct alias *more;

			size = size == 0 ? 64 : size * 2;
			more = arena_array(a, size, sizeof *more);
			if (more == NULL) {
				db_reset(st);
				return fail(
				    e, ERR_TOO_LARGE, "too many aliases");
			}
			if (set->n > 0)
				memcpy(more, set->list, set->n * sizeof *more);
			set->list = more;
		}
		struct alias *at = &set->list[set->n++];
		struct str hash = db_col_str(st, 0), name = db_col_str(st, 1);

		at->hash = str_of(arena_strdup(a, hash));
		at->folded = alias_fold(name, a);
		if (at->hash.p == NULL || at->folded.p == NULL) {
			db_reset(st);
			return fail(e, ERR_TOO_LARGE, "too many aliases");
		}
	}
	return rc;
}

static int
put_alias(struct db *db, const struct alias *item, struct err *e)
{
	sqlite3_stmt *st = db_stmt(db, SQL_alias_put, e);

	if (st == NULL)
		return -1;
	db_bind_str(st, P_alias_put_hash, item->hash);
	db_bind_str(st, P_alias_put_alias, item->name);
	db_bind_i64(st, P_alias_put_updated_ms, item->updated_ms);
	return db_exec(db, st, e);
}

static int
delete_alias(struct db *db, struct str hash, struct err *e)
{
	sqlite3_stmt *st = db_stmt(db, SQL_alias_delete, e);

	if (st == NULL)
		return -1;
	db_bind_str(st, P_alias_delete_hash, hash);
	return db_exec(db, st, e);
}

struct alias_change {
	struct alias_set items;
	struct str *active; /* hashes that CPA knows just now */
	size_t n_active;
	bool active_given, allow_cleanup;
};

/*
 * Make way for one item: a stored row of the same name is in the way, unless
 * its key is being given another name in this very request, or is gone from
 * CPA and may be cleaned up.
 */
static int
make_way(struct ctx *c, const struct alias_change *change,
    struct alias_set *stored, const struct alias *item, struct err *e)
{
	for (size_t i = 0; i < stored->n; i++) {
		struct alias *old = &stored->list[i];

		if (old->removed || str_eq(old->hash, item->hash) ||
		    !str_eq(old->folded, item->folded) ||
		    find_hash(&change->items, old->hash) != NULL)
			continue;
		if (!change->active_given || !change->allow_cleanup ||
		    has_hash(change->active, change->n_active, old->hash))
			return duplicate(e);
		if (delete_alias(&c->db, old->hash, e) != 0)
			return -1;
		old->removed = true;
	}
	return put_alias(&c->db, item, e);
}

static int
store_change(struct ctx *c, const struct alias_change *change, struct err *e)
{
	struct alias_set stored;
	struct db *db = ctx_db(c, e);

	if (db == NULL || db_begin(db, e) != 0)
		return -1;
	if (read_stored(db, &c->arena, &stored, e) != 0)
		goto fail;
	for (size_t i = 0; i < change->items.n; i++)
		if (make_way(c, change, &stored, &change->items.list[i], e) !=
		    0)
			goto fail;
	return db_commit(db, e);
fail:
	db_rollback(db);
	return -1;
}

int
aliases_put(
    struct ctx *c, struct request *rq, struct response *rs, struct err *e)
{
	struct alias_change change = { .active = NULL };
	struct str *given = NULL;
	json_t *body;
	int rc = -1;

	if ((body = request_json(rq, e)) == NULL)
		return -1;
	if (read_items(body, &c->arena, &change.items, e) != 0 ||
	    json_in_strings(body, "activeApiKeyHashes", "activeApiKeyHashes",
		&c->arena, &given, &change.n_active, &change.active_given,
		e) != 0 ||
	    json_in_bool(body, "allowOrphanAliasCleanup",
		"allowOrphanAliasCleanup", &change.allow_cleanup, e) != 0 ||
	    check_items(&change.items, &c->arena, e) != 0)
		goto out;
	change.active_given = change.n_active > 0;
	change.active = given;
	for (size_t i = 0; i < change.n_active; i++)
		given[i] = clean_hash(given[i], &c->arena);
	if (change.items.n > 0 && store_change(c, &change, e) != 0)
		goto out;
	rc = write_list(c, rs, e);
out:
	json_decref(body);
	return rc;
}

int
alias_delete(
    struct ctx *c, struct request *rq, struct response *rs, struct err *e)
{
	struct str hash = clean_hash(rq->arg[0], &c->arena);
	struct json_out *o;
	struct db *db;

	if (hash.n == 0)
		return fail(e, ERR_INPUT, "valid apiKeyHash is required");
	if ((db = ctx_db(c, e)) == NULL || delete_alias(db, hash, e) != 0)
		return -1;
	o = response_json(rs, 200);
	json_out_object(o);
	json_out_kbool(o, "ok", true);
	json_out_object_end(o);
	(void)json_out_done(o);
	return 0;
}
