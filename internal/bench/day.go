package main

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent"
	"github.com/passmuster/muster/agent/uplink"
	"github.com/passmuster/muster/collector/ingest"
	"github.com/passmuster/muster/collector/store"
	"github.com/passmuster/muster/collector/store/sqlite"
	"github.com/passmuster/muster/internal/durable"
	"github.com/passmuster/muster/internal/figure"
	"github.com/passmuster/muster/internal/wire"
)

// DayTraffic is what one host sends and receives in a day, in bytes of its TCP
// connections: HTTP with its headers, both ways.
type DayTraffic struct {
	Total, Checkins, Reports, Rest   int64
	CheckinRequests, ReportsReceived int
}

// checkinsPerHour at 5 minutes; the first of each hour brings a report.
const checkinsPerHour = 12

// measureDay carries the mail of one host for a day through the real uplink to the
// real host API on loopback: a report an hour, a check-in each five minutes,
// and three verdicts that change and stay so. The first report and the enrollment,
// which a host has once, come before. The sender is known by its node, as on a
// tailnet.
func measureDay(ctx context.Context, dir string) (t DayTraffic, err error) {
	host, err := newDayHost(ctx, dir)
	if err != nil {
		return t, err
	}
	db, err := sqlite.Open(ctx, filepath.Join(dir, "muster.db"), store.Options{Now: host.clock})
	if err != nil {
		return t, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	receipts, err := wire.NewKey()
	if err != nil {
		return t, err
	}
	in, err := ingest.New(ingest.Options{Store: db, Key: receipts, State: host.county.State(), Now: host.clock,
		Limits: ingest.Limits{Checkins: ingest.Rate{PerSecond: 1000, Burst: 24 * checkinsPerHour}}, // the day takes a second
		Identify: func(*http.Request) (muster.Peer, error) {
			return muster.Peer{Node: "n1", Counties: []muster.County{host.county}}, nil
		}})
	if err != nil {
		return t, err
	}
	committing, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- in.Run(committing) }()
	server := httptest.NewServer(in)
	defer func() { server.Close(); stop(); err = errors.Join(err, <-ended) }()

	der, err := wire.MarshalPublicKey(receipts.Public())
	if err != nil {
		return t, err
	}
	count := &counter{}
	client := uplink.NewClient(uplink.ClientOptions{Dial: count.dial})
	count.next, client.Transport = client.Transport, count
	u, err := uplink.New(uplink.Options{
		Site:   &muster.Site{Collector: server.URL, ReceiptKeys: [][]byte{der}},
		Outbox: host, EnrollmentFile: filepath.Join(dir, "enrollment.cose"),
		ReceiptsDir: filepath.Join(dir, "receipts"), InboxDir: filepath.Join(dir, "inbox"),
		PolicyDigest: func() string { return wire.EnvelopeDigest([]byte("a policy")).String() },
		Client:       client, Now: host.clock,
	})
	if err != nil {
		return t, err
	}
	for i := -1; i < 24*checkinsPerHour; i++ {
		if i == 0 {
			count.reset()
		}
		if i%checkinsPerHour == 0 || i < 0 {
			if err := host.audit(i >= 0 && i%(8*checkinsPerHour) == 0); err != nil {
				return t, err
			}
		}
		if err := u.Once(ctx); err != nil {
			return t, err
		}
		host.now = host.now.Add(time.Hour / checkinsPerHour)
	}
	t = DayTraffic{Checkins: count.checkins.Load(), Reports: count.reports.Load(), Rest: count.rest.Load(),
		CheckinRequests: 24 * checkinsPerHour, ReportsReceived: int(host.seq) - 1}
	t.Total = t.Checkins + t.Reports + t.Rest
	return t, nil
}

// day prints the traffic of a day.
func day(ctx context.Context, w io.Writer, _ options, dir string) error {
	t, err := measureDay(ctx, dir)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "a day of one host: %d check-ins %d bytes, %d reports %d bytes, other %d bytes\n",
		t.CheckinRequests, t.Checkins, t.ReportsReceived, t.Reports, t.Rest)
	figure.Print(w, "bytes on the wire, a host and day, kB", float64(t.Total)/1000, figure.AtMost(100))
	return nil
}

// dayHost makes reports, and is their outbox.
type dayHost struct {
	key      *ecdsa.PrivateKey
	county   muster.County
	report   *muster.Report
	now      time.Time
	seq      uint64
	envelope []byte // the newest, or nil once read and receipted
}

func newDayHost(ctx context.Context, dir string) (*dayHost, error) {
	h := &dayHost{county: "56021", now: time.Date(2026, 11, 3, 6, 0, 0, 0, time.UTC)}
	res, err := agent.Audit(ctx, agent.Options{Recording: filepath.Join("testdata", "hosts", "win11-workstation.json")})
	if err != nil {
		return nil, err
	}
	if h.key, err = wire.NewKey(); err != nil {
		return nil, err
	}
	audit := res.Audit
	if audit.HostID, err = wire.HostIDOf(h.key.Public()); err != nil {
		return nil, err
	}
	h.report = agent.NewReport(&audit, h.county, "00000000-0000-0000-0000-000000000000", res.Results)
	enrollment, err := wire.SignEnrollment(muster.Enrollment{Hostname: "PC", County: h.county, Profile: muster.Workstation,
		Platform: muster.Windows, Agent: muster.Version, MadeAt: h.now}, h.key)
	return h, errors.Join(err,
		durable.WriteFile(filepath.Join(dir, "enrollment.cose"), enrollment, 0o600),
		durable.MkdirAll(filepath.Join(dir, "receipts"), 0o700), durable.MkdirAll(filepath.Join(dir, "inbox"), 0o700))
}

func (h *dayHost) clock() time.Time { return h.now }

func (h *dayHost) audit(change bool) error {
	if change {
		v := &h.report.Verdicts[int(h.seq)%len(h.report.Verdicts)]
		if v.Status == muster.StatusFail {
			v.Status = muster.StatusPass
			delete(h.report.Detail.Evidence, v.Control)
		} else {
			v.Status = muster.StatusFail
			h.report.Detail.Evidence[v.Control] = muster.Evidence{Violations: []muster.Violation{
				{Subject: `HKLM\SOFTWARE\Policies\Example`, Found: "switched off since " + h.now.Format(time.DateOnly), Want: "switched on"}}}
		}
	}
	if h.envelope != nil {
		h.report.Header.Prev = wire.EnvelopeDigest(h.envelope)
	}
	h.seq++
	h.report.Header.Seq, h.report.Header.CollectedAt = h.seq, h.now
	content, err := wire.EncodeReport(h.report)
	if err != nil {
		return err
	}
	h.envelope, err = wire.Sign(wire.KindReport, content, h.key, string(h.report.Header.Host))
	return err
}

// List, Read and Base: as in an outbox whose receipts were all applied before the
// newest report.
func (h *dayHost) List() ([]uint64, error) { return []uint64{h.seq}, nil }
func (h *dayHost) Base() []byte            { return nil }
func (h *dayHost) Read(seq uint64) ([]byte, error) {
	if seq != h.seq {
		return nil, fs.ErrNotExist
	}
	return h.envelope, nil
}

// counter counts the bytes of its connections for the request under way.
type counter struct {
	next                    http.RoundTripper
	checkins, reports, rest atomic.Int64
	current                 atomic.Pointer[atomic.Int64]
}

func (c *counter) reset() { c.checkins.Store(0); c.reports.Store(0); c.rest.Store(0) }

func (c *counter) RoundTrip(r *http.Request) (*http.Response, error) {
	switch r.URL.Path {
	case "/v1/checkin":
		c.current.Store(&c.checkins)
	case "/v1/reports":
		c.current.Store(&c.reports)
	default:
		c.current.Store(&c.rest)
	}
	return c.next.RoundTrip(r)
}

func (c *counter) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	return countedConn{conn, c}, err
}

type countedConn struct {
	net.Conn
	c *counter
}

func (c countedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.c.current.Load().Add(int64(n))
	return n, err
}

func (c countedConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.c.current.Load().Add(int64(n))
	return n, err
}
