// Package pgtest starts real PostgreSQL servers for tests and the chaos run, each in a
// folder and on a loopback port of its own. A server ends with the process that
// started it.
package pgtest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Package is the Debian package that has PostgreSQL.
const Package = "postgresql-15"

// role owns every database.
const role = "muster"

// A server is given so long to recover and answer, and to stop.
const (
	startTimeout = 60 * time.Second
	stopTimeout  = 60 * time.Second
	pollInterval = 20 * time.Millisecond
)

// Server is a PostgreSQL that listens on loopback, syncs what it commits and keeps
// its address and data when it is stopped and started again.
type Server struct {
	dir, bin string
	password string
	port     int

	cmd  *exec.Cmd
	done chan error // of the running cmd
}

// Start gives a server that lives until the test ends, subtests included. Where
// PostgreSQL is not installed the test is skipped.
func Start(t testing.TB) *Server {
	t.Helper()
	if _, err := Find(); err != nil {
		t.Skip(err)
	}
	// A test's own folder is in one that other users cannot enter.
	dir, err := os.MkdirTemp("", "pgtest")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Kill(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Find returns the folder of PostgreSQL's programs.
func Find() (string, error) {
	if name, err := exec.LookPath("initdb"); err == nil {
		if _, err := exec.LookPath(filepath.Join(filepath.Dir(name), "postgres")); err == nil {
			return filepath.Dir(name), nil
		}
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil || len(found) == 0 {
		return "", fmt.Errorf("PostgreSQL is not installed: install the package %s", Package)
	}
	return filepath.Dir(found[len(found)-1]), nil
}

// Open makes a server's data in an empty folder, which other users must be able to
// reach where this process is root's, and starts it. Kill or Stop it in the end.
func Open(dir string) (*Server, error) {
	bin, err := Find()
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, bin: bin, password: rand.Text()}
	if s.port, err = freePort(); err == nil {
		err = s.initialize()
	}
	if err == nil {
		err = s.start()
	}
	if err != nil {
		return nil, fmt.Errorf("start PostgreSQL in %s: %w", dir, err)
	}
	return s, nil
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

func (s *Server) initialize() error {
	secret := filepath.Join(s.dir, "password")
	if err := os.WriteFile(secret, []byte(s.password), 0o600); err != nil {
		return err
	}
	if err := own(s.dir, secret); err != nil {
		return err
	}
	cmd, err := s.command("initdb", "--pgdata", "data", "--username", role, "--pwfile", secret,
		"--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync", "--no-instructions")
	if err != nil {
		return err
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return nil
}

// command of PostgreSQL, which refuses to run as root.
func (s *Server) command(name string, args ...string) (*exec.Cmd, error) {
	cmd := exec.Command(filepath.Join(s.bin, name), args...)
	cmd.Dir = s.dir
	var err error
	cmd.SysProcAttr, err = attributes()
	return cmd, err
}

// start runs the server and waits until it answers.
func (s *Server) start() error {
	cmd, err := s.command("postgres", "-D", "data", "-h", "127.0.0.1", "-p", strconv.Itoa(s.port),
		"-k", "", "-c", "max_connections=200", "-c", "shared_buffers=128MB")
	if err != nil {
		return err
	}
	name := filepath.Join(s.dir, "log")
	log, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	started, done := make(chan error), make(chan error, 1)
	go func() {
		// The server's life is bound to the thread that starts it.
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			done <- cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return err
	}
	s.cmd, s.done = cmd, done

	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	for {
		err := s.exec(ctx, "SELECT 1")
		if err == nil {
			return nil
		}
		select {
		case err = <-done:
			s.cmd = nil
			b, _ := os.ReadFile(name) // more of the cause, where it can be had
			return fmt.Errorf("it ended (%w):\n%s", err, b[max(0, bytes.LastIndexByte(b[:max(0, len(b)-2000)], '\n')):])
		case <-ctx.Done():
			return errors.Join(err, s.Kill())
		case <-time.After(pollInterval):
		}
	}
}

// exec runs one statement in the database postgres.
func (s *Server) exec(ctx context.Context, statement string) error {
	c, err := pgx.Connect(ctx, s.DSN("postgres"))
	if err != nil {
		return err
	}
	_, err = c.Exec(ctx, statement)
	return errors.Join(err, c.Close(ctx))
}

// DSN of one of the server's databases.
func (s *Server) DSN(database string) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(role, s.password),
		Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)), Path: database, RawQuery: "sslmode=disable"}
	return u.String()
}

// NewDatabase makes an empty database and returns its DSN.
func (s *Server) NewDatabase(t testing.TB) string {
	t.Helper()
	dsn, err := s.Create("test_" + strings.ToLower(rand.Text()))
	if err != nil {
		t.Fatal(err)
	}
	return dsn
}

// Create makes an empty database of that name and returns its DSN.
func (s *Server) Create(database string) (dsn string, err error) {
	if err := s.exec(context.Background(), "CREATE DATABASE "+pgx.Identifier{database}.Sanitize()); err != nil {
		return "", fmt.Errorf("create database %s: %w", database, err)
	}
	return s.DSN(database), nil
}

// Stop ends every session and then the server, in order.
func (s *Server) Stop() error { return s.end(syscall.SIGINT) }

// Kill ends the server as a crash does: it must recover when it starts again.
func (s *Server) Kill() error { return s.end(syscall.SIGQUIT) }

// Restart starts the server again at the same address, after Stop where it runs.
func (s *Server) Restart() error {
	if err := s.Stop(); err != nil {
		return err
	}
	return s.start()
}

// end is no error where the server does not run.
func (s *Server) end(sig syscall.Signal) error {
	if s.cmd == nil {
		return nil
	}
	if err := s.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop PostgreSQL: %w", err)
	}
	select {
	case <-s.done: // its exit status says which signal it was
		s.cmd = nil
		return nil
	case <-time.After(stopTimeout):
		return errors.Join(errors.New("stop PostgreSQL: it did not end in time"), s.cmd.Process.Kill())
	}
}
