-- Names of client API keys.

-- name: alias_list
SELECT api_key_hash, alias, updated_at_ms FROM api_key_aliases
ORDER BY alias COLLATE NOCASE, api_key_hash;

-- name: alias_put
INSERT INTO api_key_aliases (api_key_hash, alias, updated_at_ms)
VALUES (:hash, :alias, :updated_ms)
ON CONFLICT (api_key_hash) DO UPDATE
SET alias = excluded.alias, updated_at_ms = excluded.updated_at_ms;

-- name: alias_delete
DELETE FROM api_key_aliases WHERE api_key_hash = :hash;
