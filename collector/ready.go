package collector

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/passmuster/muster/collector/door"
)

const (
	// tailnetRunning is the state of a node that has joined.
	tailnetRunning = "running"
	// leastFree is how many bytes must be free where the data folder is.
	leastFree = 64 << 20
	// readyTimeout bounds how long the parts may take to say so.
	readyTimeout = 5 * time.Second
)

// Readiness is what /readyz answers: with status 200 where every part is ready, else 503.
type Readiness struct {
	Ready bool        `json:"ready"`
	Parts []ReadyPart `json:"parts"`
}

// ReadyPart is one thing that a collector needs to serve.
type ReadyPart struct {
	Name  string `json:"name"` // "database", "policy", "tailnet", "disk"
	Ready bool   `json:"ready"`
	// Detail says where it stands, or what is wrong, in a few words; on this computer only.
	Detail string `json:"detail,omitempty"`
}

func (p ReadyPart) words() string {
	switch {
	case p.Detail != "":
		return p.Detail
	case p.Ready:
		return "ready"
	}
	return "not ready"
}

// healthz says that the process answers; readyz, whether it can do its work.
func (c *Collector) healthz(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write([]byte("ok\n"))
}

func (c *Collector) readyz(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	answer := c.readiness(ctx)
	if door.WayOf(ctx) != door.ViaLoopback { // anyone may ask there
		for i := range answer.Parts {
			answer.Parts[i].Detail = ""
		}
	}
	status := http.StatusOK
	if !answer.Ready {
		status = http.StatusServiceUnavailable
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer) // who asked is gone
}

func (c *Collector) readiness(ctx context.Context) Readiness {
	database := ReadyPart{Name: "database", Ready: true}
	if err := c.store.Ping(ctx); err != nil {
		c.Logger.Warn("database not ready", "error", err)
		database.Ready, database.Detail = false, "it does not answer"
	}
	policy := ReadyPart{Name: "policy", Ready: c.view.Load() != nil}
	disk := ReadyPart{Name: "disk", Ready: true}
	if free, err := freeBytes(c.Data); err == nil {
		disk.Ready, disk.Detail = free >= leastFree, mib(free)+" free"
	}
	parts := []ReadyPart{database, policy, disk}
	if c.Tailnet != nil {
		s := c.Tailnet.Status(ctx)
		p := ReadyPart{Name: "tailnet", Ready: s.State == tailnetRunning, Detail: s.State}
		if s.Name != "" {
			p.Detail += " as " + s.Name
		}
		if !s.KeyExpires.IsZero() {
			p.Detail += ", its key expires " + s.KeyExpires.Format(time.DateOnly)
		}
		parts = append(parts, p)
	}
	answer := Readiness{Ready: true, Parts: parts}
	for _, p := range parts {
		answer.Ready = answer.Ready && p.Ready
	}
	return answer
}

func mib(bytes uint64) string { return fmt.Sprintf("%d MiB", bytes>>20) }
