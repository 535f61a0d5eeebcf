//go:build !linux && !windows

package builtin

import "github.com/passmuster/muster/agent/facts"

func tables() []facts.Table { return nil }
