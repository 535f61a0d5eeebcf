package sqlite

import (
	"context"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/store"
	"github.com/passmuster/muster/collector/store/storetest"
)

// Another process tells nobody: what it changed is seen nonetheless.
func TestWatchTwoProcesses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "muster.db")
	a, b := open(t, path, store.Options{}), open(t, path, store.Options{})
	defer a.Close()
	defer b.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	changes := a.Watch(ctx)
	e := muster.Enrolled{Host: muster.Host{ID: storetest.HostID(1), County: "17031"}, PublicKey: []byte("k")}
	if _, err := b.Enroll(ctx, e, true, time.Now()); err != nil {
		t.Fatal(err)
	}
	if c := <-changes; c != nil {
		t.Errorf("told of %v, but nobody knows what it was", c)
	}
	if _, err := a.Commit(ctx, []muster.Accepted{full(1, 1, 0)}); err != nil {
		t.Fatal(err)
	}
	for c := range changes { // perhaps once more of what the other did
		if c != nil {
			if !slices.Equal(c, []muster.County{"17031"}) {
				t.Errorf("told of %v", c)
			}
			break
		}
	}
	cancel()
	for range changes {
	}
}

// A job runs in one process at a time, beside other jobs.
func TestOnceTwoProcesses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "muster.db")
	a, b := open(t, path, store.Options{}), open(t, path, store.Options{})
	defer a.Close()
	defer b.Close()
	none := func(context.Context) error { return nil }
	ran, err := a.Once(t.Context(), "roll up", func(ctx context.Context) error {
		if ran, err := b.Once(ctx, "roll up", none); ran || err != nil {
			t.Errorf("it runs twice: %v %v", ran, err)
		}
		if ran, err := b.Once(ctx, "retain", none); !ran || err != nil {
			t.Errorf("another job waits for it: %v %v", ran, err)
		}
		return nil
	})
	if !ran || err != nil {
		t.Fatal(ran, err)
	}
	if ran, err := b.Once(t.Context(), "roll up", none); !ran || err != nil {
		t.Errorf("it ran, and is locked still: %v %v", ran, err)
	}
}
