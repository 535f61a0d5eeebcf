-- +goose Up

-- What shows that two computers have one key, as muster.Clone; '' for nothing.
ALTER TABLE hosts ADD COLUMN clone TEXT NOT NULL DEFAULT '';
UPDATE hosts SET clone = 'number' WHERE conflict;
ALTER TABLE hosts DROP COLUMN conflict;

-- The tailnet's node that the host enrolled from, and those that it left, one a line.
ALTER TABLE hosts ADD COLUMN node TEXT NOT NULL DEFAULT '';
ALTER TABLE hosts ADD COLUMN left_nodes TEXT NOT NULL DEFAULT '';

-- Which host the machine became when it was set up again, and when, by the clock of
-- the old one: a report that was collected later shows that it lives on.
ALTER TABLE hosts ADD COLUMN machine TEXT NOT NULL DEFAULT '';
ALTER TABLE hosts ADD COLUMN replaced_by TEXT NOT NULL DEFAULT '';
ALTER TABLE hosts ADD COLUMN replaced_at INTEGER NOT NULL DEFAULT 0;
CREATE INDEX hosts_by_machine ON hosts (machine, county) WHERE machine <> '';
CREATE INDEX hosts_by_node ON hosts (node) WHERE node <> '';
CREATE INDEX hosts_replaced ON hosts (replaced_by) WHERE replaced_by <> '';

ALTER TABLE hosts ADD COLUMN audit_wanted INTEGER NOT NULL DEFAULT 0;
