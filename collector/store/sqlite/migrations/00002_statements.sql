-- +goose Up

-- When the host made the statement that it enrolled with, by its own clock.
ALTER TABLE hosts ADD COLUMN made_at INTEGER NOT NULL DEFAULT 0;

-- Anyone may ask to be let in, so that the waiting are counted often.
CREATE INDEX hosts_pending ON hosts (enrolled_at, id) WHERE state = 'pending';
