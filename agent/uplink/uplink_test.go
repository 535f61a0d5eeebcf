package uplink

import (
	"context"
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/uplink/uplinktest"
	"github.com/passmuster/muster/internal/wire"
)

// lab is a host's mail folders and a collector on loopback. Its outbox is a map
// of envelopes; the real one has a test of its own beside cmd/muster-uplink.
type lab struct {
	t         *testing.T
	key       *ecdsa.PrivateKey
	host      muster.HostID
	collector *uplinktest.Collector
	url       string
	dir       string
	reports   map[uint64][]byte
	base      []byte
	now       time.Time
	diskFails bool
}

func (l *lab) List() ([]uint64, error) {
	var seqs []uint64
	for seq := range l.reports {
		seqs = append(seqs, seq)
	}
	slices.Sort(seqs)
	return seqs, nil
}

func (l *lab) Read(seq uint64) ([]byte, error) {
	if l.diskFails {
		return nil, syscall.EIO
	}
	if b, ok := l.reports[seq]; ok {
		return b, nil
	}
	return nil, fs.ErrNotExist
}

func (l *lab) Base() []byte { return l.base }

func newLab(t *testing.T, reports int) *lab {
	t.Helper()
	l := &lab{t: t, dir: t.TempDir(), reports: map[uint64][]byte{}, now: time.Date(2026, 10, 19, 12, 0, 0, 0, time.UTC)}
	var err error
	if l.key, err = wire.NewKey(); err != nil {
		t.Fatal(err)
	}
	if l.host, err = wire.HostIDOf(l.key.Public()); err != nil {
		t.Fatal(err)
	}
	enrollment, err := wire.SignEnrollment(muster.Enrollment{Hostname: "PC", County: "17031"}, l.key)
	if err := errors.Join(err, os.WriteFile(l.path("enrollment.cose"), enrollment, 0o600),
		os.Mkdir(l.path("receipts"), 0o700), os.Mkdir(l.path("inbox"), 0o700), os.MkdirAll(l.path("relay", "out"), 0o700), os.Mkdir(l.path("relay", "in"), 0o700)); err != nil {
		t.Fatal(err)
	}
	if l.collector, err = uplinktest.New(); err != nil {
		t.Fatal(err)
	}
	l.collector.Token = "a token"
	server := httptest.NewServer(l.collector)
	t.Cleanup(server.Close)
	l.url = server.URL
	for seq := range uint64(reports) {
		l.add(seq + 1)
	}
	return l
}

func (l *lab) path(name ...string) string { return filepath.Join(append([]string{l.dir}, name...)...) }

func (l *lab) add(seq uint64) {
	l.t.Helper()
	r := &muster.Report{Header: muster.Header{Schema: 1, Host: l.host, Seq: seq, CollectedAt: l.now}}
	for i := range 20 {
		r.Verdicts = append(r.Verdicts, muster.Verdict{Control: fmt.Sprintf("MVS-X-%02d", i), Status: muster.StatusPass})
	}
	content, err := wire.EncodeReport(r)
	if err != nil {
		l.t.Fatal(err)
	}
	if l.reports[seq], err = wire.Sign(wire.KindReport, content, l.key, string(l.host)); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) uplink() *Uplink {
	l.t.Helper()
	der, err := wire.MarshalPublicKey(l.collector.Key.Public())
	if err != nil {
		l.t.Fatal(err)
	}
	u, err := New(Options{
		Site:   &muster.Site{Collector: l.url, Token: "a token", ReceiptKeys: [][]byte{der}},
		Outbox: l, EnrollmentFile: l.path("enrollment.cose"), ReceiptsDir: l.path("receipts"),
		InboxDir: l.path("inbox"), StatusFile: l.path("status.json"),
		RelayOutDir: l.path("relay", "out"), RelayInDir: l.path("relay", "in"),
		Poll: 5 * time.Millisecond, Now: func() time.Time { return l.now },
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return u
}

func (l *lab) receipts() []string {
	l.t.Helper()
	entries, err := os.ReadDir(l.path("receipts"))
	if err != nil {
		l.t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func (l *lab) status() (s Status) {
	l.t.Helper()
	b, err := os.ReadFile(l.path("status.json"))
	if err == nil {
		err = json.Unmarshal(b, &s)
	}
	if err != nil {
		l.t.Fatal(err)
	}
	return s
}

func TestOnce(t *testing.T) {
	l := newLab(t, 150)
	l.collector.Policy, l.collector.AuditNow = zipped(t, "a bundle"), true
	u := l.uplink()
	if err := u.Once(t.Context()); err != nil {
		t.Fatal(err)
	}
	stored, _ := l.collector.Stored()
	if len(stored) != 150 || len(l.receipts()) != 150 || len(l.collector.Problems()) != 0 {
		t.Errorf("%d stored, %d receipts, %v", len(stored), len(l.receipts()), l.collector.Problems())
	}
	for seq := range stored {
		b, err := os.ReadFile(u.receiptPath(seq))
		if err != nil {
			t.Fatal(err)
		}
		if r, err := wire.VerifyReceipt(b, u.keys); err != nil || r.Seq != seq || r.Digest != wire.EnvelopeDigest(l.reports[seq]) {
			t.Errorf("%+v, %v", r, err)
		}
	}
	if got, err := os.ReadFile(l.path("inbox", "policy.tar.gz")); err != nil || string(got) != string(l.collector.Policy) {
		t.Errorf("policy: %q, %v", got, err)
	}
	if _, err := os.Stat(l.path("inbox", "audit-request")); err != nil {
		t.Error(err)
	}
	if s := l.status(); s.Waiting != 0 || s.Receipted != 150 || s.State != muster.HostActive || s.Error != "" || s.LastContact != l.now {
		t.Errorf("%+v", s)
	}
	// What was carried is not carried again, by this process or the next.
	if err := errors.Join(os.Remove(l.path("inbox", "policy.tar.gz")), u.Once(t.Context()), l.uplink().Once(t.Context())); err != nil {
		t.Fatal(err)
	}
	if _, duplicates := l.collector.Stored(); duplicates != 0 {
		t.Errorf("%d reports came again", duplicates)
	}
	if _, err := os.Stat(l.path("inbox", "policy.tar.gz")); err == nil {
		t.Error("the policy came again")
	}
	if len(l.reports) != 150 {
		t.Error("the uplink deleted reports")
	}
}

func TestFramesUseTheNewestReceiptedBase(t *testing.T) {
	l := newLab(t, 1)
	u := l.uplink()
	for seq := uint64(2); seq <= 4; seq++ {
		if err := u.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
		l.add(seq)
	}
	sample, err := wire.SampleDigest()
	if err != nil {
		t.Fatal(err)
	}
	want := []muster.Digest{sample, wire.EnvelopeDigest(l.reports[1]), wire.EnvelopeDigest(l.reports[2])}
	if got := l.collector.Bases(); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestCollectorWithoutTheBase(t *testing.T) {
	l := newLab(t, 2)
	l.base = []byte("an envelope that this collector has lost")
	l.collector.NoSample = true
	if err := l.uplink().Once(t.Context()); err != nil {
		t.Fatal(err)
	}
	if stored, _ := l.collector.Stored(); len(stored) != 2 {
		t.Errorf("stored %v", stored)
	}
}

func TestCollectorThatForgetsTheHost(t *testing.T) {
	l := newLab(t, 1)
	u := l.uplink()
	if err := u.Once(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.collector.Forget()
	l.add(2)
	if err := u.Once(t.Context()); !errors.Is(err, errUnknownHost) {
		t.Errorf("said %v", err)
	}
	if err := u.Once(t.Context()); err != nil {
		t.Fatal(err)
	}
	if stored, _ := l.collector.Stored(); len(stored) != 2 {
		t.Errorf("stored %v", stored)
	}
}

func TestOnlyTheSitesReceiptKeyCounts(t *testing.T) {
	l := newLab(t, 1)
	var err error
	if l.collector.SignWith, err = wire.NewKey(); err != nil {
		t.Fatal(err)
	}
	err = l.uplink().Once(t.Context())
	if !errors.Is(err, errReceiptKey) || !strings.Contains(l.status().Error, "a key that this host's site file does not name") {
		t.Errorf("said %v", err)
	}
	if got := l.receipts(); len(got) != 0 || l.status().Waiting != 1 {
		t.Errorf("took %v", got)
	}
	if got := backoff(1, err); got < backoffMax {
		t.Errorf("asks again after %v", got)
	}
}

// A host that was approved meanwhile hears of it without a restart.
// What was cut off goes in smaller batches, and larger ones again once it went well.
func TestBatchesShrinkAfterACut(t *testing.T) {
	l := newLab(t, 64)
	most := 0
	l.collector.Before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/v1/reports" {
			return false
		}
		if r.ContentLength > 3000 {
			panic(http.ErrAbortHandler)
		}
		most = max(most, int(r.ContentLength))
		return false
	}
	u := l.uplink()
	tries := 1
	for u.Once(t.Context()) != nil {
		if tries++; tries > 20 {
			t.Fatal("it never gets through")
		}
	}
	if stored, again := l.collector.Stored(); len(stored) != 64 || again != 0 || most == 0 {
		t.Errorf("%d stored, %d came again, after %d tries", len(stored), again, tries)
	}
	if u.room <= 1 {
		t.Errorf("room for %d reports", u.room)
	}
}

// The host's clock is compared with the collector's, and the status file keeps it.
// A process tells its version and its clock once.
// Reports that always fail keep neither a request for an audit nor a policy away.
func TestRefusalsAreFinalAndTold(t *testing.T) {
	l := newLab(t, 3)
	l.collector.Code = func(seq uint64) wire.Code {
		if seq == 2 {
			return wire.CodeConflict
		}
		return ""
	}
	u := l.uplink()
	for range 2 {
		if err := u.Once(t.Context()); err == nil || !strings.Contains(err.Error(), "1 reports are refused, the newest being 2: because") {
			t.Fatal(err)
		}
	}
	s := l.status()
	if len(l.collector.Bases()) != 3 || s.Waiting != 0 || len(s.Refused) != 1 || s.Refused[0] != (Refused{2, wire.CodeConflict, "because[31m"}) {
		t.Errorf("%d frames, %+v", len(l.collector.Bases()), s)
	}
	l.now = l.now.Add(refusedFor + time.Second)
	l.collector.Code = nil
	if err := u.Once(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := l.status(); len(s.Refused) != 0 || len(l.receipts()) != 3 {
		t.Errorf("after a day: %+v", s)
	}
}

// A disk that fails for a moment costs an hour, and not a day.
func TestAnswersThatAreNone(t *testing.T) {
	for name, c := range map[string]struct {
		path   string
		answer func(w http.ResponseWriter)
		says   string
	}{
		"login page": {"/v1/enroll", func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			fmt.Fprint(w, "<html>Welcome to the hotel")
		}, "login page"},
		"login page for reports": {"/v1/reports", func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, "<html>")
		}, "login page"},
		"redirect": {"/v1/checkin", func(w http.ResponseWriter) {
			w.Header().Set("Location", "http://portal.example/")
			w.WriteHeader(http.StatusFound)
		}, "login page"},
		"junk": {"/v1/checkin", func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", wire.TypeCBOR)
			fmt.Fprint(w, "junk")
		}, "malformed"},
		"without end": {"/v1/checkin", func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", wire.TypeCBOR)
			for range 3 * maxAnswer >> 10 {
				w.Write(make([]byte, 1<<10))
			}
		}, "larger than"},
		"half": {"/v1/reports", func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", wire.TypeSeq)
		}, "unanswered"},
		"no policy but a page": {"/v1/policy", func(w http.ResponseWriter) {
			fmt.Fprint(w, "<html>")
		}, "login page"},
		"right words, wrong type": {"/v1/checkin", func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/octet-stream")
			answerNow(w)
		}, "login page"},
		"type that is none": {"/v1/checkin", func(w http.ResponseWriter) {
			w.Header()["Content-Type"] = []string{";;"}
			answerNow(w)
		}, "login page"},
		"empty": {"/v1/checkin", func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", wire.TypeCBOR)
		}, "malformed"},
		"network that wants a sign-in": {"/v1/checkin", func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusNetworkAuthenticationRequired)
		}, "login page"},
		"proxy that wants a sign-in": {"/v1/enroll", func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusProxyAuthRequired)
		}, "login page"},
		"busy": {"/v1/reports", func(w http.ResponseWriter) {
			w.Header().Set("Retry-After", "60")
			w.WriteHeader(http.StatusTooManyRequests)
		}, "busy (429 Too Many Requests)"},
		"server error": {"/v1/checkin", func(w http.ResponseWriter) {
			http.Error(w, "oops", http.StatusInternalServerError)
		}, "500"},
		"token": {"/v1/checkin", func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"code":"bad_token","detail":"the token is wrong"}`)
		}, "the token is wrong: check the site file"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, 2)
			l.collector.Policy = zipped(t, "a bundle")
			l.collector.Before = func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path != c.path {
					return false
				}
				c.answer(w)
				return true
			}
			err := l.uplink().Once(t.Context())
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("said %v", err)
			}
			if l.status().Error != err.Error() {
				t.Errorf("status says %q", l.status().Error)
			}
			if stored, _ := l.collector.Stored(); len(l.receipts()) != len(stored) {
				t.Errorf("receipts %v", l.receipts())
			}
			// What an honest answer brought may be there, and nothing else.
			entries, _ := os.ReadDir(l.path("inbox"))
			if honest := c.path == "/v1/reports"; len(entries) != 0 && (!honest || len(entries) != 1 || entries[0].Name() != "policy.tar.gz") {
				t.Errorf("in the inbox: %v", entries)
			}
		})
	}
}

func answerNow(w http.ResponseWriter) {
	b, err := wire.Marshal(wire.CheckinAnswer{NextSeconds: 300, Now: time.Now()})
	if err == nil {
		_, err = w.Write(b)
	}
	if err != nil {
		panic(http.ErrAbortHandler)
	}
}

func TestBatchThatIsTooLargeIsHalved(t *testing.T) {
	l := newLab(t, 40)
	l.collector.Before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/v1/reports" && r.ContentLength > 2000 {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			return true
		}
		return false
	}
	if err := l.uplink().Once(t.Context()); err != nil {
		t.Fatal(err)
	}
	if stored, _ := l.collector.Stored(); len(stored) != 40 {
		t.Errorf("%d stored", len(stored))
	}
}

func TestBackoff(t *testing.T) {
	for failures := 1; failures < 100; failures++ {
		if got := backoff(failures, errors.New("x")); got <= 0 || got > backoffMax || failures == 1 && got > backoffBase {
			t.Errorf("after %d failures %v", failures, got)
		}
	}
	if got := backoff(1, fmt.Errorf("check in: %w", &busyError{after: time.Minute})); got < time.Minute {
		t.Errorf("Retry-After of a minute: %v", got)
	}
}

func TestRetryAfter(t *testing.T) {
	for v, want := range map[string]time.Duration{"": 0, "7": 7 * time.Second, "-1": 0, "junk": 0, "99999999999999999999": 0, "999999": maxRetryAfter} {
		if got := retryAfter(&http.Response{Header: http.Header{"Retry-After": {v}}}); got != want {
			t.Errorf("%q: %v", v, got)
		}
	}
}

// Run gets through a collector that is down first, and carries a new report
// without waiting for the next check-in.
func TestRun(t *testing.T) {
	l := newLab(t, 1)
	down := 2
	l.collector.Before = func(w http.ResponseWriter, _ *http.Request) bool {
		if down == 0 {
			return false
		}
		down--
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	done := make(chan error)
	u := l.uplink()
	box := &safeOutbox{lab: l, add: make(chan uint64)}
	u.Outbox = box
	go func() { done <- u.Run(ctx) }()
	for len(l.receipts()) < 1 {
		time.Sleep(5 * time.Millisecond)
	}
	box.add <- 2
	for !slices.Contains(l.receipts(), "00000002.receipt") {
		time.Sleep(5 * time.Millisecond)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// safeOutbox adds reports from the goroutine that lists them.
type safeOutbox struct {
	*lab
	add chan uint64
}

func (s *safeOutbox) List() ([]uint64, error) {
	select {
	case seq := <-s.add:
		s.lab.add(seq)
	default:
	}
	return s.lab.List()
}

func TestNoEnrollmentYet(t *testing.T) {
	l := newLab(t, 0)
	if err := os.Remove(l.path("enrollment.cose")); err != nil {
		t.Fatal(err)
	}
	if err := l.uplink().Once(t.Context()); err == nil || !strings.Contains(err.Error(), "run muster audit") {
		t.Errorf("said %v", err)
	}
}
