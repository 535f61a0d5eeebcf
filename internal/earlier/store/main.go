// Command store makes the artefacts of internal/earlier with programs of the version
// that is to be kept. Run it by hand, as root on Linux, before a format changes:
//
//	go run ./internal/earlier/store -bin FOLDER -programs VERSION -postgres URL
//
// The URL is that of an empty PostgreSQL database; pg_dump must be of its version.
package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/earlier"
	"github.com/passmuster/muster/internal/wire"
)

// A policy of two controls, of which the second fails until version 3.
const (
	factSQL  = "hosts_file: {linux: \"SELECT address, hostnames FROM etc_hosts WHERE hostnames = 'localhost'\"}\n"
	metadata = `# METADATA
# title: The hosts file has %[1]s
# description: A control of stored artefacts.
# custom:
#   id: MVS-OLD-0%[1]s
#   severity: high
#   profiles: [workstation, ems]
#   platforms: [linux]
#   facts: [hosts_file]
#   maps: {csf: ["PR.PS-01"]}
#   remedy: Ask IT.
package muster.controls.old_0%[1]s

violations contains {"subject": "hosts file", "found": "%[1]s", "want": "%[1]s"} if count(input.facts.hosts_file) %[2]s
`
)

// publishedAfter is how soon a collector offers what another process has published.
const publishedAfter = 4 * time.Second

func main() {
	s := &story{}
	flag.StringVar(&s.bin, "bin", "bin", "folder with the programs")
	flag.StringVar(&s.about.Programs, "programs", muster.Version, "version or commit that they were built from")
	flag.StringVar(&s.postgres, "postgres", "", "URL of an empty PostgreSQL database")
	flag.StringVar(&s.out, "out", "internal/earlier/testdata", "folder for the artefacts")
	flag.Parse()
	if err := s.tell(); err != nil {
		fmt.Fprintln(os.Stderr, "store: error:", err)
		os.Exit(1)
	}
}

type story struct {
	bin, out, postgres, dir string
	about                   earlier.About
	target                  string // of the collector
	mu                      sync.Mutex
	exchanges               []earlier.Exchange
}

func (s *story) path(name string) string { return filepath.Join(s.dir, name) }

// run runs one program; that a control fails is no failure.
func (s *story) run(name string, args ...string) ([]byte, error) {
	return s.command(filepath.Join(s.bin, name), args...)
}

func (s *story) command(name string, args ...string) ([]byte, error) {
	// The computer is called the same wherever this runs.
	cmd := exec.Command("unshare", append([]string{"--uts", "sh", "-c", `hostname clerk-01 && exec "$@"`, "sh", name}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil && (filepath.Base(name) != "muster" || cmd.ProcessState.ExitCode() != 1) {
		return nil, fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, stderr.Bytes())
	}
	return out, nil
}

func (s *story) tell() (err error) {
	if s.dir, err = os.MkdirTemp("", "muster-earlier-"); err != nil {
		return err
	}
	defer os.RemoveAll(s.dir)
	if _, err := s.run("muster", "policy", "keygen", "--no-passphrase", "-o", s.path("key.pem")); err != nil {
		return err
	}
	for n, second := range []string{"> 0", "> 0", "< 0"} {
		if err := s.policy(n+1, second); err != nil {
			return err
		}
	}
	stop, err := s.serve()
	if err != nil {
		return err
	}
	defer stop()
	door := httptest.NewServer(http.HandlerFunc(s.record))
	defer door.Close()
	site, err := s.run("muster-collector", "site", "--data", s.path("data"), "--county", "56021", "--collector", door.URL, "--policy-key", s.path("key.pem.pub"))
	if err == nil {
		err = os.WriteFile(s.path(earlier.SiteFile), site, 0o600)
	}
	host := []string{"--site", s.path(earlier.SiteFile), "--state", s.path("host")}
	step := func(name string, args ...string) {
		if err == nil {
			_, err = s.run(name, append(args, host...)...)
		}
	}
	publish := func(n string) {
		if err == nil {
			_, err = s.run("muster-collector", "policy", "publish", "--data", s.path("data"), "--ring", "all", s.path("policy-"+n+".tar.gz"))
			time.Sleep(publishedAfter)
		}
	}
	audit := []string{"audit", "--quiet", "--osquery", "off"}
	publish("1")
	step("muster", append(audit, "--bundle", s.path("policy-1.tar.gz"))...)
	step("muster-uplink", "--once") // report 1
	publish("2")
	step("muster", append(audit, "--bundle", s.path("policy-1.tar.gz"))...)
	step("muster-uplink", "--once") // report 2, policy 2
	step("muster", audit...)
	step("muster", audit...) // 3 and 4 wait
	do := func(what func() error) {
		if err == nil {
			err = what()
		}
	}
	do(func() error { return s.keep(earlier.Host, "host") })
	do(s.report)
	do(s.full)
	publish("3")
	step("muster", "courier", "export", s.path(earlier.Sealed))
	step("muster-uplink", "--once") // reports 3 and 4, policy 3
	step("muster", audit...)
	step("muster-uplink", "--once") // report 5, by which the second control passes
	do(s.courier)
	do(func() error {
		_, err := s.run("muster-collector", "ring", "--data", s.path("data"), string(s.about.Host), "early")
		return err
	})
	do(s.answers)
	do(func() error {
		_, err := s.run("muster-collector", "backup", "--data", s.path("data"), s.path(earlier.Backup))
		return err
	})
	do(stop)
	do(func() error { return s.keep(earlier.CollectorData, "data") })
	do(s.dump)
	if err != nil {
		return err
	}
	for _, name := range []string{earlier.SiteFile, earlier.Sealed, earlier.Return, earlier.Backup} {
		b, err := os.ReadFile(s.path(name))
		if err == nil {
			err = os.WriteFile(filepath.Join(s.out, name), b, 0o644)
		}
		if err != nil {
			return err
		}
	}
	s.about.MadeAt = time.Now().UTC().Truncate(time.Second)
	return s.write(map[string]any{earlier.AboutFile: s.about, earlier.ExchangeFile: s.exchanges})
}

// report keeps how the program reads its own newest report.
func (s *story) report() error {
	text, err := s.run("muster", "report", "show", "4", "--state", s.path("host"))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(s.out, earlier.ReportFile), text, 0o644)
}

func (s *story) policy(n int, second string) error {
	for name, text := range map[string]string{
		"facts/system/data.yaml": factSQL,
		"controls/old_01.rego":   fmt.Sprintf(metadata, "1", "< 0"),
		"controls/old_02.rego":   fmt.Sprintf(metadata, "2", second),
	} {
		path := s.path(filepath.Join("policies", name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return err
		}
	}
	number := fmt.Sprint(n)
	_, err := s.run("muster", "policy", "build", s.path("policies"), "-o", s.path("policy-"+number+".tar.gz"),
		"--version", number, "--revision", "old-"+number, "--key", s.path("key.pem"))
	return err
}

// serve starts the collector and waits until it says where its dashboard is.
func (s *story) serve() (stop func() error, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		return nil, err
	}
	s.target = "http://" + address
	server := exec.Command(filepath.Join(s.bin, "muster-collector"), "serve", "--data", s.path("data"), "--listen", address, "--state", "56", "--name", "State of Example")
	server.Stderr = os.Stderr
	out, err := server.StdoutPipe()
	if err == nil {
		err = server.Start()
	}
	if err != nil {
		return nil, err
	}
	first := make([]byte, 256)
	if _, err := out.Read(first); err != nil {
		return nil, fmt.Errorf("start the collector: %w", err)
	}
	go io.Copy(io.Discard, out)
	return sync.OnceValue(func() error {
		if err := server.Process.Signal(syscall.SIGTERM); err != nil {
			return err
		}
		return server.Wait()
	}), nil
}

// ask sends a request to the collector.
func (s *story) ask(method, path string, header http.Header, body []byte) (*http.Response, []byte, error) {
	req, err := http.NewRequest(method, s.target+path, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	req.Header = header.Clone()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return res, b, err
}

// record passes a request on and keeps both bodies.
func (s *story) record(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var res *http.Response
	var answer []byte
	if err == nil {
		res, answer, err = s.ask(r.Method, r.URL.RequestURI(), r.Header, body)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	if r.URL.Path == "/v1/enroll" {
		if _, host, err := wire.VerifyEnrollment(body); err == nil {
			s.about.Host = host
		}
	}
	s.mu.Lock()
	s.exchanges = append(s.exchanges, earlier.Exchange{
		Method: r.Method, Path: r.URL.RequestURI(), Header: r.Header, Request: body, Status: res.StatusCode, Answer: res.Header, Body: answer})
	s.mu.Unlock()
	for name, values := range res.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(res.StatusCode)
	w.Write(answer)
}

func (s *story) token(name string) (http.Header, error) {
	b, err := os.ReadFile(filepath.Join(s.path("data"), "keys", name))
	return http.Header{"Authorization": {"Bearer " + strings.TrimSpace(string(b))}}, err
}

func (s *story) courier() error {
	sealed, err := os.ReadFile(s.path(earlier.Sealed))
	if err != nil {
		return err
	}
	header, err := s.token("host-token")
	if err != nil {
		return err
	}
	header.Set("Content-Type", wire.TypeCourier)
	res, answer, err := s.ask(http.MethodPost, "/v1/courier", header, sealed)
	if err != nil {
		return fmt.Errorf("hand in the courier file: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("hand in the courier file: %s: %s", res.Status, answer)
	}
	return os.WriteFile(s.path(earlier.Return), answer, 0o600)
}

func (s *story) answers() error {
	header, err := s.token("api-token")
	if err != nil {
		return err
	}
	id, all := string(s.about.Host), map[string]json.RawMessage{}
	for _, path := range []string{"counties", "hosts", "hosts/" + id, "findings?host=" + id, "transitions", "controls", "policies", "rings"} {
		path = "/api/v1/" + path
		res, answer, err := s.ask(http.MethodGet, path, header, nil)
		if err != nil {
			return fmt.Errorf("ask for %s: %w", path, err)
		}
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("ask for %s: %s: %s", path, res.Status, answer)
		}
		all[path] = answer
	}
	return s.write(map[string]any{earlier.AnswersFile: all})
}

// dump restores the backup into the PostgreSQL database and dumps that.
func (s *story) dump() error {
	if _, err := s.run("muster-collector", "restore", "--data", s.path("restored"), "--database", s.postgres, s.path(earlier.Backup)); err != nil {
		return err
	}
	sql, err := s.command("pg_dump", "--inserts", "--no-owner", "--no-privileges", "--dbname", s.postgres)
	if err != nil {
		return err
	}
	return s.deflate(earlier.Postgres, sql)
}

func (s *story) write(files map[string]any) error {
	for name, v := range files {
		b, err := json.MarshalIndent(v, "", " ")
		if err == nil {
			err = os.WriteFile(filepath.Join(s.out, name), append(b, '\n'), 0o644)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *story) deflate(name string, b []byte) error {
	var file bytes.Buffer
	z, err := gzip.NewWriterLevel(&file, gzip.BestCompression)
	if err == nil {
		_, err = z.Write(b)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(s.out, name), file.Bytes(), 0o644)
}

// keep packs a folder: names, modes and bytes.
func (s *story) keep(name, dir string) error {
	var file bytes.Buffer
	w := tar.NewWriter(&file)
	err := filepath.WalkDir(s.path(dir), func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == s.path(dir) {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		in, err := filepath.Rel(s.path(dir), path)
		if err != nil {
			return err
		}
		h := &tar.Header{Name: filepath.ToSlash(in), Mode: int64(info.Mode().Perm()), Typeflag: tar.TypeDir}
		var b []byte
		if !d.IsDir() {
			if b, err = os.ReadFile(path); err != nil {
				return err
			}
			h.Typeflag, h.Size = tar.TypeReg, int64(len(b))
		}
		if err := w.WriteHeader(h); err != nil {
			return err
		}
		_, err = w.Write(b)
		return err
	})
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return fmt.Errorf("keep %s: %w", name, err)
	}
	return s.deflate(name, file.Bytes())
}
