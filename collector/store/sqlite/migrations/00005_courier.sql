-- +goose Up

-- Who wrote, relayed, received and returned a host's sealed files, as each has said.
CREATE TABLE custody (
	id       INTEGER PRIMARY KEY, -- counts up
	host     TEXT NOT NULL,
	file     TEXT NOT NULL,
	at       INTEGER NOT NULL,
	act      TEXT NOT NULL,
	by       TEXT NOT NULL,
	from_seq INTEGER NOT NULL,
	to_seq   INTEGER NOT NULL,
	UNIQUE (host, file, act, by, at)
);
