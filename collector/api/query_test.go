package api

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/passmuster/muster"
)

// Whatever a query asks, the answer is of the county that it names, or says what is
// wrong with it; the store is never asked what it cannot answer.
func FuzzQuery(f *testing.F) {
	for _, q := range []string{"", "county=17031", "as_of=2026-11-03&known=now", "limit=1&after=MTcwMzEvaA", "control=MVS-ENC-01&as_of=2026-11-20T10:00:00Z", "after=&policy=x%00", "county=17031&after=MTcwMzEgAA", "county=17031&after=MTcwMzEg_w", "a;b"} {
		f.Add(q)
	}
	s := newSite(f)
	f.Fuzz(func(t *testing.T, query string) {
		if strings.ContainsAny(query, " #") || strings.ContainsFunc(query, func(r rune) bool { return r < ' ' || r > '~' }) {
			return // net/http lets none of these in
		}
		w := s.ask(http.MethodGet, "/api/v1/hosts?"+query, "")
		var page Hosts
		switch err := json.Unmarshal(w.Body.Bytes(), &page); {
		case w.Code == http.StatusBadRequest:
		case w.Code != http.StatusOK || err != nil && !strings.HasPrefix(w.Header().Get("Content-Type"), typeCSV):
			t.Errorf("%q: %d %s %v", query, w.Code, w.Body, err)
		}
		for _, h := range page.Hosts {
			if strings.Contains(query, "county=17031&") && h.County != muster.County("17031") {
				t.Errorf("%q gives %s", query, h.County)
			}
		}
	})
}
