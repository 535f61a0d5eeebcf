package builtin

import (
	"errors"
	"testing"

	"github.com/passmuster/muster/agent/facts"
)

func TestWinCauses(t *testing.T) {
	for code, want := range map[uint32]error{
		5: facts.ErrDenied, 0x80041003: facts.ErrDenied, 0xC0000022: facts.ErrDenied,
		50: facts.ErrUnavailable, 0x8004100E: facts.ErrUnavailable, 0x80040154: facts.ErrUnavailable, 15007: facts.ErrUnavailable, 1314: facts.ErrDenied,
		0: nil, 2: nil, 87: nil,
	} {
		if got := winCauses[code]; !errors.Is(got, want) {
			t.Errorf("%#x: got %v, want %v", code, got, want)
		}
	}
}
