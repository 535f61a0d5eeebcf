package sqlite

import (
	"context"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/store/tables"
)

// Commit stores the reports in one transaction.
func (s *Store) Commit(ctx context.Context, reports []muster.Accepted) ([]muster.Committed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var p *tables.Plan
	err := s.transact(ctx, "commit reports", func(tx tables.Querier) error {
		hosts, err := s.Subjects(ctx, tx, reports, s.hot.get)
		if err != nil {
			return err
		}
		stamp, err := s.Stamp(ctx, tx)
		if err != nil {
			return err
		}
		if p, err = s.Plan(stamp, hosts, reports); err != nil {
			return err
		}
		return s.Apply(ctx, tx, p)
	})
	if err != nil {
		return nil, err
	}
	for _, list := range [][]*tables.State{p.Heard, p.Shown} {
		for _, h := range list {
			s.hot.put(h)
		}
	}
	return p.Results, nil
}

// maxHot bounds the bytes of hosts that are remembered between commits.
const maxHot = 16 << 20

// hot remembers how hosts stand.
type hot struct {
	hosts map[muster.HostID]*tables.State
	bytes int
}

func (h *hot) get(id muster.HostID) *tables.State { return h.hosts[id] }

func (h *hot) put(s *tables.State) {
	h.drop(s.Host)
	for id := range h.hosts { // any of them
		if h.bytes+size(s) <= maxHot {
			break
		}
		h.drop(id)
	}
	if h.hosts == nil {
		h.hosts = map[muster.HostID]*tables.State{}
	}
	h.hosts[s.Host] = s
	h.bytes += size(s)
}

func (h *hot) drop(id muster.HostID) {
	if s := h.hosts[id]; s != nil {
		h.bytes -= size(s)
		delete(h.hosts, id)
	}
}

func (h *hot) clear() { *h = hot{} }

// size of a state in memory. Its control set is shared with those of many hosts.
func size(s *tables.State) int {
	const fixed = 640 // the structs, and the map's share
	v := s.Open
	return fixed + len(v.Statuses) + len(v.Since) + len(v.Waivers) + len(v.Hostname) + len(v.Agent) + len(v.PolicyRevision) + len(v.Policy)
}
