-- What cpactl checks and shows.

-- Ids of texts that events name but dict does not have, by column.
-- name: ctl_missing_dict
WITH used (kind, id) AS (
	SELECT 1, model_id FROM events UNION SELECT 1, requested_model_id FROM events
	UNION SELECT 1, resolved_model_id FROM events UNION SELECT 2, provider_id FROM events
	UNION SELECT 3, executor_id FROM events UNION SELECT 4, endpoint_id FROM events
	UNION SELECT 5, method_id FROM events UNION SELECT 6, path_id FROM events
	UNION SELECT 7, auth_type_id FROM events UNION SELECT 8, api_key_id FROM events
	UNION SELECT 9, client_ip_id FROM events UNION SELECT 10, forwarded_for_id FROM events
	UNION SELECT 11, user_agent_id FROM events UNION SELECT 12, effort_id FROM events
	UNION SELECT 13, service_tier_id FROM events UNION SELECT 13, request_tier_id FROM events
	UNION SELECT 13, response_tier_id FROM events
)
SELECT count(*) FROM used
WHERE id <> 0 AND NOT EXISTS (SELECT 1 FROM dict AS d WHERE d.kind = used.kind AND d.id = used.id);

-- name: ctl_missing_identity
SELECT count(*) FROM events
WHERE identity_id NOT IN (SELECT id FROM identities);

-- name: ctl_details
SELECT event_id, dict_id, data FROM event_detail WHERE event_id > :after ORDER BY event_id LIMIT 500;

-- name: ctl_count_events
SELECT count(*) FROM events;

-- name: ctl_count_dead
SELECT count(*) FROM dead_letters;

-- What an event's hash is made of.
-- name: ctl_hashes
SELECT e.id, e.ts_ms, e.ts_ns, e.ts_text, e.hash16, e.hash_rest, e.request_id, endpoint.value, model.value,
    i.auth_index, i.source_hash, e.input_tokens, e.output_tokens, e.reasoning_tokens, e.cached_tokens,
    e.cache_tokens, e.flags, e.latency_ms
FROM events AS e
LEFT JOIN dict AS endpoint ON endpoint.kind = 4 AND endpoint.id = e.endpoint_id
LEFT JOIN dict AS model ON model.kind = 1 AND model.id = e.model_id
LEFT JOIN identities AS i ON i.id = e.identity_id
WHERE e.id > :after ORDER BY e.id LIMIT 1000;
