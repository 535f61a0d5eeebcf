package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/store"
)

// expected: a computer that never enrolled is missing, and not invisible.
func expected(t *testing.T, f *fixture) {
	const county = muster.County("17031")
	expect := func(list ...muster.ExpectedHost) {
		t.Helper()
		must(t, f.Expect(f.ctx, county, list, f.entry("expect_hosts", county)))
	}
	start := f.now
	pc := func(name string, host muster.HostID) muster.ExpectedHost {
		return muster.ExpectedHost{County: county, Name: name, Since: start, Host: host}
	}
	want := func(what string, v muster.View, missing int, want ...muster.ExpectedHost) {
		t.Helper()
		if diff := cmp.Diff(want, get[[]muster.ExpectedHost](t)(f.Expected(f.ctx, v, county))); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
		for _, c := range get[[]muster.CountyStanding](t)(f.Counties(f.ctx, v)) {
			if c.County == county && c.Missing != missing {
				t.Errorf("%s: %d are missing, want %d", what, c.Missing, missing)
			}
		}
	}
	counter := muster.ExpectedHost{Name: "NAMED", Profile: muster.Workstation, Note: "at the counter"}
	shown := counter
	shown.County, shown.Since = county, start
	expect(muster.ExpectedHost{Name: "PC1"}, counter)
	want("nobody enrolled", muster.View{}, 2, shown, pc("PC1", ""))
	if c := get[[]muster.CountyStanding](t)(f.Counties(f.ctx, muster.View{})); len(c) != 1 || c[0] != (muster.CountyStanding{County: county, Missing: 2}) {
		t.Errorf("counties: %+v", c)
	}
	f.wantLog("expect_hosts")
	before := f.now

	f.now = f.now.Add(time.Hour)
	id := f.enroll(1, county, muster.Workstation, false)
	f.enroll(2, "17043", muster.Workstation, true) // of another county
	want("one waits", muster.View{}, 2, shown, pc("PC1", ""))
	f.now = f.now.Add(time.Hour)
	must(t, f.approve(id))
	want("it is approved", muster.View{}, 1, shown, pc("PC1", id))
	f.now = f.now.Add(time.Hour)
	f.commit(muster.OutcomeStored, f.report(id, 1, pass)) // it is called "named" now
	shown.Host = id
	want("it was renamed", muster.View{}, 1, shown, pc("PC1", ""))
	f.now = f.now.Add(time.Hour)
	must(t, f.Retire(f.ctx, id, f.entry("retire", id)))
	shown.Host = ""
	want("it was retired", muster.View{}, 2, shown, pc("PC1", ""))
	want("before all that", muster.View{At: before}, 2, shown, pc("PC1", ""))
	want("in between", muster.View{At: start.Add(2*time.Hour + time.Minute)}, 1, shown, pc("PC1", id))

	// A list that follows keeps what was expected before.
	f.now = f.now.Add(time.Hour)
	old := HostID(5)
	f.speak(5, "A", "m", true) // its name is pc
	expect(muster.ExpectedHost{Name: "pc1", Note: "moved"}, muster.ExpectedHost{Name: "pc"})
	moved, named := pc("pc1", ""), pc("pc", old)
	moved.Note, named.Since = "moved", f.now
	want("another list", muster.View{}, 1, named, moved)
	f.speak(6, "B", "m", true) // the same computer, set up again
	named.Host = HostID(6)
	want("it was set up again", muster.View{}, 1, named, moved)
	f.now = f.now.Add(time.Hour)
	expect()
	want("nobody is expected", muster.View{}, 0)

	many := make([]muster.ExpectedHost, store.MaxExpected+1)
	for i := range many {
		many[i].Name = fmt.Sprint("pc", i)
	}
	if err := f.Expect(f.ctx, county, many, f.entry("expect_hosts", county)); err == nil {
		t.Error("a county expects more than it can")
	}
	want("too many were expected", muster.View{}, 0)
}
