package bundle_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/passmuster/muster/internal/earlier"
	"github.com/passmuster/muster/policies/bundle"
)

// A policy that was built and signed by the version before opens as it is.
func TestEarlierBundle(t *testing.T) {
	story, err := earlier.Open()
	if err != nil {
		t.Fatal(err)
	}
	opened := 0
	for _, x := range story.Exchanges {
		if x.Method != http.MethodGet {
			continue
		}
		b, err := bundle.Open(x.Body, bundle.OpenOptions{Keys: story.Site.PolicyKeys})
		if err != nil {
			t.Fatal(err)
		}
		if opened++; int(b.Version) != opened+1 || !b.Signed || len(b.Controls) != 2 || b.Facts["hosts_file"].SQL["linux"] == "" || b.Created.IsZero() {
			t.Errorf("%+v", b)
		}
	}
	if opened != 2 {
		t.Errorf("%d bundles", opened)
	}
}

// What a later version adds to a bundle is not seen. What this one could not read the
// bundle says by the agent that it needs, and that is what people are told.
func TestLaterBundle(t *testing.T) {
	key, public := mustKey(t)
	files := mustUnpack(t, mustBuild(t, bundle.BuildOptions{Version: 7, MinAgent: "1.5.0"}))
	delete(files, ".signatures.json")
	files[".manifest"] = bytes.Replace(files[".manifest"], []byte(`"metadata":{`), []byte(`"later":[1],"metadata":{"later":{},`), 1)
	files["later/things.json"] = []byte(`{"x": 1}`)
	open := func(agent string) error {
		_, err := bundle.Open(mustSign(t, mustPack(t, files), key), bundle.OpenOptions{Keys: [][]byte{public}, Agent: agent})
		return err
	}
	if err := open("1.5.0"); err != nil {
		t.Error(err)
	}
	files["facts/later/data.yaml"] = []byte(`{later: {another_platform: SELECT 1}}`)
	if err := open("1.4.9"); err == nil || !strings.Contains(err.Error(), "needs muster 1.5.0 or newer") {
		t.Errorf("an older agent says: %v", err)
	}
	if err := open("1.5.0"); err == nil {
		t.Error("this version reads what it cannot")
	}
}
