package tailnet

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"sync"

	"tailscale.com/ipn"

	"github.com/passmuster/muster/internal/durable"
)

// store keeps the node's state in one file that survives a power cut. Tailscale's
// own does not sync the folder, and the auth key is gone by then.
type store struct {
	path string

	mu     sync.Mutex
	values map[ipn.StateKey][]byte
}

// openStore reads the file where there is one. One that is damaged is set aside
// under the name that it returns, and the node starts anew.
func openStore(path string) (s *store, setAside string, err error) {
	s = &store{path: path, values: map[ipn.StateKey][]byte{}}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, "", durable.WriteFile(path, []byte("{}"), 0o600)
	}
	if err != nil {
		return nil, "", err
	}
	if err := json.Unmarshal(b, &s.values); err != nil || s.values == nil {
		s.values = map[ipn.StateKey][]byte{}
		return s, path + ".damaged", durable.Rename(path, path+".damaged")
	}
	return s, "", nil
}

func (s *store) empty() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.values) == 0
}

// ReadState returns ipn.ErrStateNotExist where nothing is kept under id.
func (s *store) ReadState(id ipn.StateKey) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	value, ok := s.values[id]
	if !ok {
		return nil, ipn.ErrStateNotExist
	}
	return bytes.Clone(value), nil
}

// WriteState returns once the value is on the disk; nil deletes it.
func (s *store) WriteState(id ipn.StateKey, value []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, ok := s.values[id]; ok && value != nil && bytes.Equal(old, value) {
		return nil
	}
	next := maps.Clone(s.values)
	if delete(next, id); value != nil {
		next[id] = bytes.Clone(value)
	}
	b, err := json.Marshal(next)
	if err == nil {
		err = durable.WriteFile(s.path, b, 0o600)
	}
	if err != nil {
		return fmt.Errorf("write the tailnet state: %w", err)
	}
	s.values = next
	return nil
}
