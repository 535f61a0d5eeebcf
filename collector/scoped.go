package collector

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/door"
	"github.com/passmuster/muster/collector/store"
)

// scoped is the store as pages and the API read it. Who reads counties only is not told
// what a host was before it came to the county that it is in now; as of such an instant
// it is not there.
type scoped struct{ store.Store }

// since is when the host came to its county; zero where it was in no other, or where
// the sender reads the whole state.
func (s scoped) since(ctx context.Context, id muster.HostID) (time.Time, error) {
	if !door.CountiesOnly(ctx) {
		return time.Time{}, nil
	}
	return s.Moved(ctx, id)
}

// here leaves out of a list what is of hosts that were elsewhere at the view's instant.
// Only hindsight asks for hosts by their county of today.
func here[T any](ctx context.Context, s scoped, v muster.View, list []T, host func(T) muster.HostID) ([]T, error) {
	if v.Now() || v.Known != muster.KnownNow || !door.CountiesOnly(ctx) {
		return list, nil
	}
	var failed error
	since := map[muster.HostID]time.Time{}
	return slices.DeleteFunc(list, func(one T) bool {
		id := host(one)
		if _, ok := since[id]; !ok && failed == nil {
			since[id], failed = s.Moved(ctx, id)
		}
		return v.At.Before(since[id])
	}), failed
}

func (s scoped) Host(ctx context.Context, v muster.View, id muster.HostID) (muster.HostStanding, error) {
	if !v.Now() {
		since, err := s.since(ctx, id)
		if err == nil && v.At.Before(since) {
			err = fmt.Errorf("host %s as it was elsewhere: %w", id, fs.ErrNotExist)
		}
		if err != nil {
			return muster.HostStanding{}, err
		}
	}
	return s.Store.Host(ctx, v, id)
}

func (s scoped) HostTransitions(ctx context.Context, v muster.View, id muster.HostID, limit int) ([]muster.Transition, error) {
	since, err := s.since(ctx, id)
	if err != nil {
		return nil, err
	}
	list, err := s.Store.HostTransitions(ctx, v, id, limit)
	return slices.DeleteFunc(list, func(t muster.Transition) bool { return t.ReceivedAt.Before(since) }), err
}

func (s scoped) HostReports(ctx context.Context, id muster.HostID, before uint64, limit int) ([]muster.ReportStanding, error) {
	since, err := s.since(ctx, id)
	if err != nil {
		return nil, err
	}
	list, err := s.Store.HostReports(ctx, id, before, limit)
	return slices.DeleteFunc(list, func(r muster.ReportStanding) bool { return r.ReceivedAt.Before(since) }), err
}

func (s scoped) Custody(ctx context.Context, id muster.HostID) ([]muster.CustodyEvent, error) {
	since, err := s.since(ctx, id)
	if err != nil {
		return nil, err
	}
	list, err := s.Store.Custody(ctx, id)
	return slices.DeleteFunc(list, func(e muster.CustodyEvent) bool { return e.At.Before(since) }), err
}

func (s scoped) Envelope(ctx context.Context, id muster.HostID, seq uint64) ([]muster.StoredEnvelope, error) {
	since, err := s.since(ctx, id)
	if err == nil && !since.IsZero() {
		var list []muster.ReportStanding
		list, err = s.HostReports(ctx, id, seq+1, 1)
		if err == nil && (len(list) == 0 || list[0].Seq != seq) {
			err = fmt.Errorf("report %d of host %s: %w", seq, id, fs.ErrNotExist)
		}
	}
	if err != nil {
		return nil, err
	}
	return s.Store.Envelope(ctx, id, seq)
}

func (s scoped) Hosts(ctx context.Context, v muster.View, q muster.HostQuery) (muster.HostPage, error) {
	page, err := s.Store.Hosts(ctx, v, q)
	if err == nil {
		page.Hosts, err = here(ctx, s, v, page.Hosts, func(h muster.HostStanding) muster.HostID { return h.ID })
	}
	return page, err
}

func (s scoped) Quiet(ctx context.Context, v muster.View, county muster.County, limit int) ([]muster.HostStanding, error) {
	list, err := s.Store.Quiet(ctx, v, county, limit)
	if err != nil {
		return nil, err
	}
	return here(ctx, s, v, list, func(h muster.HostStanding) muster.HostID { return h.ID })
}

func (s scoped) CountyFindings(ctx context.Context, v muster.View, county muster.County) ([]muster.FindingStanding, error) {
	list, err := s.Store.CountyFindings(ctx, v, county)
	if err != nil {
		return nil, err
	}
	return here(ctx, s, v, list, func(f muster.FindingStanding) muster.HostID { return f.Host })
}
