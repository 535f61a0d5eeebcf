package hooks

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/store"
	"github.com/passmuster/muster/collector/store/sqlite"
	"github.com/passmuster/muster/internal/wire"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// lab is a store with a clock of its own, and a receiver.
type lab struct {
	*testing.T
	store    *sqlite.Store
	now      time.Time
	receiver *httptest.Server
	mu       sync.Mutex
	answer   http.HandlerFunc
	got      []*http.Request
	bodies   [][]byte
}

func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{T: t, now: time.Date(2026, 11, 3, 12, 0, 0, 0, time.UTC)}
	var err error
	l.store, err = sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "muster.db"), store.Options{Now: func() time.Time { return l.now }})
	must(t, err)
	l.receiver = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		l.mu.Lock()
		l.got, l.bodies = append(l.got, r), append(l.bodies, body)
		answer := l.answer
		l.mu.Unlock()
		if answer != nil {
			answer(w, r)
		}
	}))
	t.Cleanup(func() {
		l.receiver.Close()
		must(t, l.store.Close())
	})
	return l
}

// pending notes an event: a host of the county waits for approval.
func (l *lab) pending(county muster.County) muster.HostID {
	l.Helper()
	key, err := wire.NewKey()
	must(l.T, err)
	der, err := wire.MarshalPublicKey(&key.PublicKey)
	must(l.T, err)
	h := muster.Host{ID: muster.NewHostID(der), Hostname: "pc", County: county, Profile: muster.Workstation, Platform: muster.Linux}
	_, err = l.store.Enroll(l.Context(), muster.Enrolled{Host: h, PublicKey: der}, false, l.now)
	must(l.T, err)
	return h.ID
}

func (l *lab) sender(list ...Hook) *Sender {
	l.Helper()
	s, err := New(Options{Hooks: list, Queue: l.store, From: "State of Test", Now: func() time.Time { return l.now }})
	must(l.T, err)
	return s
}

// send sends what is due, and tells how many requests came.
func (l *lab) send(s *Sender) int {
	l.Helper()
	came := func() int {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.got)
	}
	before := came()
	must(l.T, s.Send(l.Context()))
	return came() - before
}

func (l *lab) deliveries() []muster.Delivery {
	l.Helper()
	list, err := l.store.Deliveries(l.Context(), "", 100)
	must(l.T, err)
	return list
}

var secret = Secret("0123456789abcdefghijklmnopq")

// verify does what Standard Webhooks asks of a receiver.
func verify(h http.Header, body []byte, secret Secret) bool {
	mac := hmac.New(sha256.New, secret)
	fmt.Fprintf(mac, "%s.%s.%s", h.Get("webhook-id"), h.Get("webhook-timestamp"), body)
	return slices.Contains(strings.Fields(h.Get("webhook-signature")), "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
}

// The signature of a message that the reference libraries of Standard Webhooks test with.
func TestSignature(t *testing.T) {
	secrets, err := ParseSecrets([]byte("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
	must(t, err)
	got := sign(secrets, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	if got != "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" {
		t.Error(got)
	}
}

func TestSend(t *testing.T) {
	l := newLab(t)
	s := l.sender(
		Hook{Name: "all", URL: l.receiver.URL + "/all", Secrets: []Secret{secret, Secret(strings.Repeat("x", 24))}},
		Hook{Name: "cook", URL: l.receiver.URL + "/cook", Counties: []muster.County{"17031"}, Kinds: []string{muster.EventPending}},
		Hook{Name: "other", URL: l.receiver.URL + "/other", Kinds: []string{muster.EventClone}},
	)
	id := l.pending("17031")
	l.pending("17043")
	if n := l.send(s); n != 3 {
		t.Fatalf("%d requests", n)
	}
	if n := l.send(s); n != 0 {
		t.Errorf("sent again: %d", n)
	}
	signed := 0
	for i, r := range l.got {
		if r.URL.Path == "/cook" && (!strings.Contains(string(l.bodies[i]), string(id)) || r.Header.Get("Webhook-Signature") != "") {
			t.Errorf("cook got %s", l.bodies[i])
		}
		if r.URL.Path != "/all" {
			continue
		}
		if verify(r.Header, l.bodies[i], secret) && verify(r.Header, l.bodies[i], Secret(strings.Repeat("x", 24))) && !verify(r.Header, append(l.bodies[i], ' '), secret) {
			signed++
		}
		var got struct {
			Type, From string
			Data       muster.Event
		}
		must(t, json.Unmarshal(l.bodies[i], &got))
		if got.Type != muster.EventPending || got.Data.Kind != got.Type || got.From != "State of Test" || got.Data.Text == "" {
			t.Errorf("%s", l.bodies[i])
		}
	}
	if signed != 2 {
		t.Errorf("%d of 2 are signed by both secrets", signed)
	}
	for _, d := range l.deliveries() {
		if d.Done.IsZero() || d.Attempts != 1 || d.Status != http.StatusOK || !d.NextAt.IsZero() {
			t.Errorf("%+v", d)
		}
	}
}

// A receiver that fails is asked later and later, for a day, with one id, and what
// waits behind it is not lost.
func TestRetry(t *testing.T) {
	l := newLab(t)
	s := l.sender(Hook{Name: "a", URL: l.receiver.URL})
	l.answer = func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusInternalServerError) }
	l.pending("17031")
	l.pending("17031")
	begin := l.now
	tries := 0
	for l.now.Before(begin.Add(GiveUp + 2*MaxWait)) {
		tries += l.send(s)
		for _, d := range l.deliveries() {
			if !d.NextAt.IsZero() && d.NextAt.Sub(l.now) > MaxWait {
				t.Fatalf("waits for %s", d.NextAt.Sub(l.now))
			}
		}
		l.now = l.now.Add(4 * time.Minute)
	}
	ids := map[string]bool{}
	for _, r := range l.got {
		ids[r.Header.Get("Webhook-Id")] = true
	}
	if tries < 20 || tries > 120 || len(ids) != 2 {
		t.Errorf("%d attempts with the ids %v", tries, ids)
	}
	for _, d := range l.deliveries() {
		if !d.NextAt.IsZero() || !d.Done.IsZero() || d.Status != 500 || !strings.Contains(d.Error, "500") {
			t.Errorf("%+v", d)
		}
	}
}

// A receiver that will not have one event gets those behind it soon all the same.
func TestOneIsRefused(t *testing.T) {
	l := newLab(t)
	s := l.sender(Hook{Name: "a", URL: l.receiver.URL})
	bad := l.pending("17031")
	l.answer = func(w http.ResponseWriter, _ *http.Request) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if strings.Contains(string(l.bodies[len(l.bodies)-1]), string(bad)) {
			w.WriteHeader(http.StatusBadRequest)
		}
	}
	l.now = l.now.Add(time.Second)
	l.pending("17031")
	l.pending("17031")
	l.send(s)
	l.now = l.now.Add(FirstWait)
	l.send(s)
	for _, d := range l.deliveries() {
		if (d.Host == bad) != d.Done.IsZero() {
			t.Errorf("%+v", d)
		}
	}
}

// A receiver that takes everything slowly has its turn, and then the others theirs.
func TestSlowReceiver(t *testing.T) {
	l := newLab(t)
	var passed atomic.Int64
	begin := l.now
	s, err := New(Options{Hooks: []Hook{{Name: "a", URL: l.receiver.URL}}, Queue: l.store, Now: func() time.Time { return begin.Add(time.Duration(passed.Load())) }})
	must(t, err)
	l.answer = func(http.ResponseWriter, *http.Request) { passed.Add(int64(RequestTimeout - time.Second)) }
	for range 4 {
		l.pending("17031")
	}
	for want := 2; want <= 4; want += 2 {
		l.send(s)
		if len(l.got) != want {
			t.Errorf("%d requests, want %d", len(l.got), want)
		}
	}
}

func TestRetryAfterAndRecovery(t *testing.T) {
	l := newLab(t)
	s := l.sender(Hook{Name: "a", URL: l.receiver.URL})
	l.answer = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "1800")
		w.WriteHeader(http.StatusTooManyRequests)
	}
	l.pending("17031")
	l.send(s)
	l.answer = nil
	l.now = l.now.Add(29 * time.Minute)
	if n := l.send(s); n != 0 {
		t.Error("asked again before it wanted to be")
	}
	l.now = l.now.Add(2 * time.Minute)
	if n := l.send(s); n != 1 || l.deliveries()[0].Done.IsZero() || l.deliveries()[0].Attempts != 2 {
		t.Errorf("%d %+v", n, l.deliveries())
	}
}

func TestWhatIsFinal(t *testing.T) {
	for status, want := range map[int]string{http.StatusGone: "remove it from the configuration"} {
		l := newLab(t)
		l.answer = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
		s := l.sender(Hook{Name: "a", URL: l.receiver.URL})
		l.pending("17031")
		l.send(s)
		if d := l.deliveries()[0]; !d.NextAt.IsZero() || !d.Done.IsZero() || !strings.Contains(d.Error, want) {
			t.Errorf("%d: %+v", status, d)
		}
		// A hook that is no longer configured gets nothing, and holds up nothing.
		l.pending("17031")
		must(t, l.store.Distribute(t.Context(), func(muster.Event) []string { return []string{"gone"} }))
		if n := l.send(s); n != 0 || !strings.Contains(l.deliveries()[0].Error, "configured") {
			t.Errorf("%d %+v", n, l.deliveries()[0])
		}
	}
}

func TestRedirectIsNotFollowed(t *testing.T) {
	l := newLab(t)
	followed := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("followed") }))
	defer followed.Close()
	l.answer = func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, followed.URL, http.StatusTemporaryRedirect)
	}
	s := l.sender(Hook{Name: "a", URL: l.receiver.URL})
	l.pending("17031")
	l.send(s)
	if d := l.deliveries()[0]; d.Status != 307 || d.NextAt.IsZero() || !strings.Contains(d.Error, "redirect") {
		t.Errorf("%+v", d)
	}
}

// A receiver that hangs, or answers without end, holds up no other, and a stop ends it;
// what it may have got is sent again.
func TestHang(t *testing.T) {
	l := newLab(t)
	free := make(chan struct{})
	l.answer = func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hang" {
			select {
			case <-free:
			case <-r.Context().Done():
			}
		}
		for r.URL.Path == "/endless" && r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 1<<10)); err != nil {
				return
			}
		}
	}
	s := l.sender(Hook{Name: "hang", URL: l.receiver.URL + "/hang"}, Hook{Name: "endless", URL: l.receiver.URL + "/endless"}, Hook{Name: "well", URL: l.receiver.URL})
	l.pending("17031")
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.Send(ctx) }()
	taken := func() (names []string) {
		for _, d := range l.deliveries() {
			if !d.Done.IsZero() {
				names = append(names, d.Hook)
			}
		}
		slices.Sort(names)
		return names
	}
	for !slices.Equal(taken(), []string{"endless", "well"}) {
		time.Sleep(5 * time.Millisecond)
	}
	stop()
	must(t, <-ended)
	close(free)
	if n := l.send(s); n != 1 || len(taken()) != 3 {
		t.Errorf("%d requests, taken by %v", n, taken())
	}
}

func TestMessages(t *testing.T) {
	e := muster.Event{ID: 7, Kind: muster.EventFails, County: "17031", Host: "h1", At: time.Unix(0, 0),
		Text: `<!channel> host "[pc](https://evil.example)" & <https://evil.example|pc> fails`}
	for _, f := range Formats {
		b, err := f.message("State of Test", e)
		must(t, err)
		if !json.Valid(b) || !strings.Contains(string(b), "17031") {
			t.Errorf("%s: %s", f, b)
		}
	}
	var slack struct {
		Text   string
		Blocks []struct{ Text struct{ Type, Text string } }
	}
	b, err := Slack.message("x", e)
	must(t, err)
	must(t, json.Unmarshal(b, &slack))
	if strings.Contains(slack.Text, "<") || slack.Blocks[0].Text.Type != "plain_text" || slack.Blocks[0].Text.Text != e.Text {
		t.Errorf("%+v", slack)
	}
	var teams struct {
		Attachments []struct {
			Content struct {
				Body []struct {
					Type    string
					Inlines []struct{ Type, Text string }
				}
			}
		}
	}
	b, err = Teams.message("x", e)
	must(t, err)
	must(t, json.Unmarshal(b, &teams))
	if p := teams.Attachments[0].Content.Body[0]; p.Type != "RichTextBlock" || p.Inlines[0].Type != "TextRun" || p.Inlines[0].Text != e.Text {
		t.Errorf("%s", b)
	}
}

func TestAddresses(t *testing.T) {
	for address, well := range map[string][3]bool{ // plain, local, private
		"93.184.216.34":   {true, true, true},
		"127.0.0.1":       {false, true, false},
		"::1":             {false, true, false},
		"10.1.2.3":        {false, false, true},
		"192.168.1.1":     {false, false, true},
		"100.100.100.100": {false, false, true},
		"fd00::1":         {false, false, true},
		"169.254.169.254": {false, false, false},
		"fe80::1":         {false, false, false},
		"0.0.0.0":         {false, false, false},
		"224.0.0.1":       {false, false, false},
	} {
		for i, how := range [][2]bool{{}, {true, false}, {false, true}} {
			if err := allowed(netip.MustParseAddr(address), how[0], how[1]); (err == nil) != well[i] {
				t.Errorf("%s with %v: %v", address, how, err)
			}
		}
	}
	// A name that leads here is found out once it is resolved.
	h := Hook{Name: "a", URL: "https://localhost:1"}
	h.Private = true
	d := (&Hook{URL: "https://elsewhere.example"}).dialer()
	if _, err := d.DialContext(t.Context(), "tcp", "localhost:1"); err == nil || !strings.Contains(err.Error(), "leads to this computer") {
		t.Error(err)
	}
	if err := h.Reach(t.Context()); err == nil {
		t.Error("nobody is there")
	}
	l := newLab(t)
	if err := (&Hook{Name: "a", URL: l.receiver.URL}).Reach(t.Context()); err != nil || len(l.got) != 0 {
		t.Error(err, len(l.got))
	}
}

func TestCheck(t *testing.T) {
	for _, h := range []Hook{
		{Name: "", URL: "https://a.example"}, {Name: "A b", URL: "https://a.example"}, {Name: "a", URL: "http://a.example"}, {Name: "a", URL: "ftp://a.example"},
		{Name: "a", URL: "https://u:p@a.example"}, {Name: "a", URL: "https://"}, {Name: "a", URL: "https://a.example", Format: "xml"},
		{Name: "a", URL: "https://a.example", Kinds: []string{"nothing"}}, {Name: "a", URL: "https://a.example", Counties: []muster.County{"1"}},
	} {
		if err := h.Check(); err == nil {
			t.Errorf("%+v is well", h)
		}
	}
	ok := Hook{Name: "a", URL: "https://a.example/x"}
	must(t, ok.Check())
	if _, err := New(Options{Hooks: []Hook{ok, ok}}); err == nil {
		t.Error("two have one name")
	}
}

func FuzzParseSecrets(f *testing.F) {
	f.Add("whsec_" + base64.StdEncoding.EncodeToString(secret) + "\n\n" + base64.StdEncoding.EncodeToString(secret))
	f.Add("x")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := ParseSecrets([]byte(text))
		if (err == nil) != (len(list) > 0) {
			t.Fatal(list, err)
		}
		for _, s := range list {
			if len(s) < 24 || len(s) > 64 {
				t.Errorf("%d bytes", len(s))
			}
		}
	})
}
