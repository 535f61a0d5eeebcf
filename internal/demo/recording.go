package main

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/passmuster/muster"
)

// recording is a recorded host whose tables can be changed.
type recording struct {
	now    time.Time
	rest   map[string]json.RawMessage
	tables map[string][]muster.Row
}

// readRecording reads a recorded host and moves its dates as if it had been
// recorded now, so that what was fresh then still is.
func readRecording(path string, now time.Time) (*recording, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r := &recording{now: now}
	if err := json.Unmarshal(b, &r.rest); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := json.Unmarshal(r.rest["tables"], &r.tables); err != nil {
		return nil, fmt.Errorf("%s: tables: %w", path, err)
	}
	var recorded time.Time
	if err := json.Unmarshal(r.rest["recorded_at"], &recorded); err != nil {
		return nil, fmt.Errorf("%s: recorded_at: %w", path, err)
	}
	if err := r.move(now.Sub(recorded).Truncate(time.Second)); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

// move adds the time to each date that a control looks at.
func (r *recording) move(by time.Duration) error {
	for table, column := range map[string]string{"registry": "mtime", "windows_update_history": "date", "time": "unix_time"} {
		for _, row := range r.tables[table] {
			if row[column] == "" {
				continue
			}
			at, err := strconv.ParseInt(row[column], 10, 64)
			if err != nil {
				return fmt.Errorf("table %s: %w", table, err)
			}
			row[column] = strconv.FormatInt(at+int64(by.Seconds()), 10)
		}
	}
	for _, row := range r.tables["windows_eventlog"] {
		at, err := time.Parse(time.RFC3339Nano, row["datetime"])
		if err != nil {
			return fmt.Errorf("table windows_eventlog: %w", err)
		}
		row["datetime"] = at.Add(by).Format(time.RFC3339Nano)
	}
	for _, row := range r.tables["registry"] {
		if row["name"] != "SignaturesLastUpdated" {
			continue
		}
		b, err := hex.DecodeString(row["data"])
		if err != nil || len(b) != 8 {
			return fmt.Errorf("table registry: the time %q is no 8 bytes", row["data"])
		}
		// Windows counts 100 nanoseconds, the lowest byte first.
		row["data"] = fmt.Sprintf("%X", binary.LittleEndian.AppendUint64(nil, binary.LittleEndian.Uint64(b)+uint64(by.Nanoseconds()/100)))
	}
	return nil
}

func (r *recording) write(path, hostname string) error {
	var err error
	if r.rest["tables"], err = json.Marshal(r.tables); err != nil {
		return err
	}
	if r.rest["recorded_at"], err = json.Marshal(r.now.Truncate(time.Second)); err != nil {
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

// dated adds a row whose column holds the hour before now.
func dated(table string, row muster.Row, column string) change {
	return func(r *recording) {
		row := maps.Clone(row)
		row[column] = strconv.FormatInt(r.now.Add(-time.Hour).Unix(), 10)
		add(table, row)(r)
	}
}

// value sets a value of a registry key under HKEY_LOCAL_MACHINE.
func value(key, name, kind, data string) change {
	key = `HKEY_LOCAL_MACHINE\` + key
	return func(r *recording) {
		r.tables["registry"] = slices.DeleteFunc(r.tables["registry"], func(row muster.Row) bool {
			return strings.EqualFold(row["key"], key) && strings.EqualFold(row["name"], name)
		})
		add("registry", muster.Row{"key": key, "path": key + `\` + name, "name": name, "type": kind, "data": data, "mtime": strconv.FormatInt(r.now.Unix(), 10)})(r)
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
