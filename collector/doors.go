package collector

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	cookieName = "muster_session"
	// sessionLife is how long a login lasts; linkLife how long a link waits.
	sessionLife = 12 * time.Hour
	linkLife    = time.Hour
	// maxDoors bounds sessions and links each.
	maxDoors = 1000
)

// doors are the ways in to the dashboard and the API: one-time links, the
// sessions that they become, and the API token. Only digests are kept, and
// looked up by digest, so that timing tells nothing.
type doors struct {
	now      func() time.Time
	apiToken [32]byte
	mu       sync.Mutex
	links    map[[32]byte]time.Time // until when
	sessions map[[32]byte]time.Time
}

func newDoors(apiToken string, now func() time.Time) *doors {
	return &doors{now: now, apiToken: sha256.Sum256([]byte(apiToken)),
		links: map[[32]byte]time.Time{}, sessions: map[[32]byte]time.Time{}}
}

// link makes a token that login takes once.
func (d *doors) link() string { return d.add(d.links, linkLife) }

func (d *doors) add(to map[[32]byte]time.Time, life time.Duration) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.now()
	for k, until := range to {
		if now.After(until) || len(to) >= maxDoors {
			delete(to, k)
		}
	}
	token := rand.Text()
	to[sha256.Sum256([]byte(token))] = now.Add(life)
	return token
}

// enter exchanges a link's token for that of a session.
func (d *doors) enter(token string) (session string, ok bool) {
	key := sha256.Sum256([]byte(token))
	d.mu.Lock()
	until, ok := d.links[key]
	delete(d.links, key)
	d.mu.Unlock()
	if !ok || d.now().After(until) {
		return "", false
	}
	return d.add(d.sessions, sessionLife), true
}

func (d *doors) script(r *http.Request) bool {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	sum := sha256.Sum256([]byte(token))
	return ok && subtle.ConstantTimeCompare(sum[:], d.apiToken[:]) == 1
}

func (d *doors) session(r *http.Request) bool {
	c, err := r.Cookie(cookieName)
	if err != nil {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	until, ok := d.sessions[sha256.Sum256([]byte(c.Value))]
	return ok && !d.now().After(until)
}
