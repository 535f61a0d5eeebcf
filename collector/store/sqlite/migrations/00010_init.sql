-- +goose Up

-- Times are microseconds since 1970, UTC, by the collector's clock, unless said; 0 is
-- never and 9223372036854775807 open. Statuses are the numbers of muster.Status: 0
-- unknown, 1 pass, 2 fail, 3 not applicable.

-- One row a host: its key, and what the next report is held against.
CREATE TABLE hosts (
	id            TEXT    NOT NULL PRIMARY KEY,
	public_key    BLOB    NOT NULL,
	enrolled_at   INTEGER NOT NULL,
	made_at       INTEGER NOT NULL, -- of its statement, seconds by the host's clock
	waits         TEXT    NOT NULL, -- why it is pending
	node          TEXT    NOT NULL, -- of the tailnet, '' for none
	left_nodes    TEXT    NOT NULL, -- those before, one a line
	machine       TEXT    NOT NULL,
	replaced_at   INTEGER NOT NULL, -- seconds, by the replaced host's clock
	audit_wanted  INTEGER NOT NULL,
	-- The open version once more, as far as lists choose by it.
	version       INTEGER NOT NULL, -- its n
	county        TEXT    NOT NULL,
	state         TEXT    NOT NULL CHECK (state IN ('pending', 'active', 'retired')),
	profile       TEXT    NOT NULL,
	clone         TEXT    NOT NULL,
	replaced_by   TEXT    NOT NULL,
	policy_digest TEXT    NOT NULL,
	-- The newest report, by number; 0 or empty before the first.
	seq           INTEGER NOT NULL DEFAULT 0,
	digest        BLOB    NOT NULL DEFAULT x'',
	first_seen    INTEGER NOT NULL DEFAULT 0,
	last_seen     INTEGER NOT NULL DEFAULT 0,
	collected_at  INTEGER NOT NULL DEFAULT 0, -- seconds, by the host's clock
	about_at      INTEGER NOT NULL DEFAULT 0,
	received      INTEGER NOT NULL DEFAULT 0, -- how many reports came
	declared      INTEGER NOT NULL DEFAULT 0, -- how many the host said that it dropped
	stale_at      INTEGER NOT NULL, -- from when on it is stale, and the UTC day of that,
	stale_day     INTEGER NOT NULL  -- counted from 1970: it changes once a day, and so does its index
) STRICT, WITHOUT ROWID;

CREATE INDEX hosts_by_county ON hosts (county, state);
CREATE INDEX hosts_pending ON hosts (enrolled_at, id) WHERE state = 'pending';
CREATE INDEX hosts_by_stale_day ON hosts (stale_day);
CREATE INDEX hosts_by_machine ON hosts (machine, county) WHERE machine <> '';
CREATE INDEX hosts_by_node ON hosts (node) WHERE node <> '';
CREATE INDEX hosts_by_policy ON hosts (policy_digest, county) WHERE state = 'active' AND replaced_by = '';
CREATE INDEX hosts_replaced ON hosts (replaced_by) WHERE replaced_by <> '';

-- Every county that a host was ever registered in.
CREATE TABLE residents (
	county TEXT NOT NULL,
	host   TEXT NOT NULL,
	PRIMARY KEY (county, host)
) STRICT, WITHOUT ROWID;

-- What a view shows of a host, from when until when: a row for every change, for ever.
-- Transitions are what differs between one and the one before. One that came late, or
-- with a later one in the same commit, is shown at no instant (from_at = until_at) and
-- only in hindsight.
CREATE TABLE versions (
	host           TEXT    NOT NULL,
	n              INTEGER NOT NULL, -- counts up by host
	from_at        INTEGER NOT NULL,
	until_at       INTEGER NOT NULL,
	county         TEXT    NOT NULL,
	state          TEXT    NOT NULL,
	profile        TEXT    NOT NULL,
	platform       TEXT    NOT NULL,
	hostname       TEXT    NOT NULL,
	demo           INTEGER NOT NULL,
	agent          TEXT    NOT NULL,
	clone          TEXT    NOT NULL,
	replaced_by    TEXT    NOT NULL,
	-- From a report; empty before the first.
	seq            INTEGER NOT NULL, -- of the report that made this version; 0: it was made otherwise
	about_at       INTEGER NOT NULL, -- of the report that its verdicts are from: see reports
	late           INTEGER NOT NULL,
	policy         TEXT    NOT NULL, -- revision
	policy_digest  TEXT    NOT NULL,
	pass           INTEGER NOT NULL,
	fail           INTEGER NOT NULL,
	unknown        INTEGER NOT NULL,
	not_applicable INTEGER NOT NULL,
	waived         INTEGER NOT NULL,
	meets          INTEGER NOT NULL,
	gate_fails     INTEGER NOT NULL,
	changes        INTEGER NOT NULL, -- statuses that differ from the version before, without first ones
	control_set    BLOB    NOT NULL, -- see control_sets
	statuses       BLOB    NOT NULL, -- a byte each: status, plus 4 where waived
	since          BLOB    NOT NULL, -- 8 bytes each, big-endian seconds: since when by the collector's clock (4), and by about_at (4)
	waivers        TEXT    NOT NULL, -- ids of waivers, one a line, each after the number of its control in the set and a space
	PRIMARY KEY (host, n)
) STRICT;

CREATE INDEX versions_of_host ON versions (host, until_at, from_at) WHERE from_at < until_at;
CREATE INDEX versions_by_time ON versions (from_at) WHERE from_at < until_at;
CREATE INDEX versions_changes ON versions (from_at, host, n) WHERE changes > 0;
CREATE INDEX versions_about ON versions (about_at, host, n) WHERE changes > 0;
CREATE INDEX versions_county_about ON versions (county, about_at, host, n) WHERE changes > 0;
CREATE INDEX versions_county_changes ON versions (county, from_at, host, n) WHERE changes > 0;
CREATE INDEX versions_replaced ON versions (replaced_by) WHERE replaced_by <> '';
-- With the name itself in it PostgreSQL, too, needs no more than the index.
CREATE INDEX versions_by_name ON versions (lower(hostname), host, county, hostname) WHERE until_at = 9223372036854775807 AND state = 'active';

-- Which control each byte of versions.statuses is of. Few rows: one for every
-- combination of policy, profile and platform.
CREATE TABLE control_sets (
	digest   BLOB NOT NULL PRIMARY KEY,
	controls TEXT NOT NULL -- ids, one a line
) STRICT, WITHOUT ROWID;

-- Every report that ever came. As of the evidence, PostgreSQL need not pad the columns
-- in this order.
CREATE TABLE reports (
	host         TEXT    NOT NULL,
	digest       BLOB    NOT NULL,
	way          INTEGER NOT NULL, -- 0 uplink, 1 courier
	version      INTEGER NOT NULL, -- the n that has its verdicts
	-- Once it had come: how many reports had come, the host's highest number (another
	-- than seq: this one was late), and how many were missing.
	received     INTEGER NOT NULL,
	newest       INTEGER NOT NULL,
	missing      INTEGER NOT NULL,
	seq          INTEGER NOT NULL,
	received_at  INTEGER NOT NULL,
	collected_at INTEGER NOT NULL, -- seconds, by the host's clock
	-- When it was made, as far as can be known: collected_at, but not after received_at,
	-- nor out of the order of the numbers.
	about_at     INTEGER NOT NULL,
	PRIMARY KEY (host, seq)
) STRICT, WITHOUT ROWID;

CREATE INDEX reports_by_arrival ON reports (host, received_at, received);
CREATE INDEX reports_by_about ON reports (host, about_at);

-- The signed envelopes, for as long as they are kept.
CREATE TABLE evidence (
	id       INTEGER PRIMARY KEY,
	host     TEXT    NOT NULL,
	base     BLOB    NOT NULL,
	depth    INTEGER NOT NULL,
	month    INTEGER NOT NULL, -- 202611: goes as a whole
	size     INTEGER NOT NULL,
	seq      INTEGER NOT NULL,
	base_seq INTEGER NOT NULL,
	body     BLOB    NOT NULL,
	UNIQUE (host, seq)
) STRICT;

CREATE INDEX evidence_by_month ON evidence (month);

-- When a host was stale, once it has reported again. Of those that still are, hosts
-- has stale_at.
CREATE TABLE silences (
	host     TEXT    NOT NULL,
	from_at  INTEGER NOT NULL,
	until_at INTEGER NOT NULL,
	PRIMARY KEY (host, from_at)
) STRICT, WITHOUT ROWID;

CREATE INDEX silences_by_start ON silences (from_at);
CREATE INDEX silences_by_end ON silences (until_at);

-- How a county, or with '' the state, stood at an instant: at the last microsecond of
-- every quarter of a UTC day for ever, and some of the last days between, from which views
-- of the present are made.
CREATE TABLE rollups (
	county   TEXT    NOT NULL,
	known    TEXT    NOT NULL, -- muster.Knowledge: '' as it was shown, 'now' in hindsight
	at       INTEGER NOT NULL,
	hosts    INTEGER NOT NULL,
	meeting  INTEGER NOT NULL,
	failing  INTEGER NOT NULL,
	unknown  INTEGER NOT NULL,
	stale    INTEGER NOT NULL,
	pending  INTEGER NOT NULL,
	missing  INTEGER NOT NULL,
	invented INTEGER NOT NULL,
	controls TEXT    NOT NULL, -- a control a line: id, pass, fail, unknown, not applicable, waived
	-- In hindsight the hosts that were silent for too long, those for the longest: a line
	-- each, the id and since when; not of the state.
	quiet    TEXT    NOT NULL,
	PRIMARY KEY (county, known, at)
) STRICT;

CREATE INDEX rollups_by_time ON rollups (known, at, county);

-- Past days that late reports told more about: in hindsight, roll-ups of the county are
-- wrong from the day on.
CREATE TABLE retold (
	county TEXT    NOT NULL PRIMARY KEY,
	day    INTEGER NOT NULL -- since 1970
) STRICT, WITHOUT ROWID;

CREATE TABLE expected (
	county   TEXT    NOT NULL,
	name     TEXT    NOT NULL, -- lower case
	from_at  INTEGER NOT NULL,
	until_at INTEGER NOT NULL,
	since    INTEGER NOT NULL,
	shown    TEXT    NOT NULL, -- the name as it was given
	profile  TEXT    NOT NULL,
	note     TEXT    NOT NULL,
	host     TEXT    NOT NULL, -- '' while it is missing
	PRIMARY KEY (county, name, from_at)
) STRICT, WITHOUT ROWID;

CREATE INDEX expected_open ON expected (county, until_at);
CREATE INDEX expected_by_host ON expected (host) WHERE host <> '';
CREATE INDEX expected_missing ON expected (until_at, from_at, county) WHERE host = '';

-- Whom to call in a county.
CREATE TABLE contacts (
	county TEXT    NOT NULL,
	n      INTEGER NOT NULL, -- their order
	name   TEXT    NOT NULL,
	duty   TEXT    NOT NULL,
	phone  TEXT    NOT NULL,
	email  TEXT    NOT NULL,
	PRIMARY KEY (county, n)
) STRICT, WITHOUT ROWID;

-- Requests for waivers.
CREATE TABLE asks (
	county      TEXT    NOT NULL,
	id          INTEGER NOT NULL, -- counts up over all counties
	host        TEXT    NOT NULL, -- '' for all of the county
	control     TEXT    NOT NULL,
	reason      TEXT    NOT NULL,
	until_at    INTEGER NOT NULL,
	by          TEXT    NOT NULL,
	at          INTEGER NOT NULL,
	state       TEXT    NOT NULL,
	answer      TEXT    NOT NULL,
	answered_by TEXT    NOT NULL,
	answered_at INTEGER NOT NULL,
	PRIMARY KEY (county, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX asks_by_id ON asks (id);
CREATE INDEX asks_open ON asks (county, id) WHERE state = 'open';

-- A row is for a county (host is '') or for one host (county is '').
CREATE TABLE rings (
	county TEXT NOT NULL,
	host   TEXT NOT NULL,
	ring   TEXT NOT NULL,
	PRIMARY KEY (county, host)
) STRICT, WITHOUT ROWID;

-- Who wrote, relayed, received and returned a host's sealed files, as each has said.
CREATE TABLE custody (
	id       INTEGER PRIMARY KEY, -- counts up
	host     TEXT    NOT NULL,
	file     TEXT    NOT NULL,
	at       INTEGER NOT NULL, -- seconds, by the clock of whoever says it
	act      TEXT    NOT NULL,
	by       TEXT    NOT NULL,
	from_seq INTEGER NOT NULL,
	to_seq   INTEGER NOT NULL,
	UNIQUE (host, file, act, by, at)
) STRICT;

-- What follows belongs to the state as a whole, and is small.

CREATE TABLE policies (
	version      INTEGER NOT NULL PRIMARY KEY,
	revision     TEXT    NOT NULL,
	digest       TEXT    NOT NULL,
	contents     TEXT    NOT NULL, -- digest, as reports name it
	ring         TEXT    NOT NULL, -- how far it is offered
	paused       INTEGER NOT NULL,
	actor        TEXT    NOT NULL,
	published_at INTEGER NOT NULL,
	bundle       BLOB    NOT NULL
) STRICT;

CREATE TABLE tickets (
	kind     TEXT    NOT NULL,
	digest   BLOB    NOT NULL,
	value    BLOB    NOT NULL,
	until_at INTEGER NOT NULL,
	PRIMARY KEY (kind, digest)
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
	id     INTEGER PRIMARY KEY AUTOINCREMENT,
	at     INTEGER NOT NULL,
	kind   TEXT    NOT NULL,
	county TEXT    NOT NULL,
	host   TEXT    NOT NULL,
	text   TEXT    NOT NULL,
	sent   INTEGER NOT NULL DEFAULT 0 -- deliveries were made of it
) STRICT;

CREATE INDEX events_new ON events (id) WHERE sent = 0;

CREATE TABLE deliveries (
	hook     TEXT    NOT NULL,
	event    INTEGER NOT NULL,
	attempts INTEGER NOT NULL DEFAULT 0,
	next_at  INTEGER NOT NULL, -- 0 after the last
	done_at  INTEGER NOT NULL DEFAULT 0,
	status   INTEGER NOT NULL DEFAULT 0,
	error    TEXT    NOT NULL DEFAULT '',
	PRIMARY KEY (hook, event)
) STRICT, WITHOUT ROWID;

CREATE INDEX deliveries_due ON deliveries (next_at) WHERE next_at <> 0;

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
