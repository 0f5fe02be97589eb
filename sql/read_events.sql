-- Events read back.  What is wanted is found as ids first: sorting whole rows
-- costs more than looking them up.

-- The columns that lib/event_read.c reads.
-- name: event_get
SELECT e.id, e.ts_ms, e.ts_ns, e.hash16, e.hash_rest, e.ts_text, e.created_ms,
       e.request_id, e.model_id, e.requested_model_id, e.resolved_model_id,
       e.provider_id, e.executor_id, e.endpoint_id, e.method_id, e.path_id,
       e.auth_type_id, e.identity_id, e.api_key_id, e.client_ip_id,
       e.forwarded_for_id, e.user_agent_id, e.effort_id, e.service_tier_id,
       e.request_tier_id, e.response_tier_id, e.flags, e.snapshot_ms,
       e.input_tokens, e.output_tokens, e.reasoning_tokens, e.cached_tokens,
       e.cache_tokens, e.cache_read_tokens, e.cache_creation_tokens,
       e.total_tokens, e.latency_ms, e.ttft_ms, e.fail_status,
       d.dict_id, d.data
FROM events AS e
LEFT JOIN event_detail AS d ON d.event_id = e.id
WHERE e.id = :id;

-- Oldest first, from behind one event up to the newest that was there when
-- the reading began; the columns of event_get.  CROSS JOIN keeps the order of
-- the ids, and who reads checks it.
-- name: events_ascending
SELECT e.id, e.ts_ms, e.ts_ns, e.hash16, e.hash_rest, e.ts_text, e.created_ms,
       e.request_id, e.model_id, e.requested_model_id, e.resolved_model_id,
       e.provider_id, e.executor_id, e.endpoint_id, e.method_id, e.path_id,
       e.auth_type_id, e.identity_id, e.api_key_id, e.client_ip_id,
       e.forwarded_for_id, e.user_agent_id, e.effort_id, e.service_tier_id,
       e.request_tier_id, e.response_tier_id, e.flags, e.snapshot_ms,
       e.input_tokens, e.output_tokens, e.reasoning_tokens, e.cached_tokens,
       e.cache_tokens, e.cache_read_tokens, e.cache_creation_tokens,
       e.total_tokens, e.latency_ms, e.ttft_ms, e.fail_status,
       d.dict_id, d.data
FROM (
    SELECT id FROM events
    WHERE ts_ms >= :after_ms AND ts_ms < :to_ms
      AND (ts_ms > :after_ms OR id > :after_id) AND id <= :newest_id
    ORDER BY ts_ms, id
    LIMIT :limit
) AS page
CROSS JOIN events AS e ON e.id = page.id
LEFT JOIN event_detail AS d ON d.event_id = e.id;

-- Newest first, from before one event down to a time.
-- name: events_descending
SELECT id, ts_ms FROM events
WHERE ts_ms >= :from_ms AND ts_ms <= :before_ms
  AND (ts_ms < :before_ms OR id < :before_id)
ORDER BY ts_ms DESC, id DESC
LIMIT :limit;

-- In the order of arrival, from behind one event on.
-- name: events_arrived
SELECT id FROM events WHERE id > :after_id ORDER BY id LIMIT :limit;

-- The last to arrive first, from before one event on.
-- name: events_arrived_last
SELECT id FROM events WHERE id < :before_id ORDER BY id DESC LIMIT :limit;

-- name: events_newest_id
SELECT coalesce(max(id), 0) FROM events;

-- name: events_between
SELECT count(*) FROM events WHERE ts_ms >= :from_ms AND ts_ms < :to_ms;

-- name: dict_text
SELECT value FROM dict WHERE kind = :kind AND id = :id;

-- name: identity_row
SELECT auth_index, source, source_hash, account, label, file, provider, project
FROM identities WHERE id = :id;
