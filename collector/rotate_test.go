package collector

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/seal"
	"github.com/passmuster/muster/internal/wire"
)

func site(t *testing.T, c *Collector) *muster.Site {
	t.Helper()
	s, err := c.Site(SiteOptions{County: "17031", CollectorURL: "http://127.0.0.1:1", PolicyKeys: [][]byte{{1}}})
	must(t, err)
	return s
}

// The order of docs/operations.md: a host whose site file is old or new trusts the
// receipts at every step, but an old one after the last.
func TestReceiptKeysRotate(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	c, err := Open(t.Context(), Options{Data: data})
	must(t, err)
	defer c.Close()
	trusts := func(s *muster.Site) bool {
		t.Helper()
		again, err := Open(t.Context(), Options{Data: data}) // the next start
		must(t, err)
		defer again.Close()
		b, err := wire.SignReceipt(muster.Receipt{Host: "h", Seq: 1}, again.keys.receipt())
		must(t, err)
		keys, err := wire.ParsePublicKeys(s.ReceiptKeys)
		must(t, err)
		_, err = wire.VerifyReceipt(b, keys)
		return err == nil
	}
	before := site(t, c)
	added, err := c.AddKey(t.Context(), ReceiptKey, "console")
	must(t, err)
	after := site(t, c)
	if len(after.ReceiptKeys) != 2 || !trusts(before) || !trusts(after) {
		t.Error("once a key is added, hosts must go on as they are")
	}
	if list, err := c.Keys(); err != nil || len(list) != 3 || list[0].ID == added.ID || !list[0].InUse || list[1] != added {
		t.Errorf("%+v %v", list, err)
	}
	must(t, c.UseKey(t.Context(), ReceiptKey, added.ID, "console"))
	if trusts(before) || !trusts(after) || !trusts(site(t, c)) {
		t.Error("the key that was added does not sign")
	}
	old, err := c.Keys()
	must(t, err)
	must(t, c.DropKey(t.Context(), ReceiptKey, old[1].ID, "console"))
	if s := site(t, c); len(s.ReceiptKeys) != 1 || !trusts(s) || !trusts(after) {
		t.Error("the old key is still there, or the new one is not")
	}
	if err := c.DropKey(t.Context(), ReceiptKey, added.ID, "console"); err == nil {
		t.Error("dropped the key in use")
	}
	if err := c.UseKey(t.Context(), ReceiptKey, old[1].ID, "console"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if _, err := c.AddKey(t.Context(), "other", "console"); err == nil {
		t.Error("there is no such kind")
	}
	log, err := c.store.AuditLog(t.Context(), 0, 10)
	must(t, err)
	if len(log) < 3 || log[0].Action != "rotate_key" || log[0].Object != "drop receipt "+old[1].ID {
		t.Errorf("%+v", log)
	}
	if info, err := os.Stat(filepath.Join(data, "keys", receiptFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info, err)
	}
	must(t, c.keys.known(t.Context(), c.store))
}

// What was sealed to the old key is opened after the new one is in use.
func TestAgeKeysRotate(t *testing.T) {
	c, err := Open(t.Context(), Options{Data: filepath.Join(t.TempDir(), "data")})
	must(t, err)
	defer c.Close()
	old := site(t, c).AgeRecipient
	added, err := c.AddKey(t.Context(), AgeKey, "console")
	must(t, err)
	if site(t, c).AgeRecipient != old {
		t.Error("site files name a key that is not in use")
	}
	must(t, c.UseKey(t.Context(), AgeKey, added.ID, "console"))
	if s := site(t, c); s.AgeRecipient == old || keyID([]byte(s.AgeRecipient)) != added.ID {
		t.Error(s.AgeRecipient)
	}
	b, err := os.ReadFile(filepath.Join(c.keysFolder(), ageFile))
	must(t, err)
	keys, err := seal.ParseKeys(b)
	must(t, err)
	if len(keys) != 2 || keys[1:].Recipient() != old {
		t.Error("the old key does not open any more")
	}
}
