#include "intern.h"

#include <stdlib.h>
#include <string.h>

#include "crypt.h"

#define SLOTS ((size_t)32768)   /* a power of two */
#define ENTRIES_MAX (SLOTS / 2) /* then the cache starts anew */
#define TEXT_MAX_BYTES ((size_t)2 * 1024 * 1024) /* of all entries together */
#define KIND_IDENTITY 0                          /* beside enum dict_kind */
#define DIGEST_BYTES 16

struct entry {
	char *value;
	size_t n;
	uint32_t hash;
	int32_t kind;
	int64_t id; /* 0: free slot */
};

struct intern {
	struct entry slots[SLOTS];
	size_t entries, text_bytes;
};

struct intern *
intern_new(void)
{
	return calloc(1, sizeof(struct intern));
}

void
intern_clear(struct intern *in)
{
	for (size_t i = 0; i < SLOTS; i++) {
		free(in->slots[i].value);
		in->slots[i] = (struct entry){ .id = 0 };
	}
	in->entries = in->text_bytes = 0;
}

void
intern_free(struct intern *in)
{
	if (in == NULL)
		return;
	intern_clear(in);
	free(in);
}

/* FNV-1a; entries come from the daemon's own dictionary, so it suffices. */
static uint32_t
hash_of(int32_t kind, struct str s)
{
	uint32_t h = 2166136261u ^ (uint32_t)kind;

	for (size_t i = 0; i < s.n; i++)
		h = (h ^ (unsigned char)s.p[i]) * 16777619u;
	return h;
}

/* The slot of a value: its own, or the free one where it would go. */
static struct entry *
find(struct intern *in, int32_t kind, struct str s, uint32_t h)
{
	for (size_t i = h & (SLOTS - 1);; i = (i + 1) & (SLOTS - 1)) {
		struct entry *at = &in->slots[i];

		if (at->id == 0 ||
		    (at->hash == h && at->kind == kind && at->n == s.n &&
			memcmp(at->value, s.p, s.n) == 0))
			return at;
	}
}

/* Remember an id; without memory the next time asks the database again. */
static void
remember(struct intern *in, int32_t kind, struct str s, uint32_t h, int64_t id)
{
	struct entry *at;
	char *copy;

	if (s.n > TEXT_MAX_BYTES / 16)
		return;
	if (in->entries == ENTRIES_MAX || in->text_bytes + s.n > TEXT_MAX_BYTES)
		intern_clear(in);
	if ((copy = malloc(s.n)) == NULL)
		return;
	memcpy(copy, s.p, s.n);
	at = find(in, kind, s, h);
	*at = (struct entry){
		.value = copy, .n = s.n, .hash = h, .kind = kind, .id = id
	};
	in->entries++;
	in->text_bytes += s.n;
}

static void
bind_value(sqlite3_stmt *st, int at, enum dict_kind kind, struct str value)
{
	if (kind == DICT_API_KEY)
		db_bind_blob(st, at, value.p, value.n);
	else
		db_bind_str(st, at, value);
}

/* The one number that a lookup or an INSERT ... RETURNING gives; 0: no row. */
static int
one_id(struct db *db, sqlite3_stmt *st, int64_t *id, struct err *e)
{
	int rc = db_step(db, st, e);

	*id = 0;
	if (rc <= 0)
		return rc;
	*id = db_col_i64(st, 0);
	/* RETURNING has done its work only when the statement has ended */
	return db_exec(db, st, e);
}

int
intern_text(struct intern *in, struct db *db, enum dict_kind kind,
    struct str value, int64_t *id, struct err *e)
{
	uint32_t h = hash_of((int32_t)kind, value);
	struct entry *at;
	sqlite3_stmt *st;

	*id = 0;
	if (value.n == 0)
		return 0;
	at = find(in, (int32_t)kind, value, h);
	if (at->id != 0) {
		*id = at->id;
		return 0;
	}
	if ((st = db_stmt(db, SQL_dict_get, e)) == NULL)
		return -1;
	db_bind_i64(st, P_dict_get_kind, kind);
	bind_value(st, P_dict_get_value, kind, value);
	if (one_id(db, st, id, e) != 0)
		return -1;
	if (*id == 0) {
		if ((st = db_stmt(db, SQL_dict_add, e)) == NULL)
			return -1;
		db_bind_i64(st, P_dict_add_kind, kind);
		bind_value(st, P_dict_add_value, kind, value);
		if (one_id(db, st, id, e) != 0)
			return -1;
	}
	remember(in, (int32_t)kind, value, h, *id);
	return 0;
}

/* Fields in a fixed order, each with its length, so that none runs into the
 * next. */
static void
identity_digest(const struct usage_event *ev, struct str hash,
    unsigned char out[SHA256_BYTES])
{
	const struct str fields[] = {
		ev->auth_index,
		ev->source,
		hash,
		ev->account_snapshot,
		ev->auth_label_snapshot,
		ev->auth_file_snapshot,
		ev->auth_provider_snapshot,
		ev->auth_project_id_snapshot,
	};
	unsigned char each[sizeof fields / sizeof *fields][SHA256_BYTES];

	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
		sha256(fields[i].p, fields[i].n, each[i]);
	sha256(each, sizeof each, out);
}

static int
identity_add(struct db *db, const struct usage_event *ev, struct str hash,
    const unsigned char *digest, int64_t *id, struct err *e)
{
	sqlite3_stmt *st = db_stmt(db, SQL_identity_add, e);

	if (st == NULL)
		return -1;
	db_bind_blob(st, P_identity_add_digest, digest, DIGEST_BYTES);
	db_bind_str(st, P_identity_add_auth_index, ev->auth_index);
	db_bind_str(st, P_identity_add_source, ev->source);
	if (hash.n > 0)
		db_bind_blob(st, P_identity_add_source_hash, hash.p, hash.n);
	db_bind_str(st, P_identity_add_account, ev->account_snapshot);
	db_bind_str(st, P_identity_add_label, ev->auth_label_snapshot);
	db_bind_str(st, P_identity_add_file, ev->auth_file_snapshot);
	db_bind_str(st, P_identity_add_provider, ev->auth_provider_snapshot);
	db_bind_str(st, P_identity_add_project, ev->auth_project_id_snapshot);
	return one_id(db, st, id, e);
}

int
intern_identity(struct intern *in, struct db *db, const struct usage_event *ev,
    int64_t *id, struct err *e)
{
	unsigned char digest[SHA256_BYTES];
	struct str hash = { NULL, 0 }, key;
	struct entry *at;
	sqlite3_stmt *st;
	uint32_t h;

	if (ev->has_source_hash)
		hash =
		    (struct str){ (const char *)ev->source_hash, SHA256_BYTES };
	identity_digest(ev, hash, digest);
	key = (struct str){ (const char *)digest, DIGEST_BYTES };
	h = hash_of(KIND_IDENTITY, key);
	at = find(in, KIND_IDENTITY, key, h);
	if (at->id != 0) {
		*id = at->id;
		return 0;
	}
	if ((st = db_stmt(db, SQL_identity_get, e)) == NULL)
		return -1;
	db_bind_blob(st, P_identity_get_digest, digest, DIGEST_BYTES);
	if (one_id(db, st, id, e) != 0 ||
	    (*id == 0 && identity_add(db, ev, hash, digest, id, e) != 0))
		return -1;
	remember(in, KIND_IDENTITY, key, h, *id);
	return 0;
}
