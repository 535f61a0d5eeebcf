package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// release is one version of everything.
type release struct {
	// root of the sources and out for what is made: absolute.
	root, out string
	// version is 1.2.3 at a tag, and 1.2.4-dev.5+gabcdef0 five commits behind it.
	version string
	// time is the commit's: everything that bears a time bears this one.
	time time.Time
	// stick is what media are made with.
	stick stick
}

// newRelease asks git for what the flags leave open.
func newRelease(ctx context.Context, root, out, version string) (*release, error) {
	r := &release{version: version}
	var err error
	if r.root, err = filepath.Abs(root); err != nil {
		return nil, err
	}
	if r.out, err = filepath.Abs(out); err != nil {
		return nil, err
	}
	stamp, err := r.run(ctx, nil, "git", "log", "-1", "--format=%ct")
	if err != nil {
		return nil, fmt.Errorf("%w: packages are made from a clone of the repository, whose commits give versions and times", err)
	}
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("time of the commit: %w", err)
	}
	r.time = time.Unix(seconds, 0).UTC()
	if version == "" {
		described, err := r.run(ctx, nil, "git", "describe", "--tags", "--match", "v[0-9]*", "--long", "--always", "--abbrev=12")
		if err != nil {
			return nil, err
		}
		count, err := r.run(ctx, nil, "git", "rev-list", "--count", "HEAD")
		if err != nil {
			return nil, err
		}
		if r.version, err = parseDescribed(described, count); err != nil {
			return nil, err
		}
	}
	if !semver.MatchString(r.version) {
		return nil, fmt.Errorf("version %q is not of the form 1.2.3 or 1.2.3-rc.1", r.version)
	}
	return r, os.MkdirAll(r.out, 0o755)
}

var (
	semver    = regexp.MustCompile(`^(0|[1-9]\d{0,4})\.(0|[1-9]\d{0,4})\.(0|[1-9]\d{0,4})(-[0-9a-z]+(\.[0-9a-z]+)*)?(\+[0-9a-z.]+)?$`)
	described = regexp.MustCompile(`^v(\d+)\.(\d+)\.(\d+)(-[0-9a-z.]+)?-(\d+)-g([0-9a-f]+)$`)
)

// parseDescribed turns what git describe says into a version that sorts behind the
// tag; count is the number of commits, for a repository without tags.
func parseDescribed(said, count string) (string, error) {
	m := described.FindStringSubmatch(said)
	if m == nil {
		return fmt.Sprintf("0.0.1-dev.%s+g%s", count, said), nil
	}
	tag := fmt.Sprintf("%s.%s.%s%s", m[1], m[2], m[3], m[4])
	if m[5] == "0" {
		return tag, nil
	}
	if m[4] != "" { // behind 1.2.3-rc.1
		return fmt.Sprintf("%s.dev.%s+g%s", tag, m[5], m[6]), nil
	}
	patch, err := strconv.Atoi(m[3])
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s.%s.%d-dev.%s+g%s", m[1], m[2], patch+1, m[5], m[6]), nil
}

// number is the version without what follows the third number, as Windows wants it.
func (r *release) number() string {
	n, _, _ := strings.Cut(r.version, "-")
	n, _, _ = strings.Cut(n, "+")
	return n
}

// program builds one of the three programs and gives its path. GOCACHE makes the
// second time cheap.
func (r *release) program(ctx context.Context, name, goos string) (string, error) {
	path := filepath.Join(r.out, ".programs", goos+"-amd64", name)
	if goos == "windows" {
		path += ".exe"
	}
	tags, err := r.tags(name)
	if err != nil {
		return "", err
	}
	_, err = r.golang(ctx, goos, "build", "-buildvcs=false", "-trimpath", "-tags", tags,
		"-ldflags", "-s -w -buildid= -X github.com/passmuster/muster.Version="+r.version, "-o", path, "./cmd/"+name)
	return path, err
}

// golang runs the go command for a system. GOAMD64, GOEXPERIMENT and the like would
// change the bytes, also from a file that go env -w wrote; of such a file stays only where
// modules come from.
func (r *release) golang(ctx context.Context, goos string, args ...string) (string, error) {
	said, err := r.run(ctx, nil, "go", "env", "-json", "GOPROXY", "GONOPROXY", "GOSUMDB", "GONOSUMDB", "GOPRIVATE", "GOINSECURE", "GOVCS", "GOAUTH", "GOMODCACHE", "GOCACHE")
	if err != nil {
		return "", err
	}
	var kept map[string]string
	if err := json.Unmarshal([]byte(said), &kept); err != nil {
		return "", fmt.Errorf("read the settings of go: %w", err)
	}
	env := []string{"GOENV=off", "CGO_ENABLED=0", "GOOS=" + goos, "GOARCH=amd64", "GOAMD64=v1", "GOFLAGS=", "GOEXPERIMENT=", "GOFIPS140=off", "GOWORK=off"}
	for name, value := range kept {
		env = append(env, name+"="+value)
	}
	return r.run(ctx, env, "go", args...)
}

// tags are the build tags of a program.
func (r *release) tags(program string) (string, error) {
	if program != "muster-uplink" {
		return "", nil
	}
	return readTags(filepath.Join(r.root, "packaging", "uplink.tags"))
}

// readTags reads the build tags of a file, one a line with its reason behind it.
func readTags(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read the build tags: %w", err)
	}
	var tags []string
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 0 && f[0][0] != '#' {
			tags = append(tags, f[0])
		}
	}
	return strings.Join(tags, ","), nil
}

// run runs a command in the root of the sources and gives what it printed, trimmed.
func (r *release) run(ctx context.Context, env []string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = r.root
	cmd.Env = append(append(os.Environ(), "LC_ALL=C.UTF-8", "TZ=UTC0"), env...)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", name, err, bytes.TrimSpace(said.Bytes()))
	}
	return string(bytes.TrimSpace(out)), nil
}
