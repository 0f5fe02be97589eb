/*
 * Configuration of a process: environment over config file over defaults,
 * contract/http-api.md section 17 with design.md section 4.  Read once at
 * start (and by collectord at SIGHUP) into one struct that nobody changes.
 */
#ifndef CFG_H
#define CFG_H

#include <stdbool.h>
#include <stdint.h>

#include "arena.h"
#include "crypt.h"
#include "err.h"

enum collector_mode { MODE_AUTO, MODE_HTTP, MODE_RESP, MODE_SUBSCRIBE };

struct cfg_switch { /* a policy switch and where it came from */
	bool value, from_env, from_file;
};

struct cfg {
	struct arena arena; /* owns the texts below */
	const char *file;   /* config file that was read, NULL: none */
	const char *data_dir, *db_path, *data_key_path, *lock_path, *spool_dir,
	    *import_dir;
	const char *cpa_url, *cpa_key; /* NULL: not given */
	const char *admin_key;         /* given by a person; NULL: generate */
	const char *data_key_text; /* given in place of the file; NULL: none */
	enum collector_mode mode;
	const char *queue;    /* "usage" */
	const char *pop_side; /* "left" or "right" */
	int64_t batch_size, poll_interval_ms, query_limit;
	bool tls_skip_verify;
	const char *
	    *cors_origins; /* NULL-terminated, empty: same origin only */
	const char *panel_path;
	struct cfg_switch quota_cooldown, account_actions, auto_disable;
	int64_t import_chunk_bytes, import_quota_bytes, import_max_sessions,
	    import_ttl_minutes;
	const char *metrics_key;   /* opens /metrics; NULL: none */
	bool metrics_loopback;     /* this machine may ask without */
	int64_t spool_limit_bytes; /* USAGE_SPOOL_LIMIT_BYTES, spoolLimitBytes:
				      1 GiB */
	int64_t retention_days;    /* of events, 0: for ever */
	int64_t dead_letter_days;  /* 0: age alone removes none */
};

/*
 * Read the configuration.  data_dir (from --data, may be NULL) wins over
 * everything.  ERR_INPUT names the variable or key and what is wrong with it,
 * also for a secret file that is named but cannot be read, and for an admin
 * key shorter than ADMIN_KEY_MIN.  On failure *c is empty.
 */
int cfg_load(
    struct cfg *c, const char *data_dir, struct err *e) ATTR_USE_RESULT;
void cfg_free(struct cfg *c); /* wipes the secrets */

const char *collector_mode_text(enum collector_mode m);
/* Trimmed, any case; anything unknown is auto. */
enum collector_mode collector_mode_parse(struct str s);

#endif
