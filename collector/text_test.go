package collector

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/passmuster/muster/collector/door"
	"github.com/passmuster/muster/collector/store/postgres/pgtest"
)

// An address that says what is no text is refused before a database is asked: PostgreSQL
// takes none of it.
func TestAddressesAreText(t *testing.T) {
	o := openAll(t, func(c *Options) {
		if _, err := pgtest.Find(); err == nil {
			c.Database = pgtest.Start(t).NewDatabase(t)
		}
	})
	officer := caller{base: o.base, client: o.entered()}
	asks := func(method, path string, want int) {
		t.Helper()
		if code, _, body := o.as(officer, method, path, ""); code != want {
			t.Errorf("%s %s: %d, want %d: %.200s", method, path, code, want, body)
		}
	}
	named := regexp.MustCompile(`{\w+}`)
	for _, rule := range door.Table() {
		method, path, ok := strings.Cut(strings.TrimSuffix(rule.Pattern, "{$}"), " ")
		if !ok || rule.Need == door.Hosts || rule.Need == door.Anyone || rule.Need == door.Token {
			continue
		}
		for _, bad := range []string{"%00", "a%FF", "%C0%80"} {
			asks(method, named.ReplaceAllString(path, "17031")+"?after=17031+"+bad+"&q="+bad, http.StatusBadRequest)
			asks(method, named.ReplaceAllString(path, "17031")+"?"+bad+"=x", http.StatusBadRequest)
			if named.MatchString(path) {
				asks(method, named.ReplaceAllString(path, bad), http.StatusBadRequest)
			}
		}
	}
	asks(http.MethodGet, "/api/v1/hosts?after=MTcwMzEgAA", http.StatusBadRequest) // "17031 \x00"
	asks(http.MethodGet, "/api/v1/hosts?after=MTcwMzEg_w", http.StatusBadRequest)
	asks(http.MethodGet, "/search?q=%E2%84%96+M%C3%9CLLER", http.StatusOK)
	_, _, page := o.as(officer, http.MethodGet, "/counties/17031?after=%00", "")
	if !strings.Contains(page, "This address cannot be read") || !strings.Contains(page, "</nav>") {
		t.Errorf("the page of a bad address: %s", page)
	}
}
