package services

import (
	"encoding/xml"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The MSI makes the services that muster service install makes.
func TestInstallerSaysTheSame(t *testing.T) {
	b, err := os.ReadFile("../../../../packaging/windows/muster.wxs")
	if err != nil {
		t.Fatal(err)
	}
	type service struct {
		Name        string `xml:",attr"`
		DisplayName string `xml:",attr"`
		Description string `xml:",attr"`
		Account     string `xml:",attr"`
		Arguments   string `xml:",attr"`
		Start       string `xml:",attr"`
		Program     string
	}
	var got, want []service
	d := xml.NewDecoder(strings.NewReader(string(b)))
	program := ""
	for {
		token, err := d.Token()
		if err != nil {
			break
		}
		e, _ := token.(xml.StartElement)
		switch e.Name.Local {
		case "File": // the key of the component that the service is in
			for _, a := range e.Attr {
				if a.Name.Local == "Name" {
					program = a.Value
				}
			}
		case "ServiceInstall":
			s := service{Program: program}
			if err := d.DecodeElement(&s, &e); err != nil {
				t.Fatal(err)
			}
			got = append(got, s)
		}
	}
	for _, p := range programs("") {
		account := p.account
		if account == "" {
			account = "LocalSystem"
		}
		want = append(want, service{p.name, p.display, p.description, account, strings.Join(p.args, " "), "auto", filepath.Base(p.exe)})
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the installer differs from muster service install:\n%s", diff)
	}
}
