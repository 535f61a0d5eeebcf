package uplink

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/passmuster/muster/internal/durable"
)

// maxSealed bounds a sealed file, in bytes.
const maxSealed = 64 << 20

// RelayRefused is one sealed file that the collector will not take.
type RelayRefused struct {
	// File is the SHA-256 of the sealed file, hex.
	File   string `json:"file"`
	Code   string `json:"code,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// sealedFile is a file in relay/out, which muster has written and muster removes.
type sealedFile struct {
	path    string
	size    int64
	changed time.Time
	digest  string // SHA-256 of its content, hex
	refused *RelayRefused
	until   time.Time // when a refused one is tried again
}

// relayable lists the sealed files that have neither an answer nor a refusal.
func (u *Uplink) relayable() ([]*sealedFile, error) {
	if u.RelayOutDir == "" || u.RelayInDir == "" {
		return nil, nil
	}
	entries, err := os.ReadDir(u.RelayOutDir)
	if err != nil {
		return nil, fmt.Errorf("look for sealed files: %w", err)
	}
	there := make(map[string]*sealedFile, len(entries))
	var open []*sealedFile
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() || strings.HasPrefix(e.Name(), ".") || info.Size() > maxSealed {
			continue // gone, unfinished, or none of muster's
		}
		f := u.relayed[e.Name()]
		if f == nil || f.size != info.Size() || !f.changed.Equal(info.ModTime()) {
			f = &sealedFile{path: filepath.Join(u.RelayOutDir, e.Name()), size: info.Size(), changed: info.ModTime()}
			if f.digest, err = digestOf(f.path); err != nil {
				u.Logger.Warn("a sealed file cannot be read", "file", e.Name(), "error", err)
				continue
			}
		}
		there[e.Name()] = f
		if f.refused != nil && u.Now().Before(f.until) {
			continue
		}
		if _, err := os.Lstat(u.returnPath(f)); err != nil {
			open = append(open, f)
		}
	}
	u.relayed, u.status.RelayWaiting = there, len(open)
	return open, nil
}

func digestOf(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func (u *Uplink) returnPath(f *sealedFile) string {
	return filepath.Join(u.RelayInDir, f.digest+".return")
}

// relay carries sealed files, which it cannot read, and brings what the collector
// returns. Muster, which verifies it, removes both.
func (u *Uplink) relay(ctx context.Context) error {
	files, err := u.relayable()
	if err != nil {
		return err
	}
	for _, f := range files {
		err := u.relayOne(ctx, f)
		var no *answerError
		switch {
		case err == nil:
			f.refused = nil
			u.Logger.Info("sealed file relayed", "file", f.digest, "bytes", f.size)
		case errors.Is(err, os.ErrNotExist): // muster took it back
		case errors.Is(err, errTooLarge):
			u.refuseFile(f, "too_large", err.Error())
		case errors.As(err, &no) && no.problem.Code != "" && final(no.status):
			u.refuseFile(f, no.problem.Code, cmp.Or(no.problem.Detail, no.problem.status))
		default:
			return fmt.Errorf("relay a sealed file: %w", err)
		}
	}
	return nil
}

func (u *Uplink) relayOne(ctx context.Context, f *sealedFile) error {
	file, err := os.Open(f.path)
	if err != nil {
		return err
	}
	defer file.Close()
	return u.client.courier(ctx, file, f.size, func(r io.Reader) error {
		return durable.WriteFrom(u.returnPath(f), r, 0o640)
	})
}

// final: the same file gets the same answer again.
func final(status int) bool {
	return slices.Contains([]int{http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound,
		http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity}, status)
}

func (u *Uplink) refuseFile(f *sealedFile, code, reason string) {
	f.refused = &RelayRefused{File: f.digest, Code: printable(code), Reason: printable(reason)}
	f.until = u.Now().Add(refusedFor)
	u.Logger.Warn("sealed file refused", "file", f.digest, "code", f.refused.Code, "reason", f.refused.Reason)
}

func (u *Uplink) relayRefused() (list []RelayRefused) {
	for _, f := range u.relayed {
		if f.refused != nil && u.Now().Before(f.until) {
			list = append(list, *f.refused)
		}
	}
	slices.SortFunc(list, func(a, b RelayRefused) int { return cmp.Compare(a.File, b.File) })
	return list[:min(len(list), shownRefusals)]
}
