/*
 * Response metadata: what is kept of an answer's headers, and what follows
 * from it.  contract/collector.md section 6.10.
 */
#ifndef MODEL_METADATA_H
#define MODEL_METADATA_H

#include "model/event.h"
#include "model/record.h"

/*
 * The column response_metadata_json of a payload whose time, provider,
 * executor and account stand in ev already; empty when there is none.  In a.
 */
struct str metadata_read(
    const struct record *r, const struct usage_event *ev, struct arena *a);

/* What readers of events want of the metadata; unset or "" when absent. */
struct header_columns {
	struct opt_i64 quota_recover_at_ms;
	bool has_quota_used_percent;
	double quota_used_percent;
	struct str quota_plan_type, error_kind, error_code, trace_id;
};

/*
 * The header_* columns out of response_metadata_json.  Texts are views of
 * json, or in a.  Anything that is no such JSON gives none.
 */
void event_header_columns(
    struct str json, struct arena *a, struct header_columns *out);

/* The same of JSON that was parsed already; NULL gives none. */
void header_columns_of(
    const struct json_tree *metadata, struct header_columns *out);

#endif
