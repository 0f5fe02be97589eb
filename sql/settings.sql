-- Settings, counters, and what collectord tells about itself.

-- name: setting_get
SELECT value FROM settings WHERE key = :key;

-- name: setting_put
INSERT INTO settings (key, value, updated_at_ms)
VALUES (:key, :value, :now_ms)
ON CONFLICT (key) DO UPDATE
SET value = excluded.value, updated_at_ms = excluded.updated_at_ms;

-- name: setting_delete
DELETE FROM settings WHERE key = :key;

-- Rows that hold something sealed with the data key.
-- name: setting_sealed
SELECT key, value FROM settings WHERE value LIKE '%enc:v1:%';

-- name: counter_get
SELECT value FROM counters WHERE name = :name;

-- name: counter_add
UPDATE counters SET value = value + :delta WHERE name = :name;

-- name: collector_state_get
SELECT state, updated_ms FROM collector_state WHERE one = 1;

-- name: collector_state_put
UPDATE collector_state SET state = :state, updated_ms = :now_ms WHERE one = 1;

-- name: historical_data
SELECT EXISTS (SELECT 1 FROM events) OR EXISTS (SELECT 1 FROM dead_letters)
OR EXISTS (SELECT 1 FROM api_key_aliases)
OR EXISTS (SELECT 1 FROM settings WHERE key IN ('setup', 'manager_config_v1'));
