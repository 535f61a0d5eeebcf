package web

import (
	"context"
	"encoding/csv"
	"fmt"
	"io/fs"
	"net/http"
	"strings"

	"github.com/passmuster/muster"
)

const (
	// contactsKept is how many contacts a county can have, and contactsBlank how many
	// empty rows there are for more.
	contactsKept, contactsBlank = 20, 2
	// listedShown is how many expected computers can be changed on a page; who has more
	// has them in a file.
	listedShown = 500
)

type editPage struct {
	County   muster.County
	Contacts []entry
	Expected int
	Rows     int    // of the field
	List     string // one computer a line
	Long     bool   // the list is too long to be changed here
}

// entry is a numbered contact.
type entry struct {
	N int
	muster.Contact
}

// countyEdit shows what the state keeps of a county beside what its computers say.
func (s *server) countyEdit(ctx context.Context, r *http.Request) (*view, error) {
	county, err := countyOf(r)
	if err != nil {
		return nil, err
	}
	contacts, err := s.Reader.Contacts(ctx, county)
	if err != nil {
		return nil, err
	}
	expected, err := s.Reader.Expected(ctx, s.view, county)
	if err != nil {
		return nil, err
	}
	counties, err := s.Reader.Counties(ctx, s.view)
	if err != nil {
		return nil, err
	}
	name := countyName(county)
	if len(contacts)+len(expected) == 0 && name == string(county) {
		return nil, fmt.Errorf("county %s: %w", county, fs.ErrNotExist)
	}
	p := &editPage{County: county, Expected: len(expected), Long: len(expected) > listedShown}
	blank := make([]muster.Contact, max(0, min(contactsBlank, contactsKept-len(contacts))))
	for i, c := range append(contacts, blank...) {
		p.Contacts = append(p.Contacts, entry{i + 1, c})
	}
	if !p.Long {
		p.Rows = max(6, min(len(expected)+2, 24))
		p.List = lines(expected)
	}
	v := &view{Title: "Contacts and computers of " + name, Trail: s.trail(county), Here: "Contacts and computers", Page: p}
	v.Demo.counties(counties, county)
	return v, nil
}

// lines are expected computers as the form takes them.
func lines(list []muster.ExpectedHost) string {
	var b strings.Builder
	w := csv.NewWriter(&b)
	for _, e := range list {
		row := []string{e.Name}
		if e.Profile != "" || e.Note != "" {
			row = append(row, string(e.Profile))
		}
		if e.Note != "" {
			row = append(row, e.Note)
		}
		_ = w.Write(row) // into memory
	}
	w.Flush()
	return b.String()
}
