package main

import (
	"cmp"
	"math/rand/v2"
	"slices"
)

// kind of an outage.
type kind string

// What goes wrong for one agent.
const (
	partition  kind = "partition"   // its computer has no network
	keyExpired kind = "key expired" // its node must sign in again
	killed     kind = "killed"      // everything in memory is gone, and a write is torn
	wrongClock kind = "wrong clock" // years off
	corrupt    kind = "corrupt"     // a byte of a waiting report turns
	reimaged   kind = "re-imaged"   // a new disk in the same machine
	cloned     kind = "cloned"      // its disk goes into another machine as well
)

// What goes wrong for all.
const (
	controlDown   kind = "control down"
	relayDown     kind = "relay down"
	collectorDown kind = "collector killed"
	moved         kind = "collector moved" // to another address of the tailnet
	busy          kind = "busy"            // 503
	portal        kind = "portal"          // a login page answers in its place
	impostor      kind = "impostor"        // receipts by another key
)

var (
	ofOne = []kind{partition, keyExpired, killed, wrongClock, corrupt}
	ofAll = []kind{controlDown, relayDown, collectorDown, moved, busy, portal, impostor}
)

// outage lasts from a step until before another.
type outage struct {
	kind     kind
	agent    int // -1 for all
	from, to int
}

// plan is everything that will go wrong, in order of time. The same seed gives the
// same plan.
func plan(seed uint64, o options) []outage {
	rng := rand.New(rand.NewPCG(seed, 1))
	steps := o.days * stepsADay
	var all []outage
	add := func(k kind, agent, longest int) {
		// The first day and the last quarter of the last are quiet.
		from := stepsADay + rng.IntN(steps-stepsADay-1)
		all = append(all, outage{k, agent, from, min(from+1+rng.IntN(longest), steps)})
	}
	for _, k := range ofAll {
		for range max(1, o.days/12) {
			add(k, -1, stepsADay)
		}
	}
	online := o.agents - o.portables()
	for _, k := range ofOne {
		for range max(1, online*o.days/120) {
			add(k, rng.IntN(online), 2*stepsADay)
		}
	}
	for i := range online {
		if smallDisk(i) { // away for so long that its outbox must be thinned
			from := stepsADay + rng.IntN(max(1, steps/2))
			all = append(all, outage{partition, i, from, min(from+max(steps/6, stepsADay+1), steps)})
		}
	}
	// Of two agents that are not each other.
	all = append(all, outage{cloned, 0, steps / 2, steps}, outage{reimaged, 1, steps / 2, steps})
	slices.SortStableFunc(all, func(a, b outage) int { return cmp.Compare(a.from, b.from) })
	return all
}

// smallDisk agents have room for little more than a day.
func smallDisk(agent int) bool { return agent%7 == 2 }

// on reports whether such an outage holds an agent, or all, at the step.
func on(all []outage, step, agent int, kinds ...kind) bool {
	return slices.ContainsFunc(all, func(o outage) bool {
		return o.from <= step && step < o.to && (o.agent < 0 || o.agent == agent) && slices.Contains(kinds, o.kind)
	})
}
