package tailnettest

import (
	"context"
	"maps"
	"slices"
	"time"

	"tailscale.com/tailcfg"
	"tailscale.com/tstest/integration/testcontrol"
)

const (
	settle    = 20 * time.Millisecond // changes that come together go out together
	keepAlive = 30 * time.Second
)

// beforeRegister sets which auth key the control server wants.
func (t *Tailnet) beforeRegister() (reject bool, retryAfter, message string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.control.RequireAuthKey != t.authKey {
		t.control.RequireAuthKey = t.authKey
	}
	return false, "", ""
}

// serveMap stands in for the control server's own stream of maps, which knows
// neither a way for each node nor a node that came back with a new key.
func (t *Tailnet) serveMap(ctx context.Context, w testcontrol.MapStreamWriter, req *tailcfg.MapRequest) {
	m := t.arrive(req)
	if m == nil || !req.Stream {
		w.SendMapMessage(&tailcfg.MapResponse{})
		return
	}
	t.stream(m, 1)
	defer t.stream(m, -1)
	time.Sleep(4 * settle) // the others know it before it calls them: WireGuard repeats a lost call after 5 s
	for ctx.Err() == nil {
		t.mu.Lock()
		changed := t.changed
		t.mu.Unlock()
		res, err := t.control.MapResponse(req)
		if err != nil || res == nil {
			return
		}
		t.edit(m, res)
		if w.SendMapMessage(res) != nil {
			return
		}
		for waiting := true; waiting; {
			select {
			case <-ctx.Done():
				return
			case <-changed:
				time.Sleep(settle)
				waiting = false
			case <-time.After(keepAlive):
				if w.SendMapMessage(&tailcfg.MapResponse{KeepAlive: true}) != nil {
					return
				}
			}
		}
	}
}

// arrive notes what a node says about itself; nil where it is not known.
func (t *Tailnet) arrive(req *tailcfg.MapRequest) *member {
	t.mu.Lock()
	defer t.mu.Unlock()
	node := t.control.Node(req.NodeKey)
	if node == nil {
		return nil
	}
	m := t.memberLocked(node.Hostinfo.Hostname())
	m.key = req.NodeKey
	if req.Stream {
		return m
	}
	node.DiscoKey, node.Cap = req.DiscoKey, req.Version
	if req.Hostinfo != nil {
		node.Hostinfo = req.Hostinfo.View()
		if info := req.Hostinfo.NetInfo; info != nil && info.PreferredDERP != 0 {
			node.HomeDERP = info.PreferredDERP
		}
	}
	t.control.UpdateNode(node)
	t.tellLocked()
	return m
}

func (t *Tailnet) stream(m *member, by int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	m.streams += by
	if m.streams < 2 {
		t.tellLocked()
	}
}

// edit makes the control server's answer the one for this node.
func (t *Tailnet) edit(m *member, res *tailcfg.MapResponse) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	res.ControlTime = &now
	res.DERPMap = t.derpMapLocked(m)
	t.dressLocked(res.Node)
	me := res.Node.Hostinfo.Hostname()
	res.Peers = slices.DeleteFunc(res.Peers, func(p *tailcfg.Node) bool {
		name := p.Hostinfo.Hostname()
		other := t.members[name]
		sees := t.options.Sees == nil || t.options.Sees(me, name)
		return other == nil || other.key != p.Key || !sees // of another key: it has gone
	})
	for _, p := range res.Peers {
		other := t.dressLocked(p)
		online := other.streams > 0
		p.Online = &online
		if len(other.grants) == 0 {
			continue
		}
		rule := tailcfg.FilterRule{CapGrant: []tailcfg.CapGrant{{Dsts: res.Node.Addresses, CapMap: maps.Clone(other.grants)}}}
		for _, a := range p.Addresses {
			rule.SrcIPs = append(rule.SrcIPs, a.Addr().String())
		}
		res.PacketFilter = append(res.PacketFilter, rule)
	}
}

func (t *Tailnet) dressLocked(n *tailcfg.Node) *member {
	m := t.memberLocked(n.Hostinfo.Hostname())
	n.Name = FQDN(m.name) + "."
	n.Tags = m.tags
	if !m.expired.IsZero() && m.expired == n.Key {
		n.KeyExpiry = time.Now().Add(-time.Minute)
	}
	return m
}
