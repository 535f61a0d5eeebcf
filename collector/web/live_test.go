package web_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/web"
)

// watched is a Live whose changes a test makes, in a bubble of its own.
type watched struct {
	*testing.T
	*web.Live
	changes chan []muster.County
	watches int
	stop    func()
}

func watch(t *testing.T) *watched {
	l := &watched{T: t, changes: make(chan []muster.County)}
	l.Live = web.NewLive(func(ctx context.Context) <-chan []muster.County {
		l.watches++
		context.AfterFunc(ctx, func() { close(l.changes) })
		return l.changes
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- l.Live.Run(ctx) }()
	l.stop = func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	return l
}

// listener is a browser; what it was sent is read after synctest.Wait.
type listener struct {
	*httptest.ResponseRecorder
	ended chan struct{}
	leave func()
}

func (l *watched) listen(path string) *listener { return l.listenAs("", path) }

func (l *watched) listenAs(name, path string) *listener {
	ctx, cancel := context.WithCancel(l.Context())
	b := &listener{httptest.NewRecorder(), make(chan struct{}), cancel}
	go func() {
		l.Listen(b, httptest.NewRequestWithContext(ctx, http.MethodGet, path, nil), name)
		close(b.ended)
	}()
	synctest.Wait()
	return b
}

// tell makes changes, and lets the moment pass in which they are gathered.
func (l *watched) tell(changes ...[]muster.County) {
	for _, c := range changes {
		l.changes <- c
	}
	time.Sleep(2 * time.Second)
	synctest.Wait()
}

// told are the events so far.
func (b *listener) told() (list []string) {
	for line := range strings.Lines(b.Body.String()) {
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			list = append(list, strings.TrimSpace(data))
		}
	}
	return list
}

func TestLiveTellsWhatChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := watch(t)
		state, cook := l.listen("/live"), l.listen("/live?county=17031")
		if got := state.Header().Get("Content-Type"); got != "text/event-stream" || !strings.HasPrefix(state.Body.String(), ": here\nretry: 5000\n\n") {
			t.Errorf("begins with %s %q", got, state.Body)
		}
		l.tell([]muster.County{"17031"})
		l.tell([]muster.County{"17089"})
		l.tell([]muster.County{"17031"}, []muster.County{"17089", "17001"}, []muster.County{"17031"})
		l.tell([]muster.County{"17001"}, nil, []muster.County{"17031"})
		for name, c := range map[string]struct {
			of   *listener
			want []string
		}{
			"state":  {state, []string{`["17031"]`, `["17089"]`, `["17001","17031","17089"]`, `[]`}},
			"county": {cook, []string{`["17031"]`, `["17031"]`, `[]`}},
		} {
			if got := c.of.told(); !slices.Equal(got, c.want) {
				t.Errorf("%s was told %q, want %q", name, got, c.want)
			}
			if got := strings.Count(c.of.Body.String(), "event: changed\n"); got != len(c.want) {
				t.Errorf("%s got %d events", name, got)
			}
		}
		if l.watches != 1 {
			t.Errorf("the store was watched %d times", l.watches)
		}
		l.stop()
		<-state.ended
		<-cook.ended
	})
}

func TestLiveKeepsAConnectionAndEndsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := watch(t)
		b := l.listen("/live")
		<-b.ended // so that the browser is asked again who it is
		if got := strings.Count(b.Body.String(), ": still here\n\n"); got < 4*60/25 {
			t.Errorf("%d signs of life in four minutes and more", got)
		}
		gone := l.listen("/live")
		gone.leave()
		<-gone.ended
		l.stop()
		<-l.listen("/live").ended
	})
}

func TestLiveHasRoomForSoMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := watch(t)
		defer l.stop()
		var all []*listener
		for n := range 200 {
			all = append(all, l.listenAs(fmt.Sprint("person ", n/10), "/live"))
		}
		none := func(name string) {
			t.Helper()
			full := l.listenAs(name, "/live")
			if <-full.ended; full.Code != http.StatusTooManyRequests || full.Header().Get("Retry-After") == "" {
				t.Errorf("one too many is answered %d %v", full.Code, full.Header())
			}
		}
		none("someone else")
		all[7].leave()
		<-all[7].ended
		none("person 1") // they have ten
		next := l.listenAs("person 0", "/live")
		if l.tell(nil); !slices.Equal(next.told(), []string{"[]"}) {
			t.Errorf("who came in their place was told %q", next.told())
		}
	})
}

// stuck takes nothing until it is let go.
type stuck struct {
	*httptest.ResponseRecorder
	free chan struct{}
}

func (s stuck) Write(b []byte) (int, error) {
	<-s.free
	return s.ResponseRecorder.Write(b)
}

func TestLiveWaitsForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := watch(t)
		slow := &listener{ResponseRecorder: httptest.NewRecorder()}
		free := make(chan struct{})
		go l.Listen(stuck{slow.ResponseRecorder, free}, httptest.NewRequest(http.MethodGet, "/live", nil), "")
		quick := l.listen("/live")
		var want []string
		for i := range 20 {
			county := muster.County(fmt.Sprintf("17%03d", i))
			l.tell([]muster.County{county})
			want = append(want, fmt.Sprintf(`["%s"]`, county))
		}
		if got := quick.told(); !slices.Equal(got, want) {
			t.Errorf("who listens was told %q", got)
		}
		close(free)
		synctest.Wait()
		if got := slow.told(); len(got) != 1 || !strings.HasPrefix(got[0], `["17000","17001",`) || !strings.HasSuffix(got[0], `,"17019"]`) {
			t.Errorf("who was slow was told %q", got)
		}
		l.stop()
	})
}

func TestWhereAPageListens(t *testing.T) {
	b, id := one(nil)
	live := web.NewLive(nil)
	person := web.Person{Role: muster.RoleViewer}
	h, err := web.New(web.Options{Reader: b, Catalogue: b.Catalogue, Live: live, Now: func() time.Time { return now },
		Who: func(*http.Request) web.Person { return person }})
	if err != nil {
		t.Fatal(err)
	}
	listens := func(h http.Handler, path, want string) {
		t.Helper()
		_, got, _ := strings.Cut(get(h, path).Body.String(), ` data-live="`)
		if got, _, _ = strings.Cut(got, `"`); got != want {
			t.Errorf("%s as %v listens at %q, want %q", path, person, got, want)
		}
	}
	listens(h, "/", "/live")
	listens(h, "/counties/56021", "/live?county=56021")
	listens(h, "/hosts/"+string(id), "/live?county=56021")
	listens(h, "/policies", "/live")
	for _, path := range []string{"/?as_of=2026-11-01", "/counties/56021?as_of=2026-11-01", "/nothing"} {
		listens(h, path, "")
	}
	person = web.Person{Counties: []muster.County{"56001", "56021"}}
	listens(h, "/hosts/"+string(id), "/live?county=56021")
	listens(h, "/policies", "") // of which county would not be known
	person.Counties = person.Counties[1:]
	listens(h, "/policies", "/live?county=56021")
	listens(mustNew(t, b, b.Catalogue), "/", "")
}

func TestUnchangedPagesAreNotSentAgain(t *testing.T) {
	b, id := one(nil)
	at := now
	h, err := web.New(web.Options{Reader: b, Catalogue: b.Catalogue, Now: func() time.Time { return at }})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(path, tag string) (int, string, string) {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Header.Set("If-None-Match", tag)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code, w.Header().Get("ETag"), w.Body.String()
	}
	for _, path := range []string{"/", "/counties/56021", "/hosts/" + string(id)} {
		at, b.Fleet[0].Hostname = now, "CLERK-01"
		code, tag, _ := ask(path, "")
		if code != http.StatusOK || tag == "" {
			t.Errorf("%s: %d %q", path, code, tag)
		}
		at = now.Add(2 * time.Hour)
		if code, _, body := ask(path, tag); code != http.StatusNotModified || body != "" {
			t.Errorf("%s when only time has passed: %d %.99s", path, code, body)
		}
		b.Fleet[0].Hostname = "CLERK-02"
		b.Fleet[0].Summary.MeetsBaseline = !b.Fleet[0].Summary.MeetsBaseline
		if code, other, body := ask(path, tag); code != http.StatusOK || other == tag || body == "" {
			t.Errorf("%s after a change: %d %q", path, code, other)
		}
	}
	if code, tag, _ := ask("/nothing", ""); code != http.StatusNotFound || tag != "" {
		t.Errorf("what is not there has a tag: %d %q", code, tag)
	}
}
