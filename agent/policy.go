package agent

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/state"
	"github.com/passmuster/muster/policies/bundle"
)

// PolicyKind says why a policy may judge.
type PolicyKind int

const (
	// PolicyBuiltIn is the baseline that this program was built with.
	PolicyBuiltIn PolicyKind = iota
	// PolicyState is the last good one that the state signed and sent.
	PolicyState
	// PolicyFile was named by the user and signed with a key that the site trusts.
	PolicyFile
	// PolicyUnsigned was named by the user, and nobody vouches for it.
	PolicyUnsigned
)

func (k PolicyKind) String() string {
	switch k {
	case PolicyBuiltIn:
		return "the one that ships with muster"
	case PolicyState:
		return "signed by your state"
	case PolicyFile:
		return "from a file, signed with a key of your site"
	}
	return "UNSIGNED"
}

// PolicyOptions say where a policy may come from.
type PolicyOptions struct {
	// Site names the keys that may sign; nil trusts no key.
	Site *muster.Site
	// StateDir holds the last good policy; "" means none does.
	StateDir string
	// Path of a bundle or of a folder of sources; "" means the state's policy.
	Path string
	// Unsigned accepts what Path names without a signature.
	Unsigned bool
}

// Policy is the bundle that judges, and why it may.
type Policy struct {
	*bundle.Bundle
	Kind PolicyKind
	// Warnings say which policies were passed over, and why.
	Warnings []string
}

// OpenPolicy chooses the policy: the one that Path names, else the last good
// one of the state folder, else the baseline that ships with the program. It
// changes nothing. The error is an InputError where Path cannot be used; a
// state folder that cannot be read is a warning.
func OpenPolicy(opts PolicyOptions) (*Policy, error) {
	if opts.Path != "" {
		return namedPolicy(opts)
	}
	p := &Policy{}
	b, err := lastGood(opts)
	if err != nil {
		p.Warnings = append(p.Warnings, printable(err.Error()))
	}
	if b != nil {
		p.Bundle, p.Kind = b, PolicyState
		return p, nil
	}
	p.Bundle, err = bundle.Embedded()
	return p, err
}

// Describe says in a few words why the policy may judge, and how old it is.
func (p *Policy) Describe(now time.Time) string {
	s := p.Kind.String()
	if p.SignedBy != "" {
		s += ", key " + p.SignedBy
	}
	if p.Version > 0 {
		s += fmt.Sprintf("; version %d", p.Version)
	}
	if !p.Created.IsZero() {
		s += ", made " + ago(p.Created, now)
	}
	if p.Stale(now) {
		s += ", stale since " + ago(p.Expires, now)
	}
	return s
}

// ago is the day of t, and how many days it lies back.
func ago(t, now time.Time) string {
	day := t.UTC().Format("2 January 2006")
	switch days := int(now.Sub(t).Hours() / 24); {
	case days == 1:
		return day + ", 1 day ago"
	case days > 1:
		return fmt.Sprintf("%s, %d days ago", day, days)
	}
	return day
}

func namedPolicy(opts PolicyOptions) (*Policy, error) {
	info, err := os.Stat(opts.Path)
	if err != nil {
		return nil, NewInputError(fmt.Errorf("open the policy: %w", err), "")
	}
	if info.IsDir() {
		if !opts.Unsigned {
			return nil, NewInputError(fmt.Errorf("policy folder %s is not signed", opts.Path), "--unsigned accepts it for a test; `muster policy build` signs it")
		}
		b, err := bundle.OpenDir(os.DirFS(opts.Path))
		if err != nil {
			return nil, NewInputError(err, "`muster policy lint "+opts.Path+"` says more")
		}
		return &Policy{Bundle: b, Kind: PolicyUnsigned}, nil
	}
	data, err := readBounded(opts.Path, bundle.MaxBytes)
	if err != nil {
		return nil, NewInputError(fmt.Errorf("open the policy: %w", err), "")
	}
	b, err := bundle.Open(data, bundle.OpenOptions{Keys: policyKeys(opts.Site), Unsigned: opts.Unsigned})
	switch {
	case errors.Is(err, bundle.ErrUnsigned):
		return nil, NewInputError(fmt.Errorf("%s: %w", opts.Path, err), "--unsigned accepts it for a test")
	case errors.Is(err, bundle.ErrUntrusted) && opts.Site == nil:
		return nil, NewInputError(fmt.Errorf("%s: %w", opts.Path, err), "--site names the file with the keys of your state")
	case err != nil:
		return nil, NewInputError(fmt.Errorf("%s: %w", opts.Path, err), "")
	case b.Signed:
		return &Policy{Bundle: b, Kind: PolicyFile}, nil
	}
	return &Policy{Bundle: b, Kind: PolicyUnsigned}, nil
}

// lastGood opens the policy of the state folder, verified again with the keys
// of the site; nil where there is none. One that a key signed which the site no
// longer trusts must not judge, nor an older one that was put back: the baseline
// that ships with the program has no waivers to abuse.
func lastGood(opts PolicyOptions) (*bundle.Bundle, error) {
	if opts.StateDir == "" || opts.Site == nil {
		return nil, nil
	}
	folder, err := state.OpenReader(opts.StateDir)
	if err != nil {
		return nil, nil // no state yet; whoever writes to it says what is wrong with it
	}
	data, err := folder.Policy()
	if err != nil {
		return nil, err
	}
	floor, floorErr := folder.PolicyFloor()
	if data == nil {
		if floor > 0 {
			return nil, notLastGood(fmt.Errorf("it is gone from %s", folder.Dir()))
		}
		return nil, floorErr
	}
	b, err := bundle.Open(data, bundle.OpenOptions{Keys: opts.Site.PolicyKeys})
	if err != nil {
		return nil, notLastGood(err)
	}
	if uint64(b.Version) < floor {
		return nil, notLastGood(older(b, floor))
	}
	return b, floorErr
}

func notLastGood(err error) error {
	return fmt.Errorf("the last good policy of your state cannot be used any more, and the one that ships with muster judges: %w", err)
}

func older(b *bundle.Bundle, floor uint64) error {
	return fmt.Errorf("it is version %d, older than version %d that this host has used", b.Version, floor)
}

func policyKeys(site *muster.Site) [][]byte {
	if site == nil {
		return nil
	}
	return site.PolicyKeys
}
