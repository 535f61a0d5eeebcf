package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/passmuster/muster"
)

// recording is a recorded host whose tables can be changed.
type recording struct {
	rest   map[string]json.RawMessage
	tables map[string][]muster.Row
}

func readRecording(path string) (*recording, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r := &recording{}
	if err := json.Unmarshal(b, &r.rest); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := json.Unmarshal(r.rest["tables"], &r.tables); err != nil {
		return nil, fmt.Errorf("%s: tables: %w", path, err)
	}
	return r, nil
}

func (r *recording) write(path, hostname string) error {
	var err error
	if r.rest["tables"], err = json.Marshal(r.tables); err != nil {
		return err
	}
	if r.rest["hostname"], err = json.Marshal(hostname); err != nil {
		return err
	}
	b, err := json.Marshal(r.rest)
	if err != nil {
		return err
	}
	return os.WriteFile(path, b, 0o600)
}

// change is one thing that is different on a host.
type change func(*recording)

// drop removes the rows in which any column holds the text.
func drop(text string, tables ...string) change {
	return func(r *recording) {
		for _, t := range tables {
			r.tables[t] = slices.DeleteFunc(r.tables[t], func(row muster.Row) bool { return holds(row, text) })
		}
	}
}

// set gives the column a value in every row that holds the text.
func set(table, text, column, value string) change {
	return func(r *recording) {
		for _, row := range r.tables[table] {
			if holds(row, text) {
				row[column] = value
			}
		}
	}
}

func add(table string, row muster.Row) change {
	return func(r *recording) { r.tables[table] = append(r.tables[table], row) }
}

// value sets a value of a registry key under HKEY_LOCAL_MACHINE.
func value(key, name, kind, data string) change {
	key = `HKEY_LOCAL_MACHINE\` + key
	return func(r *recording) {
		r.tables["registry"] = slices.DeleteFunc(r.tables["registry"], func(row muster.Row) bool {
			return strings.EqualFold(row["key"], key) && strings.EqualFold(row["name"], name)
		})
		add("registry", muster.Row{"key": key, "path": key + `\` + name, "name": name, "type": kind, "data": data, "mtime": "1792000000"})(r)
	}
}

func all(changes ...change) change {
	return func(r *recording) {
		for _, c := range changes {
			c(r)
		}
	}
}

func holds(row muster.Row, text string) bool {
	for _, v := range row {
		if strings.Contains(v, text) {
			return true
		}
	}
	return false
}
