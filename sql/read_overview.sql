-- Statements of GET /v0/management/overview.

-- name: overview_range
SELECT (SELECT value FROM counters WHERE name = 'events'),
       (SELECT min(ts_ms) FROM events),
       (SELECT max(ts_ms) FROM events);

-- Everything since a time, for sums that are made in C: how tokens count is
-- decided by lib/model alone.
-- name: overview_since
SELECT ts_ms, flags, input_tokens, output_tokens, reasoning_tokens,
       cached_tokens, cache_tokens, cache_read_tokens,
       cache_creation_tokens, total_tokens, latency_ms
FROM events
WHERE ts_ms >= :from_ms;

-- name: overview_newest
SELECT e.id, e.ts_ms, e.flags, e.input_tokens, e.output_tokens,
       e.reasoning_tokens, e.cached_tokens, e.cache_tokens,
       e.cache_read_tokens, e.cache_creation_tokens, e.total_tokens,
       e.latency_ms, e.ttft_ms, e.fail_status,
       model.value, provider.value, endpoint.value, api_key.value,
       i.account, i.label, i.file, i.source,
       a.alias, d.dict_id, d.data
FROM events AS e
LEFT JOIN dict AS model ON model.kind = 1 AND model.id = e.model_id
LEFT JOIN dict AS provider
    ON provider.kind = 2 AND provider.id = e.provider_id
LEFT JOIN dict AS endpoint
    ON endpoint.kind = 4 AND endpoint.id = e.endpoint_id
LEFT JOIN dict AS api_key ON api_key.kind = 8 AND api_key.id = e.api_key_id
LEFT JOIN identities AS i ON i.id = e.identity_id
LEFT JOIN api_key_aliases AS a
    ON a.api_key_hash = lower(hex(api_key.value))
LEFT JOIN event_detail AS d ON d.event_id = e.id AND e.flags & 1
ORDER BY e.ts_ms DESC, e.id DESC
LIMIT :limit;
