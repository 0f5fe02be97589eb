-- What cpactl shows and checks.  A check reads a piece at a time, so that it
-- keeps no old version of the database alive while collectord works on.

-- name: ctl_status
SELECT (SELECT user_version FROM pragma_user_version),
       (SELECT value FROM counters WHERE name = 'events'),
       (SELECT value FROM counters WHERE name = 'dead_letters'),
       count(*), coalesce(sum(in_doubt), 0), count(*) - count(in_doubt)
FROM gaps;

-- Counts beside what the counters say, in one view of the database.
-- name: ctl_counts
SELECT 'events', (SELECT count(*) FROM events),
       (SELECT value FROM counters WHERE name = 'events')
UNION ALL
SELECT 'dead letters', (SELECT count(*) FROM dead_letters),
       (SELECT value FROM counters WHERE name = 'dead_letters');

-- name: ctl_last_event
SELECT coalesce(max(id), 0) FROM events;

-- name: ctl_dict_ids
SELECT kind, id FROM dict;

-- name: ctl_identity_ids
SELECT id FROM identities;

-- The columns in the order of the table in ctl/verify_events.c.
-- name: ctl_event_ids
SELECT id, identity_id, model_id, requested_model_id, resolved_model_id,
       provider_id, executor_id, endpoint_id, method_id, path_id,
       auth_type_id, api_key_id, client_ip_id, forwarded_for_id,
       user_agent_id, effort_id, service_tier_id, request_tier_id,
       response_tier_id
FROM events
WHERE id > :after AND id <= :last
ORDER BY id
LIMIT 4000;

-- What an event's hash is made of.
-- name: ctl_hashed
SELECT e.id, e.ts_ms, e.ts_ns, e.ts_text, e.hash16, e.hash_rest,
       e.request_id, endpoint.value, model.value, i.auth_index,
       i.source_hash, e.input_tokens, e.output_tokens, e.reasoning_tokens,
       e.cached_tokens, e.cache_tokens, e.flags, e.latency_ms
FROM events AS e
LEFT JOIN dict AS endpoint
    ON endpoint.kind = 4 AND endpoint.id = e.endpoint_id
LEFT JOIN dict AS model ON model.kind = 1 AND model.id = e.model_id
LEFT JOIN identities AS i ON i.id = e.identity_id
WHERE e.id > :after AND e.id <= :last
ORDER BY e.id
LIMIT 2000;

-- name: ctl_details
SELECT event_id, dict_id, data
FROM event_detail
WHERE event_id > :after AND event_id <= :last
ORDER BY event_id
LIMIT 1000;
