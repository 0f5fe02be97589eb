-- Statements of GET /status.

-- name: status_counts
SELECT (SELECT value FROM counters WHERE name = 'events'),
       (SELECT value FROM counters WHERE name = 'dead_letters'),
       (SELECT count(*) FROM gaps),
       (SELECT max(created_ms) FROM gaps);

-- name: status_journal_limit
PRAGMA journal_size_limit;

-- name: status_page_size
PRAGMA page_size;
