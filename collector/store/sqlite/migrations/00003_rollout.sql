-- +goose Up

-- How far each release is offered. Releases of before went to everyone.
ALTER TABLE policies ADD COLUMN version INTEGER NOT NULL DEFAULT 0;
ALTER TABLE policies ADD COLUMN contents TEXT NOT NULL DEFAULT ''; -- digest, as reports name it
ALTER TABLE policies ADD COLUMN ring TEXT NOT NULL DEFAULT 'all';
ALTER TABLE policies ADD COLUMN paused INTEGER NOT NULL DEFAULT 0;
UPDATE policies SET version = id;
CREATE UNIQUE INDEX policies_by_version ON policies (version);

-- A row is for a county (host is '') or for one host (county is '').
CREATE TABLE rings (
	county TEXT NOT NULL,
	host   TEXT NOT NULL,
	ring   TEXT NOT NULL,
	PRIMARY KEY (county, host)
) STRICT, WITHOUT ROWID;

-- From which report on a host was judged by which policy.
CREATE TABLE host_policies (
	host        TEXT    NOT NULL,
	seq         INTEGER NOT NULL,
	policy      TEXT    NOT NULL, -- digest of its contents
	received_at INTEGER NOT NULL,
	PRIMARY KEY (host, seq)
) STRICT, WITHOUT ROWID;

ALTER TABLE hosts ADD COLUMN policy_digest TEXT NOT NULL DEFAULT '';
CREATE INDEX hosts_by_policy ON hosts (policy_digest) WHERE state = 'active';
