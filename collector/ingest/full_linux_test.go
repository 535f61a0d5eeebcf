package ingest_test

import (
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/wire"
)

// A full disk is answered 503; every report that has a receipt is there, and
// with room again the host ships the rest.
func TestDiskFull(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can mount a small disk; the store's own test covers everyone else")
	}
	dir := t.TempDir()
	must(t, syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"))
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	l := labAt(t, filepath.Join(dir, "muster.db"))
	h := newHost(t, 1).enrolled(l.url)
	receipted := uint64(0)
	var refused *wire.Frame
	for refused == nil {
		h.prev = nil // each as large as can be
		f := h.next()
		switch r := send(t, l.url+"/v1/reports", token, batch(t, f)); r.StatusCode {
		case http.StatusOK:
			receipted++
		case http.StatusServiceUnavailable:
			refused = f
		default:
			t.Fatal(r.Status)
		}
	}
	s, err := l.store.Host(t.Context(), muster.View{}, h.id)
	must(t, err)
	if s.Seq != receipted || receipted == 0 {
		t.Errorf("%d receipts, the newest stored is %d", receipted, s.Seq)
	}
	must(t, syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size=16m"))
	l.ship([]*wire.Frame{refused}, wire.CodeStored)
	l.stop()
}
