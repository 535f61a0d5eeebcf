package forms

import (
	"encoding/csv"
	"io"
	"strings"
	"testing"
)

func TestExpectedTable(t *testing.T) {
	for name, c := range map[string]struct{ entered, want string }{
		"Names":        {"CLERK-1\r\n\r\nCLERK-2\n", "name,profile,note\nCLERK-1,,\nCLERK-2,,\n"},
		"Commas":       {"CLERK-1, workstation, front desk, left\nEMS-1,ems", "name,profile,note\nCLERK-1,workstation,\"front desk,left\"\nEMS-1,ems,\n"},
		"Spreadsheet":  {"CLERK-1\tworkstation\tfront, left\nEMS-1\t\tvault\t\n\t\t\n", "name,profile,note\nCLERK-1,workstation,\"front, left\"\nEMS-1,,vault\t\n"},
		"Quoted":       {"\"CLERK-1\",, \"front \"\"desk\"\"\"", "name,profile,note\nCLERK-1,,\"front \"\"desk\"\"\"\n"},
		"File":         {"county,name,note,host\n56021,CLERK-1,desk,h1\n", "county,name,note,host\n56021,CLERK-1,desk,h1\n"},
		"ComputerName": {"name\nNAME-2\n", "name,profile,note\nname,,\nNAME-2,,\n"},
		"Apostrophe":   {"'x, ems, ' y", "name,profile,note\n''x,ems,'' y\n"},
		"Nothing":      {" \n", "name,profile,note\n"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := expectedTable(c.entered)
			if err != nil {
				t.Fatal(err)
			}
			if got, _ := io.ReadAll(r); string(got) != c.want {
				t.Errorf("%q becomes\n%q, want\n%q", c.entered, got, c.want)
			}
		})
	}
	if _, err := expectedTable("CLERK-1\nCLERK \"2\""); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("a quotation mark in the middle: %v", err)
	}
}

// FuzzExpectedTable: whatever is entered becomes a table whose rows have the columns that
// the first one names, and which stays as it is when it is entered again.
func FuzzExpectedTable(f *testing.F) {
	for _, text := range []string{"CLERK-1", "a,b,c,d", "a\tb", "name,profile,note\n'x,,", "\"a\nb\",ems", "", "\uFEFFname,note\nx"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := expectedTable(text)
		if err != nil {
			return
		}
		table, _ := io.ReadAll(r)
		rows, err := csv.NewReader(strings.NewReader(string(table))).ReadAll()
		if err != nil || len(rows) == 0 || !namesColumns(rows[0]) {
			t.Fatalf("%q becomes %q: %v", text, table, err)
		}
		if strings.Contains(string(table), "\t") {
			return // of a note; it would be taken for columns
		}
		r, err = expectedTable(string(table))
		if err != nil {
			t.Fatalf("%q: %v", table, err)
		}
		if again, _ := io.ReadAll(r); string(again) != string(table) {
			t.Errorf("%q becomes %q", table, again)
		}
	})
}
