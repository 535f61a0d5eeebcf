// Package uplinktest is a collector in memory for tests of the uplink. It
// speaks the host API and verifies everything with internal/wire.
package uplinktest

import (
	"bytes"
	"crypto/ecdsa"
	"fmt"
	"io"
	"maps"
	"net/http"
	"sync"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/wire"
)

// Collector answers the host API. Set its fields before the first request.
type Collector struct {
	Token string
	// Before sees every request first; true means that it has answered.
	Before func(w http.ResponseWriter, r *http.Request) bool
	// Code answers a report other than by its merits; "" leaves it.
	Code func(seq uint64) wire.Code
	// Pending: it has approved nobody.
	Pending bool
	// NoSample makes it a collector that does not know this program's sample.
	NoSample bool
	// SignWith signs receipts; nil means Key.
	SignWith *ecdsa.PrivateKey
	Policy   []byte
	AuditNow bool
	// Return answers a sealed file; nil means that no sealed files are taken.
	Return func(sealed []byte) []byte

	Key *ecdsa.PrivateKey

	mu        sync.Mutex
	hosts     map[muster.HostID]*ecdsa.PublicKey
	envelopes map[muster.Digest][]byte
	stored    map[uint64]muster.Digest
	duplicate int
	problems  []error
	bases     []muster.Digest
}

// New makes an empty collector with a key of its own.
func New() (*Collector, error) {
	key, err := wire.NewKey()
	return &Collector{
		Key: key, hosts: map[muster.HostID]*ecdsa.PublicKey{},
		envelopes: map[muster.Digest][]byte{}, stored: map[uint64]muster.Digest{},
	}, err
}

// Stored gives what it has by number, and how often a report came again.
func (c *Collector) Stored() (map[uint64]muster.Digest, int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make(map[uint64]muster.Digest, len(c.stored))
	for seq, d := range c.stored {
		out[seq] = d
	}
	return out, c.duplicate
}

// Problems are requests that no honest uplink makes.
func (c *Collector) Problems() []error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.problems
}

// Bases of the frames that came, in order.
func (c *Collector) Bases() []muster.Digest {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.bases
}

// Forget makes it lose its hosts and what frames can be opened against.
func (c *Collector) Forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.hosts)
	clear(c.envelopes)
}

func (c *Collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if c.Before != nil && c.Before(w, r) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.Token != "" && r.Header.Get("Authorization") != "Bearer "+c.Token {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusUnauthorized)
		io.WriteString(w, `{"code":"bad_token","detail":"the token is wrong"}`)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the uplink was killed
	}
	switch r.Method + " " + r.URL.Path {
	case "POST /v1/enroll":
		err = c.enroll(w, body)
	case "POST /v1/checkin":
		err = c.checkin(w, body)
	case "POST /v1/reports":
		err = c.reports(w, body)
	case "POST /v1/courier":
		c.courier(w, body)
	case "GET /v1/policy":
		c.policy(w, r)
	default:
		err = fmt.Errorf("%s %s is not of the host API", r.Method, r.URL.Path)
	}
	if err != nil {
		c.problems = append(c.problems, err)
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
}

func (c *Collector) enroll(w http.ResponseWriter, body []byte) error {
	e, id, err := wire.VerifyEnrollment(body)
	if err != nil {
		return err
	}
	if c.hosts[id], err = wire.ParsePublicKey(e.PublicKey); err != nil {
		return err
	}
	state := muster.HostActive
	if c.Pending {
		state = muster.HostPending
	}
	return answer(w, wire.EnrollAnswer{State: state})
}

func (c *Collector) etag() string {
	if c.Policy == nil {
		return ""
	}
	return fmt.Sprintf("%q", wire.EnvelopeDigest(c.Policy).String())
}

func (c *Collector) checkin(w http.ResponseWriter, body []byte) error {
	var in wire.Checkin
	if err := wire.Unmarshal(body, &in); err != nil {
		return err
	}
	return answer(w, wire.CheckinAnswer{PolicyETag: c.etag(), AuditNow: c.AuditNow, NextSeconds: 3600, Now: time.Now()})
}

func (c *Collector) courier(w http.ResponseWriter, sealed []byte) {
	if c.Return == nil {
		http.NotFound(w, nil)
		return
	}
	w.Header().Set("Content-Type", wire.TypeCourier)
	w.Write(c.Return(sealed)) // an uplink that was cut off asks again
}

func (c *Collector) policy(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("ETag", c.etag())
	w.Header().Set("Content-Type", "application/gzip")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(c.Policy))
}

func (c *Collector) reports(w http.ResponseWriter, body []byte) error {
	in, err := wire.NewSeqReader(bytes.NewReader(body), wire.MaxFrame, wire.MaxBatch)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	outcomes := wire.NewSeqWriter(&out)
	for {
		var f wire.Frame
		if err := in.Read(&f); err == io.EOF {
			break
		} else if err != nil {
			return err
		}
		o, err := c.take(&f)
		if err != nil {
			return err
		}
		if err := outcomes.Write(o); err != nil {
			return err
		}
	}
	w.Header().Set("Content-Type", wire.TypeSeq)
	w.Write(out.Bytes()) // an uplink that was killed asks again
	return nil
}

func (c *Collector) take(f *wire.Frame) (wire.Outcome, error) {
	c.bases = append(c.bases, f.Base)
	o := wire.Outcome{Host: f.Host, Seq: f.Seq}
	pub := c.hosts[f.Host]
	if pub == nil {
		o.Code = wire.CodeUnknownHost
		return o, nil
	}
	if c.Code != nil {
		if o.Code = c.Code(f.Seq); o.Code != "" {
			o.Reason = "because\x1b[31m"
			return o, nil
		}
	}
	sample, err := wire.SampleDigest()
	if err != nil {
		return o, err
	}
	if c.NoSample && f.Base == sample {
		o.Code = wire.CodeNeedBase
		return o, nil
	}
	envelope, err := wire.OpenFrame(f, func(d muster.Digest) []byte { return c.envelopes[d] }, 0)
	if err != nil {
		o.Code = wire.CodeNeedBase
		return o, nil
	}
	content, err := wire.Verify(wire.KindReport, envelope, pub)
	if err != nil {
		return o, err
	}
	report, err := wire.DecodeReport(content)
	if err != nil {
		return o, err
	}
	digest := wire.EnvelopeDigest(envelope)
	o.Code = wire.CodeStored
	if old, ok := c.stored[report.Header.Seq]; ok {
		if old != digest {
			return o, fmt.Errorf("two reports have the number %d", report.Header.Seq)
		}
		o.Code = wire.CodeDuplicate
		c.duplicate++
	}
	c.stored[report.Header.Seq], c.envelopes[digest] = digest, envelope
	key := c.SignWith
	if key == nil {
		key = c.Key
	}
	o.Receipt, err = wire.SignReceipt(muster.Receipt{Host: f.Host, Seq: report.Header.Seq, Digest: digest, ReceivedAt: time.Now()}, key)
	return o, err
}

func answer(w http.ResponseWriter, v any) error {
	b, err := wire.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", wire.TypeCBOR)
	w.Write(b)
	return nil
}

// Envelope gives the report with this number; nil where it has none.
func (c *Collector) Envelope(seq uint64) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.envelopes[c.stored[seq]]
}

// Clone is another collector that knows what this one knows.
func (c *Collector) Clone() *Collector {
	c.mu.Lock()
	defer c.mu.Unlock()
	return &Collector{
		Token: c.Token, Policy: c.Policy, AuditNow: c.AuditNow, Key: c.Key,
		hosts: maps.Clone(c.hosts), envelopes: maps.Clone(c.envelopes), stored: maps.Clone(c.stored),
	}
}
