package muster_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestPostgresExample runs packaging/postgres/example: two collectors before a
// PostgreSQL whose standby is promoted.
func TestPostgresExample(t *testing.T) {
	for _, program := range []string{"curl", "openssl"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("the example needs %s: make test installs it", program)
		}
	}
	if found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/pg_ctl"); len(found) == 0 {
		t.Skip("PostgreSQL is not installed: packaging/test-packages.txt names what the tests need")
	}
	root, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	script := ""
	for _, name := range []string{"PORT_A", "PORT_B", "PORT_1", "PORT_2"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		script += fmt.Sprintf("export %s=%d\n", name, l.Addr().(*net.TCPAddr).Port)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	// Another user's PostgreSQL must be able to come to the folder.
	dir, err := os.MkdirTemp("", "muster-postgres-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	out := shell(t, dir, mustPrograms(t), script+filepath.Join(root, "packaging/postgres/example")+" example")
	inOrder(t, out, `example: report 1 came through collector 1 and is seen through collector 2
example: the standby is promoted
example: report 1 is still there
example: report 2 came through collector 1 and is seen through collector 2
`)
}
