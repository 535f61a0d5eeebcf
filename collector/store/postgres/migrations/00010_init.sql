-- +goose Up

-- The tables of store/sqlite, whose migrations describe them. Text that orders or is
-- looked up compares by its bytes, whatever the database's locale.

CREATE TABLE hosts (
	id            TEXT COLLATE "C" NOT NULL PRIMARY KEY,
	public_key    BYTEA   NOT NULL,
	enrolled_at   BIGINT  NOT NULL,
	made_at       BIGINT  NOT NULL,
	waits         TEXT    NOT NULL,
	node          TEXT COLLATE "C" NOT NULL,
	left_nodes    TEXT    NOT NULL,
	machine       TEXT COLLATE "C" NOT NULL,
	replaced_at   BIGINT  NOT NULL,
	audit_wanted  BIGINT  NOT NULL,
	version       INTEGER NOT NULL,
	county        TEXT COLLATE "C" NOT NULL,
	state         TEXT    NOT NULL CHECK (state IN ('pending', 'active', 'retired')),
	profile       TEXT    NOT NULL,
	clone         TEXT    NOT NULL,
	replaced_by   TEXT COLLATE "C" NOT NULL,
	policy_digest TEXT COLLATE "C" NOT NULL,
	seq           BIGINT  NOT NULL DEFAULT 0,
	digest        BYTEA   NOT NULL DEFAULT '',
	first_seen    BIGINT  NOT NULL DEFAULT 0,
	last_seen     BIGINT  NOT NULL DEFAULT 0,
	collected_at  BIGINT  NOT NULL DEFAULT 0,
	about_at      BIGINT  NOT NULL DEFAULT 0,
	received      INTEGER NOT NULL DEFAULT 0,
	declared      BIGINT  NOT NULL DEFAULT 0,
	stale_at      BIGINT  NOT NULL,
	stale_day     BIGINT  NOT NULL
);

CREATE INDEX hosts_by_county ON hosts (county, state);
CREATE INDEX hosts_pending ON hosts (enrolled_at, id) WHERE state = 'pending';
CREATE INDEX hosts_by_stale_day ON hosts (stale_day);
CREATE INDEX hosts_by_machine ON hosts (machine, county) WHERE machine <> '';
CREATE INDEX hosts_by_node ON hosts (node) WHERE node <> '';
CREATE INDEX hosts_by_policy ON hosts (policy_digest, county) WHERE state = 'active' AND replaced_by = '';
CREATE INDEX hosts_replaced ON hosts (replaced_by) WHERE replaced_by <> '';

CREATE TABLE residents (
	county TEXT COLLATE "C" NOT NULL,
	host   TEXT COLLATE "C" NOT NULL,
	PRIMARY KEY (county, host)
);

CREATE TABLE versions (
	host           TEXT COLLATE "C" NOT NULL,
	n              BIGINT  NOT NULL,
	from_at        BIGINT  NOT NULL,
	until_at       BIGINT  NOT NULL,
	county         TEXT COLLATE "C" NOT NULL,
	state          TEXT    NOT NULL,
	profile        TEXT    NOT NULL,
	platform       TEXT    NOT NULL,
	hostname       TEXT COLLATE "C" NOT NULL,
	demo           BIGINT  NOT NULL,
	agent          TEXT    NOT NULL,
	clone          TEXT    NOT NULL,
	replaced_by    TEXT COLLATE "C" NOT NULL,
	seq            BIGINT  NOT NULL,
	about_at       BIGINT  NOT NULL,
	late           BIGINT  NOT NULL,
	policy         TEXT    NOT NULL,
	policy_digest  TEXT COLLATE "C" NOT NULL,
	pass           BIGINT  NOT NULL,
	fail           BIGINT  NOT NULL,
	unknown        BIGINT  NOT NULL,
	not_applicable BIGINT  NOT NULL,
	waived         BIGINT  NOT NULL,
	meets          BIGINT  NOT NULL,
	gate_fails     BIGINT  NOT NULL,
	changes        BIGINT  NOT NULL,
	control_set    BYTEA   NOT NULL,
	statuses       BYTEA   NOT NULL,
	since          BYTEA   NOT NULL,
	waivers        TEXT    NOT NULL,
	PRIMARY KEY (host, n)
);

CREATE INDEX versions_of_host ON versions (host, until_at, from_at) WHERE from_at < until_at;
CREATE INDEX versions_by_time ON versions (from_at) WHERE from_at < until_at;
CREATE INDEX versions_changes ON versions (from_at, host, n) WHERE changes > 0;
CREATE INDEX versions_about ON versions (about_at, host, n) WHERE changes > 0;
CREATE INDEX versions_county_about ON versions (county, about_at, host, n) WHERE changes > 0;
CREATE INDEX versions_county_changes ON versions (county, from_at, host, n) WHERE changes > 0;
CREATE INDEX versions_replaced ON versions (replaced_by) WHERE replaced_by <> '';
CREATE INDEX versions_by_name ON versions (lower(hostname), host, county, hostname) WHERE until_at = 9223372036854775807 AND state = 'active';

CREATE TABLE control_sets (
	digest   BYTEA NOT NULL PRIMARY KEY,
	controls TEXT NOT NULL
);

CREATE TABLE reports (
	host         TEXT COLLATE "C" NOT NULL,
	digest       BYTEA   NOT NULL,
	way          SMALLINT NOT NULL,
	version      INTEGER NOT NULL,
	received     INTEGER NOT NULL,
	newest       BIGINT  NOT NULL,
	missing      BIGINT  NOT NULL,
	seq          BIGINT  NOT NULL,
	received_at  BIGINT  NOT NULL,
	collected_at BIGINT  NOT NULL,
	about_at     BIGINT  NOT NULL,
	PRIMARY KEY (host, seq)
);

CREATE INDEX reports_by_arrival ON reports ((hashtextextended(host, 0)), received_at);
CREATE INDEX reports_by_about ON reports ((hashtextextended(host, 0)), about_at);

CREATE TABLE evidence (
	host     TEXT COLLATE "C" NOT NULL,
	base     BYTEA   NOT NULL,
	depth    SMALLINT NOT NULL,
	month    INTEGER NOT NULL,
	size     INTEGER NOT NULL,
	seq      BIGINT  NOT NULL,
	base_seq BIGINT  NOT NULL,
	body     BYTEA   NOT NULL,
	PRIMARY KEY (host, seq, month)
) PARTITION BY LIST (month);

CREATE TABLE silences (
	host     TEXT COLLATE "C" NOT NULL,
	from_at  BIGINT  NOT NULL,
	until_at BIGINT  NOT NULL,
	PRIMARY KEY (host, from_at)
);

CREATE INDEX silences_by_start ON silences (from_at);
CREATE INDEX silences_by_end ON silences (until_at);

CREATE TABLE rollups (
	county   TEXT COLLATE "C" NOT NULL,
	known    TEXT COLLATE "C" NOT NULL,
	at       BIGINT  NOT NULL,
	hosts    BIGINT  NOT NULL,
	meeting  BIGINT  NOT NULL,
	failing  BIGINT  NOT NULL,
	unknown  BIGINT  NOT NULL,
	stale    BIGINT  NOT NULL,
	pending  BIGINT  NOT NULL,
	missing  BIGINT  NOT NULL,
	invented BIGINT  NOT NULL,
	controls TEXT    NOT NULL,
	quiet    TEXT    NOT NULL,
	PRIMARY KEY (county, known, at)
);

CREATE INDEX rollups_by_time ON rollups (known, at, county);

CREATE TABLE retold (
	county TEXT COLLATE "C" NOT NULL PRIMARY KEY,
	day    BIGINT  NOT NULL
);

CREATE TABLE expected (
	county   TEXT COLLATE "C" NOT NULL,
	name     TEXT COLLATE "C" NOT NULL,
	from_at  BIGINT  NOT NULL,
	until_at BIGINT  NOT NULL,
	since    BIGINT  NOT NULL,
	shown    TEXT    NOT NULL,
	profile  TEXT    NOT NULL,
	note     TEXT    NOT NULL,
	host     TEXT COLLATE "C" NOT NULL,
	PRIMARY KEY (county, name, from_at)
);

CREATE INDEX expected_open ON expected (county, until_at);
CREATE INDEX expected_by_host ON expected (host) WHERE host <> '';
CREATE INDEX expected_missing ON expected (until_at, from_at, county) WHERE host = '';

CREATE TABLE contacts (
	county TEXT COLLATE "C" NOT NULL,
	n      BIGINT  NOT NULL,
	name   TEXT COLLATE "C" NOT NULL,
	duty   TEXT    NOT NULL,
	phone  TEXT    NOT NULL,
	email  TEXT    NOT NULL,
	PRIMARY KEY (county, n)
);

CREATE TABLE asks (
	county      TEXT COLLATE "C" NOT NULL,
	id          BIGINT  NOT NULL,
	host        TEXT COLLATE "C" NOT NULL,
	control     TEXT    NOT NULL,
	reason      TEXT    NOT NULL,
	until_at    BIGINT  NOT NULL,
	by          TEXT COLLATE "C" NOT NULL,
	at          BIGINT  NOT NULL,
	state       TEXT    NOT NULL,
	answer      TEXT    NOT NULL,
	answered_by TEXT    NOT NULL,
	answered_at BIGINT  NOT NULL,
	PRIMARY KEY (county, id)
);

CREATE INDEX asks_by_id ON asks (id);
CREATE INDEX asks_open ON asks (county, id) WHERE state = 'open';

CREATE TABLE rings (
	county TEXT COLLATE "C" NOT NULL,
	host   TEXT COLLATE "C" NOT NULL,
	ring   TEXT NOT NULL,
	PRIMARY KEY (county, host)
);

CREATE TABLE custody (
	id       BIGINT GENERATED BY DEFAULT AS IDENTITY,
	host     TEXT COLLATE "C" NOT NULL,
	file     TEXT COLLATE "C" NOT NULL,
	at       BIGINT  NOT NULL,
	act      TEXT COLLATE "C" NOT NULL,
	by       TEXT COLLATE "C" NOT NULL,
	from_seq BIGINT  NOT NULL,
	to_seq   BIGINT  NOT NULL,
	UNIQUE (host, file, act, by, at)
);

CREATE TABLE policies (
	version      BIGINT  NOT NULL PRIMARY KEY,
	revision     TEXT    NOT NULL,
	digest       TEXT    NOT NULL,
	contents     TEXT    NOT NULL,
	ring         TEXT    NOT NULL,
	paused       BIGINT  NOT NULL,
	actor        TEXT    NOT NULL,
	published_at BIGINT  NOT NULL,
	bundle       BYTEA   NOT NULL
);

CREATE TABLE tickets (
	kind     TEXT COLLATE "C" NOT NULL,
	digest   BYTEA   NOT NULL,
	value    BYTEA   NOT NULL,
	until_at BIGINT  NOT NULL,
	PRIMARY KEY (kind, digest)
);

CREATE TABLE events (
	id     BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
	at     BIGINT  NOT NULL,
	kind   TEXT COLLATE "C" NOT NULL,
	county TEXT COLLATE "C" NOT NULL,
	host   TEXT COLLATE "C" NOT NULL,
	text   TEXT    NOT NULL,
	sent   BIGINT  NOT NULL DEFAULT 0
);

CREATE INDEX events_new ON events (id) WHERE sent = 0;

CREATE TABLE deliveries (
	hook     TEXT COLLATE "C" NOT NULL,
	event    BIGINT  NOT NULL,
	attempts BIGINT  NOT NULL DEFAULT 0,
	next_at  BIGINT  NOT NULL,
	done_at  BIGINT  NOT NULL DEFAULT 0,
	status   BIGINT  NOT NULL DEFAULT 0,
	error    TEXT    NOT NULL DEFAULT '',
	PRIMARY KEY (hook, event)
);

CREATE INDEX deliveries_due ON deliveries (next_at) WHERE next_at <> 0;

CREATE TABLE audit_log (
	id     BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
	at     BIGINT  NOT NULL,
	actor  TEXT    NOT NULL,
	action TEXT    NOT NULL,
	object TEXT    NOT NULL
);

-- Beside the tables.

-- Touched rows stay on their page, and signed envelopes are compressed already.
ALTER TABLE hosts SET (fillfactor = 70);
ALTER TABLE evidence ALTER COLUMN body SET STORAGE EXTERNAL;

-- +goose StatementBegin
CREATE FUNCTION audit_log_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION 'the audit log is append-only';
END $$;
-- +goose StatementEnd

CREATE TRIGGER audit_log_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
	FOR EACH STATEMENT EXECUTE FUNCTION audit_log_stays();

-- Tells whoever listens which counties the changed rows are of, or nothing where they
-- have none or are too many for one message.
-- +goose StatementBegin
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
	counties text := '';
BEGIN
	IF TG_NARGS = 0 THEN
		SELECT string_agg(DISTINCT county, ' ') INTO counties FROM changed;
		IF counties IS NULL THEN
			RETURN NULL;
		END IF;
	END IF;
	PERFORM pg_notify('muster', CASE WHEN length(counties) < 7000 THEN counties ELSE '' END);
	RETURN NULL;
END $$;
-- +goose StatementEnd

CREATE TRIGGER tell_added AFTER INSERT ON hosts REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION tell();
CREATE TRIGGER tell_is AFTER UPDATE ON hosts REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION tell();
CREATE TRIGGER tell_was AFTER UPDATE ON hosts REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION tell();
CREATE TRIGGER tell_added AFTER INSERT ON expected REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION tell();
CREATE TRIGGER tell_changed AFTER UPDATE ON expected REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION tell();
CREATE TRIGGER tell_added AFTER INSERT ON contacts REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION tell();
CREATE TRIGGER tell_removed AFTER DELETE ON contacts REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION tell();
CREATE TRIGGER tell_added AFTER INSERT ON asks REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION tell();
CREATE TRIGGER tell_changed AFTER UPDATE ON asks REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION tell();
CREATE TRIGGER tell_added AFTER INSERT ON events REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION tell();
CREATE TRIGGER tell_changed AFTER INSERT OR UPDATE ON policies FOR EACH STATEMENT EXECUTE FUNCTION tell('all');
CREATE TRIGGER tell_changed AFTER INSERT OR UPDATE OR DELETE ON rings FOR EACH STATEMENT EXECUTE FUNCTION tell('all');
