/*
 * /v0/management/api-key-aliases: names for the hashes of client keys
 * (contract/http-api.md section 11).
 */
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "clock.h"
#include "fcgi/ctx.h"
#include "fcgi/request.h"
#include "fcgi/response.h"
#include "fcgi/routes.h"
#include "json_in.h"

#define ALIAS_CHARS 120
#define HASH_CHARS 64

struct alias {
	struct str hash; /* lower case */
	struct str name;
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

static size_t
characters(struct str s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += (s.p[i] & 0xc0) != 0x80;
	return n;
}

/* Equal when case does not count, in any script. */
static bool
same_name(struct str a, struct str b, struct arena *arena)
{
	PCRE2_SIZE at;
	const char *pattern;
	pcre2_match_data *match;
	pcre2_code *code;
	int rc = -1, number;

	if (str_eq_nocase(a, b))
		return true;
	/* only other scripts need more than ASCII's rule */
	if (characters(a) == a.n && characters(b) == b.n)
		return false;
	pattern = arena_printf(arena, "\\A\\Q%.*s\\E\\z", STR_ARG(a));
	if (pattern == NULL || str_contains(a, STR("\\E")))
		return false;
	code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED,
	    PCRE2_UTF | PCRE2_CASELESS, &number, &at, NULL);
	match = code == NULL ? NULL :
			       pcre2_match_data_create_from_pattern(code, NULL);
	if (match != NULL)
		rc = pcre2_match(code, (PCRE2_SPTR)b.p, b.n, 0, 0, match, NULL);
	pcre2_match_data_free(match);
	pcre2_code_free(code);
	return rc > 0;
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
	if (characters(out->name) > ALIAS_CHARS)
		return fail(
		    e, ERR_INPUT, "alias must be 120 characters or less");
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

/* The same name twice in one request, for different keys. */
static int
check_items(const struct alias_set *set, struct arena *a, struct err *e)
{
	for (size_t i = 0; i < set->n; i++)
		for (size_t j = i + 1; j < set->n; j++)
			if (!str_eq(set->list[i].hash, set->list[j].hash) &&
			    same_name(set->list[i].name, set->list[j].name, a))
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
		at->name = str_of(arena_strdup(a, name));
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
		    !same_name(old->name, item->name, &c->arena) ||
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

	if ((body = json_in_parse(rq->body, false, e)) == NULL)
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
