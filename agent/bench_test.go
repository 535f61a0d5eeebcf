package agent_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/eval"
	"github.com/passmuster/muster/agent/facts"
	"github.com/passmuster/muster/agent/facts/builtin"
	"github.com/passmuster/muster/agent/facts/recorded"
	"github.com/passmuster/muster/policies"
	"github.com/passmuster/muster/policies/bundle"
)

// larger is the recording with more rows.
const larger = "../testdata/hosts/win11-workstation"

// What the whole baseline costs a host, step by step: a signed bundle opened and
// verified, compiled, and put to the larger recording.
func BenchmarkBaseline(b *testing.B) {
	ctx := context.Background()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		b.Fatal(err)
	}
	packed, err := bundle.Build(policies.FS(), bundle.BuildOptions{Version: 1})
	if err != nil {
		b.Fatal(err)
	}
	if packed, err = bundle.Sign(packed, key); err != nil {
		b.Fatal(err)
	}
	trust := bundle.OpenOptions{Keys: [][]byte{der}}
	p, err := bundle.Open(packed, trust)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("Open", func(b *testing.B) {
		for b.Loop() {
			if _, err := bundle.Open(packed, trust); err != nil {
				b.Fatal(err)
			}
		}
	})
	var want struct {
		Now   time.Time
		Lists json.RawMessage
	}
	text, err := os.ReadFile(larger + ".expected.json")
	if err != nil {
		b.Fatal(err)
	}
	if err := json.Unmarshal(text, &want); err != nil {
		b.Fatal(err)
	}
	if p, err = p.WithLists(want.Lists); err != nil {
		b.Fatal(err)
	}
	recording, err := recorded.Open(larger + ".json")
	if err != nil {
		b.Fatal(err)
	}
	host := muster.Host{Hostname: recording.Hostname, Profile: recording.Profile, Platform: recording.Platform}
	e, err := eval.New(p, host.Platform, host.Profile)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("Compile", func(b *testing.B) {
		for b.Loop() {
			if _, err := eval.New(p, host.Platform, host.Profile); err != nil {
				b.Fatal(err)
			}
		}
	})
	in := eval.Input{Host: host, Now: want.Now, Facts: recordedFacts(b, recording, p, host)}
	b.Run("Evaluate", func(b *testing.B) {
		for b.Loop() {
			if _, err := e.Eval(ctx, in); err != nil {
				b.Fatal(err)
			}
		}
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		b.ReportMetric(float64(m.HeapAlloc)/(1<<20), "MiB-live-after")
		runtime.KeepAlive(e)
	})
}

func recordedFacts(b *testing.B, r *recorded.Recording, p *bundle.Bundle, host muster.Host) map[string]muster.FactResult {
	schema, err := facts.NewSchema(builtin.Tables())
	if err != nil {
		b.Fatal(err)
	}
	defer schema.Close()
	engine, err := r.Engine(schema)
	if err != nil {
		b.Fatal(err)
	}
	defer engine.Close()
	g := &facts.Gatherer{Builtin: engine, Schema: schema, Platform: host.Platform}
	results := map[string]muster.FactResult{}
	for _, f := range g.Gather(context.Background(), eval.Facts(p, host.Platform, host.Profile, nil), nil) {
		results[f.Name] = f
	}
	return results
}
