/*
 * Every setting is one line of the table below: the variable, the key in
 * config.json, how its text is read, where it goes, what it is when nobody
 * says anything.  What depends on other settings -- paths -- is worked out
 * afterwards, in lib/cfg_paths.c.
 */
#include "cfg.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cfg_impl.h"
#include "json_in.h"

#define SYSTEM_FILE "/etc/cpa-manager/config.json"
#define SECRETS_DIR "/run/secrets"
#define FILE_MAX_BYTES (1024 * 1024)
#define SECRET_MAX_BYTES (64 * 1024)
#define ARENA_MAX_BYTES (4 * 1024 * 1024)

enum kind {
	TEXT,   /* const char *, trimmed; fallback.text */
	PATH,   /* const char *; in the file relative to it */
	INT,    /* int64_t above 0; fallback.number */
	DAYS,   /* the same, or 0 for no limit */
	BOOL,   /* bool, false */
	SWITCH, /* struct cfg_switch, false */
	MODE,   /* enum collector_mode, auto */
	SIDE,   /* const char *: "left" or else "right" */
	LIST,   /* const char **: comma list, in the file a JSON list */
	SECRET  /* const char *, from a file; fallback.text: its default name */
};

struct setting {
	const char *env, *key; /* key NULL: not in the file */
	enum kind kind;
	size_t at; /* offset in struct cfg */
	union {
		const char *text;
		int64_t number;
	} fallback;
};

#define AT(field) offsetof(struct cfg, field)

static const struct setting settings[] = {
	{ "USAGE_DATA_DIR", "dataDir", PATH, AT(data_dir), { NULL } },
	{ "USAGE_DB_PATH", "dbPath", PATH, AT(db_path), { NULL } },
	{ "CPA_MANAGER_DATA_KEY_PATH", "dataKeyPath", PATH, AT(data_key_path),
	    { NULL } },
	{ "PANEL_PATH", "panelPath", PATH, AT(panel_path), { NULL } },
	{ "CPA_UPSTREAM_URL", "cpaUpstreamUrl", TEXT, AT(cpa_url), { NULL } },
	{ "CPA_MANAGEMENT_KEY", "managementKeyFile", SECRET, AT(cpa_key),
	    { "cpa_management_key" } },
	{ "CPA_MANAGER_ADMIN_KEY", "adminKeyFile", SECRET, AT(admin_key),
	    { "cpa_admin_key" } },
	{ "CPA_MANAGER_DATA_KEY", "dataKeyFile", SECRET, AT(data_key_text),
	    { "cpa_data_key" } },
	{ "CPA_MANAGER_METRICS_KEY", "metricsKeyFile", SECRET, AT(metrics_key),
	    { "cpa_metrics_key" } },
	{ "CPA_MANAGER_METRICS_LOOPBACK", "metricsLoopback", BOOL,
	    AT(metrics_loopback), { NULL } },
	{ "USAGE_COLLECTOR_MODE", "collectorMode", MODE, AT(mode), { NULL } },
	{ "USAGE_RESP_QUEUE", "queue", TEXT, AT(queue), { "usage" } },
	{ "USAGE_RESP_POP_SIDE", "popSide", SIDE, AT(pop_side), { NULL } },
	{ "USAGE_RESP_TLS_SKIP_VERIFY", "tlsSkipVerify", BOOL,
	    AT(tls_skip_verify), { NULL } },
	{ "USAGE_BATCH_SIZE", "batchSize", INT, AT(batch_size),
	    { .number = 100 } },
	{ "USAGE_POLL_INTERVAL_MS", "pollIntervalMs", INT, AT(poll_interval_ms),
	    { .number = 500 } },
	{ "USAGE_QUERY_LIMIT", "queryLimit", INT, AT(query_limit),
	    { .number = 50000 } },
	{ "USAGE_CORS_ORIGINS", "corsOrigins", LIST, AT(cors_origins),
	    { NULL } },
	{ "USAGE_QUOTA_COOLDOWN_ENABLED", "quotaCooldownEnabled", SWITCH,
	    AT(quota_cooldown), { NULL } },
	{ "USAGE_ACCOUNT_ACTIONS_ENABLED", "accountActionsEnabled", SWITCH,
	    AT(account_actions), { NULL } },
	{ "USAGE_ACCOUNT_ACTIONS_AUTO_DISABLE", "accountActionsAutoDisable",
	    SWITCH, AT(auto_disable), { NULL } },
	{ "USAGE_IMPORT_CHUNK_BYTES", "usageImportChunkBytes", INT,
	    AT(import_chunk_bytes), { .number = 4194304 } },
	{ "USAGE_IMPORT_DISK_QUOTA_BYTES", "usageImportDiskQuotaBytes", INT,
	    AT(import_quota_bytes), { .number = 17179869184 } },
	{ "USAGE_IMPORT_MAX_SESSIONS", "usageImportMaxSessions", INT,
	    AT(import_max_sessions), { .number = 2 } },
	{ "USAGE_IMPORT_SESSION_TTL_MINUTES", "usageImportSessionTTLMinutes",
	    INT, AT(import_ttl_minutes), { .number = 1440 } },
	{ "USAGE_SPOOL_LIMIT_BYTES", "spoolLimitBytes", INT,
	    AT(spool_limit_bytes), { .number = 1073741824 } },
	{ "USAGE_RETENTION_DAYS", "retentionDays", DAYS, AT(retention_days),
	    { .number = 0 } },
	{ "USAGE_DEAD_LETTER_DAYS", "deadLetterDays", DAYS,
	    AT(dead_letter_days), { .number = 30 } },
};

static const char *const mode_names[] = {
	[MODE_AUTO] = "auto",
	[MODE_HTTP] = "http",
	[MODE_RESP] = "resp",
	[MODE_SUBSCRIBE] = "subscribe",
};

/* What one loading needs to know. */
struct loading {
	struct cfg *c;
	const struct cfg_places *places;
	json_t *file; /* parsed config.json, or NULL */
};

const char *
collector_mode_text(enum collector_mode m)
{
	return mode_names[m];
}

enum collector_mode
collector_mode_parse(struct str s)
{
	s = str_trim(s);
	for (size_t i = 0; i < sizeof mode_names / sizeof *mode_names; i++)
		if (str_eq_nocase(s, str_of(mode_names[i])))
			return (enum collector_mode)i;
	return MODE_AUTO;
}

/* ---- small pieces -------------------------------------------------------- */

/* Copy a text into the configuration; a NUL inside it is refused. */
static const char *
keep(struct loading *l, const char *name, struct str s, struct err *e)
{
	char *copy;

	if (memchr(s.p, '\0', s.n) != NULL) {
		fail(e, ERR_INPUT, "%s: contains a NUL byte", name);
		return NULL;
	}
	if ((copy = arena_strdup(&l->c->arena, s)) == NULL)
		cfg_no_memory(e);
	return copy;
}

static bool
is_yes(struct str s)
{
	return str_eq(s, STR("1")) || str_eq_nocase(s, STR("true")) ||
	       str_eq_nocase(s, STR("yes")) || str_eq_nocase(s, STR("on"));
}

/* ---- the file ------------------------------------------------------------ */

/*
 * Find and parse config.json.  A file that is named must exist; the others
 * are taken when they do.
 */
static int
load_file(struct loading *l, struct err *e)
{
	struct str named = cfg_env(l->places, "CPA_MANAGER_CONFIG");
	const char *candidates[] = { l->places->system_file,
		l->places->beside_file };
	const char *path = NULL;
	struct buf text;
	int rc = 0;

	buf_init(&text, 0);
	if (named.n > 0) {
		path = keep(l, "CPA_MANAGER_CONFIG", named, e);
		if (path == NULL)
			return -1;
		rc = cfg_read_file(path, FILE_MAX_BYTES, &text, e);
		if (rc == 0)
			rc = fail(e, ERR_INPUT, "%s: %s", path,
			    strerrordesc_np(ENOENT));
		if (rc < 0)
			fail_prefix(e, "CPA_MANAGER_CONFIG");
	}
	for (size_t i = 0; path == NULL && i < 2; i++) {
		if (candidates[i] == NULL)
			continue;
		rc = cfg_read_file(candidates[i], FILE_MAX_BYTES, &text, e);
		if (rc != 0)
			path = candidates[i];
	}
	if (rc > 0) {
		l->c->file = arena_strdup(&l->c->arena, str_of(path));
		l->file = json_in_parse(buf_view(&text), true, e);
		if (l->c->file == NULL)
			rc = cfg_no_memory(e);
		else if (l->file == NULL)
			rc = fail_prefix(e, "%s", path);
		else if (!json_is_object(l->file))
			rc = fail(
			    e, ERR_INPUT, "%s: must be a JSON object", path);
	}
	buf_free(&text);
	return rc < 0 ? -1 : 0;
}

/* ---- one setting --------------------------------------------------------- */

static void *
field(const struct loading *l, const struct setting *s)
{
	return (char *)l->c + s->at;
}

static int
set_list(struct loading *l, const struct setting *s, const struct str *items,
    size_t n, struct err *e)
{
	const char **list = arena_array(&l->c->arena, n + 1, sizeof *list);
	size_t used = 0;

	if (list == NULL)
		return cfg_no_memory(e);
	for (size_t i = 0; i < n; i++) {
		struct str item = str_trim(items[i]);

		if (item.n == 0)
			continue;
		if ((list[used++] = keep(l, s->env, item, e)) == NULL)
			return -1;
	}
	list[used] = NULL;
	*(const char ***)field(l, s) = list;
	return 0;
}

static int
set_comma_list(
    struct loading *l, const struct setting *s, struct str text, struct err *e)
{
	struct str *items;
	size_t n = 0, most = 1;

	for (size_t i = 0; i < text.n; i++)
		most += text.p[i] == ',';
	items = arena_array(&l->c->arena, most, sizeof *items);
	if (items == NULL)
		return cfg_no_memory(e);
	for (;;) {
		const char *comma = memchr(text.p, ',', text.n);
		size_t k = comma == NULL ? text.n : (size_t)(comma - text.p);

		items[n++] = (struct str){ text.p, k };
		if (comma == NULL)
			break;
		text.p += k + 1;
		text.n -= k + 1;
	}
	return set_list(l, s, items, n, e);
}

static int64_t
least(const struct setting *s)
{
	return s->kind == INT;
}

static const char *
range_text(const struct setting *s)
{
	return s->kind == INT ? "above 0" : "from 0 on";
}

/* Store a text that was found, trimmed and not blank, under `name`. */
static int
set_text(struct loading *l, const struct setting *s, const char *name,
    struct str text, struct err *e)
{
	const char *copy;

	switch (s->kind) {
	case INT:
	case DAYS: {
		int64_t *number = field(l, s);

		if (str_i64(text, number) != 0 || *number < least(s))
			return fail(e, ERR_INPUT,
			    "%s: \"%.*s\" is not a whole number %s", name,
			    text.n < 40 ? (int)text.n : 40, text.p,
			    range_text(s));
		return 0;
	}
	case BOOL:
		*(bool *)field(l, s) = is_yes(text);
		return 0;
	case SWITCH:
		*(struct cfg_switch *)field(l, s) =
		    (struct cfg_switch){ .value = is_yes(text),
			    .from_env = true };
		return 0;
	case MODE:
		*(enum collector_mode *)field(l, s) =
		    collector_mode_parse(text);
		return 0;
	case SIDE:
		*(const char **)field(l, s) =
		    str_eq_nocase(text, STR("left")) ? "left" : "right";
		return 0;
	case LIST:
		return set_comma_list(l, s, text, e);
	case TEXT:
	case PATH:
	case SECRET:
		break;
	}
	if ((copy = keep(l, name, text, e)) == NULL)
		return -1;
	*(const char **)field(l, s) = copy;
	return 0;
}

static void
set_default(struct loading *l, const struct setting *s)
{
	if (s->kind == TEXT)
		*(const char **)field(l, s) = s->fallback.text;
	else if (s->kind == INT || s->kind == DAYS)
		*(int64_t *)field(l, s) = s->fallback.number;
	else if (s->kind == SIDE)
		*(const char **)field(l, s) = "right";
	/* the others are zero, as the struct begins */
}

/*
 * Set from config.json.  Returns 1 when the key was there with a value that
 * is not blank, 0 when not, -1 with *e.
 */
static int
set_from_file(struct loading *l, const struct setting *s, struct err *e)
{
	const json_t *v = json_in_get(l->file, s->key);
	struct str text = { NULL, 0 }, *items = NULL;
	struct cfg_switch *sw;
	bool present;
	size_t n = 0;

	if (v == NULL)
		return 0;
	switch (s->kind) {
	case INT:
	case DAYS: {
		int64_t *number = field(l, s);

		if (json_in_i64(l->file, s->key, s->key, number, e) != 0)
			return -1;
		if (*number < least(s))
			return fail(e, ERR_INPUT,
			    "%s: must be a whole number %s", s->key,
			    range_text(s));
		return 1;
	}
	case BOOL:
		if (json_in_bool(l->file, s->key, s->key, field(l, s), e) != 0)
			return -1;
		return 1;
	case SWITCH:
		sw = field(l, s);
		sw->from_file = true;
		if (json_in_bool(l->file, s->key, s->key, &sw->value, e) != 0)
			return -1;
		return 1;
	case LIST:
		if (json_in_strings(l->file, s->key, s->key, &l->c->arena,
			&items, &n, &present, e) != 0 ||
		    set_list(l, s, items, n, e) != 0)
			return -1;
		return 1;
	case TEXT:
	case PATH:
	case MODE:
	case SIDE:
	case SECRET:
		break;
	}
	if (json_in_str(l->file, s->key, s->key, &text, e) != 0)
		return -1;
	text = str_trim(text);
	if (text.n == 0)
		return 0;
	if (set_text(l, s, s->key, text, e) != 0)
		return -1;
	if ((s->kind == PATH || s->kind == SECRET) && text.p[0] != '/') {
		const char **path = field(l, s);
		const char *dir = cfg_directory_of(&l->c->arena, l->c->file);

		*path = dir == NULL ? NULL : cfg_join(&l->c->arena, dir, *path);
		if (*path == NULL)
			return cfg_no_memory(e);
	}
	return 1;
}

/*
 * Read a secret from a file into its field.  Returns 1, 0 when the file does
 * not exist or is blank, or -1 with *e.
 */
static int
read_secret(
    struct loading *l, const struct setting *s, const char *path, struct err *e)
{
	struct buf text;
	struct str value;
	int rc;

	rc = cfg_read_file(path, SECRET_MAX_BYTES, &text, e);
	value = str_trim(buf_view(&text));
	if (rc > 0 && value.n == 0)
		rc = 0;
	if (rc > 0 && set_text(l, s, path, value, e) != 0)
		rc = -1;
	buf_wipe(&text);
	return rc;
}

/* A file that was named must hold something. */
static int
read_named_secret(struct loading *l, const struct setting *s,
    const char *named_by, const char *path, struct err *e)
{
	int rc = read_secret(l, s, path, e);

	if (rc == 0)
		rc = fail(e, ERR_INPUT, "%s: does not exist or is empty", path);
	if (rc < 0)
		return fail_prefix(e, "%s", named_by);
	return rc;
}

static int
load_secret(struct loading *l, const struct setting *s, struct err *e)
{
	struct arena *a = &l->c->arena;
	struct str text = cfg_env(l->places, s->env), dir;
	const char **value = field(l, s), *named, *path;
	char variable[64];
	int rc;

	if (text.n > 0)
		return set_text(l, s, s->env, text, e);

	snprintf(variable, sizeof variable, "%s_FILE", s->env);
	text = cfg_env(l->places, variable);
	if (text.n > 0) {
		if ((path = keep(l, variable, text, e)) == NULL)
			return -1;
		return read_named_secret(l, s, variable, path, e) < 0 ? -1 : 0;
	}

	/* the key gives a path, which only passes through the field */
	rc = set_from_file(l, s, e);
	named = *value;
	*value = NULL;
	if (rc < 0)
		return fail_prefix(e, "%s", l->c->file);
	if (rc > 0)
		return read_named_secret(l, s, s->key, named, e) < 0 ? -1 : 0;

	dir = cfg_env(l->places, "CREDENTIALS_DIRECTORY");
	if (dir.n > 0) {
		path =
		    arena_printf(a, "%.*s/%s", STR_ARG(dir), s->fallback.text);
		if (path == NULL)
			return cfg_no_memory(e);
		if ((rc = read_secret(l, s, path, e)) != 0)
			return rc < 0 ? -1 : 0;
	}
	path = cfg_join(a, l->places->secrets_dir, s->fallback.text);
	if (path == NULL)
		return cfg_no_memory(e);
	return read_secret(l, s, path, e) < 0 ? -1 : 0;
}

static int
load_setting(struct loading *l, const struct setting *s, struct err *e)
{
	struct str text;
	int rc;

	if (s->kind == SECRET)
		return load_secret(l, s, e);
	text = cfg_env(l->places, s->env);
	if (text.n > 0)
		return set_text(l, s, s->env, text, e);
	if ((rc = set_from_file(l, s, e)) != 0)
		return rc < 0 ? fail_prefix(e, "%s", l->c->file) : 0;
	set_default(l, s);
	return 0;
}

/* ---- what depends on something else ---------------------------------------
 */

static int
check_admin_key(const struct cfg *c, struct err *e)
{
	size_t characters = utf8_length(str_of(c->admin_key));

	if (c->admin_key == NULL)
		return 0;
	if (characters < ADMIN_KEY_MIN)
		return fail(e, ERR_INPUT,
		    "CPA_MANAGER_ADMIN_KEY (or its file): has %zu characters, "
		    "needs at least %d",
		    characters, ADMIN_KEY_MIN);
	return 0;
}

int
cfg_load_from(struct cfg *c, const struct cfg_places *places,
    const char *data_dir, struct err *e)
{
	static const char *none[] = { NULL };
	struct loading l = { .c = c, .places = places };
	int rc = -1;

	*c = (struct cfg){ .cors_origins = none };
	arena_init(&c->arena, ARENA_MAX_BYTES);
	if (load_file(&l, e) != 0)
		goto out;
	for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
		if (load_setting(&l, &settings[i], e) != 0)
			goto out;
	if (cfg_settle_paths(c, places, data_dir, e) != 0 ||
	    check_admin_key(c, e) != 0)
		goto out;
	rc = 0;
out:
	json_decref(l.file);
	if (rc != 0)
		cfg_free(c);
	return rc;
}

static const char *
process_env(const char *name)
{
	return getenv(name);
}

int
cfg_load(struct cfg *c, const char *data_dir, struct err *e)
{
	static const char name[] = "config.json";
	struct cfg_places places = { .env = process_env,
		.system_file = SYSTEM_FILE,
		.secrets_dir = SECRETS_DIR };
	char beside[PATH_MAX + sizeof name];
	ssize_t n = readlink("/proc/self/exe", beside, PATH_MAX);

	while (n > 0 && beside[n - 1] != '/')
		n--;
	if (n > 0) {
		memcpy(beside + n, name, sizeof name);
		places.beside_file = beside;
	}
	return cfg_load_from(c, &places, data_dir, e);
}

static void
wipe(const char *secret)
{
	/* ours to change: it lies in the arena */
	if (secret != NULL)
		explicit_bzero((void *)(uintptr_t)secret, strlen(secret));
}

void
cfg_free(struct cfg *c)
{
	wipe(c->cpa_key);
	wipe(c->admin_key);
	wipe(c->data_key_text);
	arena_free(&c->arena);
	*c = (struct cfg){ .file = NULL };
}
