-- The intake: what collectord writes for each event.

-- name: dict_get
SELECT id FROM dict WHERE kind = :kind AND value = :value;

-- name: dict_add
INSERT INTO dict (kind, id, value)
SELECT :kind, coalesce(max(id), 0) + 1, :value FROM dict WHERE kind = :kind
RETURNING id;

-- name: identity_get
SELECT id FROM identities WHERE digest = :digest;

-- name: identity_add
INSERT INTO identities (digest, auth_index, source, source_hash, account,
    label, file, provider, project)
VALUES (:digest, :auth_index, :source, :source_hash, :account,
    :label, :file, :provider, :project)
RETURNING id;

-- A second arrival of the same event changes nothing.
-- name: event_add
INSERT INTO events (gateway_id, ts_ms, ts_ns, hash16, hash_rest, ts_text,
    created_ms, request_id, model_id, requested_model_id, resolved_model_id,
    provider_id, executor_id,
    endpoint_id, method_id, path_id, auth_type_id, identity_id, api_key_id,
    client_ip_id, forwarded_for_id, user_agent_id, effort_id, service_tier_id,
    request_tier_id, response_tier_id, flags, snapshot_ms, input_tokens,
    output_tokens, reasoning_tokens, cached_tokens, cache_tokens,
    cache_read_tokens, cache_creation_tokens, total_tokens, latency_ms,
    ttft_ms, fail_status)
VALUES (1, :ts_ms, :ts_ns, :hash16, :hash_rest, :ts_text, :created_ms,
    :request_id,
    :model_id, :requested_model_id, :resolved_model_id, :provider_id,
    :executor_id, :endpoint_id, :method_id, :path_id, :auth_type_id,
    :identity_id, :api_key_id, :client_ip_id, :forwarded_for_id,
    :user_agent_id, :effort_id, :service_tier_id, :request_tier_id,
    :response_tier_id, :flags, :snapshot_ms, :input_tokens, :output_tokens,
    :reasoning_tokens, :cached_tokens, :cache_tokens, :cache_read_tokens,
    :cache_creation_tokens, :total_tokens, :latency_ms, :ttft_ms,
    :fail_status)
ON CONFLICT (ts_ms, hash16) DO NOTHING;

-- Has an event with this hash, but without a time, been imported?
-- name: undated_get
SELECT event_id FROM undated WHERE hash16 = :hash16;

-- name: undated_add
INSERT INTO undated (hash16, event_id) VALUES (:hash16, :event_id);

-- Events of a moment, as much as tells one from another.
-- name: events_at
SELECT request_id, ts_ns, flags, input_tokens, output_tokens, reasoning_tokens,
       total_tokens, latency_ms, model_id
FROM events WHERE ts_ms = :ts_ms;

-- name: detail_add
INSERT INTO event_detail (event_id, dict_id, data)
VALUES (:event_id, :dict_id, :data);

-- name: detail_dict_find
SELECT id FROM detail_dict WHERE data = :data;

-- name: detail_dict_add
INSERT INTO detail_dict (data) VALUES (:data) RETURNING id;

-- name: detail_dict_get
SELECT data FROM detail_dict WHERE id = :id;

-- name: dead_letter_add
INSERT INTO dead_letters (created_ms, reason, payload, digest)
VALUES (:created_ms, :reason, :payload, :digest)
ON CONFLICT (digest) DO NOTHING;

-- name: gap_add
INSERT INTO gaps (from_ms, to_ms, reason, in_doubt, detail, created_ms, digest)
VALUES (:from_ms, :to_ms, :reason, :in_doubt, :detail, :created_ms, :digest)
ON CONFLICT (digest) DO NOTHING;

-- name: spool_position_get
SELECT segment, offset FROM spool_position WHERE one = 1;

-- name: spool_position_put
UPDATE spool_position SET segment = :segment, offset = :offset WHERE one = 1;
