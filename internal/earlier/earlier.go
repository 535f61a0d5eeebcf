// Package earlier holds what real programs of the version before left behind, for the
// tests that hold this version to docs/upgrades.md: a host's state folder, what its
// uplink and its collector said to each other, a courier file and its answer, a data
// folder, a backup, a PostgreSQL dump. internal/earlier/store makes them anew.
//
// In the story that they tell, host clerk-01 of county 56021 makes five reports and gets
// three policies: two reports are receipted at once, two wait and then go both ways, and
// by the fifth a control passes that had failed.
package earlier

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"time"

	"github.com/passmuster/muster"
)

//go:embed testdata
var files embed.FS

// Names for File and Unpack.
const (
	// Host is the state folder with reports 3 and 4 waiting, and CollectorData the data
	// folder at the end of the story: tar, gzip.
	Host          = "host.tar.gz"
	CollectorData = "collector.tar.gz"
	// Backup was made of that data folder, and Postgres dumped where it was restored.
	Backup   = "collector.backup"
	Postgres = "postgres.sql.gz"
	// Sealed has reports 3 and 4 on a stick; Return is the collector's answer.
	Sealed = "sealed.courier"
	Return = "return.courier"
	// ReportFile is report 4 as JSON, as the program read it that wrote it.
	ReportFile = "report-4.json"
	// FullContent is the content of a report with every field set, CBOR, and FullReport
	// the same as JSON.
	FullContent = "full.report"
	FullReport  = "full.json"
	// SiteFile, AboutFile, ExchangeFile and AnswersFile are what Open reads.
	SiteFile     = "site.json"
	AboutFile    = "about.json"
	ExchangeFile = "exchange.json"
	AnswersFile  = "api.json"
)

// About says where the artefacts come from.
type About struct {
	// Programs is the version, or the commit, of the programs that made them.
	Programs string        `json:"programs"`
	MadeAt   time.Time     `json:"made_at"`
	Host     muster.HostID `json:"host"`
}

// Exchange is one request of the uplink to the host API and the answer to it. The
// bodies are as they were on the line.
type Exchange struct {
	Method  string      `json:"method"`
	Path    string      `json:"path"`
	Header  http.Header `json:"header"`
	Request []byte      `json:"request,omitempty"`
	Status  int         `json:"status"`
	Answer  http.Header `json:"answer_header"`
	Body    []byte      `json:"answer,omitempty"`
}

// Story is what is needed to read the other artefacts.
type Story struct {
	About
	Site *muster.Site
	// Exchanges of the host's uplink with the collector, in order.
	Exchanges []Exchange
	// Answers of the JSON API at the end, by address.
	Answers map[string]json.RawMessage
}

// File is one artefact.
func File(name string) ([]byte, error) { return files.ReadFile("testdata/" + name) }

// Open reads the story.
func Open() (*Story, error) {
	s := &Story{}
	for name, into := range map[string]any{AboutFile: &s.About, ExchangeFile: &s.Exchanges, AnswersFile: &s.Answers} {
		b, err := File(name)
		if err == nil {
			err = json.Unmarshal(b, into)
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
	}
	b, err := File(SiteFile)
	if err == nil {
		s.Site, err = muster.ParseSite(b)
	}
	return s, err
}

// Inflate gives what a gzip artefact holds.
func Inflate(name string) ([]byte, error) {
	b, err := File(name)
	if err != nil {
		return nil, err
	}
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("inflate %s: %w", name, err)
	}
	return io.ReadAll(r)
}

// Unpack writes the files of a tar artefact into an existing folder, with their modes.
func Unpack(name, dir string) error {
	b, err := Inflate(name)
	if err != nil {
		return err
	}
	for r := tar.NewReader(bytes.NewReader(b)); ; {
		h, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("unpack %s: %w", name, err)
		}
		path, mode := filepath.Join(dir, filepath.FromSlash(h.Name)), h.FileInfo().Mode().Perm()
		if h.Typeflag == tar.TypeDir {
			err = os.MkdirAll(path, 0o700)
		} else if b, err = io.ReadAll(r); err == nil {
			err = os.WriteFile(path, b, 0o600)
		}
		if err == nil {
			err = os.Chmod(path, mode) // whatever the umask says
		}
		if err != nil {
			return fmt.Errorf("unpack %s: %w", name, err)
		}
	}
}

// Lost says, a line each, what the JSON of the version before has and that of this one
// has not, or has otherwise. What was added since is no loss.
func Lost(before, now []byte) ([]string, error) {
	var a, b any
	if err := errors.Join(json.Unmarshal(before, &a), json.Unmarshal(now, &b)); err != nil {
		return nil, err
	}
	return lost("$", a, b), nil
}

func lost(at string, before, now any) (list []string) {
	switch before := before.(type) {
	case map[string]any:
		if now, ok := now.(map[string]any); ok {
			for _, name := range slices.Sorted(maps.Keys(before)) {
				list = append(list, lost(at+"."+name, before[name], now[name])...)
			}
			return list
		}
	case []any:
		if now, ok := now.([]any); ok && len(now) == len(before) {
			for i := range before {
				list = append(list, lost(fmt.Sprintf("%s[%d]", at, i), before[i], now[i])...)
			}
			return list
		}
	}
	if !reflect.DeepEqual(before, now) {
		list = append(list, fmt.Sprintf("%s: was %v, is %v", at, before, now))
	}
	return list
}
