package tables

import "testing"

func TestPast(t *testing.T) {
	var p past
	for at := range int64(maxPast) {
		if p.get(settled, at) != nil {
			t.Fatalf("%d was never kept", at)
		}
		p.keep(at, newTally())
	}
	if p.get(settled, 0) == nil {
		t.Fatal("what was kept first is forgotten while there is room")
	}
	p.keep(maxPast, newTally())
	if p.get(settled, 0) == nil || p.get(settled, 1) != nil {
		t.Error("what was used last is to be let go last")
	}
	if p.get(0, 0) == nil {
		t.Error("who asks at the same time may have looked at the clock before")
	}
	if p.get(-1, 0) != nil {
		t.Error("the clock went back, and what was the past then is remembered")
	}
}

// A clone is changed alone.
func TestClone(t *testing.T) {
	was := newTally()
	if err := was.parse(was.county("17031"), "C1 1 0 0 0 0\n"); err != nil {
		t.Fatal(err)
	}
	is := was.clone()
	host := standing{county: "17031", counts: true, active: true, set: "s", statuses: []byte{1, 2}}
	if err := is.add(&host, []string{"C1", "C2"}, 1); err != nil {
		t.Fatal(err)
	}
	if got := was.text("17031"); got != "C1 1 0 0 0 0\n" || was.county("17031").Hosts != 0 {
		t.Errorf("it became %q", got)
	}
	if got := is.text("17031"); got != "C1 2 0 0 0 0\nC2 0 1 0 0 0\n" {
		t.Errorf("its clone is %q", got)
	}
}
