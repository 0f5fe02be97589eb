/*
 * A usage event as it is stored: the outcome of normalising a payload of
 * CPA's queue.  Views point into the arena or the payload they came from.
 * Field meanings: contract/collector.md section 6.2.
 */
#ifndef MODEL_EVENT_H
#define MODEL_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "arena.h"
#include "crypt.h"
#include "err.h"
#include "str.h"

enum event_flag { /* bits of events.flags; never renumber */
	EVENT_FAILED = 1,
	EVENT_CACHE_SEPARATE = 2, /* cache_input_mode separate_from_input; else
				     included_in_input */
	EVENT_CACHE_MODE_EMPTY = 4, /* an imported event that carried no mode */
	EVENT_HASH_TEXT = 8 /* imported with a hash that is no SHA-256 */
};

struct opt_i64 {
	bool set;
	int64_t v;
};

struct usage_event {
	int64_t ts_ms;
	int32_t ts_ns; /* below the millisecond, 0..999999 */
	bool ts_given; /* false: the payload had none, ts is the time of arrival
			*/
	struct str
	    ts_text; /* UTC, as stored: "2026-04-25T00:00:00.123456789Z" */
	unsigned char hash[SHA256_BYTES];
	/* only imported events have these */
	bool ts_text_given;   /* ts_text is not what ts_ms and ts_ns give */
	bool hash_given;      /* hash is not that of the fields */
	bool undated;         /* came with a hash and no time */
	struct str hash_text; /* with EVENT_HASH_TEXT; hash is its digest */
	int64_t created_ms;   /* when it was stored; 0: now */

	struct str request_id;
	struct str model, requested_model, resolved_model;
	struct str provider, executor_type, endpoint, method, path, auth_type;

	struct str auth_index, source /* masked */;
	bool has_source_hash, has_api_key_hash;
	unsigned char source_hash[SHA256_BYTES], api_key_hash[SHA256_BYTES];
	struct str account_snapshot, auth_label_snapshot, auth_file_snapshot,
	    auth_provider_snapshot, auth_project_id_snapshot;
	int64_t auth_snapshot_at_ms; /* 0: none */

	struct str client_ip, x_forwarded_for, user_agent;
	struct str reasoning_effort, service_tier, request_service_tier,
	    response_service_tier;

	uint32_t flags; /* enum event_flag */
	int64_t input_tokens, output_tokens, reasoning_tokens, cached_tokens,
	    cache_tokens, cache_read_tokens, cache_creation_tokens,
	    total_tokens;
	struct opt_i64 latency_ms, ttft_ms, fail_status_code;

	struct str fail_summary;           /* redacted; only on failures */
	struct str response_metadata_json; /* "" : none */
};

/* Tokens as they count, derived from the raw columns (section 6.5). */
struct normalized_tokens {
	int64_t uncached_input, total_input, cache_read, cache_creation;
	int64_t compat_cached; /* of cache_read: what only the older counters
				  hold */
};
void event_normalized_tokens(
    const struct usage_event *ev, struct normalized_tokens *out);

/* The event hash of section 7, from the fields of ev, into ev->hash. */
void event_hash(struct usage_event *ev);

/* It as clients see it: 64 digits in hex, or the text that was imported. */
struct str event_hash_text(const struct usage_event *ev, char hex[65]);

/*
 * UTC text of a time as section 6.3 stores it: fraction without trailing
 * zeros, up to nine digits.  out holds 40 bytes; returns the length.
 */
size_t event_time_text(int64_t ts_ms, int32_t ts_ns, char out[40]);

/*
 * The model that analytics group by: a recognised "(high)"-like suffix cut
 * off (section 6.9).  A view into the argument.
 */
struct str analytics_model(struct str model);

#endif
