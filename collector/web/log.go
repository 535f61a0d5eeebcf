package web

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/passmuster/muster"
)

// How much of the audit log a page shows, and looks through for what is asked for.
const (
	logShown  = 50
	logRead   = 500
	logSought = 5000
)

// logPage is a part of the audit log, the newest first.
type logPage struct {
	Rows      []logRow
	Who, What string // asked for; "" for all
	Deeds     []link // that can be asked for: Href is the action
	Newest    bool
	Older     string // address of what comes before it; "" at the end
	Sought    int    // entries that were looked through
	Until     moment // the oldest of them
}

// logRow is an entry in words.
type logRow struct {
	ID    int64
	At    moment
	Actor string
	Login bool // Actor is the name of a person or a node
	Deed  string
	About []piece
}

// A piece of a sentence: a text, a host that has a page, or a county.
type piece struct {
	Text   string
	Host   *muster.HostStanding
	County muster.County
}

// deeds are the actions of the audit log in words.
func deeds() map[string]string {
	return map[string]string{
		"approve": "Approved", "ask_waiver": "Asked for a waiver:", "answer_ask": "Answered a request for a waiver:", "backup": "Made a backup:",
		"clear_clone": "Found to be no copy:", "expect_hosts": "Listed expected computers:", "export": "Took out a file:",
		"flag_clone": "Two computers may share an identity:", "hold_host": "Must wait for approval:", "link": "Had a sign-in link made",
		"login": "Signed in from", "logout": "Signed out at", "pause_policy": "Paused policy", "promote_policy": "Offered policy",
		"publish_policy": "Published policy", "rebind_host": "Came from another node:", "replace_host": "Replaced:", "request_audit": "Asked for an audit of",
		"retire": "Retired", "rotate_key": "Changed a key:", "set_contacts": "Changed the contacts of", "set_ring": "Put into a ring:", "start": "Started the collector, version",
		"take_courier": "Took in a courier file of", "upload_courier": "Uploaded a courier file of",
	}
}

// deedWord is an action in words; one that came later is told as it is.
func deedWord(action string) string {
	return cmp.Or(deeds()[action], strings.ReplaceAll(action, "_", " ")+":")
}

// actorWord says who it was where that was no login.
func actorWord(actor string) (word string, login bool) {
	switch actor {
	case "console":
		return "The collector's own computer", false
	case "link":
		return "Someone with a sign-in link", false
	case "token":
		return "A program with the API token", false
	case "host":
		return "A computer", false
	}
	return actor, true
}

// byWhom is actorWord within a sentence.
func byWhom(actor string) string {
	word, login := actorWord(actor)
	if login {
		return shown(actor, 64)
	}
	return strings.ToLower(word[:1]) + word[1:]
}

func (s *server) log(ctx context.Context, r *http.Request) (*view, error) {
	q := r.URL.Query()
	page := &logPage{Who: strings.TrimSpace(q.Get("who")), What: q.Get("what")}
	before, err := strconv.ParseInt(cmp.Or(q.Get("before"), "0"), 10, 64)
	if err != nil || before < 0 {
		return nil, fs.ErrNotExist
	}
	page.Newest = before == 0
	for action, word := range deeds() {
		for _, end := range []string{":", " of", " from", " at", ", version"} {
			word = strings.TrimSuffix(word, end)
		}
		page.Deeds = append(page.Deeds, link{action, word})
	}
	slices.SortFunc(page.Deeds, func(a, b link) int { return cmp.Compare(a.Text, b.Text) })
	found, next, err := s.seek(ctx, before, page)
	if err != nil {
		return nil, err
	}
	if next > 0 {
		older := url.Values{"before": {strconv.FormatInt(next, 10)}}
		if page.Who != "" {
			older.Set("who", page.Who)
		}
		if page.What != "" {
			older.Set("what", page.What)
		}
		page.Older = "/log?" + older.Encode()
	}
	hosts := map[muster.HostID]*muster.HostStanding{} // nil for one without a page
	for _, e := range found {
		row := logRow{ID: e.ID, At: moment{e.At, s.Now()}, Deed: deedWord(e.Action)}
		row.Actor, row.Login = actorWord(e.Actor)
		if row.About, err = s.pieces(ctx, e, hosts); err != nil {
			return nil, err
		}
		page.Rows = append(page.Rows, row)
	}
	v := &view{Title: "Log", Here: "Log", Page: page}
	for _, h := range hosts {
		if h != nil {
			v.Demo.add(h.Demo)
		}
	}
	return v, nil
}

// seek looks below an id for entries that are asked for; next is where to go on, 0 at
// the end.
func (s *server) seek(ctx context.Context, before int64, page *logPage) (found []muster.LogEntry, next int64, err error) {
	size := logShown
	if page.Who != "" || page.What != "" {
		size = logRead
	}
	for page.Sought < logSought {
		list, err := s.Reader.AuditLog(ctx, before, size)
		if err != nil {
			return nil, 0, err
		}
		for i, e := range list {
			before = e.ID
			page.Sought++
			page.Until = moment{e.At, s.Now()}
			if strings.Contains(strings.ToLower(e.Actor), strings.ToLower(page.Who)) && (page.What == "" || e.Action == page.What) {
				found = append(found, e)
			}
			if len(found) == logShown && (i < len(list)-1 || len(list) == size) {
				return found, before, nil
			}
		}
		if len(list) < size {
			return found, 0, nil
		}
	}
	return found, before, nil
}

// pieces tell what an entry is about: host ids and county codes in it by their names.
func (s *server) pieces(ctx context.Context, e muster.LogEntry, hosts map[muster.HostID]*muster.HostStanding) (list []piece, err error) {
	if e.Action == "export" {
		return taken(e.Object), nil
	}
	words := strings.Fields(e.Object)
	for i, word := range words {
		id, err := muster.ParseHostID(strings.TrimSuffix(word, ":"))
		if err == nil {
			if _, ok := hosts[id]; !ok {
				h, err := s.Reader.Host(ctx, muster.View{}, id)
				switch {
				case err == nil:
					hosts[id] = &h
				case errors.Is(err, fs.ErrNotExist):
					hosts[id] = nil
				default:
					return nil, err
				}
			}
			if hosts[id] != nil {
				list = append(list, piece{Host: hosts[id]})
				continue
			}
		}
		county, err := muster.ParseCounty(word)
		switch {
		case err == nil && (i == 0 && len(words) > 1 && words[1] == "to" || i > 0 && words[i-1] == "county"):
			if i > 0 { // the name says what it is
				list = list[:len(list)-1]
			}
			list = append(list, piece{County: county})
		default:
			list = append(list, piece{Text: word})
		}
	}
	return list, nil
}

// taken tells what an address of the API gave out.
func taken(address string) []piece {
	u, err := url.Parse(address)
	if err != nil {
		return []piece{{Text: address}}
	}
	var list []piece
	q := u.Query()
	for _, g := range exportGroups() {
		for _, d := range g.Downloads {
			before, after, ofCounty := strings.Cut("/api/v1"+d.Route, "{county}")
			if ofCounty && strings.HasPrefix(u.Path, before) && strings.HasSuffix(u.Path, after) {
				q.Set("county", strings.TrimSuffix(strings.TrimPrefix(u.Path, before), after))
			} else if "/api/v1"+d.Route != u.Path {
				continue
			}
			list = append(list, piece{Text: d.Name})
		}
	}
	if list == nil {
		list = append(list, piece{Text: u.Path})
	}
	if county, err := muster.ParseCounty(q.Get("county")); err == nil {
		list = append(list, piece{Text: "of"}, piece{County: county})
	}
	if control := q.Get("control"); control != "" {
		list = append(list, piece{Text: "for control " + control})
	}
	if at, err := time.Parse(time.RFC3339Nano, q.Get("as_of")); err == nil {
		list = append(list, piece{Text: "as of " + moment{At: at}.Exact()})
	}
	return list
}
