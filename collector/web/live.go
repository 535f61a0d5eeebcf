package web

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/passmuster/muster"
)

const (
	// maxListeners at once, and maxTabs of one person; who comes after them has pages that
	// do not change by themselves.
	maxListeners, maxTabs = 200, 10
	// gather is how long changes are collected, so that a burst is told once.
	gather = time.Second
	// beat keeps proxies from ending a connection on which nothing happens.
	beat = 25 * time.Second
	// stall is how long a listener may take none of what it is sent.
	stall = 10 * time.Second
	// listen is how long a connection lasts, and up to a fourth more so that not all
	// return at once: the browser then asks again, and is asked again who it is.
	listen = 4 * time.Minute
	// again is when a browser comes back whose connection ended.
	again = 5 * time.Second
)

// Live tells listening browsers in which counties something changed, as server-sent
// events "changed" with a JSON list of counties; an empty list means changes of any. It
// watches once for all of them, and outlives Pages, which a new policy replaces.
type Live struct {
	watch     func(context.Context) <-chan []muster.County
	mu        sync.Mutex
	listeners map[chan []muster.County]string // whose they are
	ended     chan struct{}
}

// NewLive makes one that tells what watch tells: the counties of a change, none for
// changes of any, until its context ends.
func NewLive(watch func(context.Context) <-chan []muster.County) *Live {
	return &Live{watch: watch, listeners: map[chan []muster.County]string{}, ended: make(chan struct{})}
}

// Run watches until ctx ends, and then ends every connection. Call it once.
func (l *Live) Run(ctx context.Context) error {
	defer close(l.ended)
	changes := l.watch(ctx)
	var soon <-chan time.Time
	var told []muster.County
	for {
		select {
		case counties, ok := <-changes:
			switch {
			case !ok:
				return nil
			case soon == nil:
				told, soon = counties, time.After(gather)
			default:
				told = join(told, counties)
			}
		case <-soon:
			l.tell(told)
			soon = nil
		}
	}
}

// join two changes; one of any county stays that.
func join(a, b []muster.County) []muster.County {
	if len(a) == 0 || len(b) == 0 {
		return nil
	}
	list := slices.Concat(a, b)
	slices.Sort(list)
	return slices.Compact(list)
}

// tell never waits: what a listener has not taken yet becomes one with what is new.
func (l *Live) tell(counties []muster.County) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.listeners {
		select {
		case before := <-c:
			c <- join(before, counties)
		default:
			c <- counties // nobody else sends
		}
	}
}

// enter gives a person the changes from now on; nil where no more can listen.
func (l *Live) enter(name string) (changes chan []muster.County, leave func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	tabs := 0
	for _, whose := range l.listeners {
		if whose == name {
			tabs++
		}
	}
	if len(l.listeners) >= maxListeners || tabs >= maxTabs {
		return nil, nil
	}
	changes = make(chan []muster.County, 1)
	l.listeners[changes] = name
	return changes, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.listeners, changes)
	}
}

// Listen sends a person events until the request, its time or Run ends: with ?county=
// those of that county and those that may be of any. Of one name not all places are taken;
// those without a name, as on loopback, are one.
func (l *Live) Listen(w http.ResponseWriter, r *http.Request, name string) {
	changes, leave := l.enter(name)
	if changes == nil {
		w.Header().Set("Retry-After", "60")
		http.Error(w, "Too many pages listen for changes. This one shows them when it is loaded again.", http.StatusTooManyRequests)
		return
	}
	defer leave()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return
	}
	out := http.NewResponseController(w)
	send := func(text string) bool {
		_ = out.SetWriteDeadline(time.Now().Add(stall)) // a writer that cannot do so has bounds of its own
		_, err := w.Write([]byte(text))
		return err == nil && out.Flush() == nil
	}
	county := muster.County(r.URL.Query().Get("county"))
	life := time.After(listen + rand.N(listen/4))
	beats := time.NewTicker(beat)
	defer beats.Stop()
	text := fmt.Sprintf(": here\nretry: %d\n\n", again.Milliseconds())
	for send(text) {
		for text = ""; text == ""; {
			select {
			case counties := <-changes:
				text = changed(counties, county)
			case <-beats.C:
				text = ": still here\n\n"
			case <-life:
				return
			case <-l.ended:
				return
			case <-r.Context().Done():
				return
			}
		}
	}
}

// changed is the event for a listener that is told of one county, or with "" of all; "" for none.
func changed(counties []muster.County, only muster.County) string {
	switch {
	case len(counties) == 0:
		counties = []muster.County{}
	case only == "":
	case slices.Contains(counties, only):
		counties = []muster.County{only}
	default:
		return ""
	}
	b, err := json.Marshal(counties)
	if err != nil {
		return ""
	}
	return "event: changed\ndata: " + string(b) + "\n\n"
}

// listenAt is where a page about a county, or with "" about all, listens for changes; ""
// where it does not change by itself.
func (s *server) listenAt(county muster.County) string {
	switch {
	case s.Live == nil || !s.view.Now() || !s.may(s.person.Role, "GET /live") || county != "" && !s.person.reads(county):
		return ""
	case county != "":
		return "/live?" + url.Values{"county": {string(county)}}.Encode()
	case s.person.Role == "":
		return "" // of several counties, this page is about none
	}
	return "/live"
}

// about is the county that the address of a page says it is about; "" for all.
func (s *server) about(r *http.Request) muster.County {
	return cmp.Or(muster.County(r.PathValue("county")), muster.County(r.URL.Query().Get("county")), s.person.County())
}

// tag of a page for If-None-Match: the same while it tells the same, however old that has
// become. The words of a <time> change by themselves, and so does the page's end.
func tag(page []byte) string {
	told, _, _ := bytes.Cut(page, []byte("</main>"))
	sum := sha256.New()
	for part := range bytes.SplitSeq(told, []byte("</time>")) {
		if at := bytes.LastIndex(part, []byte("<time ")); at >= 0 {
			words := bytes.IndexByte(part[at:], '>')
			part = part[:at+max(words, 0)]
		}
		sum.Write(part)
	}
	return fmt.Sprintf(`W/"%x"`, sum.Sum(nil)[:12])
}
