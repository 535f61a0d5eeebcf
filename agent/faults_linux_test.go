package agent_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"testing"
	"time"

	"github.com/passmuster/muster/internal/crash"
)

var (
	kills = flag.Int("kills", 40, "how often TestRandomKills kills a program, and twice as often as the courier is killed")
	every = flag.Bool("every-fault", false, "TestEveryFault kills and fails every call in every way, not in one way each")
	bin   = flag.String("bin", "", "folder of the real muster and muster-uplink, which TestRandomKills kills in place of this test's own")
	seed  = flag.Uint64("seed", 0, "of TestRandomKills; 0 takes one from the clock")
)

// scene is a moment in the life of a host, and the program that runs next.
type scene struct {
	name, program string
	*county
}

// life shows each kind of write that the two programs do.
func life(t *testing.T) []scene {
	c := newCounty(t)
	var scenes []scene
	next := func(name, program string) {
		scenes = append(scenes, scene{name, program, c.copy(t)})
	}
	next("the first audit", "audit")
	c.audit()
	next("the first mail", "uplink")
	c.carry()
	next("the first receipt, a policy, a request", "audit")
	c.audit()
	for range 6 {
		c.audit()
	}
	c.collector.Policy = c.policy(4)
	next("seven reports, another policy", "uplink")
	twin := c.copy(t)
	for range 3 {
		c.audit()
	}
	c.damage(4)
	next("a full outbox, a damaged report", "audit")
	c = twin
	c.carry()
	c.damage(6)
	next("receipts, a policy, a damaged report", "audit")
	return scenes
}

func needStrace(t *testing.T) {
	if err := crash.Available(); err != nil {
		t.Skip("a process cannot be broken at its system calls: ", err)
	}
}

// strike runs the program with the fault.
func (s scene) strike(f crash.Fault) (struck bool) {
	s.t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := s.command(s.program)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	ctx, cancel := context.WithTimeout(s.t.Context(), 2*time.Minute)
	defer cancel()
	struck, err := f.Run(ctx, cmd)
	exit := (*exec.ExitError)(nil)
	failed := err != nil && (!errors.As(err, &exit) || !struck)
	if failed && exit != nil && *bin != "" && s.program == "audit" {
		failed = !keptLine.Match(stdout.Bytes()) // its exit code is the verdict
	}
	if failed {
		s.t.Fatalf("%s: %v\n%s", f, err, stderr.Bytes())
	}
	s.note(stdout.Bytes())
	return struck
}

// At every call with which the programs change files they are killed, or the
// call fails. Afterwards both start, and no report is lost silently.
func TestEveryFault(t *testing.T) {
	needStrace(t)
	ways := []string{"", "EIO", "ENOSPC", "EROFS"} // the first is a kill
	count := map[string]int{}
	for _, s := range life(t) {
		t.Run(s.name, func(t *testing.T) {
			for _, calls := range crash.Writes {
				for when := 1; ; when++ {
					struck := false
					for i, errno := range ways {
						if !*every && (when+i)%len(ways) > 0 || !*every && calls == "openat" && when%9 > 0 {
							continue
						}
						f := crash.Fault{Calls: calls, When: when, Errno: errno}
						t.Run(f.String(), func(t *testing.T) {
							again := scene{s.name, s.program, s.copy(t)}
							if again.strike(f) {
								struck = true
								count[s.program]++
							}
							again.settle()
						})
					}
					if !struck && (*every || calls != "openat" || when%9 == 0) {
						break
					}
				}
			}
		})
	}
	t.Logf("faults that struck: %v", count)
}

// Killed at random calls, again and again in one life, both programs come back
// every time.
func TestRandomKills(t *testing.T) {
	needStrace(t)
	random := newRandom(t)
	c := newCounty(t)
	c.audit()
	killed, through := map[string]int{}, map[string]int{}
	for n, runs := 0, 0; n < *kills; {
		s := scene{"", []string{"audit", "uplink"}[random.IntN(2)], c}
		f := randomKill(random)
		if s.strike(f) {
			n++
			killed[fmt.Sprintf("%s at %s", s.program, f.Calls)]++
		} else {
			through[s.program]++
		}
		c.whole()
		if random.IntN(4) == 0 {
			c.settle()
		}
		if runs++; runs > 50**kills {
			t.Fatalf("%d kills in %d runs: strace does not strike", n, runs)
		}
		if t.Failed() {
			t.Fatalf("after kill %d, the last being of the %s: %s", n, s.program, f)
		}
	}
	c.settle()
	t.Logf("%d kills: %v; runs that ended before the call: %v", *kills, killed, through)
}

func newRandom(t *testing.T) *rand.Rand {
	t.Helper()
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-seed %d", *seed)
	return rand.New(rand.NewPCG(*seed, 0))
}
