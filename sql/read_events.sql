-- Whole events, read back.  Every statement gives the columns that
-- lib/event_read.c reads, in the same order.

-- Oldest first, from behind one event up to the newest that was there when
-- the reading began.
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
FROM events AS e
LEFT JOIN event_detail AS d ON d.event_id = e.id
WHERE e.ts_ms >= :after_ms AND e.ts_ms < :to_ms
  AND (e.ts_ms > :after_ms OR e.id > :after_id) AND e.id <= :newest_id
ORDER BY e.ts_ms, e.id
LIMIT :limit;

-- Newest first, from before one event down to a time.
-- name: events_descending
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
WHERE e.ts_ms >= :from_ms AND e.ts_ms <= :before_ms
  AND (e.ts_ms < :before_ms OR e.id < :before_id)
ORDER BY e.ts_ms DESC, e.id DESC
LIMIT :limit;

-- In the order of arrival, from behind one event on.
-- name: events_arrived
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
WHERE e.id > :after_id
ORDER BY e.id
LIMIT :limit;

-- The last to arrive first, from before one event on.
-- name: events_arrived_last
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
WHERE e.id < :before_id
ORDER BY e.id DESC
LIMIT :limit;

-- These, in the order of the list of their ids.
-- name: events_listed
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
FROM json_each(:ids) AS page
CROSS JOIN events AS e ON e.id = page.value
LEFT JOIN event_detail AS d ON d.event_id = e.id
ORDER BY page.key;

-- name: events_newest_id
SELECT coalesce(max(id), 0) FROM events;

-- name: events_between
SELECT count(*) FROM events WHERE ts_ms >= :from_ms AND ts_ms < :to_ms;

-- name: dict_text
SELECT value FROM dict WHERE kind = :kind AND id = :id;

-- name: identity_row
SELECT auth_index, source, source_hash, account, label, file, provider, project
FROM identities WHERE id = :id;
