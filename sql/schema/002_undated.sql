-- Schema 2: imported events that came with a hash but without a time.  They
-- have the time of their import, so their time cannot find them again.
CREATE TABLE undated (
	hash16 BLOB PRIMARY KEY,
	event_id INTEGER NOT NULL REFERENCES events (id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX undated_event ON undated (event_id);
