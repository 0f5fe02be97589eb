-- Payloads that are no events: shown, and tried again.

-- name: dead_letters_page
SELECT id, created_ms, reason, payload FROM dead_letters
WHERE id < :before_id ORDER BY id DESC LIMIT :limit;

-- name: dead_letter_ids
SELECT id FROM dead_letters WHERE id > :after_id ORDER BY id LIMIT :limit;

-- name: dead_letter_get
SELECT created_ms, payload FROM dead_letters WHERE id = :id;

-- name: dead_letter_reason
UPDATE dead_letters SET reason = :reason WHERE id = :id;

-- name: dead_letter_remove
DELETE FROM dead_letters WHERE id = :id;
