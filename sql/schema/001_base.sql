-- Schema 1: settings, what requests write, and the store of events.
-- Page size, auto_vacuum and secure_delete are set by lib/db.c before this
-- file runs, because they cannot be changed later.

-- Key and value; values are JSON unless lib/settings.c says otherwise.
-- Secrets inside them are sealed with the data key (lib/crypt.c).
CREATE TABLE settings (
	key TEXT PRIMARY KEY,
	value TEXT NOT NULL,
	updated_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Names that people give to the hashes of client API keys.
CREATE TABLE api_key_aliases (
	api_key_hash TEXT PRIMARY KEY,          -- SHA-256 in lower-case hex
	alias TEXT NOT NULL,
	updated_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Work that a request starts and collectord does.
CREATE TABLE jobs (
	id INTEGER PRIMARY KEY,
	kind TEXT NOT NULL,
	args TEXT NOT NULL DEFAULT '{}',        -- JSON
	state TEXT NOT NULL DEFAULT 'queued'
	    CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled')),
	progress TEXT,                          -- JSON
	result TEXT,                            -- JSON
	error TEXT,
	owner TEXT,                             -- who works on it: daemon instance
	created_ms INTEGER NOT NULL,
	updated_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX jobs_open ON jobs (id) WHERE state IN ('queued', 'running');

-- Repeated texts of events, numbered from 1 within each kind (enum dict_kind
-- in lib/dict.h); 0 in an event stands for the empty text.
CREATE TABLE dict (
	kind INTEGER NOT NULL,
	id INTEGER NOT NULL,
	value ANY NOT NULL,                     -- TEXT, or BLOB for hashes
	PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX dict_value ON dict (kind, value);

-- Who paid upstream: one row for each distinct combination.
CREATE TABLE identities (
	id INTEGER PRIMARY KEY,
	digest BLOB NOT NULL UNIQUE,            -- first 16 bytes of SHA-256 over all the fields
	auth_index TEXT NOT NULL,
	source TEXT NOT NULL,                   -- masked
	source_hash BLOB,                       -- SHA-256 of the unmasked text
	account TEXT NOT NULL,
	label TEXT NOT NULL,
	file TEXT NOT NULL,
	provider TEXT NOT NULL,
	project TEXT NOT NULL
) STRICT;

-- One row for each attempt that CPA reported, in order of arrival.
-- Names that end in _id are ids of dict (0: empty), but identity_id.
CREATE TABLE events (
	id INTEGER PRIMARY KEY,
	gateway_id INTEGER NOT NULL,
	ts_ms INTEGER NOT NULL,                 -- start of the attempt
	ts_ns INTEGER NOT NULL,                 -- 0..999999 below the millisecond
	hash16 BLOB NOT NULL,                   -- first half of the event hash
	hash_rest BLOB,                         -- second half, when it cannot be recomputed
	ts_text TEXT,                           -- the time as given, when it cannot be rebuilt
	created_ms INTEGER NOT NULL,            -- when it was stored
	request_id ANY,                         -- BLOB for lower-case hex, TEXT otherwise
	model_id INTEGER NOT NULL,              -- as shown: requested, else resolved, else '-'
	requested_model_id INTEGER NOT NULL,
	resolved_model_id INTEGER NOT NULL,
	provider_id INTEGER NOT NULL,
	executor_id INTEGER NOT NULL,
	endpoint_id INTEGER NOT NULL,
	method_id INTEGER NOT NULL,
	path_id INTEGER NOT NULL,
	auth_type_id INTEGER NOT NULL,
	identity_id INTEGER NOT NULL,           -- identities.id
	api_key_id INTEGER NOT NULL,
	client_ip_id INTEGER NOT NULL,
	forwarded_for_id INTEGER NOT NULL,
	user_agent_id INTEGER NOT NULL,
	effort_id INTEGER NOT NULL,
	service_tier_id INTEGER NOT NULL,
	request_tier_id INTEGER NOT NULL,
	response_tier_id INTEGER NOT NULL,
	flags INTEGER NOT NULL,                 -- enum event_flag in lib/model/event.h
	snapshot_ms INTEGER,                    -- when the account fields were looked up
	input_tokens INTEGER NOT NULL,
	output_tokens INTEGER NOT NULL,
	reasoning_tokens INTEGER NOT NULL,
	cached_tokens INTEGER NOT NULL,
	cache_tokens INTEGER NOT NULL,
	cache_read_tokens INTEGER NOT NULL,
	cache_creation_tokens INTEGER NOT NULL,
	total_tokens INTEGER NOT NULL,
	latency_ms INTEGER,
	ttft_ms INTEGER,
	fail_status INTEGER,
	UNIQUE (ts_ms, hash16)
) STRICT;

-- What an event has beyond its columns: response metadata and the failure
-- summary, as JSON, compressed.
CREATE TABLE event_detail (
	event_id INTEGER PRIMARY KEY REFERENCES events (id) ON DELETE CASCADE,
	dict_id INTEGER NOT NULL,               -- detail_dict.id, 0: none
	data BLOB NOT NULL
) STRICT;

-- Dictionaries that event_detail was compressed with.
CREATE TABLE detail_dict (
	id INTEGER PRIMARY KEY,
	data BLOB NOT NULL
) STRICT;

-- Payloads that are no events, kept with the reason.
CREATE TABLE dead_letters (
	id INTEGER PRIMARY KEY,
	created_ms INTEGER NOT NULL,
	reason TEXT NOT NULL,
	payload BLOB NOT NULL,                  -- redacted
	digest BLOB NOT NULL UNIQUE             -- SHA-256 of spool position: a replay adds no second row
) STRICT;

-- Stretches of time in which events may be missing.
CREATE TABLE gaps (
	id INTEGER PRIMARY KEY,
	from_ms INTEGER NOT NULL,
	to_ms INTEGER NOT NULL,
	reason TEXT NOT NULL,
	in_doubt INTEGER,                       -- at most so many events; NULL: not known
	detail TEXT,
	created_ms INTEGER NOT NULL,
	digest BLOB NOT NULL UNIQUE
) STRICT;

-- How far the spool has been stored; written with the events themselves.
CREATE TABLE spool_position (
	one INTEGER PRIMARY KEY CHECK (one = 1),
	segment INTEGER NOT NULL,
	offset INTEGER NOT NULL
) STRICT;
INSERT INTO spool_position VALUES (1, 0, 0);

-- What collectord does, for /status; one row, written on change.
CREATE TABLE collector_state (
	one INTEGER PRIMARY KEY CHECK (one = 1),
	state TEXT NOT NULL,                    -- JSON, see lib/collector_state.h
	updated_ms INTEGER NOT NULL
) STRICT;
INSERT INTO collector_state VALUES (1, '{}', 0);

-- Counts that would cost a scan; written in the same transaction as what they count.
CREATE TABLE counters (
	name TEXT PRIMARY KEY,
	value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO counters VALUES ('events', 0), ('dead_letters', 0);
