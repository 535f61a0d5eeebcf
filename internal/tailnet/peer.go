package tailnet

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"tailscale.com/client/tailscale/apitype"
	"tailscale.com/tailcfg"

	"github.com/passmuster/muster"
)

// Capability of a tailnet grant that gives roles at the collector. Its value is
// a JSON object such as {"roles":["viewer"]} or {"roles":["county:17031"]}; who it is
// given to, logins or tags, the grant itself says.
const Capability = "passmuster.github.io/cap/muster"

// countyTag and five digits say whose hosts a tagged node may speak for.
const countyTag = "tag:county-"

// WhoIs tells who is at a remote address of a connection of Listen. Its error
// means that nobody is known there: refuse the request.
func (n *Node) WhoIs(ctx context.Context, remoteAddr string) (muster.Peer, error) {
	who, err := n.local.WhoIs(ctx, remoteAddr)
	if err != nil {
		return muster.Peer{}, fmt.Errorf("who is at %s: %w", remoteAddr, err)
	}
	p, err := peerOf(who)
	if err != nil {
		return muster.Peer{}, fmt.Errorf("who is at %s: %w", remoteAddr, err)
	}
	return p, nil
}

// peerOf ignores tags and roles that mean nothing here: they are for others.
func peerOf(who *apitype.WhoIsResponse) (muster.Peer, error) {
	if who.Node == nil || who.Node.StableID == "" {
		return muster.Peer{}, fmt.Errorf("the tailnet names no node")
	}
	p := muster.Peer{Node: string(who.Node.StableID), Name: strings.TrimSuffix(who.Node.Name, ".")}
	if who.Node.Sharer != 0 {
		return p, nil // of another tailnet: its tags and roles are not ours
	}
	for _, tag := range who.Node.Tags {
		digits, ok := strings.CutPrefix(tag, countyTag)
		if county, err := muster.ParseCounty(digits); ok && err == nil && !slices.Contains(p.Counties, county) {
			p.Counties = append(p.Counties, county)
		}
	}
	if len(who.Node.Tags) == 0 && who.UserProfile != nil {
		p.Login = who.UserProfile.LoginName
	}
	for _, value := range who.CapMap[tailcfg.PeerCapability(Capability)] {
		var grant struct {
			Roles []json.RawMessage `json:"roles"`
		}
		if json.Unmarshal([]byte(value), &grant) != nil {
			continue
		}
		for _, raw := range grant.Roles {
			var role muster.Role
			if json.Unmarshal(raw, &role) == nil && known(role) && !slices.Contains(p.Roles, role) {
				p.Roles = append(p.Roles, role)
			}
		}
	}
	return p, nil
}

func known(r muster.Role) bool {
	_, county := r.County()
	return county || r == muster.RoleViewer || r == muster.RoleOperator || r == muster.RoleCISO
}
