-- Stretches of time in which events may be missing, newest first.

-- name: gaps_page
SELECT id, from_ms, to_ms, reason, in_doubt, detail, created_ms FROM gaps
WHERE id < :before_id ORDER BY id DESC LIMIT :limit;

-- name: gaps_count
SELECT count(*) FROM gaps;
