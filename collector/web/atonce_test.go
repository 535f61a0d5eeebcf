package web

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// Everything is done, and neither an error nor a panic is lost.
func TestAtOnce(t *testing.T) {
	done := make([]bool, 30)
	wrong := errors.New("wrong")
	err := atOnce(len(done), func(i int) error {
		done[i] = true
		if i == 7 {
			return wrong
		}
		return nil
	})
	if !errors.Is(err, wrong) || slices.Contains(done, false) {
		t.Errorf("%v, done %v", err, done)
	}
	if err := atOnce(3, func(i int) error { panic("of a part") }); err == nil || !strings.Contains(err.Error(), "panic: of a part") {
		t.Errorf("a panic gives %v", err)
	}
}
