package ingest_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/ingest"
	"github.com/passmuster/muster/collector/store"
	"github.com/passmuster/muster/collector/store/sqlite"
	"github.com/passmuster/muster/internal/wire"
)

const token = "a token for this computer"

// lab is a collector's host API on loopback over a store in a file.
type lab struct {
	testing.TB
	url   string
	store *sqlite.Store
	key   *ecdsa.PrivateKey
	stop  func()
}

func newLab(t testing.TB, change ...func(*ingest.Options)) *lab {
	t.Helper()
	return labAt(t, filepath.Join(t.TempDir(), "muster.db"), change...)
}

func labAt(t testing.TB, path string, change ...func(*ingest.Options)) *lab {
	t.Helper()
	now := time.Now
	s, err := sqlite.Open(context.Background(), path, store.Options{Now: func() time.Time { return now() }})
	must(t, err)
	l := &lab{TB: t, store: s, key: newKey(t)}
	o := ingest.Options{Store: s, Key: l.key, State: "17", Identify: ingest.LoopbackToken(token)}
	for _, c := range change {
		c(&o)
	}
	if o.Now != nil {
		now = o.Now
	}
	g, err := ingest.New(o)
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	server := httptest.NewServer(g)
	l.url = server.URL
	stopped := false
	l.stop = func() {
		if stopped {
			return
		}
		stopped = true
		server.Close()
		cancel()
		if err := errors.Join(<-ended, s.Close()); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(l.stop)
	return l
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := wire.NewKey()
	must(t, err)
	return key
}

// host is an agent's side, reduced to what it sends.
type host struct {
	testing.TB
	id     muster.HostID
	key    *ecdsa.PrivateKey
	county muster.County
	said   int64 // statements
	seq    uint64
	prev   []byte // the newest envelope
	report muster.Report
}

// newHost makes a host with a report of 60 controls and about 60 kB, six times
// what a real host of the sample reports.
func newHost(t testing.TB, seed uint64) *host { return newHostWith(t, seed, 3, 9) }

// newHostWith gives every control least to least+more-1 rows of evidence.
func newHostWith(t testing.TB, seed uint64, least, more int) *host {
	t.Helper()
	key := newKey(t)
	id, err := wire.HostIDOf(&key.PublicKey)
	must(t, err)
	h := &host{TB: t, id: id, key: key, county: "17031"}
	h.report.Header = muster.Header{Schema: 1, Host: id, BootID: "b", Profile: muster.Workstation, Platform: muster.Linux,
		County: "17031", Hostname: fmt.Sprint("pc", seed), PolicyRevision: "2026-11", PolicyDigest: "d", Agent: "1",
		CollectedAt: time.Unix(1793700000, 0)}
	r := rand.New(rand.NewPCG(seed, 1))
	h.report.Detail.Evidence = map[string]muster.Evidence{}
	for i := range 60 {
		c := fmt.Sprintf("MVS-%03d", i)
		h.report.Verdicts = append(h.report.Verdicts, muster.Verdict{Control: c, Status: muster.Status(r.IntN(4))})
		var e muster.Evidence
		for range least + r.IntN(more) {
			e.Violations = append(e.Violations, muster.Violation{
				Subject: fmt.Sprintf("/usr/lib/systemd/system/%s.service", words[r.IntN(len(words))]),
				Found:   fmt.Sprintf("%s is %s since 2026-%02d-%02d, version %d.%d", words[r.IntN(len(words))], words[r.IntN(len(words))], 1+r.IntN(12), 1+r.IntN(28), r.IntN(20), r.IntN(100)),
				Want:    "the service is switched off, or approved in the list startup_approved by the county",
			})
		}
		h.report.Detail.Evidence[c] = e
	}
	return h
}

var words = []string{"running", "stopped", "enabled", "disabled", "unknown", "sshd", "cups", "avahi-daemon", "firefox", "bluetooth", "ufw", "chrony", "apparmor", "polkit"}

func (h *host) enroll(url, token string) *http.Response {
	h.Helper()
	return send(h, url+"/v1/enroll", token, h.statement())
}

// statement is what the host says of itself, a second after it last did.
func (h *host) statement() []byte {
	h.Helper()
	h.said++
	b, err := wire.SignEnrollment(muster.Enrollment{Hostname: "pc", County: h.county, Profile: muster.Workstation, Platform: muster.Linux,
		Agent: "1", MadeAt: time.Unix(1793700000+h.said, 0)}, h.key)
	must(h, err)
	return b
}

func (h *host) enrolled(url string) *host {
	h.Helper()
	r := h.enroll(url, token)
	b, err := io.ReadAll(r.Body)
	must(h, err)
	var a wire.EnrollAnswer
	if r.StatusCode != http.StatusOK || wire.Unmarshal(b, &a) != nil || a.State != muster.HostActive {
		h.Fatalf("enroll: %s %s", r.Status, b)
	}
	return h
}

// next signs the next report and gives its frame, against the report before.
func (h *host) next() *wire.Frame {
	h.Helper()
	base := h.prev
	envelope := h.sign()
	f, err := wire.NewFrame(h.id, h.seq, envelope, base)
	must(h, err)
	return f
}

func (h *host) sign() []byte {
	h.Helper()
	h.seq++
	h.report.Header.Seq = h.seq
	if h.prev != nil {
		h.report.Header.Prev = wire.EnvelopeDigest(h.prev)
	}
	h.report.Header.CollectedAt = h.report.Header.CollectedAt.Add(time.Hour)
	content, err := wire.EncodeReport(&h.report)
	must(h, err)
	h.prev, err = wire.Sign(wire.KindReport, content, h.key, string(h.id))
	must(h, err)
	return h.prev
}

func send(t testing.TB, url, token string, body []byte) *http.Response {
	t.Helper()
	resp, err := try(url, token, bytes.NewReader(body))
	must(t, err)
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

// try is send for other goroutines than the test's own.
func try(url, token string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequest(http.MethodPost, url, body)
	if err != nil {
		return nil, err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return http.DefaultClient.Do(req)
}

// post is a batch from who knows the token.
func post(url string, body []byte) (*http.Response, error) {
	return try(url+"/v1/reports", token, bytes.NewReader(body))
}

func batch(t testing.TB, frames ...*wire.Frame) []byte {
	t.Helper()
	var b bytes.Buffer
	w := wire.NewSeqWriter(&b)
	for _, f := range frames {
		must(t, w.Write(f))
	}
	return b.Bytes()
}

func outcomes(t testing.TB, r io.Reader) (list []wire.Outcome) {
	t.Helper()
	in, err := wire.NewSeqReader(r, 1<<16, 1<<24)
	must(t, err)
	for {
		var o wire.Outcome
		if err := in.Read(&o); err == io.EOF {
			return list
		} else if err != nil {
			t.Fatal(err)
		}
		list = append(list, o)
	}
}

// ship sends the frames and expects the codes.
func (l *lab) ship(frames []*wire.Frame, want ...wire.Code) []wire.Outcome {
	l.Helper()
	r := send(l, l.url+"/v1/reports", token, batch(l, frames...))
	if r.StatusCode != http.StatusOK {
		b, _ := io.ReadAll(r.Body)
		l.Fatalf("%s: %s", r.Status, b)
	}
	got := outcomes(l, r.Body)
	if len(got) != len(want) {
		l.Fatalf("%d outcomes for %d reports", len(got), len(want))
	}
	for i, o := range got {
		if o.Code != want[i] || o.Host != frames[i].Host || o.Seq != frames[i].Seq {
			l.Fatalf("report %d: %s (%s), want %s", i, o.Code, o.Reason, want[i])
		}
		if (o.Code == wire.CodeStored || o.Code == wire.CodeDuplicate) != (o.Receipt != nil) {
			l.Fatalf("report %d: %s with a receipt of %d bytes", i, o.Code, len(o.Receipt))
		}
		if o.Receipt != nil {
			receipt, err := wire.VerifyReceipt(o.Receipt, []*ecdsa.PublicKey{&l.key.PublicKey})
			must(l, err)
			if receipt.Host != o.Host || receipt.Seq != o.Seq {
				l.Fatalf("report %d: the receipt is for %s %d", i, receipt.Host, receipt.Seq)
			}
		}
	}
	return got
}
