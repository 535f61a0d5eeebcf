package sqlite

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/store"
	"github.com/passmuster/muster/collector/store/storetest"
)

// FuzzFind: whatever someone looks for, what is found is what a walk over all names finds.
func FuzzFind(f *testing.F) {
	s, err := Open(f.Context(), filepath.Join(f.TempDir(), "muster.db"), store.Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		if err := s.Close(); err != nil {
			f.Error(err)
		}
	})
	names := map[muster.HostID]string{}
	for n, name := range []string{"COOK-WS-01", "cook-ems", "Old-Cook", "100%", `a_b\%`, "'; --", "MÜLLER", "x-Ülm", "日本", "a\u202eb", "\U0010ffff", ""} {
		id := storetest.HostID(n)
		names[id] = strings.ToLower(name)
		e := muster.Enrolled{Host: muster.Host{ID: id, Hostname: name, County: "17031", Profile: muster.Workstation}}
		if _, err := s.Enroll(f.Context(), e, true, time.Now()); err != nil {
			f.Fatal(err)
		}
	}
	for _, text := range []string{"cook", "%", "_", `\`, `\%`, "ÜL", "", "h", string(storetest.HostID(3)), "\xff", "a\x00", "日", "\u202e", "$1", strings.Repeat("%", 300)} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		found, err := s.Find(t.Context(), "", text, len(names))
		if err != nil {
			t.Fatal(err)
		}
		var got, want []string
		lower := strings.ToLower(text)
		for _, h := range found {
			got = append(got, string(h.ID))
		}
		for id, name := range names {
			if text != "" && (strings.Contains(name, lower) || strings.HasPrefix(string(id), lower)) {
				want = append(want, string(id))
			}
		}
		begins := func(id string) bool { return strings.HasPrefix(names[muster.HostID(id)], lower) }
		first := slices.IndexFunc(got, func(id string) bool { return !begins(id) })
		if first >= 0 && slices.ContainsFunc(got[first:], begins) {
			t.Errorf("%q: %v has not first what begins with it", text, got)
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	})
}
