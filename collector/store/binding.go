package store

import (
	"slices"

	"github.com/passmuster/muster"
)

// maxLeft bounds the nodes that are remembered of one host.
const maxLeft = 16

// Binding is where a host's key was seen. Every store keeps it with the host and
// asks it what an enrollment means, so that all decide alike.
type Binding struct {
	// Node of the tailnet that it enrolled from last; Left are those before.
	Node string
	Left []string
	// Machine that it last named.
	Machine string
	// Clone is the first thing that showed a copy.
	Clone muster.Clone
}

// Enroll takes up that the key enrolls from the node and the machine, "" for
// none. moved says that it speaks from another node than before, and first that
// it was never seen there: a node that signed in anew. One that comes back to a
// node that it had left is in two places.
func (b *Binding) Enroll(node, machine string) (moved, first bool) {
	if machine != "" && b.Machine != "" && machine != b.Machine {
		b.flag(muster.CloneMachine)
	}
	if machine != "" {
		b.Machine = machine
	}
	if node == "" || node == b.Node {
		return false, false
	}
	first = !slices.Contains(b.Left, node)
	if !first {
		b.flag(muster.CloneNode)
	}
	if b.Node != "" && !slices.Contains(b.Left, b.Node) {
		b.Left = append(b.Left, b.Node)
		b.Left = b.Left[max(0, len(b.Left)-maxLeft):]
	}
	b.Node = node
	return true, first
}

func (b *Binding) flag(c muster.Clone) {
	if b.Clone == "" {
		b.Clone = c
	}
}
