package tailnet

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"tailscale.com/ipn"

	"github.com/passmuster/muster/internal/durable"
)

// EnvAuthKey names the environment variable that may hold an auth key.
const EnvAuthKey = "MUSTER_AUTH_KEY"

const (
	settled    = time.Minute      // a node that has joined needs no key: it is not about to expire
	keyPoll    = 5 * time.Second  // how soon a new auth key file is seen
	maxAuthKey = 4 << 10          // bytes
	rewatch    = time.Second      // before the node's own events are asked for again
	patience   = 20 * time.Second // a local request takes longer only where all hangs
)

// authKey finds the key that lets the node in, and gives each only once.
type authKey struct {
	file, env string
	tried     string
}

func takeEnvKey() string {
	key := strings.TrimSpace(os.Getenv(EnvAuthKey))
	os.Unsetenv(EnvAuthKey)
	return key
}

// next is a key that was not tried yet; "" where there is none.
func (k *authKey) next() (string, error) {
	key, err := k.read()
	if key == "" {
		key = k.env
	}
	if key == k.tried {
		return "", err
	}
	k.tried = key
	return key, err
}

func (k *authKey) read() (string, error) {
	if k.file == "" {
		return "", nil
	}
	b, err := durable.ReadForeign(k.file, maxAuthKey)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return strings.TrimSpace(string(b)), err
}

// unused reports whether a key is in the file that was not tried.
func (k *authKey) unused() bool {
	key, _ := k.read() // what cannot be read cannot be used
	return key != "" && key != k.tried
}

// forget deletes the key file.
func (k *authKey) forget() error {
	if k.file != "" {
		if err := durable.Remove(k.file); err != nil {
			return err
		}
	}
	k.env, k.tried = "", ""
	return nil
}

// nextKeyLocked is a key that was not tried yet; "" where there is none.
func (n *Node) nextKeyLocked() string {
	key, err := n.key.next()
	n.keyProblem = ""
	if err != nil {
		n.keyProblem = fmt.Sprintf("the auth key file cannot be read (%v): this program's user must be able to read it", err)
	}
	return key
}

// watch follows the node's state until Close.
func (n *Node) watch() {
	for n.ctx.Err() == nil {
		w, err := n.local.WatchIPNBus(n.ctx, ipn.NotifyInitialState|ipn.NotifyNoNetMap)
		for err == nil {
			var notify ipn.Notify
			if notify, err = w.Next(); err == nil && notify.State != nil {
				n.enter(*notify.State)
			}
		}
		if w != nil {
			w.Close()
		}
		select {
		case <-n.ctx.Done():
		case <-time.After(rewatch):
		}
	}
}

// enter notes a new state and wakes who waits for it.
func (n *Node) enter(state ipn.State) {
	expired := state == ipn.NeedsLogin && n.keyExpired()
	n.mu.Lock()
	defer n.mu.Unlock()
	was := n.stateLocked()
	if state == ipn.Running && n.state != ipn.Running {
		n.joined = time.Now()
	}
	n.state = state
	n.expired = state != ipn.Running && (n.expired || expired)
	if now := n.stateLocked(); now != was {
		n.log.Info("tailnet", "state", now)
	}
	close(n.changed)
	n.changed = make(chan struct{})
}

// keyExpired asks the node whether its own key is past its date.
func (n *Node) keyExpired() bool {
	ctx, cancel := context.WithTimeout(n.ctx, patience)
	defer cancel()
	st, err := n.local.StatusWithoutPeers(ctx)
	if err != nil || st.Self == nil {
		return false
	}
	return st.Self.Expired || st.Self.KeyExpiry != nil && st.Self.KeyExpiry.Before(time.Now())
}

// keepKey deletes the auth key once the node has joined, and uses a new one where
// the node must sign in.
func (n *Node) keepKey() {
	for {
		n.mu.Lock()
		state, changed := n.state, n.changed
		n.mu.Unlock()
		var later <-chan time.Time
		switch state {
		case ipn.Running:
			if !n.forgetKey() {
				later = time.After(keyPoll)
			}
		case ipn.NeedsLogin:
			n.login()
			later = time.After(keyPoll)
		}
		select {
		case <-n.ctx.Done():
			return
		case <-changed:
		case <-later:
		}
	}
}

// forgetKey reports whether no auth key is left behind.
func (n *Node) forgetKey() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.key.unused() && time.Since(n.joined) < settled {
		return false
	}
	err := n.key.forget()
	n.keyProblem, n.dirProblem = "", ""
	if err != nil {
		n.keyProblem = fmt.Sprintf("the auth key is still in its file, since it cannot be deleted (%v): delete it", err)
	}
	return err == nil
}

// login signs in with an auth key that was not tried yet.
func (n *Node) login() {
	n.mu.Lock()
	key := n.nextKeyLocked()
	n.mu.Unlock()
	if key == "" {
		return
	}
	ctx, cancel := context.WithTimeout(n.ctx, patience)
	defer cancel()
	n.log.Info("tailnet sign-in with a new auth key")
	err := n.local.Start(ctx, ipn.Options{AuthKey: key})
	if err == nil {
		err = n.local.StartLoginInteractive(ctx)
	}
	if err != nil {
		n.log.Warn("tailnet sign-in", "error", err)
		n.mu.Lock()
		n.key.tried = "" // it was not asked: try it again
		n.mu.Unlock()
	}
}
