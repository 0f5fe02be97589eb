-- Upkeep of the store: what collectord does between batches, in small pieces.

-- The unique index finds the oldest; their details go by the foreign key.
-- name: upkeep_events_remove
DELETE FROM events WHERE id IN
    (SELECT id FROM events WHERE ts_ms < :before_ms ORDER BY ts_ms LIMIT :n);

-- From the newest on: who adds up stops where the room ends.
-- name: upkeep_letters
SELECT id, created_ms, length(payload) FROM dead_letters ORDER BY id DESC;

-- name: upkeep_letters_remove
DELETE FROM dead_letters WHERE id IN
    (SELECT id FROM dead_letters
    WHERE id <= :last_id OR created_ms < :before_ms ORDER BY id LIMIT :n);

-- name: upkeep_free_pages
PRAGMA freelist_count;

-- Few at a time: how many cannot be bound.
-- name: upkeep_give_back
PRAGMA incremental_vacuum(8);

-- Decides when it is prepared, so it is prepared anew each time.
-- name: upkeep_optimise
PRAGMA optimize;
