package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/earlier"
	"github.com/passmuster/muster/internal/wire"
)

// full keeps the content of a report with every field set, and how it is read: those of
// the story have no signal, no custody and no gap, and what is left out pins no CBOR key.
func (s *story) full() error {
	at, text := time.Unix(1_790_000_000, 0).UTC(), "a word"
	content, err := wire.EncodeReport(&muster.Report{
		Header: muster.Header{
			Schema: muster.ReportSchema, Host: s.about.Host, Seq: 9, Prev: muster.Digest{1}, BootID: text,
			Profile: muster.EMS, Platform: muster.Windows, County: "56021", Hostname: "clerk-01",
			PolicyRevision: "old-3", PolicyDigest: muster.Digest{2}.String(), CollectedAt: at, Agent: "1.0.0",
			Gap: []muster.SeqRange{{From: 7, To: 8}},
		},
		Verdicts: []muster.Verdict{{Control: "MVS-OLD-01", Status: muster.StatusFail, Waiver: "W-1"}},
		Detail: muster.Detail{
			Evidence: map[string]muster.Evidence{"MVS-OLD-01": {
				Reason: text, Violations: []muster.Violation{{Subject: "subject", Found: "found", Want: "want"}}, Notes: []string{text}}},
			Signals:     []muster.Signal{{Kind: "S1", At: at, Text: text}},
			FailedFacts: []muster.FailedFact{{Name: "hosts_file", Status: muster.FactDenied, Reason: text}},
			Custody:     []muster.CustodyEvent{{At: at, Act: muster.CustodyWrote, By: string(s.about.Host), File: "0123456789abcdef", Host: s.about.Host, From: 1, To: 2}},
			Notices:     []string{text},
		},
	})
	if err != nil {
		return err
	}
	opened, err := wire.DecodeReport(content)
	if err != nil {
		return err
	}
	r, err := opened.Report()
	if err != nil {
		return err
	}
	if at := unset("report", reflect.ValueOf(*r)); at != "" {
		return fmt.Errorf("%s is not set: give it a value here", at)
	}
	asRead, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	for name, b := range map[string][]byte{earlier.FullContent: content, earlier.FullReport: append(asRead, '\n')} {
		if err := os.WriteFile(filepath.Join(s.out, name), b, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// unset is the path of a field without a value; "" where all have one.
func unset(at string, v reflect.Value) string {
	if v.IsZero() {
		return at
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				if found := unset(at+"."+f.Name, v.Field(i)); found != "" {
					return found
				}
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			if found := unset(at, v.Index(i)); found != "" && v.Type().Elem().Kind() == reflect.Struct {
				return found
			}
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			if found := unset(at, v.MapIndex(k)); found != "" {
				return found
			}
		}
	}
	return ""
}
