package tailnet

import (
	"slices"
	"strings"
	"testing"

	"tailscale.com/client/tailscale/apitype"
	"tailscale.com/tailcfg"

	"github.com/passmuster/muster"
)

func TestPeerOfStrangers(t *testing.T) {
	if _, err := peerOf(&apitype.WhoIsResponse{}); err == nil {
		t.Error("no node is somebody")
	}
	if _, err := peerOf(&apitype.WhoIsResponse{Node: &tailcfg.Node{}}); err == nil {
		t.Error("a node without an id is somebody")
	}
	shared := &apitype.WhoIsResponse{
		Node:        &tailcfg.Node{StableID: "n1", Name: "pc.other.example.", Sharer: 7, Tags: []string{"tag:county-17031"}},
		UserProfile: &tailcfg.UserProfile{LoginName: "someone@other.example"},
		CapMap:      tailcfg.PeerCapMap{Capability: {`{"roles":["ciso"]}`}},
	}
	p, err := peerOf(shared)
	if err != nil || p.Node != "n1" || p.Name != "pc.other.example" || len(p.Counties)+len(p.Roles) > 0 {
		t.Errorf("a node of another tailnet is %+v, %v", p, err)
	}
}

// FuzzPeerOf: whatever a tailnet says, a county is five digits, a role is one of
// ours, a tagged node has no login, and nobody is local.
func FuzzPeerOf(f *testing.F) {
	f.Add("tag:county-17031\ntag:x", `{"roles":["viewer","emperor"]}`)
	f.Add("", `{"roles":"viewer"}`)
	f.Add("", `{"roles":["county:17031","county:17031","county:1703","county:"]}`)
	f.Add("tag:county-", "\xff")
	f.Fuzz(func(t *testing.T, tags, value string) {
		node := &tailcfg.Node{StableID: "n1"}
		if tags != "" {
			node.Tags = strings.Split(tags, "\n")
		}
		p, err := peerOf(&apitype.WhoIsResponse{
			Node:        node,
			UserProfile: &tailcfg.UserProfile{LoginName: "someone@state.example"},
			CapMap:      tailcfg.PeerCapMap{Capability: {tailcfg.RawMessage(value), `{"roles":["operator"]}`}},
		})
		if err != nil || p.Local || p.Node != "n1" || (p.Login == "") != (len(node.Tags) > 0) {
			t.Fatalf("%+v, %v", p, err)
		}
		for _, c := range p.Counties {
			if _, err := muster.ParseCounty(string(c)); err != nil || !slices.Contains(node.Tags, "tag:county-"+string(c)) {
				t.Errorf("county %q", c)
			}
		}
		if !slices.Contains(p.Roles, muster.RoleOperator) {
			t.Errorf("one bad grant hides the other: %q", p.Roles)
		}
		for i, r := range p.Roles {
			if !known(r) || slices.Contains(p.Roles[:i], r) {
				t.Errorf("roles %q", p.Roles)
			}
		}
	})
}
