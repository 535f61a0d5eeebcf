package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"

	"github.com/passmuster/muster/internal/durable"
)

// Bounds in bytes.
const (
	// MaxPolicy bounds a policy bundle as it travels.
	MaxPolicy = 32 << 20
	maxStatus = 1 << 20
)

// SavePolicy keeps a bundle that the caller has verified, and raises the version
// floor to its version.
func (f *Folder) SavePolicy(bundle []byte, version uint64) error {
	floor, err := f.PolicyFloor()
	if err != nil {
		return err
	}
	if version < floor {
		return fmt.Errorf("keep policy version %d: this host has seen version %d", version, floor)
	}
	// The bundle first: with a power loss between the two the floor is merely low,
	// and the next audit raises it.
	if err := durable.WriteFile(f.path("policy", "bundle.tar.gz"), bundle, 0o644); err != nil {
		return f.explain(err)
	}
	return f.RaisePolicyFloor(version)
}

// RaisePolicyFloor makes the floor at least version.
func (f *Folder) RaisePolicyFloor(version uint64) error {
	for _, name := range floorFiles() {
		floor, err := f.readFloor(name)
		if err != nil {
			return err
		}
		if floor >= version {
			continue
		}
		if err := durable.WriteFile(f.path(name...), fmt.Appendf(nil, "%d\n", version), 0o644); err != nil {
			return f.explain(err)
		}
	}
	return nil
}

// floorFiles hold the floor twice: who puts the policy folder back to an older
// copy does not lower it.
func floorFiles() [][]string { return [][]string{{"policy", "floor"}, {"policy-floor"}} }

// Policy is the last good bundle, or nil where there is none yet. The caller
// verifies it again.
func (f *Folder) Policy() ([]byte, error) { return f.read(MaxPolicy, "policy", "bundle.tar.gz") }

// PolicyFloor is the highest bundle version that this host has used; 0 before
// the first.
func (f *Folder) PolicyFloor() (floor uint64, err error) {
	for _, name := range floorFiles() {
		one, err := f.readFloor(name)
		if err != nil {
			return 0, err
		}
		floor = max(floor, one)
	}
	return floor, nil
}

func (f *Folder) readFloor(name []string) (uint64, error) {
	b, err := f.read(64, name...)
	if b == nil || err != nil {
		return 0, err
	}
	floor, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("the policy version floor %s is damaged: write the newest version number that this host has used into it", f.path(name...))
	}
	return floor, nil
}

// InboxPolicy is the bundle that uplink or courier has brought, or nil. Nothing
// about it is verified.
func (f *Folder) InboxPolicy() ([]byte, error) { return f.read(MaxPolicy, "inbox", "policy.tar.gz") }

// DropInboxPolicy removes that bundle once it was taken or refused.
func (f *Folder) DropInboxPolicy() error {
	return durable.Remove(f.path("inbox", "policy.tar.gz"))
}

// RequestAudit asks for an audit, as the collector does.
func (f *Folder) RequestAudit() error {
	if err := durable.WriteFile(f.path("inbox", "audit-request"), []byte("now\n"), 0o640); err != nil {
		return f.explain(err)
	}
	return nil
}

// TakeAuditRequest reports whether somebody has asked for an audit, and
// forgets the request.
func (f *Folder) TakeAuditRequest() (bool, error) {
	path := f.path("inbox", "audit-request")
	b, err := f.read(4<<10, "inbox", "audit-request")
	if b == nil && err == nil {
		return false, nil
	}
	return true, durable.Remove(path)
}

// WriteStatus keeps v as the named status, for everyone to read.
func (f *Folder) WriteStatus(name string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("encode status %s: %w", name, err)
	}
	path := f.StatusFile(name)
	// The uplink may create here, too, and a folder stays in the way of every write.
	if info, err := os.Lstat(path); err == nil && info.IsDir() {
		if err := os.Rename(path, fmt.Sprintf("%s.%016x.foreign", path, rand.Uint64())); err != nil {
			return f.explain(err)
		}
	}
	if err := durable.WriteFile(path, append(b, '\n'), 0o644); err != nil {
		return f.explain(err)
	}
	return nil
}

// ReadStatus reads the named status into v; found is false where there is none.
func (f *Folder) ReadStatus(name string, v any) (found bool, err error) {
	b, err := f.read(maxStatus, "status", name+".json")
	if b == nil || err != nil {
		return false, err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return false, fmt.Errorf("status file %s is damaged: %w", f.StatusFile(name), err)
	}
	return true, nil
}

// read gives nil where the file is missing.
func (f *Folder) read(max int64, name ...string) ([]byte, error) {
	b, err := durable.ReadForeign(f.path(name...), max)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, f.explain(err)
	}
	if b == nil {
		b = []byte{}
	}
	return b, nil
}
