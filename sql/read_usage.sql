-- Statements of GET /v0/management/usage (contract/database.md section 10).

-- The newest events, as much of each as decides where it goes in the answer.
-- name: usage_newest
SELECT id, ts_ms, endpoint_id, model_id, flags, total_tokens
FROM events
ORDER BY ts_ms DESC, id DESC
LIMIT :limit;

-- name: usage_dict
SELECT value FROM dict WHERE kind = :kind AND id = :id;

-- The events of one page, in the order of the list of their ids.
-- name: usage_page
SELECT e.id, e.ts_ms, e.ts_ns, e.ts_text, e.flags, e.input_tokens,
       e.output_tokens, e.reasoning_tokens, e.cached_tokens, e.cache_tokens,
       e.cache_read_tokens, e.cache_creation_tokens, e.total_tokens,
       e.latency_ms, e.ttft_ms, e.fail_status, e.snapshot_ms,
       i.source, i.auth_index, api_key.value, i.account, i.label, i.file,
       i.provider, i.project, model.value, requested.value, resolved.value,
       effort.value, tier.value, request_tier.value, response_tier.value,
       executor.value, d.dict_id, d.data
FROM json_each(:ids) AS page
CROSS JOIN events AS e ON e.id = page.value
LEFT JOIN identities AS i ON i.id = e.identity_id
LEFT JOIN dict AS api_key ON api_key.kind = 8 AND api_key.id = e.api_key_id
LEFT JOIN dict AS model ON model.kind = 1 AND model.id = e.model_id
LEFT JOIN dict AS requested
    ON requested.kind = 1 AND requested.id = e.requested_model_id
LEFT JOIN dict AS resolved
    ON resolved.kind = 1 AND resolved.id = e.resolved_model_id
LEFT JOIN dict AS effort ON effort.kind = 12 AND effort.id = e.effort_id
LEFT JOIN dict AS tier ON tier.kind = 13 AND tier.id = e.service_tier_id
LEFT JOIN dict AS request_tier
    ON request_tier.kind = 13 AND request_tier.id = e.request_tier_id
LEFT JOIN dict AS response_tier
    ON response_tier.kind = 13 AND response_tier.id = e.response_tier_id
LEFT JOIN dict AS executor
    ON executor.kind = 3 AND executor.id = e.executor_id
LEFT JOIN event_detail AS d ON d.event_id = e.id
ORDER BY page.key;
