package builtin

import (
	"bytes"
	"database/sql"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// rpmHeader makes a header of texts and 32-bit numbers.
func rpmHeader(texts map[uint32]string, numbers map[uint32]uint32) []byte {
	var index, data []byte
	u := binary.BigEndian.AppendUint32
	add := func(tag, kind uint32, value []byte) {
		index = u(u(u(u(index, tag), kind), uint32(len(data))), 1)
		data = append(data, value...)
	}
	for tag, n := range numbers {
		add(tag, rpmInt32, u(nil, n))
	}
	for tag, s := range texts {
		add(tag, rpmString, append([]byte(s), 0))
	}
	return append(append(u(u(nil, uint32(len(index)/16)), uint32(len(data))), index...), data...)
}

// TestRPMLog: a package that waits in the database's log is seen, and a log
// that cannot be followed is no answer.
func TestRPMLog(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "var/lib/rpm")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder, "rpmdb.sqlite")
	text, err := host{"testdata/hosts/debian"}.text("/var/lib/rpm/rpmdb.sqlite")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if _, err := db.Exec("INSERT INTO Packages (blob) VALUES (?)", rpmHeader(map[uint32]string{1000: "new"}, nil)); err != nil {
		t.Fatal(err)
	}
	h := host{strings.TrimSuffix(folder, "/var/lib/rpm")}
	rows := mustGather(t, h.rpmPackages())
	if len(rows) != 3 || rowWith(rows, muster.Row{"name": "new"}) == nil {
		t.Errorf("the log was not followed: %v", rows)
	}
	alone := host{tree(t, map[string]string{"var/lib/rpm/rpmdb.sqlite": text, "var/lib/rpm/rpmdb.sqlite-wal": "not empty"})}
	if rows, err := gather(t, alone.rpmPackages()); !errors.Is(err, facts.ErrUnavailable) {
		t.Errorf("got %v (%v), want unavailable", rows, err)
	}
	names, err := os.ReadDir(alone.path("/var/lib/rpm"))
	if err != nil || len(names) != 2 {
		t.Errorf("something was written: %v (%v)", names, err)
	}
}

func TestRPMOtherForms(t *testing.T) {
	for name, files := range map[string]map[string]string{"no rpm": {"etc/x": ""}, "Berkeley DB": {"var/lib/rpm/Packages": "x"}} {
		if rows, err := gather(t, host{tree(t, files)}.rpmPackages()); !errors.Is(err, facts.ErrUnavailable) {
			t.Errorf("%s: got %v (%v), want unavailable", name, rows, err)
		}
	}
	h := host{tree(t, map[string]string{"usr/lib/sysimage/rpm/rpmdb.sqlite": "no database"})}
	if rows, err := gather(t, h.rpmPackages()); err == nil {
		t.Errorf("a broken database was read: %v", rows)
	}
}

// ndb makes a database of rpm's own kind with the headers in it.
func ndb(headers ...[]byte) []byte {
	u := binary.LittleEndian.AppendUint32
	b := append([]byte("RpmP"), make([]byte, 8)...)
	b = append(u(b, 1), make([]byte, 16)...) // one page of slots
	var blobs []byte
	for i := range ndbPage/ndbSlot - 2 {
		entry := ndbEntry{}
		if i < len(headers) {
			size := ndbSlot + len(headers[i]) + 12
			entry = ndbEntry{uint32(i + 1), uint32(ndbPage+len(blobs)) / ndbSlot, uint32(size+ndbSlot-1) / ndbSlot}
			blob := u(u(u([]byte("BlbS"), entry.number), 0), uint32(len(headers[i])))
			blob = append(blob, headers[i]...)
			blobs = append(blobs, append(blob, make([]byte, int(entry.count)*ndbSlot-len(blob))...)...)
		}
		b = u(u(u(append(b, "Slot"...), entry.number), entry.offset), entry.count)
	}
	return append(b, blobs...)
}

func TestRPMNdb(t *testing.T) {
	db := ndb(rpmHeader(map[uint32]string{1000: "zypper", 1001: "1.14"}, nil), rpmHeader(map[uint32]string{1000: "vim"}, map[uint32]uint32{1003: 2, 1009: 4_000_000_000}))
	h := host{tree(t, map[string]string{"usr/lib/sysimage/rpm/Packages.db": string(db)})}
	want := []muster.Row{{"name": "zypper", "version": "1.14"}, {"name": "vim", "epoch": "2", "size": "4000000000"}}
	if diff := cmp.Diff(want, mustGather(t, h.rpmPackages())); diff != "" {
		t.Error(diff)
	}
}

// FuzzRPMHeader: every value of a header that can be read lies in it, and a
// header without a name is an error.
func FuzzRPMHeader(f *testing.F) {
	f.Add(rpmHeader(map[uint32]string{1000: "a", 1022: "noarch"}, map[uint32]uint32{1009: 7}))
	f.Add(rpmHeader(map[uint32]string{1000: ""}, nil))
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff\xff12345678"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseRPMHeader(b)
		if (err == nil) != (r["name"] != "") {
			t.Errorf("%v: %v", r, err)
		}
		for column, value := range r {
			numeric := column == "size" || column == "install_time" || column == "epoch"
			if !numeric && !isDigits(value) && !bytes.Contains(b, []byte(value)) {
				t.Errorf("%s: %q is not in the header", column, value)
			}
		}
	})
}

func isDigits(s string) bool { return digits(s) == s }

// FuzzRPMNdb: a database gives no more headers than it has slots, each no
// larger than itself, or an error.
func FuzzRPMNdb(f *testing.F) {
	f.Add(ndb(rpmHeader(map[uint32]string{1000: "a"}, nil), rpmHeader(map[uint32]string{1000: "b"}, nil))[:ndbPage+512])
	f.Add([]byte("RpmP"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		slots, err := ndbSlots(r)
		if err != nil {
			return
		}
		if len(slots) > len(b)/ndbSlot {
			t.Errorf("%d slots in %d bytes", len(slots), len(b))
		}
		for _, s := range slots {
			if header, err := ndbBlob(r, s); err == nil && len(header) > len(b) {
				t.Errorf("%d bytes of %d", len(header), len(b))
			}
		}
	})
}
