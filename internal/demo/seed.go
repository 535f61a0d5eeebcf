package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent"
	"github.com/passmuster/muster/internal/wire"
)

// seeder audits the invented hosts and reports for them, each with a key of its
// own, through the same door as any host.
type seeder struct {
	dir    string
	site   *muster.Site
	bundle string
	// unsigned takes a bundle that nobody signed.
	unsigned bool
	now      time.Time
	client   *http.Client

	audits map[string]*agent.Result
}

// seed sends the whole fleet and returns the number of reports.
func (s *seeder) seed(ctx context.Context, hosts []demoHost) (reports int, err error) {
	if err := s.audit(ctx, used(hosts)); err != nil {
		return 0, err
	}
	for _, h := range hosts {
		n, err := s.report(ctx, h)
		if err != nil {
			return reports, fmt.Errorf("seed %s: %w", h.hostname, err)
		}
		reports += n
	}
	return reports, nil
}

// audit judges one host of each kind.
func (s *seeder) audit(ctx context.Context, kinds []string) error {
	s.audits = map[string]*agent.Result{}
	for _, name := range kinds {
		v := variants[name]
		path := filepath.Join(s.dir, "recording.json")
		source := "win11-workstation"
		if v.profile == muster.EMS {
			source = "win10-ems"
		}
		lists, err := s.lists(source)
		if err != nil {
			return err
		}
		r, err := readRecording(filepath.Join("testdata", "hosts", source+".json"), s.now)
		if err != nil {
			return err
		}
		v.change(r)
		if err := r.write(path, name); err != nil {
			return err
		}
		s.audits[name], err = agent.Audit(ctx, agent.Options{Site: s.site, Bundle: s.bundle, Unsigned: s.unsigned, Recording: path, Lists: lists, Now: s.now})
		if err != nil {
			return fmt.Errorf("audit the kind of host %q: %w", name, err)
		}
	}
	return nil
}

// lists takes the county lists that belong to a recording and dates them today.
func (s *seeder) lists(recording string) (string, error) {
	b, err := os.ReadFile(filepath.Join("testdata", "hosts", recording+".expected.json"))
	if err != nil {
		return "", err
	}
	var expected struct {
		Lists map[string]any `json:"lists"`
	}
	if err := json.Unmarshal(b, &expected); err != nil {
		return "", err
	}
	maps.DeleteFunc(expected.Lists, func(name string, _ any) bool { return name == "lifecycle" || name == "browser_floor" })
	maps.Copy(expected.Lists, countyLists(recording, s.now))
	if b, err = json.Marshal(expected.Lists); err != nil {
		return "", err
	}
	path := filepath.Join(s.dir, recording+".lists.json")
	return path, os.WriteFile(path, b, 0o600)
}

// report enrols one host and sends its reports, one chain.
func (s *seeder) report(ctx context.Context, h demoHost) (int, error) {
	key, err := wire.NewKey()
	if err != nil {
		return 0, err
	}
	public, err := wire.MarshalPublicKey(key.Public())
	if err != nil {
		return 0, err
	}
	profile := variants[h.variants[0]].profile
	statement, err := wire.SignEnrollment(muster.Enrollment{
		Schema: 1, PublicKey: public, Hostname: h.hostname, County: h.county, Profile: profile,
		Platform: muster.Windows, Agent: muster.Version, MadeAt: s.now.Truncate(time.Second), Demo: true,
	}, key)
	if err != nil {
		return 0, err
	}
	if _, err := s.post(ctx, "/v1/enroll", wire.TypeCOSE, statement, !h.pending); err != nil {
		return 0, err
	}
	var prev muster.Digest
	for i, name := range h.variants {
		if prev, err = s.send(ctx, key, h, s.audits[name], uint64(i+1), prev); err != nil {
			return i, err
		}
	}
	return len(h.variants), nil
}

func (s *seeder) send(ctx context.Context, key *ecdsa.PrivateKey, h demoHost, res *agent.Result, seq uint64, prev muster.Digest) (muster.Digest, error) {
	id, err := wire.HostIDOf(key.Public())
	if err != nil {
		return prev, err
	}
	audit := res.Audit
	audit.Host, audit.HostID = h.hostname, id
	r := agent.NewReport(&audit, h.county, "demo", res.Results)
	r.Header.Seq, r.Header.Prev = seq, prev
	content, err := wire.EncodeReport(r)
	if err != nil {
		return prev, err
	}
	envelope, err := wire.Sign(wire.KindReport, content, key, string(id))
	if err != nil {
		return prev, err
	}
	frame, err := wire.NewFrame(id, seq, envelope, nil)
	if err != nil {
		return prev, err
	}
	var batch bytes.Buffer
	if err := wire.NewSeqWriter(&batch).Write(frame); err != nil {
		return prev, err
	}
	answer, err := s.post(ctx, "/v1/reports", wire.TypeSeq, batch.Bytes(), true)
	if err != nil {
		return prev, err
	}
	in, err := wire.NewSeqReader(bytes.NewReader(answer), 1<<16, 1<<20)
	if err != nil {
		return prev, err
	}
	var o wire.Outcome
	if err := in.Read(&o); err != nil {
		return prev, err
	}
	if o.Code != wire.CodeStored {
		return prev, fmt.Errorf("report %d: %s: %s", seq, o.Code, o.Reason)
	}
	return wire.EnvelopeDigest(envelope), nil
}

func (s *seeder) post(ctx context.Context, path, kind string, body []byte, token bool) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.site.Collector+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", kind)
	if token {
		req.Header.Set("Authorization", "Bearer "+s.site.Token)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s: %s", path, resp.Status, answer)
	}
	return answer, nil
}
