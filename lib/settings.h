/*
 * The stored configuration of the manager (setting manager_config_v1, and
 * the older row `setup`) and its merge with the environment:
 * contract/http-api.md sections 7, 8 and 18.3.
 */
#ifndef SETTINGS_H
#define SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "arena.h"
#include "cfg.h"
#include "crypt.h"
#include "db.h"
#include "err.h"
#include "json_in.h"
#include "json_out.h"

/* What stands in answers in place of CPA's key; accepted back as "keep". */
#define KEY_MASK "********"

enum config_source { SOURCE_NONE, SOURCE_DB, SOURCE_ENV };

struct inspection_config { /* section 8.2, codexInspection */
	bool enabled;
	const char *schedule_mode; /* "interval" or "time_points" */
	const char *
	    *time_points; /* NULL-terminated, "HH:MM" sorted; NULL: none */
	int64_t interval_minutes;
	const char *time_zone; /* "" : none */
	bool has_target_types, target_codex, target_xai;
	const char *target_type;
	int64_t workers, delete_workers, timeout_ms, retries, sample_size;
	const char *user_agent, *xai_user_agent, *xai_model, *xai_prompt;
	bool xai_inference_enabled, auto_recover_enabled;
	double used_percent_threshold;
	const char *auto_action_mode;
};

struct manager_config {
	const char *cpa_url; /* normalised, "" : none */
	const char *cpa_key; /* in clear, "" : none; wiped by settings_wipe() */
	bool collector_enabled;
	enum collector_mode mode;
	const char *queue, *pop_side;
	int64_t batch_size, poll_interval_ms, query_limit;
	bool tls_skip_verify;
	struct inspection_config inspection;
	enum config_source source;
	int64_t updated_ms;
};

/*
 * Resolve the configuration (section 8.1): defaults, stored row, legacy row,
 * environment.  Texts live in a.  A sealed key that cannot be opened fails
 * with ERR_UNAVAILABLE unless the environment gives the connection.
 * db may be NULL, as long as there is no database: only what the environment
 * gives counts then.
 */
int settings_load(struct db *db, const struct cfg *c, const struct data_key *k,
    struct arena *a, struct manager_config *out, struct err *e) ATTR_USE_RESULT;

/*
 * The same without the stored key, for when it cannot be opened any more and
 * is about to be replaced: cpa_key is "" unless the environment gives it.
 */
int settings_load_unsealed(struct db *db, const struct cfg *c, struct arena *a,
    struct manager_config *out, struct err *e) ATTR_USE_RESULT;

/* True when there is a CPA to talk to: URL and key both known. */
bool settings_connected(const struct manager_config *m);

/*
 * Merge a submitted config object over base (section 8.3) into *out, which
 * shares texts with both.  ERR_INPUT for wrong types and for what section 8.5
 * step 1 refuses, naming the field.  A key equal to KEY_MASK, or none, keeps
 * base's key while the URL's host stays the same; a changed host without a
 * typed key is ERR_INPUT.  A typed key without a URL keeps base's URL.
 */
int settings_merge(const json_t *submitted, const struct manager_config *base,
    struct arena *a, struct manager_config *out, struct err *e) ATTR_USE_RESULT;

/*
 * Store manager_config_v1, and with a connection also `setup`, and with
 * `initialized` the bootstrap state, in one transaction; keys are sealed.
 * A connection of the environment (source SOURCE_ENV) is not stored: the
 * rows keep the one that they have.
 */
int settings_save(struct db *db, const struct data_key *k,
    const struct manager_config *m, bool initialized,
    struct err *e) ATTR_USE_RESULT;

/* The config object of section 8.2, the key as KEY_MASK. */
void settings_json(struct json_out *o, const struct manager_config *m);

/*
 * One row of settings: value copied into a, or ERR_MISSING.  put replaces it,
 * in the caller's transaction if there is one.
 */
int setting_get(struct db *db, const char *key, struct arena *a,
    struct str *value, struct err *e) ATTR_USE_RESULT;
int setting_put(struct db *db, const char *key, struct str value,
    struct err *e) ATTR_USE_RESULT;

/* Base URL as section 16.1 normalises it, in a; NULL when out of memory. */
const char *cpa_url_normalise(struct arena *a, struct str url);
/* True when both have the same scheme, host and port. */
bool cpa_url_same_host(struct str a, struct str b);

/* Overwrite the key in memory. */
void settings_wipe(struct manager_config *m);

#endif
