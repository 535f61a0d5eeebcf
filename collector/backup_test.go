package collector

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/store"
	"github.com/passmuster/muster/collector/store/postgres/pgtest"
	"github.com/passmuster/muster/internal/durable"
	"github.com/passmuster/muster/internal/seal"
	"github.com/passmuster/muster/internal/wire"
)

// rows of a store, but for what lets people in.
func rows(t *testing.T, s store.Store) (list []string) {
	t.Helper()
	must(t, s.Dump(t.Context(), func(r store.Row) error {
		if !secretRow(r) {
			list = append(list, fmt.Sprintf("%s %q %#v", r.Table, r.Columns, r.Values))
		}
		return nil
	}))
	slices.Sort(list)
	return list
}

// filled is a running collector that knows something, and its backup made meanwhile.
func filled(t *testing.T, o BackupOptions) (*running, string) {
	t.Helper()
	r := start(t)
	ship(t, r, r.keys.hostToken)
	ship(t, r, "")
	must(t, r.Expect(t.Context(), "17031", []muster.ExpectedHost{{Name: "PC9", Note: "=1+1"}}, "console"))
	name := filepath.Join(t.TempDir(), "muster.backup")
	must(t, r.Backup(t.Context(), name, "console", o))
	return r, name
}

func TestBackup(t *testing.T) {
	r, name := filled(t, BackupOptions{})
	if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info, err)
	}
	if err := r.Backup(t.Context(), name, "console", BackupOptions{}); err == nil || !strings.Contains(err.Error(), "there already") {
		t.Error(err)
	}
	want := rows(t, r.store)

	kinds := map[string]string{"SQLite": ""}
	if _, err := pgtest.Find(); err == nil {
		kinds["PostgreSQL"] = pgtest.Start(t).NewDatabase(t)
	} else {
		t.Log(err)
	}
	for kind, database := range kinds {
		o := Options{Data: filepath.Join(t.TempDir(), "data"), Database: database}
		got, err := Restore(t.Context(), o, name, nil)
		must(t, err)
		c, err := Open(t.Context(), o)
		must(t, err)
		restored := rows(t, c.store)
		// The backup was noted after its instant, or before.
		if diff := gocmp.Diff(want, restored); diff != "" || got.Rows == 0 || !got.Keys {
			t.Errorf("%s: %+v\n%s", kind, got, diff)
		}
		if !c.keys.receipt().Equal(r.keys.receipt()) || c.keys.age.Recipient() != r.keys.age.Recipient() || c.keys.apiToken != r.keys.apiToken {
			t.Errorf("%s: other keys", kind)
		}
		must(t, c.keys.known(t.Context(), c.store))
		// And from there back.
		again := filepath.Join(t.TempDir(), "again.backup")
		must(t, c.Backup(t.Context(), again, "console", BackupOptions{}))
		must(t, c.Close())
		if _, err := Restore(t.Context(), o, again, nil); err == nil {
			t.Errorf("%s: restored over what is there", kind)
		}
		_, err = Restore(t.Context(), Options{Data: filepath.Join(t.TempDir(), "data")}, again, nil)
		must(t, err)
	}
}

// What is refused because something is there already leaves all as it was.
func TestRestoreOverADatabase(t *testing.T) {
	_, name := filled(t, BackupOptions{})
	o := Options{Data: filepath.Join(t.TempDir(), "data")}
	there, err := Open(t.Context(), o)
	must(t, err)
	must(t, there.Expect(t.Context(), "17031", []muster.ExpectedHost{{Name: "pc1"}}, "console"))
	must(t, there.Close())
	keys := filepath.Join(o.Data, "keys")
	must(t, os.RemoveAll(keys)) // they were lost
	_, err = Restore(t.Context(), o, name, nil)
	if err == nil || !strings.Contains(err.Error(), "restore "+name) || !strings.Contains(err.Error(), "not empty") {
		t.Error(err)
	}
	if left, _ := os.ReadDir(keys); len(left) > 0 {
		t.Errorf("keys were written: %v", left)
	}
}

// Whoever makes up a backup signs nobody in with it.
func TestForgedBackup(t *testing.T) {
	var file bytes.Buffer
	z, err := wire.NewStreamWriter(&file)
	must(t, err)
	b := &backupWriter{w: z, sum: sha256.New()}
	must(t, b.write(backupItem{Head: &backupHead{backupFormat, backupSchema, time.Now().UTC(), "x", "x"}}))
	must(t, b.write(backupItem{Table: &backupTable{"tickets", []string{"kind", "digest", "value", "until_at"}}}))
	digest := sha256.Sum256([]byte("made up"))
	must(t, b.write(backupItem{Row: []any{"link", digest[:], []byte{}, int64(math.MaxInt64)}}))
	must(t, b.write(backupItem{End: &backupEnd{1, b.sum.Sum(nil)}}))
	must(t, z.Close())
	name := filepath.Join(t.TempDir(), "forged.backup")
	must(t, os.WriteFile(name, file.Bytes(), 0o600))
	o := Options{Data: filepath.Join(t.TempDir(), "data")}
	_, err = Restore(t.Context(), o, name, nil)
	must(t, err)
	c, err := Open(t.Context(), o)
	must(t, err)
	defer c.Close()
	if _, err := c.store.Ticket(t.Context(), "link", digest, true); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a link was restored: %v", err)
	}
}

func TestBackupWithoutKeys(t *testing.T) {
	r, name := filled(t, BackupOptions{NoKeys: true})
	o := Options{Data: filepath.Join(t.TempDir(), "data")}
	if got, err := Restore(t.Context(), o, name, nil); err != nil || got.Keys {
		t.Fatal(got, err)
	}
	// New keys are made, and noticed.
	c, err := Open(t.Context(), o)
	must(t, err)
	defer c.Close()
	if err := c.keys.known(t.Context(), c.store); !errors.Is(err, errOtherKeys) {
		t.Error(err)
	}
	must(t, r.keys.known(t.Context(), c.store))
}

func TestSealedBackup(t *testing.T) {
	var keys [2]seal.Keys
	for i := range keys {
		b, err := seal.NewKey()
		must(t, err)
		keys[i], err = seal.ParseKeys(b)
		must(t, err)
	}
	to, err := seal.ParseRecipient(keys[0].Recipient())
	must(t, err)
	_, name := filled(t, BackupOptions{To: to})
	for _, wrong := range []seal.Keys{nil, keys[1]} {
		data := filepath.Join(t.TempDir(), "data")
		if _, err := Restore(t.Context(), Options{Data: data}, name, wrong); !errors.Is(err, seal.ErrOtherKey) {
			t.Error(err)
		}
		if _, err := os.Stat(data); err == nil {
			t.Error("something was written")
		}
	}
	if _, err := Restore(t.Context(), Options{Data: filepath.Join(t.TempDir(), "data")}, name, keys[0]); err != nil {
		t.Error(err)
	}
	cut(t, name, keys[0])
}

// cut refuses a backup that ends early, wherever, or says something else. Some bits of a
// compressed stream say nothing.
func cut(t *testing.T, name string, keys seal.Keys) {
	t.Helper()
	whole, err := os.ReadFile(name)
	must(t, err)
	said := func(b []byte) ([]byte, error) {
		r, err := openBackup(bytes.NewReader(b), keys)
		if err != nil {
			return nil, err
		}
		defer r.close()
		for err == nil {
			_, err = r.next()
		}
		if err == io.EOF {
			err = nil
		}
		return r.sum.Sum(nil), err
	}
	says, err := said(whole)
	must(t, err)
	for n := 0; n < len(whole); n += 1 + len(whole)/50 {
		if _, _, err := checkBackup(bytes.NewReader(whole[:n]), keys); err == nil {
			t.Errorf("cut after %d of %d bytes it is taken", n, len(whole))
		}
		other := bytes.Clone(whole)
		other[n] ^= 0x40
		if got, err := said(other); err == nil && !bytes.Equal(got, says) {
			t.Errorf("with another byte at %d of %d it is taken", n, len(whole))
		}
	}
	if _, _, err := checkBackup(bytes.NewReader(append(whole, whole...)), keys); err == nil {
		t.Error("two are taken for one")
	}
}

func TestCutBackup(t *testing.T) {
	_, name := filled(t, BackupOptions{})
	cut(t, name, nil)
	b, err := os.ReadFile(name)
	must(t, err)
	must(t, os.WriteFile(name, b[:len(b)-10], 0o600))
	o := Options{Data: filepath.Join(t.TempDir(), "data")}
	if _, err := Restore(t.Context(), o, name, nil); !errors.Is(err, ErrNoBackup) {
		t.Error(err)
	}
	if _, err := os.Stat(o.Data); err == nil {
		t.Error("something was written")
	}
}

// A backup that is stopped midway leaves no file of its name.
func TestStoppedBackup(t *testing.T) {
	r, _ := filled(t, BackupOptions{})
	name := filepath.Join(t.TempDir(), "muster.backup")
	ctx, stop := context.WithCancel(t.Context())
	err := r.Backup(ctx, name, "console", BackupOptions{Progress: func(int) { stop() }})
	if _, there := os.Stat(name); err == nil || there == nil {
		t.Errorf("%v, file: %v", err, there)
	}
	left, err := os.ReadDir(filepath.Dir(name))
	if must(t, err); len(left) > 0 {
		t.Error(left)
	}
	// What a kill would leave is no name that anyone restores.
	if !durable.IsTemp(".muster.backup.0123456789abcdef.tmp") {
		t.Error("temporary files have other names")
	}
}

// FuzzBackup: whatever is read as a backup is written as the same rows.
func FuzzBackup(f *testing.F) {
	write := func(tb testing.TB, list []store.Row) []byte {
		tb.Helper()
		var b bytes.Buffer
		c := &Collector{Options: Options{}.withDefaults(), store: fixed(list)}
		if err := c.writeBackup(tb.Context(), &b, BackupOptions{NoKeys: true}); err != nil {
			tb.Fatal(err)
		}
		return b.Bytes()
	}
	read := func(b []byte) (list []store.Row, err error) {
		r, err := openBackup(bytes.NewReader(b), nil)
		if err != nil {
			return nil, err
		}
		defer r.close()
		for {
			row, err := r.next()
			if err == io.EOF {
				return list, nil
			}
			if err != nil {
				return nil, err
			}
			list = append(list, row)
		}
	}
	f.Add([]byte("a\x00b"), int64(-1), "text")
	f.Add([]byte{}, int64(math.MaxInt64), "\xff")
	f.Fuzz(func(t *testing.T, blob []byte, n int64, text string) {
		list := []store.Row{{Table: "a", Columns: []string{"x", "y", "z", "null"}, Values: []any{blob, n, text, nil}},
			{Table: "a", Columns: []string{"x", "y", "z", "null"}, Values: []any{[]byte{}, int64(0), "", nil}},
			{Table: "b", Columns: []string{"x"}, Values: []any{text}}}
		whole := write(t, list)
		got, err := read(whole)
		if err != nil {
			t.Fatal(err)
		}
		valid := strings.ToValidUTF8(text, "\uFFFD")
		list[0].Values[0], list[0].Values[2], list[2].Values[0] = append([]byte{}, blob...), valid, valid
		if diff := gocmp.Diff(list, got); diff != "" {
			t.Error(diff)
		}
		// Foreign bytes, alone and after a good beginning, are refused.
		if _, err := read(blob); err == nil {
			t.Error("foreign bytes are a backup")
		}
		half := append(bytes.Clone(whole[:len(whole)/2]), blob...)
		if _, err := read(half); err == nil && !bytes.Equal(half, whole) {
			t.Error("half a backup with something behind it is one")
		}
	})
}

// fixed is a store that has these rows and nothing else.
type fixedStore struct {
	store.Store
	rows []store.Row
}

func fixed(rows []store.Row) store.Store { return fixedStore{rows: rows} }

func (f fixedStore) About(context.Context) (store.About, error) { return store.About{}, nil }

func (f fixedStore) Dump(_ context.Context, row func(store.Row) error) (err error) {
	for _, r := range f.rows {
		err = cmp.Or(err, row(r))
	}
	return err
}
