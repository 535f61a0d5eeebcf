package trial

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// A release is made from a tag of a clone: elsewhere, later, by somebody with other
// habits. It has the same bytes, and all that vouches for them.
func TestRelease(t *testing.T) {
	if testing.Short() {
		t.Skip("makes every package a second time: a minute")
	}
	t.Parallel()
	keys, err := signing()
	if err != nil {
		t.Fatalf("make a publisher's key: %v", err)
	}
	env := []string{"MUSTER_SIGN_CERT=" + filepath.Join(keys, "code.pem"), "MUSTER_SIGN_KEY=" + filepath.Join(keys, "code.key"), "MUSTER_SIGN_PASS=a trial"}
	var first string
	for _, kind := range []string{"linux", "windows", "image"} {
		first = packages(t, kind, older, env...)
	}
	key := filepath.Join(t.TempDir(), "release")
	command(t, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "releases", "-f", key)

	clone := cloneWithTag(t)
	out := filepath.Join(clone, "dist")
	habits := filepath.Join(t.TempDir(), "env") // what go env -w writes
	if err := os.WriteFile(habits, []byte("GOFLAGS=-tags=evil\nGOEXPERIMENT=jsonv2\nGOFIPS140=latest\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", `umask 077; exec go -C packaging/build run -exec "env GOENV=$1" . -release`, "sh", habits)
	cmd.Dir = clone
	cmd.Env = append(os.Environ(), append(env, "UNSIGNED=1", "MUSTER_RELEASE_KEY="+key, "TZ=Pacific/Kiritimati", "LC_ALL=tr_TR.UTF-8", "USER=another", "HOME="+t.TempDir(),
		"GOCACHE="+goEnv(t, "GOCACHE"), "GOPATH="+goEnv(t, "GOPATH"), "GOMODCACHE="+goEnv(t, "GOMODCACHE"))...)
	said, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(said, []byte("govulncheck")) {
		t.Fatalf("make the release: %v\n%s", err, said)
	}
	t.Logf("%s", said)

	made := visible(t, out)
	for _, name := range made {
		if !strings.HasPrefix(name, "SHA256SUMS") {
			same(t, filepath.Join(out, name), filepath.Join(first, name))
		}
	}
	var listed []string
	for line := range strings.Lines(string(read(t, filepath.Join(out, "SHA256SUMS")))) {
		listed = append(listed, strings.Fields(line)[1])
	}
	if listed = append(listed, "SHA256SUMS", "SHA256SUMS.sig"); len(made) < 14 || !slices.Equal(made, slices.Sorted(slices.Values(listed))) {
		t.Errorf("there is %v\nand SHA256SUMS vouches for %v", made, listed)
	}
	if err := os.WriteFile(filepath.Join(out, "release-signers"), append([]byte(`releases@muster namespaces="file" `), read(t, key+".pub")...), 0o644); err != nil {
		t.Fatal(err)
	}
	page, _, _ := strings.Cut(string(read(t, "../../docs/release.md")), "On Windows")
	script, want := "set -eu\ncd \"$1\"\n", []string{}
	for _, block := range piece.FindAllStringSubmatch(page, -1) {
		if block[2] == "sh" {
			script += block[3]
		} else if block[2] == "text" {
			want = append(want, strings.Split(strings.TrimSpace(block[3]), "\n")...)
		}
	}
	said = []byte(command(t, "sh", "-c", script, "sh", out))
	for _, w := range want {
		if !bytes.Contains(said, []byte(w)) {
			t.Errorf("docs/release.md says %q, and checking the release says\n%s", w, said)
		}
	}
	for _, name := range made {
		if list, ok := strings.CutSuffix(name, ".cdx.json"); ok {
			listsWhatIsInside(t, out, list)
		}
	}
}

// cloneWithTag clones the repository, with what is in no commit yet, and gives it the
// tag of the older version, of which CHANGELOG.md then tells.
func cloneWithTag(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	clone := filepath.Join(t.TempDir(), "a clone")
	command(t, "git", "clone", "-q", root, clone)
	command(t, "sh", "-ec", `
		export GIT_COMMITTER_DATE="$(git -C "$1" log -1 --format=%cI)"
		export GIT_AUTHOR_NAME=t GIT_AUTHOR_EMAIL=t GIT_COMMITTER_NAME=t GIT_COMMITTER_EMAIL=t
		git --git-dir="$2/.git" --work-tree="$1" add -A
		cd "$2"
		git commit -q --allow-empty -m "what is in no commit"
		git reset -q --hard
		sed -i "0,/^## .*/s//## $3/" CHANGELOG.md
		git commit -q --allow-empty -a -m "the section of the version"
		git tag v"$3"`, "sh", root, clone, older)
	return clone
}

func goEnv(t *testing.T, name string) string {
	return strings.TrimSpace(command(t, "go", "env", name))
}

// visible are the names of the files that are published, in order.
func visible(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if e.Name()[0] != '.' {
			names = append(names, e.Name())
		}
	}
	return names
}

// listsWhatIsInside wants that the programs that a package's list names are those in it.
func listsWhatIsInside(t *testing.T, dir, name string) {
	t.Helper()
	var bom struct {
		Metadata struct {
			Component struct{ Hashes []struct{ Content string } }
		}
		Components []struct {
			Type, Name string
			Hashes     []struct{ Content string }
		}
	}
	path := filepath.Join(dir, name)
	if err := json.Unmarshal(read(t, path+".cdx.json"), &bom); err != nil {
		t.Fatal(err)
	}
	sum := func(b []byte) string { d := sha256.Sum256(b); return hex.EncodeToString(d[:]) }
	if want := sum(read(t, path)); bom.Metadata.Component.Hashes[0].Content != want {
		t.Errorf("the list of %s is of other bytes", name)
	}
	found := map[string]bool{}
	err := filepath.WalkDir(unpack(t, path), func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			found[strings.TrimSuffix(d.Name(), ".exe")+" "+sum(read(t, name))] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	programs := 0
	for _, c := range bom.Components {
		if c.Type != "application" {
			continue
		}
		if programs++; !found[c.Name+" "+c.Hashes[0].Content] {
			t.Errorf("%s has another %s than its list says", name, c.Name)
		}
	}
	if programs == 0 || len(bom.Components) < 30 {
		t.Errorf("the list of %s has %d programs in %d components", name, programs, len(bom.Components))
	}
}

// unpack opens a package into a folder.
func unpack(t *testing.T, path string) string {
	t.Helper()
	dir := t.TempDir()
	switch filepath.Ext(path) {
	case ".deb":
		command(t, "dpkg-deb", "-x", path, dir)
	case ".rpm":
		command(t, "sh", "-ec", `rpm2archive - < "$2" | tar xz -C "$1"`, "sh", dir, path)
	case ".msi":
		command(t, "msiextract", "-C", dir, path)
	case ".tar":
		command(t, "tar", "xf", path, "-C", dir)
		var saved []struct{ Layers []string }
		if err := json.Unmarshal(read(t, filepath.Join(dir, "manifest.json")), &saved); err != nil {
			t.Fatal(err)
		}
		command(t, "tar", "xpf", filepath.Join(dir, saved[0].Layers[0]), "--numeric-owner", "-C", dir)
	default:
		t.Fatalf("nothing here opens %s", path)
	}
	return dir
}

// The image as a container has it: nothing but its own files, its own user, its
// entrypoint. It serves, keeps its state where the volume is, and stops when asked.
func TestImage(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the collector")
	}
	if os.Geteuid() != 0 {
		t.Skip("only root can make another folder the root")
	}
	t.Parallel()
	path := filepath.Join(packages(t, "image", older), "muster-collector-"+older+"-image.tar")
	root := unpack(t, path)
	for up := root; len(up) > len(os.TempDir()); up = filepath.Dir(up) { // t.TempDir is closed to others
		if err := os.Chmod(up, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	var saved []struct{ Config string }
	var image struct {
		Config struct {
			User, WorkingDir     string
			Entrypoint, Cmd, Env []string
		}
	}
	if err := json.Unmarshal(read(t, filepath.Join(root, "manifest.json")), &saved); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(read(t, filepath.Join(root, saved[0].Config)), &image); err != nil {
		t.Fatal(err)
	}
	c := image.Config
	if c.User != "65532:65532" {
		t.Fatalf("its user is %s", c.User)
	}
	inside := func(args ...string) *exec.Cmd {
		cmd := exec.Command(c.Entrypoint[0], append(c.Entrypoint[1:], args...)...)
		cmd.Env, cmd.Dir = append(slices.Clone(c.Env), "MUSTER_STATE=56"), c.WorkingDir
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: 65532, Gid: 65532}}
		return cmd
	}
	serve := inside(append(slices.Clone(c.Cmd), "--listen", "127.0.0.1:0")...)
	var log bytes.Buffer
	serve.Stderr = &log
	stdout, err := serve.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // where the test gave up
		serve.Process.Kill()
		serve.Wait()
	})
	url := ""
	for lines := bufio.NewScanner(stdout); url == "" && lines.Scan(); {
		if _, link, found := strings.Cut(lines.Text(), "dashboard "); found {
			url = "http://" + strings.Split(link, "/")[2]
		}
	}
	answer, err := http.Get(url + "/healthz")
	if err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	body, err := io.ReadAll(answer.Body)
	answer.Body.Close()
	if err != nil || string(body) != "ok\n" {
		t.Errorf("healthz: %v %q", err, body)
	}
	if out, err := inside("hosts").CombinedOutput(); err != nil {
		t.Errorf("a second command beside it: %v\n%s", err, out)
	}
	for _, example := range []string{"single.yaml", "replica.yaml"} {
		name := filepath.Join("/etc/muster-collector", example)
		if err := os.WriteFile(filepath.Join(root, name), read(t, filepath.Join("../image", example)), 0o644); err != nil {
			t.Fatal(err)
		}
		if out, err := inside("config", "show", "--config", name).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", example, err, out)
		}
	}
	if err := serve.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := serve.Wait(); err != nil {
		t.Errorf("it stopped with %v\n%s", err, log.String())
	}
	if _, err := os.Stat(filepath.Join(root, "var/lib/muster-collector/muster.db")); err != nil {
		t.Error(err)
	}
	if notices := read(t, filepath.Join(root, "usr/share/doc/muster-collector/THIRD-PARTY-NOTICES.txt")); !bytes.Contains(notices, []byte("x509roots/fallback v")) {
		t.Error("the notices do not name the certificates")
	}
	// Nothing else was written: it runs in a container whose root cannot be.
	if said := command(t, "find", root, "-user", "65532", "-not", "-path", root+"/var/lib/muster-collector*"); said != "" {
		t.Errorf("it wrote %s", said)
	}
}
