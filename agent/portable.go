package agent

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/media"
	"github.com/passmuster/muster/agent/outbox"
	"github.com/passmuster/muster/agent/state"
	"github.com/passmuster/muster/internal/durable"
	"github.com/passmuster/muster/internal/wire"
	"github.com/passmuster/muster/policies/bundle"
)

// Portable makes an audit leave nothing on the computer: the host's key, chain,
// reports, policy and status lie on a stick.
type Portable struct {
	Stick *media.Stick
	// Machine is this computer's id (see state.MachineID).
	Machine string
	// KeyForm seals the host key, since a stick can be lost.
	KeyForm state.KeyForm
	// Trouble is why this stick must not keep reports of this computer; nil where it may.
	Trouble error
}

// stateDir is the state folder of this computer on the stick; "" where none may be.
func (p *Portable) stateDir() string {
	if p.Trouble != nil {
		return ""
	}
	return p.Stick.HostDir(p.Machine)
}

// Knows reports whether this computer was audited from the stick before.
func (p *Portable) Knows() bool {
	_, err := os.Lstat(filepath.Join(p.stateDir(), "key", "host.pem"))
	return err == nil
}

// checkStick refuses the folder of another computer, which was copied or renamed,
// and a site file of another state than the reports here are for.
func (k *keeper) checkStick(p *Portable, site *muster.Site) error {
	b, err := durable.ReadForeign(k.folder.EnrollmentFile(), maxEnrollment)
	if err != nil {
		return nil // none yet, or it is written anew
	}
	e, _, err := wire.VerifyEnrollment(b)
	switch {
	case err != nil:
		return nil
	case e.Machine != "" && e.Machine != p.Machine:
		return fmt.Errorf("%s is the folder of another computer (%s): give it its old name back, and this computer gets one of its own",
			k.folder.Dir(), printable(e.Hostname))
	case e.County.State() != site.State:
		return fmt.Errorf("the site file is of state %s, and this stick carries reports of this computer for state %s: use the stick of your own state",
			site.State, e.County.State())
	}
	return nil
}

// stickPolicy puts the bundle of the stick into the inbox, unless this host has
// used it or a newer one already.
func (k *keeper) stickPolicy(p *Portable, site *muster.Site) error {
	data, err := durable.ReadForeign(p.Stick.PolicyFile(), state.MaxPolicy)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("the policy of the stick: %w", err)
	}
	if kept, err := k.folder.Policy(); err != nil || bytes.Equal(kept, data) {
		return err
	}
	floor, err := k.folder.PolicyFloor()
	if err != nil {
		return err
	}
	b, err := bundle.Open(data, bundle.OpenOptions{Keys: site.PolicyKeys})
	if err == nil && uint64(b.Version) < floor {
		return nil
	}
	// One that is no good goes the same way, which says why.
	if err := durable.WriteFile(filepath.Join(k.folder.InboxDir(), "policy.tar.gz"), data, 0o644); err != nil {
		return fmt.Errorf("the policy of the stick: %w", err)
	}
	return k.takePolicy(site)
}

func (o *Options) stateOptions() state.Options {
	if o.Portable == nil {
		return state.Options{}
	}
	return state.Options{Portable: true, KeyForm: o.Portable.KeyForm}
}

// outboxOptions of the host with this key. What waits on a stick is sealed: it
// tells where a computer is weak, and only the state has to know.
func (o *Options) outboxOptions(key *ecdsa.PrivateKey) (outbox.Options, error) {
	opts := outbox.Options{MaxBytes: o.MaxOutbox}
	if o.Portable == nil {
		return opts, nil
	}
	secret, err := key.Bytes()
	if err != nil {
		return opts, fmt.Errorf("seal the outbox: %w", err)
	}
	if secret, err = hkdf.Key(sha256.New, secret, nil, "muster outbox", 32); err != nil {
		return opts, fmt.Errorf("seal the outbox: %w", err)
	}
	block, err := aes.NewCipher(secret)
	if err != nil {
		return opts, fmt.Errorf("seal the outbox: %w", err)
	}
	opts.Seal, err = cipher.NewGCMWithRandomNonce(block)
	return opts, err
}

// trouble adds to an error of the stick what to do about it.
func (o *Options) trouble(err error) error {
	if o.Portable == nil {
		return err
	}
	return stickTrouble(o.Portable.Stick, err, "audit again")
}
