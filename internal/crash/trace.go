package crash

import (
	"bytes"
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// Op is what a system call does.
type Op string

// The operations that Disk knows.
const (
	Create Op = "create" // also empties a file that is there, where Empty is set
	Write  Op = "write"  // at the end of the file
	Sync   Op = "sync"
	Rename Op = "rename"
	Remove Op = "remove"
	Mkdir  Op = "mkdir"
	Said   Op = "said" // Data went to standard output
)

// Event is one system call that succeeded.
type Event struct {
	Op       Op
	Path, To string // below root; To for Rename
	Data     []byte
	Empty    bool
}

func (e Event) String() string {
	switch e.Op {
	case Said:
		return fmt.Sprintf("said %q", e.Data)
	case Rename:
		return fmt.Sprintf("rename %s %s", e.Path, e.To)
	}
	return string(e.Op) + " " + e.Path
}

// injected finds the mark of strace beside a call that it let fail.
func injected(log []byte) bool { return bytes.Contains(log, []byte("(INJECTED)")) }

// succeeded is a call, its arguments and a result that is no error.
var succeeded = regexp.MustCompile(`^(\w+)\((.*)\) += [0-9]`)

// Parse reads what strace -y -xx has written about one thread: every call that
// succeeded and changed something below root. A way to write that the model
// does not know is an error.
func Parse(log []byte, root string) ([]Event, error) {
	var events []Event
	for line := range strings.Lines(string(log)) {
		m := succeeded.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		e, err := parseCall(m[1], strings.Split(m[2], ", "), root)
		if err != nil {
			return nil, fmt.Errorf("trace: %.200s: %w", line, err)
		}
		if e != nil {
			events = append(events, *e)
		}
	}
	return events, nil
}

func parseCall(name string, args []string, root string) (*Event, error) {
	a := arguments{args: args, root: root}
	var e Event
	switch strings.TrimSuffix(strings.TrimSuffix(name, "2"), "at") {
	case "open":
		e = Event{Op: Create, Path: a.at(0)}
		flags := a.raw(2)
		e.Empty = strings.Contains(flags, "O_TRUNC")
		if !strings.Contains(flags, "O_CREAT") && !e.Empty {
			return nil, a.err
		}
		if e.Path != "" && !strings.Contains(flags, "O_EXCL") && !e.Empty && !strings.Contains(flags, "O_APPEND") && filepath.Base(e.Path) != "lock" {
			return nil, fmt.Errorf("it may write into the middle of a file")
		}
	case "write":
		fd, _, _ := strings.Cut(a.raw(0), "<")
		if fd == "1" {
			return &Event{Op: Said, Data: []byte(a.text(1))}, a.err
		}
		e = Event{Op: Write, Path: a.file(0)}
		if e.Path != "" {
			e.Data = []byte(a.text(1))
		}
	case "fsync", "fdatasync":
		e = Event{Op: Sync, Path: a.file(0)}
	case "rename":
		e = Event{Op: Rename}
		if len(args) < 4 {
			e.Path, e.To = a.below(a.text(0)), a.below(a.text(1))
		} else {
			e.Path, e.To = a.at(0), a.at(2)
		}
	case "unlink":
		e = Event{Op: Remove, Path: a.at(0)}
	case "rmdir":
		e = Event{Op: Remove, Path: a.below(a.text(0))}
	case "mkdir":
		e = Event{Op: Mkdir, Path: a.at(0)}
	case "fchmod", "chmod":
		return nil, nil // the model has no modes
	default:
		for i := range args {
			if a.file(i) != "" || strings.HasPrefix(args[i], `"`) && a.below(a.text(i)) != "" {
				return nil, fmt.Errorf("the model does not know this call")
			}
		}
		return nil, nil
	}
	if a.err != nil || e.Path == "" {
		return nil, a.err
	}
	return &e, nil
}

// arguments of a call; the first error stays.
type arguments struct {
	args []string
	root string
	err  error
}

func (a *arguments) raw(i int) string {
	if i < 0 || i >= len(a.args) {
		a.fail(fmt.Errorf("%d arguments", len(a.args)))
		return ""
	}
	return a.args[i]
}

func (a *arguments) fail(err error) {
	if a.err == nil {
		a.err = err
	}
}

func (a *arguments) text(i int) string {
	s := a.raw(i)
	if a.err != nil {
		return ""
	}
	if strings.HasSuffix(s, "...") {
		a.fail(fmt.Errorf("it is longer than strace was told to write"))
	}
	t, err := strconv.Unquote(s)
	a.fail(err)
	return t
}

// below gives the path from root on; "" where it is elsewhere.
func (a *arguments) below(path string) string {
	rel, err := filepath.Rel(a.root, filepath.Clean(path))
	if err != nil || rel == ".." || strings.HasPrefix(rel, "../") || !filepath.IsAbs(path) {
		return ""
	}
	return rel
}

// file is what a file descriptor is of.
func (a *arguments) file(i int) string {
	s := a.raw(i)
	_, path, ok := strings.Cut(strings.TrimSuffix(s, ">"), "<")
	if a.err != nil || !ok {
		return ""
	}
	t, err := strconv.Unquote(`"` + path + `"`)
	if err != nil {
		return "" // a socket
	}
	return a.below(t)
}

// at is a path that may be relative to a folder's descriptor before it. Calls
// without that descriptor have the path in its place.
func (a *arguments) at(i int) string {
	if strings.HasPrefix(a.raw(i), `"`) {
		return a.below(a.text(i))
	}
	path := a.text(i + 1)
	if filepath.IsAbs(path) {
		return a.below(path)
	}
	if dir := a.file(i); dir != "" {
		return filepath.Join(dir, path)
	}
	return ""
}
