-- What lib/db.c asks SQLite about a database.

-- name: meta_data_version
PRAGMA data_version;

-- name: meta_user_version
PRAGMA user_version;

-- name: meta_application_id
PRAGMA application_id;

-- name: meta_tables_glob
SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name GLOB :name;

-- name: meta_integrity
PRAGMA integrity_check(20);

-- name: meta_foreign_keys
PRAGMA foreign_key_check;
