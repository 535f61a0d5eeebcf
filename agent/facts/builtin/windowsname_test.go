package builtin

import "testing"

func TestWindowsName(t *testing.T) {
	for _, c := range []struct {
		product, edition string
		build            uint32
		workstation      bool
		want             string
	}{
		{"Windows 10 Pro", "Professional", 26200, true, "Microsoft Windows 11 Pro"},
		{"Windows 10 Enterprise LTSC 2021", "EnterpriseS", 19044, true, "Microsoft Windows 10 Enterprise LTSC 2021"},
		{"Windows Server 2025 Standard", "ServerStandard", 26100, false, "Microsoft Windows Server 2025 Standard"},
		{"", "Professional", 19045, true, "Microsoft Windows 10 Professional"},
	} {
		if got := windowsName(c.product, c.edition, c.build, c.workstation); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestMicrocode(t *testing.T) {
	for in, want := range map[string]string{"0000000021410000": "0x4121", "": "", "00": "", "00000000zz410000": ""} {
		if got := microcode(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}
