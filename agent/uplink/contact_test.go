package uplink

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/wire"
)

func TestApprovalIsNoticed(t *testing.T) {
	l := newLab(t, 0)
	l.collector.Pending = true
	u := l.uplink()
	for _, want := range []muster.HostState{muster.HostPending, muster.HostPending, muster.HostActive} {
		if err := u.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := l.status().State; got != want {
			t.Errorf("%s, want %s", got, want)
		}
		if l.collector.Pending {
			l.collector.Pending = false
			continue
		}
		l.now = l.now.Add(soonAgain)
	}
}

func TestClockSkew(t *testing.T) {
	l := newLab(t, 0)
	for _, want := range []int{0, 90, -7200} {
		u := l.uplink()
		u.Now = func() time.Time { return time.Now().Add(time.Duration(want) * time.Second) }
		if err := u.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := l.status().ClockSkewSeconds; got < want-1 || got > want+1 {
			t.Errorf("skew %d, want %d", got, want)
		}
	}
	if u := l.uplink(); u.status.ClockSkewSeconds > -7199 {
		t.Errorf("the next process knows %d", u.status.ClockSkewSeconds)
	}
}

func TestCheckinsLeaveOutWhatWasSaid(t *testing.T) {
	l := newLab(t, 0)
	var said []wire.Checkin
	l.collector.Before = func(_ http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/v1/checkin" {
			return false
		}
		var in wire.Checkin
		b, err := io.ReadAll(r.Body)
		if err = errors.Join(err, wire.Unmarshal(b, &in)); err != nil {
			t.Error(err)
		}
		r.Body = io.NopCloser(bytes.NewReader(b))
		said = append(said, in)
		return false
	}
	u := l.uplink()
	digest := wire.EnvelopeDigest([]byte("a policy")).String()
	u.PolicyDigest = func() string { return digest }
	if err := u.Once(t.Context()); err != nil {
		t.Fatal(err)
	}
	u.PolicyDigest = func() string { return "none of a collector" }
	if err := u.Once(t.Context()); err != nil {
		t.Fatal(err)
	}
	first := wire.Checkin{Host: l.host, Policy: wire.EnvelopeDigest([]byte("a policy")), Uplink: muster.Version, Now: said[0].Now}
	if said[0] != first || said[0].Now.IsZero() || said[0].PolicyDigest() != digest || said[1] != (wire.Checkin{Host: l.host}) {
		t.Errorf("%+v", said)
	}
	// A clock that was put right is told once more.
	said, l.now = nil, l.now.Add(3*time.Hour)
	for range 3 {
		if err := u.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if !said[0].Now.IsZero() || said[1].Now.IsZero() || !said[2].Now.IsZero() {
		t.Errorf("%+v", said)
	}
}

func TestFailingReportsKeepNothingElseAway(t *testing.T) {
	l := newLab(t, 1)
	l.collector.AuditNow, l.collector.Policy = true, zipped(t, "a bundle")
	l.collector.Before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/v1/reports" {
			panic(http.ErrAbortHandler)
		}
		return false
	}
	if err := l.uplink().Once(t.Context()); err == nil || !strings.Contains(err.Error(), "ship reports") {
		t.Fatal(err)
	}
	for _, name := range []string{"audit-request", "policy.tar.gz"} {
		if _, err := os.Stat(l.path("inbox", name)); err != nil {
			t.Error(err)
		}
	}
}

func TestUnreadableReportIsTriedAgain(t *testing.T) {
	l := newLab(t, 1)
	l.diskFails = true
	u := l.uplink()
	if err := u.Once(t.Context()); err == nil || !strings.Contains(err.Error(), syscall.EIO.Error()) {
		t.Fatal(err)
	}
	l.diskFails, l.now = false, l.now.Add(soonAgain+time.Second)
	if err := u.Once(t.Context()); err != nil || len(l.receipts()) != 1 {
		t.Errorf("%v, %d receipts", err, len(l.receipts()))
	}
}
