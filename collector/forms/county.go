package forms

import (
	"bytes"
	"encoding/csv"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/passmuster/muster"
)

// county does something for the county of the address, and shows the page again on which
// it was entered.
func (s *server) county(done string, do func(*http.Request, muster.County) error) http.Handler {
	return s.form(func(r *http.Request) (string, error) {
		county, err := muster.ParseCounty(r.PathValue("county"))
		if err != nil {
			return "", errEntered{err}
		}
		if err := entered(r); err != nil {
			return "", err
		}
		return "/counties/" + string(county) + "/edit?done=" + done, do(r, county)
	})
}

// contacts are rows of four fields; an empty row is none.
func (s *server) contacts(r *http.Request, county muster.County) error {
	f := r.PostForm
	rows := len(f["name"])
	if len(f["duty"]) != rows || len(f["phone"]) != rows || len(f["email"]) != rows {
		return enteredf("a contact has a name, a duty, a phone number and an e-mail address, and some of these fields did not come")
	}
	list := []muster.Contact{}
	for i := range rows {
		text := func(field string) string { return strings.TrimSpace(f[field][i]) }
		if c := (muster.Contact{Name: text("name"), Duty: text("duty"), Phone: text("phone"), Email: text("email")}); c != (muster.Contact{}) {
			list = append(list, c)
		}
	}
	return s.Act.SetContacts(r.Context(), county, list, s.Actor(r))
}

func (s *server) expected(r *http.Request, county muster.County) error {
	table, err := expectedTable(r.PostFormValue("list"))
	if err != nil {
		return errEntered{err}
	}
	list, err := s.ParseExpected(table)
	if err != nil {
		return errEntered{err}
	}
	return s.Act.Expect(r.Context(), county, list, s.Actor(r))
}

// expectedTable makes a CSV file, whose first row names its columns, of what a person
// entered: a name a line, and if wanted a profile and a note behind commas or tabs; or a
// file that has its first row.
func expectedTable(text string) (io.Reader, error) {
	in := csv.NewReader(strings.NewReader(text))
	in.FieldsPerRecord = -1
	if strings.Contains(text, "\t") {
		in.Comma = '\t'
	}
	in.TrimLeadingSpace = in.Comma == ','
	rows, err := in.ReadAll()
	if err != nil {
		return nil, err
	}
	columns := []string{"name", "profile", "note"}
	if len(rows) > 0 && namesColumns(rows[0]) {
		columns, rows = rows[0], rows[1:]
	} else {
		for _, row := range rows {
			for i, cell := range row {
				if strings.HasPrefix(strings.TrimSpace(cell), "'") { // in a file it would stand for a text
					row[i] = "'" + strings.TrimSpace(cell)
				}
			}
		}
	}
	var b bytes.Buffer
	out := csv.NewWriter(&b)
	for _, row := range append([][]string{columns}, rows...) {
		last := len(columns) - 1
		if len(row) > last { // a note may have commas
			row = append(row[:last:last], strings.Join(row[last:], string(in.Comma)))
		}
		if strings.TrimSpace(strings.Join(row, "")) != "" {
			_ = out.Write(append(row, make([]string, len(columns)-len(row))...)) // into memory
		}
	}
	out.Flush()
	return &b, nil
}

// namesColumns reports whether a row is the first of a file.
func namesColumns(row []string) bool {
	known := []string{"county", "name", "profile", "note", "since", "host"}
	named := 0
	for _, cell := range row {
		cell = strings.ToLower(strings.TrimSpace(strings.TrimPrefix(cell, "\uFEFF")))
		if cell == "name" {
			named++
		}
		if !slices.Contains(known, cell) {
			return false
		}
	}
	return named == 1 && len(row) > 1
}
