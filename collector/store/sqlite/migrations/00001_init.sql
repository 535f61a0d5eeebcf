-- +goose Up

-- Times are whole seconds since 1970, UTC. Statuses are the numbers of
-- muster.Status, 0 unknown, 1 pass, 2 fail, 3 not applicable.

CREATE TABLE hosts (
	id             TEXT    NOT NULL PRIMARY KEY,
	county         TEXT    NOT NULL,
	hostname       TEXT    NOT NULL,
	profile        TEXT    NOT NULL,
	platform       TEXT    NOT NULL,
	demo           INTEGER NOT NULL,
	public_key     BLOB    NOT NULL,
	state          TEXT    NOT NULL CHECK (state IN ('pending', 'active')),
	enrolled_at    INTEGER NOT NULL,
	agent          TEXT    NOT NULL,
	-- From the newest report; zero before the first.
	seq            INTEGER NOT NULL DEFAULT 0,
	digest         BLOB    NOT NULL DEFAULT x'',
	verdicts       BLOB    NOT NULL DEFAULT x'', -- digest of all verdicts: equal means nothing changed
	first_seen     INTEGER NOT NULL DEFAULT 0,
	last_seen      INTEGER NOT NULL DEFAULT 0,
	collected_at   INTEGER NOT NULL DEFAULT 0,
	policy         TEXT    NOT NULL DEFAULT '',
	pass           INTEGER NOT NULL DEFAULT 0,
	fail           INTEGER NOT NULL DEFAULT 0,
	unknown        INTEGER NOT NULL DEFAULT 0,
	not_applicable INTEGER NOT NULL DEFAULT 0,
	waived         INTEGER NOT NULL DEFAULT 0,
	meets          INTEGER NOT NULL DEFAULT 0,
	gate_fails     INTEGER NOT NULL DEFAULT 0,
	conflict       INTEGER NOT NULL DEFAULT 0,
	-- The current findings once more, packed, so that counting controls reads
	-- one row a host: a byte each, status, plus 4 where waived.
	control_set    BLOB    NOT NULL DEFAULT x'',
	statuses       BLOB    NOT NULL DEFAULT x''
) STRICT, WITHOUT ROWID;

CREATE INDEX hosts_by_county ON hosts (county, state);

-- Which control each byte of hosts.statuses is of. Few rows: one for every
-- combination of policy, profile and platform.
CREATE TABLE control_sets (
	digest   BLOB NOT NULL PRIMARY KEY,
	controls TEXT NOT NULL -- ids, one a line
) STRICT, WITHOUT ROWID;

CREATE TABLE findings (
	host     TEXT    NOT NULL,
	control  TEXT    NOT NULL,
	status   INTEGER NOT NULL,
	waiver   TEXT    NOT NULL,
	evidence BLOB    NOT NULL,
	since    INTEGER NOT NULL,
	PRIMARY KEY (host, control)
) STRICT, WITHOUT ROWID;

CREATE TABLE transitions (
	host         TEXT    NOT NULL,
	seq          INTEGER NOT NULL,
	control      TEXT    NOT NULL,
	was          INTEGER NOT NULL, -- -1: there was no status before
	became       INTEGER NOT NULL,
	collected_at INTEGER NOT NULL,
	received_at  INTEGER NOT NULL,
	PRIMARY KEY (host, seq, control)
) STRICT, WITHOUT ROWID;

CREATE TABLE envelopes (
	id           INTEGER PRIMARY KEY,
	host         TEXT    NOT NULL,
	seq          INTEGER NOT NULL,
	digest       BLOB    NOT NULL,
	received_at  INTEGER NOT NULL,
	changes      INTEGER NOT NULL, -- transitions that are not first
	base         BLOB    NOT NULL,
	base_seq     INTEGER NOT NULL,
	depth        INTEGER NOT NULL,
	size         INTEGER NOT NULL,
	body         BLOB    NOT NULL,
	UNIQUE (host, seq)
) STRICT;

CREATE INDEX envelopes_changes ON envelopes (id) WHERE changes > 0;

CREATE TABLE policies (
	id           INTEGER PRIMARY KEY AUTOINCREMENT,
	digest       TEXT    NOT NULL,
	revision     TEXT    NOT NULL,
	actor        TEXT    NOT NULL,
	published_at INTEGER NOT NULL,
	bundle       BLOB    NOT NULL
) STRICT;

CREATE TABLE audit_log (
	id     INTEGER PRIMARY KEY AUTOINCREMENT,
	at     INTEGER NOT NULL,
	actor  TEXT    NOT NULL,
	action TEXT    NOT NULL,
	object TEXT    NOT NULL
) STRICT;

-- +goose StatementBegin
CREATE TRIGGER audit_log_keeps_its_lines BEFORE UPDATE ON audit_log
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER audit_log_loses_no_line BEFORE DELETE ON audit_log
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
-- +goose StatementEnd
