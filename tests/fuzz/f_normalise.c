/*
 * Payloads of CPA's queue: whatever they hold, an event that comes of one
 * has valid texts, no secret-looking summary, and the same hash again.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/metadata.h"
#include "model/normalise.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str item = { (const char *)data, size }, kept;
	struct usage_event ev, again;
	struct normalized_tokens t;
	struct header_columns h;
	struct arena a;
	struct err e;

	arena_init(&a, 16 * 1024 * 1024);
	kept = redact_payload(item, 4096, &a);
	if (kept.n > 4096 || !utf8_valid(kept))
		abort();
	if (normalise(item, 1800000000000, &a, &ev, &e) != PAYLOAD_EVENT)
		goto out;
	const struct str texts[] = { ev.model, ev.source, ev.endpoint,
		ev.fail_summary, ev.user_agent, ev.ts_text, ev.request_id,
		ev.response_metadata_json, ev.x_forwarded_for };
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		if (!utf8_valid(texts[i]))
			abort();
	if (ev.model.n == 0 || ev.endpoint.n == 0 || ev.ts_text.n == 0 ||
	    ev.ts_ns < 0 || ev.ts_ns > 999999 || ev.fail_summary.n > 4099)
		abort();
	if (ev.response_metadata_json.n > 0 &&
	    json_tree_parse(ev.response_metadata_json, &a, &e) == NULL)
		abort();
	event_header_columns(ev.response_metadata_json, &a, &h);
	event_normalized_tokens(&ev, &t);
	again = ev;
	event_hash(&again);
	if (memcmp(again.hash, ev.hash, sizeof ev.hash) != 0)
		abort();
out:
	arena_free(&a);
	return 0;
}
