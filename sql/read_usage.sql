-- Statements of GET /v0/management/usage (contract/database.md section 10).

-- The newest events, as much of each as decides where it goes in the answer.
-- name: usage_newest
SELECT id, ts_ms, endpoint_id, model_id, flags, total_tokens
FROM events
ORDER BY ts_ms DESC, id DESC
LIMIT :limit;
