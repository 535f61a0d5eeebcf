package builtin

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/windows"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// wantNumbers checks columns that are a number, or "" where that is not known.
func wantNumbers(t *testing.T, row muster.Row, columns ...string) {
	t.Helper()
	for _, c := range columns {
		if _, err := strconv.Atoi(row[c]); err != nil && row[c] != "" {
			t.Errorf("%s is %q", c, row[c])
		}
	}
}

// orUnavailable gathers a table that needs rights or services which may be lacking.
func orUnavailable(t *testing.T, table facts.Table, constraints ...facts.Constraint) []muster.Row {
	t.Helper()
	rows, err := gather(t, table, constraints...)
	if err != nil && !errors.Is(err, facts.ErrDenied) {
		wantUnavailable(t, err)
	}
	return rows
}

func TestCertificateStore(t *testing.T) {
	const currentUser, create, remove = 1 << 16, 0, windows.CERT_STORE_DELETE_FLAG
	name := fmt.Sprint("MusterTest", os.Getpid())
	utf16, err := windows.UTF16PtrFromString(name)
	must(t, err)
	open := func(flags uint32) windows.Handle {
		handle, err := windows.CertOpenStore(windows.CERT_STORE_PROV_SYSTEM, 0, 0, currentUser|flags, uintptr(unsafe.Pointer(utf16)))
		if flags == create && err != nil {
			t.Fatal(err)
		}
		return handle
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	der := newRoot(t, key, pkix.Name{CommonName: "Muster test"})
	store := open(create)
	c, err := windows.CertCreateCertificateContext(windows.X509_ASN_ENCODING, &der[0], uint32(len(der)))
	must(t, err)
	must(t, windows.CertAddCertificateContextToStore(store, c, windows.CERT_STORE_ADD_ALWAYS, nil),
		windows.CertFreeCertificateContext(c), windows.CertCloseStore(store, 0))
	t.Cleanup(func() { open(remove) })

	var rows []muster.Row
	must(t, eachCertificate(t.Context(), currentUser, name, func(r muster.Row) error {
		rows = append(rows, r)
		return nil
	}))
	if len(rows) != 1 || rows[0]["sha1"] != fmt.Sprintf("%X", sha1.Sum(der)) || rows[0]["common_name"] != "Muster test" {
		t.Error(rows)
	}
	must(t, eachCertificate(t.Context(), currentUser, name+"None", func(r muster.Row) error { return errors.New("a store that is not there has rows") }))
}

func TestCertificates(t *testing.T) {
	computer := equal("store_location", "LocalMachine")
	roots := mustGather(t, certificatesTable(), computer, equal("store", "Root"))
	if len(roots) == 0 {
		t.Error("nothing is trusted")
	}
	for _, r := range roots {
		if len(r["sha1"]) != 40 || r["path"] != `LocalMachine\Root` || r["store"] != "Root" || r["store_location"] != "LocalMachine" {
			t.Error(r)
		}
	}
	if all := mustGather(t, certificatesTable(), computer); len(all) < len(roots) {
		t.Errorf("%d certificates, %d roots", len(all), len(roots))
	}
	orUnavailable(t, certificatesTable())
}

func TestFirewallRules(t *testing.T) {
	k, path := myKey(t, fmt.Sprint("MusterRules", os.Getpid()))
	must(t, k.SetStringValue("one", `v2.30|Action=Allow|Active=TRUE|Dir=In|Protocol=6|LPort=7070|App=C:\AnyDesk.exe|Name=AnyDesk|`),
		k.SetStringValue("junk", "v?"), k.SetDWordValue("number", 7))
	var rows []muster.Row
	must(t, eachFirewallRule(t.Context(), []string{path, path + `\None`}, func(r muster.Row) error {
		rows = append(rows, r)
		return nil
	}))
	if len(rows) != 1 || rows[0]["name"] != "AnyDesk" || rows[0]["local_ports"] != "7070" {
		t.Error(rows)
	}
	wantUnavailable(t, eachFirewallRule(t.Context(), []string{path + `\None`, path}, nil))
	for _, r := range orUnavailable(t, firewallRulesTable()) {
		if r["direction"] == "" || r["action"] == "" || r["name"] == "" {
			t.Error(r)
		}
	}
}

func TestIndirectText(t *testing.T) {
	known := map[string]string{}
	for _, same := range []string{"", "AnyDesk", "@nosuch.dll,-1", "@"} {
		if got := indirectText(same, known); got != same {
			t.Errorf("%q became %q", same, got)
		}
	}
	const recycleBin = "@shell32.dll,-8964"
	if got := indirectText(recycleBin, known); got == recycleBin || got == "" || indirectText(recycleBin, known) != got {
		t.Errorf("got %q", got)
	}
}

func TestSecurityProfile(t *testing.T) {
	for _, r := range orUnavailable(t, securityProfileTable()) {
		wantNumbers(t, r, "minimum_password_age", "maximum_password_age", "minimum_password_length", "password_complexity",
			"password_history_size", "lockout_bad_count", "clear_text_password", "enable_admin_account", "enable_guest_account")
		wantNumbers(t, r, auditCategories...)
		if (r["new_guest_name"] == "") != (r["enable_guest_account"] == "") {
			t.Error(r)
		}
	}
	// A statement about one source alone is told why there is no answer.
	q := facts.Query{Used: func(c string) bool { return c == "password_complexity" }}
	err := securityProfileTable().Rows(t.Context(), q, func(r muster.Row) error {
		if r["password_complexity"] == "" {
			t.Error("no answer and no reason")
		}
		return nil
	})
	if err != nil && !errors.Is(err, facts.ErrDenied) {
		wantUnavailable(t, err)
	}
}

func TestPasswordAges(t *testing.T) {
	for seconds, want := range map[uint32]string{0: "0", 86400: "1", 42 * 86400: "42", 0xffffffff: "-1"} {
		if got := ageDays(seconds); got != want {
			t.Errorf("%d: got %s, want %s", seconds, got, want)
		}
	}
}

func TestAuditPolicy(t *testing.T) {
	for _, r := range orUnavailable(t, auditPolicyTable()) {
		if len(r["guid"]) != 36 || r["guid"] != strings.ToLower(r["guid"]) || r["success"] == "" || r["failure"] == "" {
			t.Error(r)
		}
	}
}

func TestEventLog(t *testing.T) {
	if _, err := gather(t, eventLogTable(), like("channel", "Sys%")); err == nil || errors.Is(err, facts.ErrUnavailable) {
		t.Error("a query that names no channel was answered")
	}
	for _, r := range orUnavailable(t, eventLogTable(), equal("channel", "system"), equal("timestamp", "86400000")) {
		// As asked, or SQLite would drop the row.
		if r["channel"] != "system" || r["timestamp"] != "86400000" || r["eventid"] == "" || !strings.HasPrefix(r["data"], "{") {
			t.Fatal(r)
		}
	}
	_, err := gather(t, eventLogTable(), equal("channel", "Muster-No-Such-Channel/Operational"))
	wantUnavailable(t, err)
}

func TestTimeSync(t *testing.T) {
	rows := mustGather(t, timeSyncTable())
	if len(rows) != 1 {
		t.Fatal(rows)
	}
	wantNumbers(t, rows[0], "synchronized", "last_sync")
	if s := rows[0]["service"]; s != "" && s != "W32Time" || rows[0]["offset_seconds"] != "" {
		t.Error(rows[0])
	}
}

func TestDefenderAndDeviceGuard(t *testing.T) {
	for _, r := range orUnavailable(t, defenderTable()) {
		wantNumbers(t, r, "real_time", "tamper_protected", "signature_age_days", "signatures_updated")
	}
	for _, r := range orUnavailable(t, deviceGuardTable()) {
		if r["vbs_status"] == "" || r["running_security_services"] == "" {
			t.Error(r)
		}
	}
	for days, want := range map[string]string{"0": "0", "56": "56", "-1": "", "65535": "", "4294967295": "", "": ""} {
		if got := signatureAge(days); got != want {
			t.Errorf("%q: got %q", days, got)
		}
	}
}

func TestLastLogon(t *testing.T) {
	for _, r := range mustGather(t, accountsTable()) {
		wantNumbers(t, r, "last_logon")
		if r["last_logon"] == "0" {
			t.Error("an unknown time is given as 1970")
		}
	}
}

// TestHandles: the tables over system calls leave no handle open.
func TestHandles(t *testing.T) {
	open := func() (n uint32) {
		_, err := callBool(kernel32.NewProc("GetProcessHandleCount"), uintptr(windows.CurrentProcess()), uintptr(unsafe.Pointer(&n)))
		must(t, err)
		return n
	}
	const rounds = 20
	for _, table := range []facts.Table{
		accountsTable(), auditPolicyTable(), certificatesTable(), eventLogTable(), firewallRulesTable(), securityProfileTable(), timeSyncTable(),
	} {
		ask := func() { _, _ = gather(t, table, here(t, table)...) }
		ask() // what is loaded once stays
		before := open()
		for range rounds {
			ask()
		}
		if after := open(); after >= before+rounds {
			t.Errorf("%s: %d handles became %d", table.Name, before, after)
		}
	}
}
