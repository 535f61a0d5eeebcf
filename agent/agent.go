// Package agent is one audit of one computer: it chooses the policy, gathers
// the facts, has the policy judge them, and keeps a signed report for the
// state. It wires the packages below it, which do not know each other.
//
// An audit answers whatever happens to its report: where the report cannot be
// kept, the Result says so. It uses no network.
package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/eval"
)

// GatherBudget bounds all facts together: a policy can ask for many that never
// answer. Those that are left are timeouts.
const GatherBudget = 5 * time.Minute

// Options of one audit. The zero value audits this computer as a workstation by
// the baseline that ships with the program, and keeps nothing.
type Options struct {
	// Profile of the host; "" means what the recording says, else the site, else
	// a workstation.
	Profile muster.Profile
	// Site ties the host to its state; nil means to none.
	Site *muster.Site
	// StateDir holds the host's key, its reports and its policy; "" means that
	// no report is kept. Nor is one of a recording, of some controls only, or of
	// an unsigned policy or one older than the host has used.
	StateDir string
	// Portable keeps everything on a stick, in place of StateDir, and asks no
	// osquery; nil means that the computer keeps its own.
	Portable *Portable
	// MaxOutbox bounds the reports that wait, in bytes; 0 means
	// outbox.DefaultMaxBytes.
	MaxOutbox int64
	// Bundle is the path of a policy to judge by; "" means the state's, else the
	// baseline that ships with the program.
	Bundle string
	// Unsigned accepts Bundle without a signature.
	Unsigned bool
	// Recording is the path of a recorded host; "" means this computer.
	Recording string
	// Lists is the path of county and host lists, laid over those of the policy.
	Lists string
	// ListsText is the content of such a file, in place of Lists; nil means none.
	ListsText []byte
	// Now is the time to judge at; zero means the recording's, else the clock. A
	// report of a time that was given is not kept.
	Now time.Time
	// Clock of this computer; nil means time.Now.
	Clock func() time.Time
	// Only these controls, by id in any case; empty means all.
	Only []string
	// Osquery is "auto" (ask an osqueryd that is running), "start" (start one for
	// this audit), "off", or the path of a socket; "" means off. A host of profile
	// ems never asks one that nobody named.
	Osquery string
	// Answer gives the facts in place of any engine; nil means the engines.
	Answer func(context.Context, []muster.Fact) []muster.FactResult
	// Logger hears of engines that are lost during the audit; nil means nobody.
	Logger *slog.Logger
	// Progress is called before each fact; nil means that nobody watches.
	Progress func(done, total int, fact string)
	// CPUShare of one processor that the facts may take; the audit pauses between
	// them to keep it. 0 means no bound.
	CPUShare float64
}

// Result of one audit.
type Result struct {
	Audit muster.Audit
	// Results of the facts by name; facts that were not asked are not there.
	Results map[string]muster.FactResult
	// Controls by id, Facts by name, as the policy has them.
	Controls map[string]muster.Control
	Facts    map[string]muster.Fact
	// Policy says why the policy may judge, and PolicyNote that and its age in a
	// few words.
	Policy     PolicyKind
	PolicyNote string
	// Report is the number of the report that was kept; 0 where none was.
	Report uint64
	// Outcome says in one sentence what happens with the report.
	Outcome string
	// Warnings are sentences about what went wrong beside the audit itself.
	Warnings []string
}

// InputError is a file or a word of the user that cannot be used. It is told
// apart from an audit that failed.
type InputError struct {
	err  error
	hint string
}

// NewInputError says what is wrong and, in hint, what to do; hint may be "".
func NewInputError(err error, hint string) *InputError { return &InputError{err, hint} }

func (e *InputError) Error() string { return e.err.Error() }
func (e *InputError) Unwrap() error { return e.err }

// Hint is the next step, or "".
func (e *InputError) Hint() string { return e.hint }

// Audit inspects the computer, or the recording, and judges it. Its error is an
// InputError where something that the user named cannot be used; whatever
// hinders only the report is in the Result.
func Audit(ctx context.Context, o Options) (*Result, error) {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Portable != nil {
		o.StateDir, o.Osquery = o.Portable.stateDir(), "off"
	}
	pace := newPacer(o.CPUShare)
	watch := o.Progress
	o.Progress = func(done, total int, fact string) {
		pace.pause(ctx)
		if watch != nil {
			watch(done, total, fact)
		}
	}
	res := &Result{}
	keep, why, err := openKeeper(o, res)
	if err != nil {
		return nil, err
	}
	defer keep.close()

	src, err := findSource(o)
	if err != nil {
		return nil, err
	}
	host := muster.Host{Hostname: src.hostname, Profile: src.profile, Platform: src.platform}
	if o.Site != nil {
		host.County = o.Site.County
	}
	switch {
	case keep != nil:
		host.ID = keep.host
	case o.Recording == "" && o.StateDir != "":
		host.ID = KnownHost(o.StateDir)
	}
	policy, err := openPolicy(o, host, src.now)
	if err != nil {
		return nil, err
	}
	switch {
	case policy.Kind == PolicyUnsigned:
		why = "the policy is unsigned"
	case policy.Kind == PolicyFile && keep != nil:
		floor, err := keep.folder.PolicyFloor()
		if err != nil {
			res.warn(err)
			why = "see the warning above"
		} else if uint64(policy.Version) < floor {
			why = fmt.Sprintf("the policy is version %d, older than version %d that this host has used", policy.Version, floor)
		}
	}
	if o.Only, err = only(policy.Controls, o.Only); err != nil {
		return nil, err
	}
	res.usePolicy(policy, src.now)
	if keep != nil && policy.Kind == PolicyState {
		res.warn(keep.folder.RaisePolicyFloor(uint64(policy.Version)))
	}

	judge := compile(policy, host)
	defer src.close()
	if err := src.open(ctx, o); err != nil {
		return nil, err
	}
	res.warn(src.warning)

	res.Results = map[string]muster.FactResult{}
	gathering, enough := context.WithTimeout(ctx, GatherBudget)
	defer enough()
	for _, r := range src.gather(gathering, eval.Facts(policy.Bundle, host.Platform, host.Profile, o.Only)) {
		res.Results[r.Name] = r
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("audit: stopped before it was done: %w", err)
	}
	evaluator, err := judge()
	if err != nil {
		return nil, err
	}
	findings, err := evaluator.Eval(ctx, eval.Input{Host: host, Now: src.now, Facts: res.Results, Only: o.Only})
	if err != nil {
		return nil, err
	}
	if len(findings) == 0 {
		return nil, errors.New("audit: the policy has no controls, so nothing was checked")
	}
	res.conclude(host, src.now, policy, findings)
	if len(o.Only) > 0 {
		res.Audit.Summary.MeetsBaseline = false // nobody asked the others
	}

	if keep == nil || why != "" {
		res.Outcome = "No report was kept: " + why + "."
		return res, nil
	}
	keep.status.CPUSeconds, keep.status.TookSeconds = pace.used().Seconds(), time.Since(pace.start).Seconds()
	keep.keep(o, host, res)
	return res, nil
}

func (r *Result) usePolicy(p *Policy, now time.Time) {
	r.Policy, r.PolicyNote, r.Facts = p.Kind, p.Describe(now), p.Facts
	r.Warnings = append(r.Warnings, p.Warnings...)
	r.Controls = make(map[string]muster.Control, len(p.Controls))
	for _, c := range p.Controls {
		r.Controls[c.ID] = c
	}
}

func (r *Result) conclude(host muster.Host, now time.Time, p *Policy, findings []muster.Finding) {
	r.Audit = muster.Audit{
		Schema: muster.AuditSchema, Host: host.Hostname, HostID: host.ID,
		Profile: host.Profile, Platform: host.Platform, AuditedAt: now.UTC().Truncate(time.Second),
		Policy: muster.PolicyRef{Revision: p.Revision, Version: p.Version, Digest: p.Digest,
			Signed: p.Signed, SignedBy: p.SignedBy, Stale: p.Stale(now)},
		Summary: muster.Summarize(findings), Findings: findings,
	}
	if r.Audit.Policy.Stale {
		r.warn(fmt.Errorf("the policy expired on %s; it still judges, but ask your state for a newer one", p.Expires.Format("2 January 2006")))
	}
}

// openPolicy chooses the policy and lays the lists over each other: those for the
// host, and over all the user's.
func openPolicy(o Options, host muster.Host, now time.Time) (*Policy, error) {
	p, err := OpenPolicy(PolicyOptions{Site: o.Site, StateDir: o.StateDir, Path: o.Bundle, Unsigned: o.Unsigned})
	if err != nil {
		return nil, err
	}
	p.Bundle = p.For(host, now)
	text, name := o.ListsText, cmp.Or(o.Lists, "lists")
	if o.Lists != "" {
		if text, err = readBounded(o.Lists, maxLists); err != nil {
			return nil, NewInputError(fmt.Errorf("read the lists: %w", err), "")
		}
	}
	if text == nil {
		return p, nil
	}
	laid, err := p.WithLists(text)
	if err != nil {
		return nil, NewInputError(fmt.Errorf("%s: %w", name, err), "")
	}
	p.Bundle = laid
	return p, nil
}

// compile starts to compile the policy while the facts are gathered, and returns
// how to wait for it.
func compile(p *Policy, host muster.Host) func() (*eval.Evaluator, error) {
	var e *eval.Evaluator
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		e, err = eval.New(p.Bundle, host.Platform, host.Profile)
	}()
	return func() (*eval.Evaluator, error) {
		<-done
		if err != nil && (p.Kind == PolicyFile || p.Kind == PolicyUnsigned) {
			err = NewInputError(err, "`muster policy lint` says more")
		}
		return e, err
	}
}

// only finds the ids that the policy uses for what the user typed.
func only(controls []muster.Control, ids []string) ([]string, error) {
	var found []string
	for _, id := range ids {
		i := slices.IndexFunc(controls, func(c muster.Control) bool { return strings.EqualFold(c.ID, strings.TrimSpace(id)) })
		if i < 0 {
			return nil, NewInputError(fmt.Errorf("control %q is not in the policy", id), "muster explain lists the controls")
		}
		found = append(found, controls[i].ID)
	}
	return found, nil
}

// maxLists bounds a file of lists, in bytes.
const maxLists = 8 << 20

func readBounded(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("read %s: it is larger than %d bytes", path, limit)
	}
	if len(b) == 0 {
		return nil, fmt.Errorf("read %s: %w", path, errors.New("it is empty"))
	}
	return b, nil
}
