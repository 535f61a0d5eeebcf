package tailnet

import (
	"context"
	"slices"
	"strings"

	"tailscale.com/ipn"

	"github.com/passmuster/muster"
)

// The states of muster.TailnetStatus.
const (
	stateRunning    = "running"
	stateStarting   = "starting"
	stateNeedsLogin = "needs_login"
	stateExpired    = "expired"
	stateStopped    = "stopped"
)

func (n *Node) stateLocked() string {
	switch n.state {
	case ipn.Running:
		return stateRunning
	case ipn.NeedsLogin, ipn.NeedsMachineAuth:
		if n.expired {
			return stateExpired
		}
		return stateNeedsLogin
	case ipn.Stopped, ipn.InUseOtherUser:
		return stateStopped
	}
	return stateStarting
}

// Status tells where the node stands; it asks nothing of the network.
func (n *Node) Status(ctx context.Context) muster.TailnetStatus {
	n.mu.Lock()
	s := muster.TailnetStatus{State: n.stateLocked()}
	approve, file := n.state == ipn.NeedsMachineAuth, n.key.file
	for _, problem := range []string{n.dirProblem, n.keyProblem} {
		if problem != "" {
			s.Problems = append(s.Problems, problem)
		}
	}
	n.mu.Unlock()
	st, err := n.local.StatusWithoutPeers(ctx)
	if err != nil {
		if n.ctx.Err() != nil {
			s.State = stateStopped
		}
		return s
	}
	for _, ip := range st.TailscaleIPs {
		s.Addresses = append(s.Addresses, ip.String())
	}
	if st.Self != nil && len(st.TailscaleIPs) > 0 {
		s.Name = strings.TrimSuffix(st.Self.DNSName, ".")
		if st.Self.KeyExpiry != nil {
			s.KeyExpires = st.Self.KeyExpiry.UTC()
		}
	}
	switch signIn := signInWith(file); {
	case approve:
		s.Problems = append(s.Problems, muster.TailnetUnapproved)
	case s.State == stateExpired:
		s.Problems = append(s.Problems, muster.TailnetExpired+": "+signIn)
	case s.State == stateNeedsLogin:
		s.Problems = append(s.Problems, muster.TailnetSignedOut+": "+signIn)
	}
	if s.State == stateNeedsLogin || s.State == stateExpired {
		s.LoginURL = st.AuthURL
	}
	for _, line := range st.Health {
		if !slices.Contains(s.Problems, line) {
			s.Problems = append(s.Problems, line)
		}
	}
	return s
}

func signInWith(file string) string {
	if file == "" {
		return "restart it with a new auth key in " + EnvAuthKey + ", or open the login URL"
	}
	return "put a new auth key into " + file + ", or open the login URL"
}
