-- Work that a request starts and collectord does (lib/jobs.h).

-- name: job_add
INSERT INTO jobs (kind, args, created_ms, updated_ms)
VALUES (:kind, :args, :now_ms, :now_ms)
RETURNING id;

-- name: job_get
SELECT kind, args, state, progress, result, error, created_ms, updated_ms
FROM jobs WHERE id = :id;

-- The oldest that is not done; one that is running belongs to a daemon that
-- has ended.
-- name: job_next
SELECT id FROM jobs WHERE state IN ('queued', 'running') ORDER BY id LIMIT 1;

-- name: job_start
UPDATE jobs SET state = 'running', owner = :owner, updated_ms = :now_ms
WHERE id = :id AND state IN ('queued', 'running');

-- name: job_progress
UPDATE jobs SET progress = :progress, updated_ms = :now_ms
WHERE id = :id AND state = 'running';

-- name: job_finish
UPDATE jobs
SET state = :state, result = :result, error = :error, updated_ms = :now_ms
WHERE id = :id AND state = 'running';

-- name: job_cancel
UPDATE jobs SET state = 'cancelled', updated_ms = :now_ms
WHERE id = :id AND state = 'queued';

-- name: jobs_forget
DELETE FROM jobs
WHERE state IN ('done', 'failed', 'cancelled') AND updated_ms < :before_ms;
