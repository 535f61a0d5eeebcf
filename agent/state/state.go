// Package state is the state folder of a host: where it is, who owns which part
// of it, its key, its policy, its status files and its lock.
//
//	VERSION    the form of the folder
//	lock       held during an audit
//	key/       the host key; muster only
//	outbox/    reports and the enrollment; muster writes, the uplink reads
//	receipts/  the uplink and the courier write, muster reads and verifies
//	inbox/     likewise: a policy, a request for an audit
//	policy/    the last good bundle and the version floor; everyone reads
//	policy-floor
//	           the floor once more
//	status/    what `muster status` prints; each writes its own file
//	relay/out/ sealed files of other hosts; muster writes, the uplink reads
//	relay/in/  what the collector returned for them; the uplink writes
//	uplink/    what the uplink keeps for itself: its place in the tailnet
//
// Newer programs read older folders; a folder of a newer program is refused.
package state

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/passmuster/muster/internal/durable"
)

// Version of the folder's form that this code writes.
const Version = 1

// UplinkGroup is the group of the uplink's user, made by the packages. Where it
// exists and muster runs as root, it may read the outbox and write mail.
const UplinkGroup = "muster-uplink"

// ErrLocked: another audit holds the folder; wait for it.
var ErrLocked = errors.New("another muster audit is running")

// Options for Open. The zero value is right for an installed host.
type Options struct {
	// Portable: the folder lies on removable media, whose file systems know
	// neither owners nor modes; neither is set or checked.
	Portable bool
	// UplinkGroup is the name or number of the group, and of the user, that the
	// uplink runs as; "" means the constant of this name.
	UplinkGroup string
	// KeyForm of the host key's file; zero means PKCS #8 without a passphrase.
	KeyForm KeyForm
}

// Folder is an open state folder.
type Folder struct {
	dir     string
	keyForm KeyForm
}

// DefaultDir is the computer's one state folder, whoever asks: %ProgramData%\Muster
// or /var/lib/muster. A folder of each user's own would make as many hosts of
// one computer.
func DefaultDir() string { return defaultDir() }

// Open makes the folder where it is missing, and checks its version, owners and
// modes. Only muster calls it.
func Open(dir string, o Options) (*Folder, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("state folder: %w", err)
	}
	f := &Folder{dir, o.KeyForm}
	_, err = os.Lstat(dir)
	isNew := errors.Is(err, fs.ErrNotExist)
	if err := durable.MkdirAll(dir, 0o755); err != nil {
		return nil, f.explain(err)
	}
	if isNew && !o.Portable {
		// Whatever the umask says: the uplink and `muster status` must get in.
		if err := errors.Join(os.Chmod(dir, 0o755), restrict(dir, "")); err != nil {
			return nil, f.explain(err)
		}
	}
	if !o.Portable {
		if err := checkOwner(dir, 0o022); err != nil {
			return nil, fmt.Errorf("state folder: %w", err)
		}
	}
	if err := f.checkVersion(); err != nil {
		return nil, err
	}
	if err := f.makeFolders(o); err != nil {
		return nil, err
	}
	if !o.Portable {
		if err := f.checkFiles(); err != nil {
			return nil, err
		}
	}
	if err := f.writeVersion(); err != nil {
		return nil, f.explain(err)
	}
	return f, nil
}

// subfolder is one part of the folder and who gets at it.
type subfolder struct {
	name   string
	mode   os.FileMode
	shared os.FileMode // mode where the uplink has a group
}

var subfolders = []subfolder{
	{"key", 0o700, 0o700},
	{"outbox", 0o750, 0o750 | os.ModeSetgid},
	{"receipts", 0o750, 0o770 | os.ModeSetgid},
	{"inbox", 0o750, 0o770 | os.ModeSetgid},
	{"policy", 0o755, 0o755},
	{"status", 0o755, 0o775 | os.ModeSetgid | os.ModeSticky},
	{"relay", 0o755, 0o755},
	{"relay/out", 0o750, 0o750 | os.ModeSetgid},
	{"relay/in", 0o750, 0o770 | os.ModeSetgid},
	{uplinkFolder, 0o700, 0o700},
}

const uplinkFolder = "uplink"

func (f *Folder) makeFolders(o Options) error {
	name, group := cmp.Or(o.UplinkGroup, UplinkGroup), noGroup
	if !o.Portable { // a look-up can leave the computer, where directories are on the network
		var err error
		if group, err = lookupGroup(name); err != nil {
			return fmt.Errorf("state folder %s: %w", f.dir, err)
		}
	}
	for _, sub := range subfolders {
		if o.Portable && (sub.name == uplinkFolder || strings.HasPrefix(sub.name, "relay")) {
			continue // a stick has no uplink
		}
		path := f.path(filepath.FromSlash(sub.name))
		_, err := os.Lstat(path)
		isNew := errors.Is(err, fs.ErrNotExist)
		if err := durable.MkdirAll(path, sub.mode); err != nil {
			return f.explain(err)
		}
		if isNew && !o.Portable {
			if err := restrict(path, sub.name); err != nil {
				return f.explain(err)
			}
		}
		switch {
		case o.Portable:
			continue
		case sub.name == uplinkFolder && group != noGroup:
			if err := giveUser(path, name); err != nil {
				return f.explain(err)
			}
			continue
		}
		if err := checkOwner(path, 0); err != nil {
			return fmt.Errorf("state folder: %w", err)
		}
		mode := sub.mode
		if group != noGroup && sub.shared != sub.mode {
			mode = sub.shared
			if err := giveGroup(path, group); err != nil {
				return f.explain(err)
			}
		}
		if err := os.Chmod(path, mode); err != nil {
			return f.explain(err)
		}
	}
	return nil
}

// checkFiles looks at the files that an audit trusts; those that are not there yet
// are no error.
func (f *Folder) checkFiles() error {
	for _, file := range []struct {
		name      string
		forbidden os.FileMode
	}{
		{"key/host.pem", 0o077},
		{"key/host.id", 0o022},
		{"lock", 0o022},
		{"policy/bundle.tar.gz", 0o022},
		{"policy/floor", 0o022},
		{"policy-floor", 0o022},
		{"VERSION", 0o022},
	} {
		err := checkFile(f.path(filepath.FromSlash(file.name)), file.forbidden)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("state folder: %w", err)
		}
	}
	return nil
}

// OpenReader opens a folder that muster has made, for the uplink and for
// everyone who only reads. It writes nothing.
func OpenReader(dir string) (*Folder, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("state folder: %w", err)
	}
	f := &Folder{dir: dir}
	if _, err := os.Stat(f.path("VERSION")); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("state folder %s: there is none yet: run muster audit first, or give its place with --state", dir)
		}
		return nil, f.explain(err)
	}
	return f, f.checkVersion()
}

func (f *Folder) path(name ...string) string {
	return filepath.Join(append([]string{f.dir}, name...)...)
}

// Dir is the folder itself, absolute.
func (f *Folder) Dir() string { return f.dir }

// OutboxDir, ReceiptsDir and InboxDir are the places of mail.
func (f *Folder) OutboxDir() string   { return f.path("outbox") }
func (f *Folder) ReceiptsDir() string { return f.path("receipts") }
func (f *Folder) InboxDir() string    { return f.path("inbox") }

// RelayOutDir holds sealed files of other hosts for the uplink to carry, and
// RelayInDir what the collector returned for them.
func (f *Folder) RelayOutDir() string { return f.path("relay", "out") }
func (f *Folder) RelayInDir() string  { return f.path("relay", "in") }

// UplinkDir is the uplink's own: nobody else needs what is there.
func (f *Folder) UplinkDir() string { return f.path(uplinkFolder) }

// AuthKeyFile holds the key that lets this computer into the tailnet, until it is in.
// It lies where the uplink may delete it and nobody else can read it.
func (f *Folder) AuthKeyFile() string { return f.path(uplinkFolder, "authkey") }

// EnrollmentFile holds the host's signed statement about itself, written by
// muster for the uplink to carry.
func (f *Folder) EnrollmentFile() string { return f.path("outbox", "enrollment.cose") }

// StatusFile is where the named program's status lies as JSON.
func (f *Folder) StatusFile(name string) string { return f.path("status", name+".json") }

func (f *Folder) checkVersion() error {
	b, err := durable.ReadForeign(f.path("VERSION"), 64)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return f.explain(err)
	}
	v, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || v < 1 {
		return fmt.Errorf("state folder %s: its VERSION file is damaged: write %d into it", f.dir, Version)
	}
	if v > Version {
		return fmt.Errorf("state folder %s: a newer muster wrote it (form %d, this one knows %d): update this program", f.dir, v, Version)
	}
	return nil
}

// writeVersion comes last: with it the folders are there for good, also those
// that a program made which was killed before they were durable.
func (f *Folder) writeVersion() error {
	// A portable folder has no relay.
	if err := durable.SyncDir(f.path("relay")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := durable.SyncDir(f.dir); err != nil {
		return err
	}
	path := f.path("VERSION")
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	if err := durable.SyncDir(filepath.Dir(f.dir)); err != nil {
		return err
	}
	return durable.WriteFile(path, fmt.Appendf(nil, "%d\n", Version), 0o644)
}

// explain adds the next step to an error that a user without rights will see.
func (f *Folder) explain(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("state folder %s: %w: run as administrator, or give a folder of your own with --state", f.dir, err)
	}
	return fmt.Errorf("state folder %s: %w", f.dir, err)
}
