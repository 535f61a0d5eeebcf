package storetest

import (
	"errors"
	"io/fs"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/store"
)

func tickets(t *testing.T, f *fixture) {
	link := store.Ticket{Kind: "link", Digest: muster.Digest{1}, Value: []byte("for whom"), Until: f.now.Add(time.Hour)}
	session := store.Ticket{Kind: "session", Digest: muster.Digest{1}, Value: []byte{}, Until: f.now.Add(24 * time.Hour)}
	must(t, f.PutTicket(f.ctx, link))
	must(t, f.PutTicket(f.ctx, session))
	for range 2 {
		if diff := cmp.Diff(link, get[store.Ticket](t)(f.Ticket(f.ctx, "link", muster.Digest{1}, false))); diff != "" {
			t.Error(diff)
		}
	}
	absent := func(what, kind string, digest muster.Digest) {
		t.Helper()
		for _, take := range []bool{false, true} {
			if err := second(f.Ticket(f.ctx, kind, digest, take)); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
	absent("another secret", "link", muster.Digest{2})
	absent("another kind", "other", muster.Digest{1})

	var got atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			switch _, err := f.Ticket(f.ctx, "link", muster.Digest{1}, true); {
			case err == nil:
				got.Add(1)
			case !errors.Is(err, fs.ErrNotExist):
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got.Load() != 1 {
		t.Errorf("%d took one link", got.Load())
	}
	absent("taken", "link", muster.Digest{1})

	session.Value, session.Until = []byte("renewed"), session.Until.Add(time.Hour)
	must(t, f.PutTicket(f.ctx, session))
	f.now = session.Until.Add(-time.Second)
	if s := get[store.Ticket](t)(f.Ticket(f.ctx, "session", muster.Digest{1}, false)); string(s.Value) != "renewed" {
		t.Errorf("it is kept as %+v", s)
	}
	f.now = session.Until.Add(time.Second)
	absent("out of date", "session", muster.Digest{1})
}
