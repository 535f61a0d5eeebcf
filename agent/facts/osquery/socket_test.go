//go:build !windows

package osquery_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/thrift/lib/go/thrift"
	"github.com/google/go-cmp/cmp"
	gen "github.com/osquery/osquery-go/gen/osquery"
	"github.com/osquery/osquery-go/transport"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
	"github.com/passmuster/muster/agent/facts/osquery"
	"github.com/passmuster/muster/agent/facts/osquery/osquerytest"
)

// recorded is an engine over a host of testdata, as osqueryd would answer.
func recorded(tb testing.TB) facts.Engine {
	tb.Helper()
	data, err := os.ReadFile("../../../testdata/hosts/win10-ems.json")
	if err != nil {
		tb.Fatal(err)
	}
	var file struct {
		Tables map[string][]muster.Row `json:"tables"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		tb.Fatal(err)
	}
	schema, err := facts.NewSchema(nil)
	if err != nil {
		tb.Fatal(err)
	}
	var tables []facts.Table
	for name, rows := range file.Tables {
		d, _ := schema.Table(name)
		tables = append(tables, facts.Table{
			Name: name, Columns: d.Columns, Platforms: []muster.Platform{muster.Linux},
			Rows: func(_ context.Context, _ facts.Query, emit func(muster.Row) error) error {
				for _, r := range rows {
					if err := emit(r); err != nil {
						return err
					}
				}
				return nil
			},
		})
	}
	e, err := facts.NewSQL("recorded", muster.Linux, tables)
	if err != nil {
		tb.Fatal(err)
	}
	return e
}

func mustDial(tb testing.TB, socket string) *osquery.Engine {
	tb.Helper()
	e, err := osquery.Dial(context.Background(), socket)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { e.Close() })
	return e
}

func ask(e facts.Engine, timeout time.Duration, statement string, limit int) ([]muster.Row, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return e.Query(ctx, statement, limit)
}

func TestQueryAnswersAsTheDaemonDoes(t *testing.T) {
	live := recorded(t)
	defer live.Close()
	socket := osquerytest.Socket(t)
	osquerytest.Serve(t, socket, osquerytest.FromEngine(live))
	e := mustDial(t, socket)
	for _, statement := range []string{
		"SELECT name, version FROM os_version;",
		"SELECT username, uuid FROM users ORDER BY username -- by name",
		"SELECT u.username FROM user_groups ug JOIN users u ON u.uid = ug.uid JOIN groups g ON g.gid = ug.gid WHERE g.group_sid = 'S-1-5-32-544' ORDER BY 1",
		"SELECT NULL AS a, x'00ff' AS b, 1/0 AS c",
		"SELECT name FROM programs WHERE name = 'nothing'",
	} {
		want, err := live.Query(context.Background(), statement, 100)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ask(e, time.Minute, statement, 100)
		if err != nil {
			t.Errorf("%s: %v", statement, err)
		}
		if diff := cmp.Diff(want, got, cmp.Transformer("list", func(r []muster.Row) []muster.Row { return append([]muster.Row{}, r...) })); diff != "" {
			t.Errorf("%s (-want +got):\n%s", statement, diff)
		}
	}
	for _, c := range []struct {
		statement string
		is        error
		text      string
	}{
		{"SELECT * FROM nosuch", facts.ErrUnavailable, "no such table: nosuch"},
		{"SELECT 1 FROM WHERE", nil, "syntax error"},
		{"SELECT * FROM file", nil, "Table file was queried without a required column"},
		{"SELECT name FROM users; SELECT 1", facts.ErrRefused, ""},
		{"SELECT * FROM registry", nil, "more than 3 rows"},
	} {
		_, err := ask(e, time.Minute, c.statement, 3)
		if err == nil || !strings.Contains(err.Error(), c.text) || c.is != nil && !errors.Is(err, c.is) || errors.Is(err, facts.ErrEngineLost) {
			t.Errorf("%s: %v", c.statement, err)
		}
	}
}

func TestHas(t *testing.T) {
	var e osquery.Engine
	for table, want := range map[string]bool{"users": true, "registry": false, "augeas": false, "process_events": false, "muster_accounts": false} {
		if e.Has(table) != want {
			t.Errorf("%s: %t", table, !want)
		}
	}
}

func TestQuerySurvivesABusyDaemon(t *testing.T) {
	socket := osquerytest.Socket(t)
	release := make(chan struct{})
	osquerytest.Serve(t, socket, func(sql string) (*gen.ExtensionResponse, error) {
		if strings.Contains(sql, "slow") {
			<-release
		}
		return osquerytest.Answer(map[string]string{"a": "\xff1"}), nil
	})
	defer close(release)
	e := mustDial(t, socket)
	if _, err := ask(e, 100*time.Millisecond, "SELECT 'slow'", 10); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("slow: %v", err)
	}
	rows, err := ask(e, time.Minute, "SELECT 1", 10)
	if diff := cmp.Diff([]muster.Row{{"a": "\uFFFD1"}}, rows); err != nil || diff != "" {
		t.Errorf("after a slow statement: %v %s", err, diff)
	}
}

// raw serves bytes instead of Thrift, after it has answered one hello.
func raw(tb testing.TB, socket string, speak func(net.Conn)) {
	tb.Helper()
	l, err := net.Listen("unix", socket)
	if err != nil {
		tb.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for first := true; ; first = false {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conf := &thrift.TConfiguration{}
			protocol := thrift.NewTBinaryProtocolConf(thrift.NewTSocketFromConnConf(c, conf), conf)
			if first {
				osquerytest.Processor(nil).Process(context.Background(), protocol, protocol) //nolint:errcheck // the client judges
			}
			speak(c)
			c.Close()
		}
	}()
	tb.Cleanup(func() {
		l.Close()
		<-done
	})
}

func reply(seq byte, body string) string {
	return "\x80\x01\x00\x02\x00\x00\x00\x05query\x00\x00\x00" + string(rune(seq)) + body
}

func TestQueryWithABrokenDaemon(t *testing.T) {
	row := "\x00\x00\x00\x01\x00\x00\x00\x01a\x00\x00\x00\x01b"
	for name, c := range map[string]struct {
		bytes string
		is    error
	}{
		"closes at once":       {"", facts.ErrEngineLost},
		"closes in mid-answer": {reply(2, "\x0c\x00\x00\x0f\x00\x02\x0d\x00\x00\x00\x02\x0b\x0b"+row), facts.ErrEngineLost},
		"junk":                 {strings.Repeat("\xde\xad\xbe\xef", 100), facts.ErrEngineLost},
		"HTTP":                 {"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", facts.ErrEngineLost},
		"list of numbers":      {reply(2, "\x0c\x00\x00\x0f\x00\x02\x08\x00\x00\x00\x02\x00\x00\x00\x07\x00\x00\x00\x07"), facts.ErrEngineLost},
		"no status":            {reply(2, "\x0c\x00\x00\x0f\x00\x02\x0d\x00\x00\x00\x00\x00\x00"), facts.ErrEngineLost},
		"a billion rows":       {reply(2, "\x0c\x00\x00\x0f\x00\x02\x0d\x3f\xff\xff\xff\x0b\x0b"), facts.ErrEngineLost},
		"a gigabyte of text":   {reply(2, "\x0c\x00\x00\x0f\x00\x02\x0d\x00\x00\x00\x01\x0b\x0b\x00\x00\x00\x01\x3f\xff\xff\xff"), facts.ErrEngineLost},
		"wrong sequence":       {reply(9, "\x0c\x00\x00\x00\x00"), facts.ErrEngineLost},
	} {
		t.Run(name, func(t *testing.T) {
			socket := osquerytest.Socket(t)
			raw(t, socket, func(conn net.Conn) {
				conn.Read(make([]byte, 1000)) //nolint:errcheck // the question does not matter
				conn.Write([]byte(c.bytes))   //nolint:errcheck // the client judges
			})
			e := mustDial(t, socket)
			if rows, err := ask(e, 10*time.Second, "SELECT 1", 10); !errors.Is(err, c.is) {
				t.Errorf("%v %v", rows, err)
			}
		})
	}
}

func TestQueryHangs(t *testing.T) {
	socket := osquerytest.Socket(t)
	release := make(chan struct{})
	raw(t, socket, func(net.Conn) { <-release })
	defer close(release)
	e := mustDial(t, socket)
	if _, err := ask(e, 50*time.Millisecond, "SELECT 1", 10); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("first: %v", err)
	}
	if _, err := ask(e, time.Minute, "SELECT 1", 10); !errors.Is(err, facts.ErrEngineLost) {
		t.Errorf("second: %v", err)
	}
}

func TestQueryTooLarge(t *testing.T) {
	socket := osquerytest.Socket(t)
	row := map[string]string{"a": strings.Repeat("x", 1<<19)}
	osquerytest.Serve(t, socket, func(string) (*gen.ExtensionResponse, error) {
		return osquerytest.Answer(slices.Repeat([]map[string]string{row}, 150)...), nil
	})
	e := mustDial(t, socket)
	if _, err := ask(e, time.Minute, "SELECT 1", 1000); err == nil || !strings.Contains(err.Error(), "narrow the statement") {
		t.Error(err)
	}
}

func TestDialErrors(t *testing.T) {
	socket := osquerytest.Socket(t)
	dial := func() error {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_, err := osquery.Dial(ctx, socket)
		return err
	}
	if err := dial(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
	if err := os.WriteFile(socket, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := dial(); err == nil || !strings.Contains(err.Error(), "not a socket") {
		t.Errorf("file: %v", err)
	}
	os.Remove(socket)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	if err := dial(); !errors.Is(err, facts.ErrEngineLost) || !strings.Contains(err.Error(), "refused") {
		t.Errorf("stale: %v", err)
	}
	if err := os.Chmod(socket, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := dial(); err == nil || !strings.Contains(err.Error(), "not trusted") {
		t.Errorf("writable: %v", err)
	}
	if err := os.Chmod(socket, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(socket), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := dial(); err == nil || !strings.Contains(err.Error(), "not trusted") {
		t.Errorf("writable folder: %v", err)
	}
}

// TestMain is osqueryd where Start runs this program.
func TestMain(m *testing.M) {
	for _, arg := range os.Args {
		if socket, ok := strings.CutPrefix(arg, "--extensions_socket="); ok {
			os.Exit(daemon(socket))
		}
	}
	if binary := os.Getenv(asAudit); binary != "" {
		os.Exit(audit(binary))
	}
	os.Exit(m.Run())
}

// asAudit, where it is set, makes this program an audit that starts the daemon it
// names and is killed.
const asAudit = "MUSTER_OSQUERY_TEST"

func audit(binary string) int {
	e, err := osquery.Start(context.Background(), binary, filepath.Dir(binary))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer e.Close()
	fmt.Println("asking")
	time.Sleep(time.Minute)
	return 0
}

func TestDaemonDiesWithAKilledAudit(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(osquerytest.Socket(t))
	binary, socket := filepath.Join(dir, "osqueryd"), filepath.Join(dir, "osquery.em")
	if err := os.Symlink(self, binary); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), asAudit+"="+binary)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "asking\n" {
		t.Errorf("%q, %v", line, err)
	}
	if e, err := osquery.Dial(context.Background(), socket); err != nil {
		t.Errorf("the daemon does not answer: %v", err)
	} else if err := e.Close(); err != nil {
		t.Error(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	cmd.Wait() // killed
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		e, err := osquery.Dial(context.Background(), socket)
		if err != nil {
			return
		}
		e.Close()
		if time.Now().After(deadline) {
			t.Fatal("the daemon outlives the audit")
		}
	}
}

func daemon(socket string) int {
	switch filepath.Base(os.Args[0]) {
	case "fails":
		fmt.Fprintln(os.Stderr, "E1122 cannot read the configuration")
		return 1
	case "slow":
		time.Sleep(300 * time.Millisecond)
	case "silent":
		time.Sleep(time.Minute)
	}
	listener, err := transport.OpenServer(socket, time.Minute)
	if err != nil {
		return 1
	}
	query := func(string) (*gen.ExtensionResponse, error) {
		return osquerytest.Answer(map[string]string{"args": strings.Join(os.Args[1:], " ")}), nil
	}
	thrift.NewTSimpleServer2(osquerytest.Processor(query), listener).Serve() //nolint:errcheck // killed
	return 0
}

func TestStart(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	start := func(t *testing.T, name string, timeout time.Duration) (*osquery.Engine, string, error) {
		dir := filepath.Dir(osquerytest.Socket(t))
		binary := filepath.Join(dir, name)
		if err := os.Symlink(self, binary); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		defer cancel()
		e, err := osquery.Start(ctx, binary, dir)
		return e, dir, err
	}
	for _, name := range []string{"osqueryd", "slow"} {
		t.Run(name, func(t *testing.T) {
			e, dir, err := start(t, name, time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			rows, err := ask(e, time.Minute, "SELECT 1", 1)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range []string{"--disable_database", "--disable_events", "--database_path=" + dir} {
				if !strings.Contains(rows[0]["args"], want) {
					t.Errorf("%s is missing: %s", want, rows[0]["args"])
				}
			}
			if err := e.Close(); err != nil {
				t.Error(err)
			}
			if _, err := osquery.Dial(context.Background(), filepath.Join(dir, "osquery.em")); err == nil {
				t.Error("the daemon outlived Close")
			}
		})
	}
	t.Run("fails", func(t *testing.T) {
		if _, _, err := start(t, "fails", time.Minute); err == nil || !strings.Contains(err.Error(), "cannot read the configuration") {
			t.Error(err)
		}
	})
	t.Run("silent", func(t *testing.T) {
		if _, _, err := start(t, "silent", 200*time.Millisecond); err == nil || !strings.Contains(err.Error(), "no hello in time") {
			t.Error(err)
		}
	})
	t.Run("writable by others", func(t *testing.T) {
		dir := filepath.Dir(osquerytest.Socket(t))
		binary := filepath.Join(dir, "osqueryd")
		if err := os.WriteFile(binary, nil, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(binary, 0o777); err != nil {
			t.Fatal(err)
		}
		if _, err := osquery.Start(context.Background(), binary, dir); err == nil || !strings.Contains(err.Error(), "not trusted") {
			t.Error(err)
		}
	})
}
