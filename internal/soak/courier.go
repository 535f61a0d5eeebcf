package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent"
	"github.com/passmuster/muster/agent/courier"
)

// courierRun carries a stick from an air-gapped host to the state and leaves it in
// the host until the next run. Every second time a connected host relays it, else
// someone uploads its files. Sometimes it is pulled out too early.
func (h *host) courierRun(ctx context.Context, relay *host) error {
	root := h.path("stick")
	if err := os.MkdirAll(root, 0o700); err != nil {
		return err
	}
	if _, err := agent.Sync(ctx, root, agent.CourierOptions{Site: h.site, StateDir: h.path("state"), Profile: muster.EMS, Clock: h.now}); err != nil {
		return fmt.Errorf("%s: seal onto the stick: %w", h.name, err)
	}
	h.runs++
	stick, err := courier.Open(filepath.Join(root, "MUSTER"))
	if err != nil {
		return err
	}
	files, _, err := stick.Outgoing()
	if err != nil {
		return err
	}
	if len(files) > 0 && h.rng.IntN(4) == 0 {
		f := files[len(files)-1]
		if err := os.Truncate(filepath.Join(root, "MUSTER", "outgoing", f.Name+".courier"), f.Size/2); err != nil {
			return err
		}
		h.pulled.Add(1)
	}
	if h.runs%2 == 0 && relay != nil {
		return h.relay(ctx, root, relay)
	}
	for i := range files {
		if err := h.upload(ctx, stick, &files[i]); err != nil {
			h.log.Info("no upload", "host", h.name, "error", err)
			return nil // the next run
		}
	}
	return h.approve(ctx)
}

// relay has another host's uplink carry the stick's files.
func (h *host) relay(ctx context.Context, root string, by *host) error {
	done := make(chan error, 1)
	go func() {
		_, err := agent.Sync(ctx, root, agent.CourierOptions{Site: h.site, StateDir: by.path("state"), Profile: muster.Workstation, Clock: by.now, Wait: 2 * time.Second})
		done <- err
	}()
	for {
		by.contact(ctx)
		select {
		case err := <-done:
			if err != nil {
				return fmt.Errorf("%s: relay by %s: %w", h.name, by.name, err)
			}
			return nil
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// upload does what a person does at the dashboard.
func (h *host) upload(ctx context.Context, stick *courier.Stick, f *courier.File) error {
	content, err := stick.Read(f)
	if err != nil {
		return err
	}
	answer, status, err := h.api(ctx, http.MethodPost, "/api/v1/courier", content)
	switch {
	case err != nil:
		return err
	case status == http.StatusUnprocessableEntity: // damaged: the host seals it again
		return nil
	case status != http.StatusOK:
		return fmt.Errorf("upload: %d: %s", status, answer)
	}
	return stick.PutAnswer(f, answer)
}

// approve lets the host's reports count; it came with no node that speaks for it.
func (h *host) approve(ctx context.Context) error {
	if h.approved {
		return nil
	}
	answer, status, err := h.api(ctx, http.MethodPost, "/api/v1/hosts/"+string(h.id)+"/approve", nil)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("%d: %s", status, answer)
	}
	if err != nil {
		h.log.Info("not approved", "host", h.name, "error", err)
		return nil // the next run
	}
	h.approved = true
	return nil
}

// api asks the collector as a script on its own computer.
func (s *soak) api(ctx context.Context, method, path string, body []byte) (answer []byte, status int, err error) {
	token, err := s.collector.APIToken()
	if err != nil {
		return nil, 0, err
	}
	req, err := http.NewRequestWithContext(ctx, method, s.collector.URL+path, bytes.NewReader(body))
	if err != nil {
		return nil, 0, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, 0, err
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(resp.Body)
	return answer, resp.StatusCode, err
}
