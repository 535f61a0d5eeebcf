package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/wire"
	"github.com/passmuster/muster/policies"
)

// controls of the baseline.
const controls = 60

var baseline = sync.OnceValue(policies.Catalogue)

// host signs reports as an agent does.
type host struct {
	id     muster.HostID
	key    *ecdsa.PrivateKey
	report muster.Report
	prev   []byte // the newest envelope
}

// newHost makes a host whose first report weighs what a real one does: about 7.5 kB as
// it travels.
func newHost(n int) (*host, error) {
	key, err := wire.NewKey()
	if err != nil {
		return nil, err
	}
	id, err := wire.HostIDOf(key.Public())
	if err != nil {
		return nil, err
	}
	h := &host{id: id, key: key}
	h.report.Header = muster.Header{Schema: muster.ReportSchema, Host: id, BootID: "00000000-0000-0000-0000-000000000000",
		Profile: muster.Workstation, Platform: muster.Windows, County: county(n), Hostname: fmt.Sprintf("PC-%06d", n),
		PolicyRevision: "2026-11", PolicyDigest: "load", Agent: "1", CollectedAt: time.Now().Truncate(time.Second)}
	h.report.Detail.Evidence = map[string]muster.Evidence{}
	for i := range controls {
		name := control(i)
		var e muster.Evidence
		for row := range 1 + (n+i)%4 {
			e.Violations = append(e.Violations, muster.Violation{Subject: fmt.Sprintf("C:\\Program Files\\Vendor %d\\program-%d-%d.exe", i, n, row),
				Found: fmt.Sprintf("%x", n*7919+i*104729+row*1299709), Want: "as the policy says"})
		}
		h.report.Detail.Evidence[name] = e
		h.report.Verdicts = append(h.report.Verdicts, muster.Verdict{Control: name, Status: status(n, i, 0), Evidence: []byte{byte(i), 1, 2, 3, 4, 5, 6, 7}})
	}
	return h, nil
}

func county(n int) muster.County { return muster.County(fmt.Sprintf("56%03d", 2*(n%counties)+1)) }
func control(i int) string       { return baseline()[i].ID }
func hostname(n int) string      { return fmt.Sprintf("PC-%06d", n) }
func status(n, i, turn int) muster.Status {
	return [...]muster.Status{muster.StatusPass, muster.StatusPass, muster.StatusPass, muster.StatusPass, muster.StatusPass,
		muster.StatusFail, muster.StatusNotApplicable, muster.StatusUnknown}[(n*31+i*17+turn*5)%8]
}

// differ makes every status another one.
func (h *host) differ() {
	for i := range h.report.Verdicts {
		v := &h.report.Verdicts[i]
		v.Status = (v.Status + 1) % 4
	}
}

func (h *host) enrollment() ([]byte, error) {
	public, err := wire.MarshalPublicKey(h.key.Public())
	if err != nil {
		return nil, err
	}
	r := &h.report.Header
	return wire.SignEnrollment(muster.Enrollment{Schema: 1, PublicKey: public, Hostname: r.Hostname, County: r.County,
		Profile: r.Profile, Platform: r.Platform, Agent: r.Agent, MadeAt: r.CollectedAt}, h.key)
}

// next is the next report on its way.
func (h *host) next() ([]byte, error) {
	r := &h.report.Header
	r.Seq++
	r.CollectedAt = r.CollectedAt.Add(time.Hour)
	if r.Prev = (muster.Digest{}); h.prev != nil {
		r.Prev = wire.EnvelopeDigest(h.prev)
	}
	content, err := wire.EncodeReport(&h.report)
	if err != nil {
		return nil, err
	}
	envelope, err := wire.Sign(wire.KindReport, content, h.key, string(h.id))
	if err != nil {
		return nil, err
	}
	frame, err := wire.NewFrame(h.id, r.Seq, envelope, h.prev)
	if err != nil {
		return nil, err
	}
	h.prev = envelope
	return wire.Marshal(frame)
}

// each runs do for 0 to n-1 on every processor.
func each(n int, do func(int) error) error {
	var next atomic.Int64
	failed := make([]error, runtime.GOMAXPROCS(0))
	var all sync.WaitGroup
	for w := range failed {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && failed[w] == nil; i = int(next.Add(1)) - 1 {
				failed[w] = do(i)
			}
		})
	}
	all.Wait()
	return errors.Join(failed...)
}

// client speaks the host API over so many connections.
type client struct {
	*http.Client
	url, token string
}

const connections = 32

func newClient(url, token string) *client {
	return &client{&http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections}}, url, token}
}

func (c *client) post(ctx context.Context, path, kind string, body []byte) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", kind)
	r.Header.Set("Authorization", "Bearer "+c.token)
	resp, err := c.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %s: %s", path, resp.Status, b)
	}
	return b, err
}

// ship sends the frames, so many a request, and gives how many a second are stored and
// receipted.
func (c *client) ship(ctx context.Context, frames [][]byte, together int) (perSecond float64, err error) {
	var bodies [][]byte
	for chunk := range slices.Chunk(frames, together) {
		bodies = append(bodies, slices.Concat(chunk...))
	}
	var next, stored atomic.Int64
	failed := make([]error, connections)
	var all sync.WaitGroup
	start := time.Now()
	for w := range connections {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(bodies) && failed[w] == nil; i = int(next.Add(1)) - 1 {
				answer, err := c.post(ctx, "/v1/reports", wire.TypeSeq, bodies[i])
				failed[w] = err
				stored.Add(int64(bytes.Count(answer, []byte(wire.CodeStored))))
			}
		})
	}
	all.Wait()
	took := time.Since(start).Seconds()
	if err := errors.Join(failed...); err != nil {
		return 0, err
	}
	if int(stored.Load()) != len(frames) {
		return 0, fmt.Errorf("%d of %d reports were stored", stored.Load(), len(frames))
	}
	return float64(len(frames)) / took, nil
}
