package trial

import (
	"path/filepath"
	"strings"
	"testing"
)

// The tables of the MSI hold what wixl has no words for: where msibuild finds no such
// row, it changes none and says nothing.
func TestMSITables(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the programs for Windows")
	}
	t.Parallel()
	keys, err := signing() // as in the other tests, which share the MSI
	if err != nil {
		t.Fatalf("make a publisher's key: %v", err)
	}
	dir := packages(t, "windows", older, "MUSTER_SIGN_CERT="+filepath.Join(keys, "code.pem"), "MUSTER_SIGN_KEY="+filepath.Join(keys, "code.key"), "MUSTER_SIGN_PASS=a trial")
	msi := filepath.Join(dir, "muster-"+older+"-x64.msi")
	for table, rows := range map[string][]string{
		"InstallExecuteSequence": {"RemoveExistingProducts\t\t1501"},
		"Upgrade":                {"{95D4AF86-8F13-4550-9434-ACA223B12375}\t0.0.0\t" + older + "\t\t769\t\tWIX_UPGRADE_DETECTED", "{95D4AF86-8F13-4550-9434-ACA223B12375}\t" + older + "\t\t\t2\t\tWIX_DOWNGRADE_DETECTED"},
		"CustomAction":           {"RollBack\t3410\tmuster.exe\tservice undo\t"},
		// These a user without rights may set where Windows raises them: neither a site nor
		// the purge.
		"Property": {"SecureCustomProperties\tWIX_DOWNGRADE_DETECTED;WIX_UPGRADE_DETECTED"},
		"Error":    {"1722\tMuster was not set up"},
		"File":     {"muster.exe\tAudit\tmuster.exe\t", "\t" + older + ".0\t1033\t512\t1\r\n", "\t" + older + ".0\t1033\t512\t2\r\n"},
	} {
		said := command(t, "msiinfo", "export", msi, table)
		for _, row := range rows {
			if !strings.Contains(said, row) {
				t.Errorf("%s has no %q:\n%s", table, row, said)
			}
		}
	}
	if said := command(t, "msiinfo", "export", msi, "MsiFileHash"); strings.Contains(said, ".exe") {
		t.Errorf("a file with a version has a hash too:\n%s", said)
	}
}
