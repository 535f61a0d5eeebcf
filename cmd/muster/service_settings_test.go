package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/cmd/muster/internal/services"
	"github.com/passmuster/muster/internal/wire"
)

// A site file is kept to the byte unless another county or profile is wanted.
func TestSettings(t *testing.T) {
	key, err := wire.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	der, err := wire.MarshalPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	site, err := json.Marshal(muster.Site{Schema: muster.SiteSchema, Name: "State of Example", State: "17", County: "17031",
		Collector: "https://collector.example", PolicyKeys: [][]byte{der}, ReceiptKeys: [][]byte{der}})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "site.json"), site, 0o600), os.WriteFile(filepath.Join(dir, "key"), []byte("tskey"), 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		s       settings
		county  muster.County
		profile muster.Profile
		same    bool
	}{
		{settings{site: "site.json", authKey: "key"}, "17031", "", true},
		{settings{site: "site.json", county: "17031"}, "17031", "", true},
		{settings{site: "site.json", county: "17019"}, "17019", "", false},
		{settings{county: "17019", profile: "ems"}, "17019", muster.EMS, false}, // of the site file that is there
		{settings{}, "", "", false},
	} {
		c.s.beside = dir
		o := services.Options{SiteFile: filepath.Join(dir, "site.json")}
		if err := c.s.read(&o); err != nil {
			t.Errorf("%+v: %v", c.s, err)
			continue
		}
		if string(o.AuthKey) == "tskey" != (c.s.authKey != "") {
			t.Errorf("%+v: auth key %q", c.s, o.AuthKey)
		}
		if c.county == "" {
			if o.Site != nil {
				t.Errorf("%+v: the site file is written again", c.s)
			}
			continue
		}
		got, err := muster.ParseSite(o.Site)
		if err != nil || got.County != c.county || got.Profile != c.profile || (string(o.Site) == string(site)) != c.same {
			t.Errorf("%+v: %v, %s", c.s, err, o.Site)
		}
	}
}
