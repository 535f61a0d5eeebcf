package sqlite

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/store"
	"github.com/passmuster/muster/collector/store/storetest"
)

const crashHosts = 8

func TestMain(m *testing.M) {
	path := os.Getenv("SQLITE_TEST_CHILD")
	if path == "" {
		os.Exit(m.Run())
	}
	if err := child(path); err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
}

// child commits reports until it is killed, and says what it would give receipts for.
func child(path string) error {
	ctx := context.Background()
	s, err := Open(ctx, path, store.Options{})
	if err != nil {
		return err
	}
	seqs := make([]uint64, crashHosts)
	for n := range seqs {
		e := muster.Enrolled{Host: muster.Host{ID: storetest.HostID(n), County: "17031", Profile: muster.Workstation}, PublicKey: []byte("k")}
		if _, err := s.Enroll(ctx, e, true, time.Unix(1, 0)); err != nil {
			return err
		}
		h, err := s.Host(ctx, muster.View{}, storetest.HostID(n))
		if err != nil {
			return err
		}
		seqs[n] = h.Seq
	}
	for {
		var batch []muster.Accepted
		for n := range seqs {
			for range 4 {
				seqs[n]++
				batch = append(batch, full(n, seqs[n], int(seqs[n]/2)))
			}
		}
		results, err := s.Commit(ctx, batch)
		if err != nil {
			return err
		}
		for i, r := range results {
			if r.Outcome != muster.OutcomeStored {
				return fmt.Errorf("report %d of %s has outcome %d", batch[i].Header.Seq, batch[i].Header.Host, r.Outcome)
			}
			fmt.Printf("receipt %d %d\n", i/4, batch[i].Header.Seq)
		}
	}
}

// A process that commits is killed at a random moment, again and again. What it said it
// had stored is there once, and what is shown is whole.
func TestKill(t *testing.T) {
	rounds := 25
	if testing.Short() {
		rounds = 6
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "muster.db")
	receipted := make([]uint64, crashHosts)
	for round := range rounds {
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), "SQLITE_TEST_CHILD="+path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// Killed some time after its first commit, so that every round gets to work.
		var kill *time.Timer
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var n int
			var seq uint64
			if _, err := fmt.Sscanf(lines.Text(), "receipt %d %d", &n, &seq); err != nil {
				if kill == nil {
					t.Errorf("round %d: %s", round, lines.Text())
				}
				continue // cut off by the kill
			}
			receipted[n] = max(receipted[n], seq)
			if kill == nil {
				kill = time.AfterFunc(time.Duration(rand.IntN(30_000))*time.Microsecond, func() { cmd.Process.Kill() })
			}
		}
		cmd.Wait() // killed, as it should be
		if kill == nil {
			t.Fatalf("round %d: the child stored nothing", round)
		}
		kill.Stop()
		survived(t, path, receipted)
	}
}

func survived(t *testing.T, path string, receipted []uint64) {
	t.Helper()
	s := open(t, path, store.Options{})
	defer s.Close()
	var sound string
	if err := s.reader.QueryRowContext(t.Context(), `PRAGMA quick_check`).Scan(&sound); err != nil || sound != "ok" {
		t.Fatalf("the file is damaged: %s %v", sound, err)
	}
	for n, seq := range receipted {
		id := storetest.HostID(n)
		h, err := s.Host(t.Context(), muster.View{}, id)
		if err != nil {
			t.Fatal(err)
		}
		list, err := s.HostReports(t.Context(), id, 0, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		if h.Seq < seq || uint64(len(list)) != h.Seq || h.Missing != 0 {
			t.Fatalf("host %d: %d was receipted, %d is shown, %d reports are there, %d missing", n, seq, h.Seq, len(list), h.Missing)
		}
		for _, r := range list {
			if want := full(n, r.Seq, 0).Envelope.Digest; r.Digest != want || !r.Evidence {
				t.Fatalf("host %d report %d: %+v", n, r.Seq, r)
			}
		}
	}
}
