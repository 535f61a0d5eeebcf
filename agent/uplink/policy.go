package uplink

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/durable"
)

// download is a policy on its way. Over a slow line it may take several tries, each
// going on where the last was cut.
type download struct {
	etag  string
	bytes []byte
}

// policy gets the bundle for the host, whole, into d. After an error d may hold the
// part that came.
func (c *client) policy(ctx context.Context, host muster.HostID, d *download) error {
	ctx, cancel := context.WithTimeout(ctx, largeTimeout)
	defer cancel()
	address := c.base.JoinPath("v1/policy")
	address.RawQuery = "host=" + url.QueryEscape(string(host))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), nil)
	if err != nil {
		return err
	}
	from := fmt.Sprintf("bytes %d-", len(d.bytes))
	if len(d.bytes) > 0 {
		req.Header.Set("Range", strings.Replace(from, " ", "=", 1))
		req.Header.Set("If-Range", d.etag)
	}
	res, err := c.do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	etag := res.Header.Get("ETag")
	if res.StatusCode != http.StatusPartialContent || etag != d.etag || !strings.HasPrefix(res.Header.Get("Content-Range"), from) {
		*d = download{etag: etag}
		if err := checkAnswer(res, ""); err != nil {
			return err
		}
	}
	rest, err := io.ReadAll(io.LimitReader(res.Body, int64(maxPolicy-len(d.bytes)+1)))
	d.bytes = append(d.bytes, rest...)
	switch {
	case len(d.bytes) > maxPolicy:
		err = fmt.Errorf("the answer is larger than %d bytes", maxPolicy)
	case err != nil && strings.HasPrefix(etag, `"`):
		return fmt.Errorf("%d bytes came: %w", len(d.bytes), err)
	case err == nil:
		err = whole(res, d.bytes)
	}
	if err != nil {
		*d = download{}
	}
	return err
}

// whole: an answer without a length may have ended early; muster would refuse it,
// and what was refused is not fetched again.
func whole(res *http.Response, bundle []byte) error {
	zr, err := gzip.NewReader(bytes.NewReader(bundle))
	if err != nil {
		return notCollector(res)
	}
	if _, err := io.Copy(io.Discard, io.LimitReader(zr, maxPolicy)); err != nil {
		return fmt.Errorf("the policy came only in part: %w", err)
	}
	return nil
}

// policyLost: the collector offers again what came before, so muster does not
// judge by it, though it neither waits nor was refused.
func (u *Uplink) policyLost() bool {
	if u.PolicyRefused == nil || u.PolicyRefused() {
		return false
	}
	_, err := os.Lstat(u.inboxPolicy())
	return errors.Is(err, fs.ErrNotExist)
}

func (u *Uplink) inboxPolicy() string { return filepath.Join(u.InboxDir, "policy.tar.gz") }

func (u *Uplink) fetchPolicy(ctx context.Context, host muster.HostID) error {
	if err := u.client.policy(ctx, host, &u.download); err != nil {
		return fmt.Errorf("fetch the policy: %w", err)
	}
	d := u.download
	u.download = download{}
	if err := durable.WriteFile(u.inboxPolicy(), d.bytes, 0o640); err != nil {
		return err
	}
	u.status.PolicyETag = d.etag
	u.Logger.Info("a policy came", "etag", d.etag, "bytes", len(d.bytes))
	return nil
}
