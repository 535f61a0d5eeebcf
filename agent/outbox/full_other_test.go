//go:build !linux

package outbox

import (
	"errors"
	"testing"
)

func mountTiny(*testing.T, string) error { return errors.ErrUnsupported }
