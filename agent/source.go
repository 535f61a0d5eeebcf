package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
	"github.com/passmuster/muster/agent/facts/builtin"
	"github.com/passmuster/muster/agent/facts/osquery"
	"github.com/passmuster/muster/agent/facts/recorded"
)

// source is the host that answers: this computer, or a recorded one.
type source struct {
	hostname string
	profile  muster.Profile
	platform muster.Platform
	now      time.Time
	// recording is nil for this computer.
	recording *recorded.Recording
	gather    func(context.Context, []muster.Fact) []muster.FactResult
	engines   []facts.Engine
	warning   error // about an engine that the audit can do without
}

func (s *source) close() {
	for _, e := range s.engines {
		e.Close()
	}
}

// findSource says which host answers, and as of when. It asks nothing yet.
func findSource(o Options) (*source, error) {
	s := &source{platform: muster.Platform(runtime.GOOS), now: o.Now}
	if o.Recording != "" {
		r, err := recorded.Open(o.Recording)
		if err != nil {
			return nil, NewInputError(err, "`muster facts record --out FILE` makes a recording")
		}
		s.recording, s.hostname, s.platform = r, r.Hostname, r.Platform
		s.profile, s.now = profileOf(o, r.Profile), cmp.Or(o.Now, r.RecordedAt)
		return s, nil
	}
	if s.platform != muster.Linux && s.platform != muster.Windows {
		return nil, NewInputError(fmt.Errorf("this computer runs %s, and the baseline knows windows and linux", runtime.GOOS), "--recording audits a recorded host")
	}
	name, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("audit: ask this computer for its name: %w", err)
	}
	s.hostname, s.profile = name, profileOf(o, "")
	if s.now.IsZero() {
		s.now = o.Clock()
	}
	return s, nil
}

// open makes the engines ready to answer.
func (s *source) open(ctx context.Context, o Options) error {
	tables := builtin.Tables()
	schema, err := facts.NewSchema(tables)
	if err != nil {
		return err
	}
	if s.recording != nil {
		err = s.openRecording(o, schema)
	} else {
		err = s.openComputer(ctx, o, schema, tables)
	}
	if o.Answer != nil {
		s.gather = o.Answer
	}
	return err
}

// profileOf is what the user says, else the recording, else the site, else a workstation.
func profileOf(o Options, recorded muster.Profile) muster.Profile {
	profile := cmp.Or(o.Profile, recorded)
	if o.Site != nil {
		profile = cmp.Or(profile, o.Site.Profile)
	}
	return cmp.Or(profile, muster.Workstation)
}

func (s *source) openRecording(o Options, schema *facts.Schema) error {
	engine, err := s.recording.Engine(schema)
	if err != nil {
		return NewInputError(fmt.Errorf("%s: %w", o.Recording, err), "")
	}
	s.ask(o, schema, engine, nil)
	return nil
}

func (s *source) openComputer(ctx context.Context, o Options, schema *facts.Schema, tables []facts.Table) error {
	own, err := facts.NewSQL("builtin", s.platform, tables)
	if err != nil {
		return err
	}
	which := o.Osquery
	if which == "auto" && s.profile == muster.EMS {
		which = "off"
	}
	daemon, err := openOsquery(ctx, which)
	var input *InputError
	if errors.As(err, &input) {
		own.Close()
		return err
	}
	if err != nil {
		s.warning = fmt.Errorf("osquery is not asked: %w", err)
	}
	s.ask(o, schema, own, daemon)
	return nil
}

// openOsquery connects to a running osqueryd, or starts one for this audit; nil
// where there is none to ask. The error is an InputError where osquery was asked
// for and not merely found.
func openOsquery(ctx context.Context, which string) (facts.Engine, error) {
	socket := which
	switch which {
	case "", "off":
		return nil, nil
	case "start":
		e, err := startOsquery(ctx)
		if err != nil {
			return nil, NewInputError(err, "install osquery, or use --osquery off")
		}
		return e, nil
	case "auto":
		found, ok := osquery.Find()
		if !ok {
			return nil, nil
		}
		socket = found
	}
	e, err := osquery.Dial(ctx, socket)
	switch {
	case err == nil:
		return e, nil
	case which == "auto":
		return nil, err
	}
	return nil, NewInputError(err, "--osquery off audits without it")
}

// privateOsquery is a daemon that lives in a folder of its own until Close.
type privateOsquery struct {
	facts.Engine
	dir string
}

func startOsquery(ctx context.Context) (facts.Engine, error) {
	binary, ok := osquery.FindBinary()
	if !ok {
		return nil, errors.New("osqueryd is not installed at any of its usual places")
	}
	dir, err := os.MkdirTemp("", "muster-osquery-")
	if err != nil {
		return nil, fmt.Errorf("make a folder for osqueryd: %w", err)
	}
	e, err := osquery.Start(ctx, binary, dir)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return privateOsquery{e, dir}, nil
}

func (p privateOsquery) Close() error { return errors.Join(p.Engine.Close(), os.RemoveAll(p.dir)) }

// ask makes the engines answer; daemon may be nil.
func (s *source) ask(o Options, schema *facts.Schema, own, daemon facts.Engine) {
	g := &facts.Gatherer{Builtin: own, Osquery: daemon, Schema: schema, Platform: s.platform, Logger: o.Logger}
	s.gather = func(ctx context.Context, list []muster.Fact) []muster.FactResult {
		return g.Gather(ctx, list, o.Progress)
	}
	s.engines = append(s.engines, own)
	if daemon != nil {
		s.engines = append(s.engines, daemon)
	}
}
