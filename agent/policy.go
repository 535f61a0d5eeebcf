package agent

import (
	"errors"
	"fmt"
	"os"

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
	if b, err := lastGood(opts); err != nil {
		p.Warnings = append(p.Warnings, err.Error())
	} else if b != nil {
		p.Bundle, p.Kind = b, PolicyState
		return p, nil
	}
	b, err := bundle.Embedded()
	p.Bundle = b
	return p, err
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
// of the site; nil where there is none.
func lastGood(opts PolicyOptions) (*bundle.Bundle, error) {
	if opts.StateDir == "" || opts.Site == nil {
		return nil, nil
	}
	folder, err := state.OpenReader(opts.StateDir)
	if err != nil {
		return nil, nil // no state yet; whoever writes to it says what is wrong with it
	}
	data, err := folder.Policy()
	if data == nil || err != nil {
		return nil, err
	}
	b, err := bundle.Open(data, bundle.OpenOptions{Keys: opts.Site.PolicyKeys})
	if err != nil {
		return nil, fmt.Errorf("the policy of your state cannot be used, and the one that ships with muster judges: %w", err)
	}
	return b, nil
}

func policyKeys(site *muster.Site) [][]byte {
	if site == nil {
		return nil
	}
	return site.PolicyKeys
}
