package ingest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/ingest"
	"github.com/passmuster/muster/internal/wire"
)

// Whoever has seen a host move can say again what it said before.
func TestReplayedEnrollment(t *testing.T) {
	l := newLab(t)
	h := newHost(t, 1)
	h.county = "17043"
	old := h.statement()
	if r := send(t, l.url+"/v1/enroll", token, old); r.StatusCode != http.StatusOK {
		t.Fatal(r.Status)
	}
	h.county = "17031"
	h.enrolled(l.url)
	for _, token := range []string{"", token} {
		r := send(t, l.url+"/v1/enroll", token, old)
		if b, _ := io.ReadAll(r.Body); r.StatusCode != http.StatusConflict || !strings.Contains(string(b), "old_enrollment") {
			t.Errorf("%s %s", r.Status, b)
		}
	}
	if s, err := l.store.Host(t.Context(), muster.View{}, h.id); err != nil || s.County != "17031" {
		t.Errorf("the host: %+v %v", s, err)
	}
	l.ship([]*wire.Frame{h.next()}, wire.CodeStored)
}

// What a host signs can be meant to break the tables and pages of all others.
func TestSpoilingReports(t *testing.T) {
	l := newLab(t)
	for what, spoil := range map[string]func(*muster.Report){
		"a control of two lines":  func(r *muster.Report) { r.Verdicts[0].Control = "A\nB" },
		"no clock's time":         func(r *muster.Report) { r.Header.CollectedAt = time.Unix(1<<40, 0) },
		"a time before all years": func(r *muster.Report) { r.Header.CollectedAt = time.Unix(-1<<40, 0) },
		"a long version":          func(r *muster.Report) { r.Header.Agent = strings.Repeat("x", 256) },
		"a long revision":         func(r *muster.Report) { r.Header.PolicyRevision = strings.Repeat("x", 256) },
		"a long waiver":           func(r *muster.Report) { r.Verdicts[0].Waiver = strings.Repeat("x", 256) },
		"a waiver of two lines":   func(r *muster.Report) { r.Verdicts[0].Waiver = "A\nB" },
		"too many verdicts": func(r *muster.Report) {
			for i := range 1000 {
				r.Verdicts = append(r.Verdicts, muster.Verdict{Control: fmt.Sprint("X", i)})
			}
		},
	} {
		t.Run(what, func(t *testing.T) {
			h := newHost(t, 1).enrolled(l.url)
			spoil(&h.report)
			h.report.Header.CollectedAt = h.report.Header.CollectedAt.Add(-time.Hour) // next adds it
			l.ship([]*wire.Frame{h.next()}, wire.CodeMalformed)
		})
	}
	h := newHost(t, 1)
	b, err := wire.SignEnrollment(muster.Enrollment{County: "17031", Profile: muster.Workstation, Platform: muster.Linux,
		Agent: strings.Repeat("x", 256)}, h.key)
	must(t, err)
	if r := send(t, l.url+"/v1/enroll", token, b); r.StatusCode != http.StatusBadRequest {
		t.Error(r.Status)
	}
}

// Anyone can enroll. Until approved, a host stores a few small reports and keeps
// the others; then it ships those at once.
func TestPendingHostsAreBounded(t *testing.T) {
	l := newLab(t)
	h := newHost(t, 1)
	h.enroll(l.url, "")
	for range 32 {
		l.ship([]*wire.Frame{h.next()}, wire.CodeStored)
	}
	kept := h.next()
	l.ship([]*wire.Frame{kept}, "pending")
	must(t, l.store.Approve(t.Context(), h.id, muster.LogEntry{Actor: "console", Action: "approve"})) // as another process does
	l.ship([]*wire.Frame{kept}, wire.CodeStored)

	large := newHostWith(t, 2, 70, 25)
	large.enroll(l.url, "")
	f := large.next()
	if len(f.Body) <= 64<<10 {
		t.Fatalf("a large report has %d bytes", len(f.Body))
	}
	l.ship([]*wire.Frame{f}, "pending")
	if _, err := l.store.Envelope(t.Context(), large.id, 0); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is stored: %v", err)
	}
}

// Invented ids neither fill the log nor keep the collector at work for long.
func TestInventedHosts(t *testing.T) {
	var log bytes.Buffer
	l := newLab(t, func(o *ingest.Options) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	var frames []*wire.Frame
	for i := range 2000 {
		frames = append(frames, &wire.Frame{Host: muster.NewHostID(fmt.Append(nil, i)), Seq: 1, Size: 1, Body: []byte("x")})
	}
	r := send(t, l.url+"/v1/reports", "", batch(t, frames...))
	if got := outcomes(t, r.Body); len(got) != 1024 || got[1023].Code != wire.CodeUnknownHost {
		t.Errorf("%d outcomes", len(got))
	}
	l.stop()
	if n := strings.Count(log.String(), "report refused"); n != 1 {
		t.Errorf("%d lines in the log", n)
	}
}

// crowded has no place for another host that waits.
type crowded struct{ ingest.Store }

func (crowded) Enroll(context.Context, muster.Enrolled, bool, time.Time) (muster.HostState, error) {
	return "", muster.ErrPending
}

func TestTooManyPending(t *testing.T) {
	l := newLab(t, func(o *ingest.Options) { o.Store = crowded{o.Store} })
	r := newHost(t, 1).enroll(l.url, "")
	if b, _ := io.ReadAll(r.Body); r.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(b), "wait for approval") {
		t.Errorf("%s %s", r.Status, b)
	}
}

// reads counts how often the releases are read.
type reads struct {
	ingest.Store
	n *atomic.Int64
}

func (r reads) Releases(ctx context.Context) ([]muster.Release, error) {
	r.n.Add(1)
	return r.Store.Releases(ctx)
}

func TestCheckinsShareTheReleases(t *testing.T) {
	var n atomic.Int64
	l := newLab(t, func(o *ingest.Options) { o.Store = reads{o.Store, &n} })
	must(t, l.store.Publish(t.Context(), muster.Release{Version: 1, Digest: "abc", Bundle: []byte("b"), Ring: muster.RingAll}))
	b, err := wire.Marshal(wire.Checkin{Host: "h"})
	must(t, err)
	const checkins = 50
	for range checkins {
		if r := send(t, l.url+"/v1/checkin", "", b); r.StatusCode != http.StatusOK {
			t.Fatal(r.Status)
		}
	}
	if got := n.Load(); got >= checkins {
		t.Errorf("%d check-ins read the releases %d times", checkins, got)
	}
}
