package main

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent"
	"github.com/passmuster/muster/agent/media"
	"github.com/passmuster/muster/agent/state"
	"github.com/passmuster/muster/cmd/muster/internal/signing"
	"github.com/passmuster/muster/internal/durable"
)

// courierPassphrase is the variable that names the file of the passphrase.
const courierPassphrase = "MUSTER_COURIER_PASSPHRASE_FILE"

// maxSite bounds the site file of a stick, in bytes.
const maxSite = 1 << 20

// portableFlags make an audit portable; without courier it is none.
type portableFlags struct {
	courier, secretFile string
	bind                bool
}

func (f *portableFlags) register(flags *pflag.FlagSet) {
	flags.StringVar(&f.courier, "courier", "", "leave nothing on this computer, and keep all on the stick at `PATH`")
	flags.BoolVar(&f.bind, "bind", false, "with --courier, at the first audit: tie the host key to this stick and this computer instead of a passphrase")
	flags.StringVar(&f.secretFile, "passphrase-file", "", "with --courier: read the passphrase of the host key from this `FILE` (default: the one that $"+courierPassphrase+" names, else the terminal)")
}

// check refuses what does not go together with a stick.
func (f *portableFlags) check(cmd *cobra.Command, audit *auditFlags) error {
	flags := cmd.Flags()
	if f.courier == "" {
		for _, name := range []string{"bind", "passphrase-file"} {
			if flags.Changed(name) {
				return fmt.Errorf("--%s needs --courier", name)
			}
		}
		if flags.Changed("courier") {
			return errors.New("--courier is empty: give it the drive or folder of the stick")
		}
		return nil
	}
	for _, name := range []string{"state", "recording"} {
		if flags.Changed(name) {
			return fmt.Errorf("--courier and --%s exclude each other", name)
		}
	}
	switch {
	case f.bind && f.secretFile != "":
		return errors.New("--bind and --passphrase-file exclude each other")
	case flags.Changed("osquery") && audit.osquery != "off":
		return errors.New("--courier asks no osquery: leave --osquery out")
	case audit.out != "" && !within(audit.out, f.courier):
		return errors.New("--out would leave a file on this computer: name one on the stick")
	}
	return nil
}

// within reports whether a file of this name would lie below the folder.
func within(name, folder string) bool {
	real := func(path string) (string, error) {
		path, err := filepath.Abs(path)
		if err != nil {
			return "", err
		}
		return filepath.EvalSymlinks(path)
	}
	if file, err := real(name); err == nil { // it may be there already, as a link
		name = file
	}
	dir, err := real(filepath.Dir(name))
	if err != nil {
		return false
	}
	root, err := real(folder)
	if err != nil {
		return false
	}
	rel, err := filepath.Rel(root, dir)
	return err == nil && filepath.IsLocal(rel)
}

// open finds the site file, and the stick where the audit is portable.
func (f *portableFlags) open(cmd *cobra.Command, at *place, opts *agent.Options) (*muster.Site, error) {
	if f.courier == "" {
		return at.open()
	}
	stick, err := f.openStick(cmd)
	if err != nil {
		return nil, err
	}
	p := &agent.Portable{Stick: stick, KeyForm: f.keyForm(stick)}
	p.Machine, p.Trouble = state.MachineID()
	opts.Portable = p
	site, err := at.openOn(stick)
	if err != nil {
		return nil, err
	}
	if site != nil && at.site == "" {
		if own, err := (&place{}).open(); err == nil && own != nil && own.State != site.State {
			p.Trouble = fmt.Errorf("the stick is of state %s (%s), and this computer belongs to state %s (%s): use the stick of its own state",
				site.State, plain(site.Name), own.State, plain(own.Name))
		}
	}
	if opts.Profile == "" && (site == nil || site.Profile == "") {
		opts.Profile = muster.EMS
	}
	say := func(format string, args ...any) { fmt.Fprintf(cmd.ErrOrStderr(), "muster: "+format+"\n", args...) }
	keeps := site != nil && p.Trouble == nil
	if keeps && stick.OnComputer() {
		say("warning: %s is on this computer's own disk, so what is kept stays on this computer", stick.Root())
	}
	if keeps && !p.Knows() {
		say("this computer was not audited from this stick before: it gets a key of its own there, and is a new host to the state")
	}
	return site, nil
}

// openOn reads the site file of the stick, unless another was named; else that of
// the computer.
func (p *place) openOn(stick *media.Stick) (*muster.Site, error) {
	if p.site != "" {
		return p.open()
	}
	b, err := durable.ReadForeign(stick.SiteFile(), maxSite)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return p.open()
	case err != nil:
		return nil, agent.NewInputError(fmt.Errorf("the site file of the stick: %w", err), "do not use this stick, and call the state")
	}
	return siteIn(stick.SiteFile(), b)
}

func (f *portableFlags) openStick(cmd *cobra.Command) (*media.Stick, error) {
	stick, err := media.Open(f.courier)
	if !errors.Is(err, media.ErrNoFolder) {
		return stick, err
	}
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		return nil, agent.NewInputError(err, "if it is the right stick, make the folder "+media.Folder+" on it and try again")
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s has no folder %s. Make one, and use it as a courier stick? [y/N] ", f.courier, media.Folder)
	answer, readErr := bufio.NewReader(os.Stdin).ReadString('\n')
	if readErr != nil || !strings.EqualFold(strings.TrimSpace(answer), "y") {
		return nil, err
	}
	return media.Make(f.courier)
}

// boundLine begins the file of a key that --bind has sealed.
const boundLine = "Bound to the stick and the computer; see muster audit --help\n"

// keyForm encrypts the host key as PKCS #8 under a passphrase that a person knows,
// or one that follows from the stick and the computer.
func (f *portableFlags) keyForm(stick *media.Stick) state.KeyForm {
	return state.KeyForm{
		Marshal: func(key *ecdsa.PrivateKey) ([]byte, error) {
			if f.bind {
				secret, err := boundSecret(stick)
				if err != nil {
					return nil, err
				}
				text, err := signing.MarshalKey(key, secret)
				return append([]byte(boundLine), text...), err
			}
			secret, err := f.secret(func(p *passphrase) ([]byte, error) { return p.choose() })
			if err != nil {
				return nil, err
			}
			return signing.MarshalKey(key, secret)
		},
		Parse: func(text []byte) (*ecdsa.PrivateKey, error) {
			if bytes.HasPrefix(text, []byte(boundLine)) {
				key, err := parseSealed(text, func() ([]byte, error) { return boundSecret(stick) })
				if err != nil {
					return nil, fmt.Errorf("it is bound to another stick or computer than these (a copy?), or damaged: use the original stick: %w", err)
				}
				return key, nil
			}
			return f.ask(text)
		},
	}
}

// parseSealed refuses a key in the open: muster writes none, so whoever put it there
// could read and sign for the computer.
func parseSealed(text []byte, secret func() ([]byte, error)) (*ecdsa.PrivateKey, error) {
	asked := false
	key, err := signing.ParseKey(text, func() ([]byte, error) {
		asked = true
		return secret()
	})
	if err == nil && !asked {
		return nil, errors.New("it is not sealed, so muster did not write it: do not use this stick, and call the state")
	}
	return key, err
}

// tries is how often a person may mistype.
const tries = 3

func (f *portableFlags) ask(text []byte) (key *ecdsa.PrivateKey, err error) {
	for range tries {
		key, err = parseSealed(text, func() ([]byte, error) {
			return f.secret(func(p *passphrase) ([]byte, error) { return p.ask("this computer's key on the stick") })
		})
		if err == nil || f.file() != "" || !errors.Is(err, signing.ErrPassphrase) {
			break
		}
		fmt.Fprintln(os.Stderr, "muster: the passphrase is wrong")
	}
	return key, err
}

func (f *portableFlags) file() string { return cmp.Or(f.secretFile, os.Getenv(courierPassphrase)) }

// secret gets the passphrase from the file that was named, else from a person.
func (f *portableFlags) secret(get func(*passphrase) ([]byte, error)) ([]byte, error) {
	file := f.file()
	if file == "" && !term.IsTerminal(int(os.Stdin.Fd())) {
		return nil, errors.New("there is no terminal to ask for the passphrase: give --passphrase-file, or at the first audit --bind")
	}
	return get(&passphrase{file: file})
}

// boundSecret follows from the stick's volume and the computer's hardware. The
// latter is not written on the stick.
func boundSecret(stick *media.Stick) ([]byte, error) {
	volume, err := stick.Volume()
	if err != nil {
		return nil, err
	}
	machine, err := state.MachineDigest("muster stick")
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(volume + " " + machine))
	return []byte(hex.EncodeToString(sum[:])), nil
}
