package builtin

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// output is what a command prints, or false where the computer has no such
// command or it does not work here.
func output(name string, args ...string) (string, bool) {
	out, err := exec.Command(name, args...).Output()
	return string(out), err == nil
}

// TestShadowAgreesWithTheSystem compares with the C library, which only root may ask.
func TestShadowAgreesWithTheSystem(t *testing.T) {
	rows, err := gather(t, host{}.shadow())
	if os.Geteuid() != 0 {
		if !errors.Is(err, facts.ErrDenied) && !errors.Is(err, facts.ErrUnavailable) {
			t.Errorf("got %v, want denied", err)
		}
		return
	}
	text, ok := output("getent", "shadow")
	if err != nil || !ok {
		t.Log("nothing to compare with: ", err)
		return
	}
	for line := range strings.Lines(text) {
		f := strings.Split(strings.TrimSpace(line), ":")
		want := muster.Row{"username": f[0], "last_change": f[2], "max": f[4]}
		for column, value := range want {
			if value == "" {
				want[column] = "-1"
			}
		}
		if rowWith(rows, want) == nil {
			t.Errorf("no row for %s", f[0])
		}
	}
}

// FuzzShadow: of the field with the hash nothing leaves but the method's name.
func FuzzShadow(f *testing.F) {
	f.Add("alice", "$y$j9T$salt$hash", "20300")
	f.Add("bob", "!$6$salt$hash", "x")
	f.Add("eve", "$secret$", "")
	f.Fuzz(func(t *testing.T, name, field, day string) {
		if name == "" || strings.ContainsAny(name[:1], "+-") || strings.ContainsAny(name+field+day, ":\n") {
			return
		}
		rows := parseShadow(name + ":" + field + ":" + day + ":0:99999:7:::\n")
		if len(rows) != 1 || rows[0]["username"] != name {
			t.Fatalf("got %v", rows)
		}
		status, _ := passwordStatus(field)
		if method := rows[0]["hash_alg"]; rows[0]["password_status"] != status || len(method) > 4 || !strings.HasPrefix(field, "$"+method) && method != "" {
			t.Errorf("got %v", rows[0])
		}
	})
}

// wtmpRecord makes one record of wtmp.
func wtmpRecord(layout utmpLayoutOf, kind, pid, time int, tty, user, from string) []byte {
	b := make([]byte, layout.size)
	binary.NativeEndian.PutUint16(b, uint16(kind))
	binary.NativeEndian.PutUint32(b[4:], uint32(pid))
	binary.NativeEndian.PutUint32(b[layout.seconds:], uint32(time))
	copy(b[8:40], tty)
	copy(b[44:76], user)
	copy(b[76:], from)
	return b
}

func TestLast(t *testing.T) {
	for _, arch := range []string{"amd64", "arm64"} {
		layout := utmpLayout(arch)
		b := bytes.Join([][]byte{wtmpRecord(layout, 2, 0, 1, "~", "reboot", "6.1"), wtmpRecord(layout, 7, 900, 1760000100, "tty2", "alice", ""),
			wtmpRecord(layout, 8, 900, 1760000300, "tty2", "", ""), []byte("cut off")}, nil)
		want := []muster.Row{
			{"username": "alice", "tty": "tty2", "pid": "900", "type": "7", "type_name": "user-process", "time": "1760000100", "host": ""},
			{"username": "", "tty": "tty2", "pid": "900", "type": "8", "type_name": "dead-process", "time": "1760000300", "host": ""},
		}
		if diff := cmp.Diff(want, lastRows(b, layout)); diff != "" {
			t.Errorf("%s: %s", arch, diff)
		}
	}
	if _, err := gather(t, host{t.TempDir()}.last()); !errors.Is(err, facts.ErrUnavailable) {
		t.Errorf("got %v, want unavailable", err)
	}
}

// TestPCIAgreesWithLspci compares with lspci, which reads the same list of names.
func TestPCIAgreesWithLspci(t *testing.T) {
	text, ok := output("lspci", "-D", "-vmm", "-nn")
	if !ok {
		return
	}
	rows := mustGather(t, host{}.pciDevices())
	want := muster.Row{}
	for line := range strings.Lines(text + "\n") {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ":\t")
		name, id, _ := strings.Cut(strings.TrimSuffix(value, "]"), " [")
		switch key {
		case "Slot":
			want["pci_slot"] = value
		case "Vendor":
			want["vendor"], want["vendor_id"] = name, "0x"+id
		case "Device":
			if !strings.HasPrefix(value, "Device [") { // it has no name
				want["model_id"] = "0x" + value[strings.LastIndexByte(value, '[')+1:len(value)-1]
			}
		case "":
			if len(want) > 0 && rowWith(rows, want) == nil {
				t.Errorf("no row %v in %v", want, rows)
			}
			want = muster.Row{}
		}
	}
}

func TestPCI(t *testing.T) {
	names, err := host{"testdata/hosts/debian"}.text("/usr/share/misc/pci.ids")
	if err != nil {
		t.Fatal(err)
	}
	h := host{tree(t, map[string]string{"usr/share/hwdata/pci.ids": names,
		"sys/bus/pci/devices/0000:00:02.0/uevent": "DRIVER=i915\nPCI_CLASS=30000\nPCI_ID=8086:A780\nPCI_SUBSYS_ID=1028:0A83\n",
		"sys/bus/pci/devices/0000:03:00.0/uevent": "DRIVER=iwlwifi\nPCI_CLASS=28000\nPCI_ID=8086:2725\nPCI_SUBSYS_ID=8086:0024\n",
		"run/udev/data/+pci:0000:03:00.0":         "E:ID_PCI_CLASS_FROM_DATABASE=Network controller, by udev\nE:ID_MODEL_FROM_DATABASE=by udev\n"})}
	want := []muster.Row{
		{"pci_slot": "0000:00:02.0", "driver": "i915", "pci_class": "Display controller", "pci_class_id": "0x03",
			"pci_subclass": "VGA compatible controller", "pci_subclass_id": "0x00", "vendor": "Intel Corporation", "vendor_id": "0x8086",
			"model": "Raptor Lake-S GT1 [UHD Graphics 770]", "model_id": "0xa780", "subsystem_vendor": "Dell",
			"subsystem_vendor_id": "0x1028", "subsystem_model_id": "0x0a83"},
		{"pci_slot": "0000:03:00.0", "driver": "iwlwifi", "pci_class": "Network controller, by udev", "pci_class_id": "0x02",
			"pci_subclass": "Network controller", "pci_subclass_id": "0x80", "vendor": "Intel Corporation", "vendor_id": "0x8086",
			"model": "Wi-Fi 6E(802.11ax) AX210/AX1675* 2x2 [Typhoon Peak]", "model_id": "0x2725", "subsystem_vendor": "Intel Corporation",
			"subsystem_vendor_id": "0x8086", "subsystem_model": "Wi-Fi 6 AX210 160MHz", "subsystem_model_id": "0x0024"},
	}
	if diff := cmp.Diff(want, mustGather(t, h.pciDevices())); diff != "" {
		t.Error(diff)
	}
}

// FuzzPCINames: keys are numbers from the left, and no name is invented.
func FuzzPCINames(f *testing.F) {
	f.Add("# c\n8086  Intel\n\t2725  Wi-Fi\n\t\t8086 0024  AX\nC 02  Net\n\t80  Other\n")
	f.Fuzz(func(t *testing.T, text string) {
		for key, name := range pciNameList(text) {
			if !strings.Contains(text, name) || strings.ContainsAny(key, "\n#") {
				t.Errorf("%q is %q", key, name)
			}
		}
	})
}

// TestPCIWithoutNames: with no list of names ids are there and names unknown.
func TestPCIWithoutNames(t *testing.T) {
	h := host{tree(t, map[string]string{"sys/bus/pci/devices/0000:00:01.0/uevent": "PCI_CLASS=28000\nPCI_ID=8086:2725\n"})}
	if _, err := gather(t, h.pciDevices()); !errors.Is(err, facts.ErrUnavailable) {
		t.Errorf("got %v, want unavailable", err)
	}
	q := facts.Query{Used: func(c string) bool { return c == "pci_class_id" }}
	var rows []muster.Row
	if err := h.pciDevices().Rows(t.Context(), q, func(r muster.Row) error { rows = append(rows, r); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(rows) != 1 || rows[0]["pci_class_id"] != "0x02" {
		t.Errorf("got %v", rows)
	}
}

func TestLSMStates(t *testing.T) {
	off := host{tree(t, map[string]string{"proc/mounts": "proc /proc proc rw 0 0\n", "proc/filesystems": "nodev\tproc\n"})}
	hidden := host{tree(t, map[string]string{"proc/mounts": "proc /proc proc rw 0 0\n", "proc/filesystems": "nodev\tselinuxfs\n",
		"sys/module/apparmor/parameters/enabled": "Y\n"})}
	for name, tables := range map[string]func(host) facts.Table{"apparmor": host.apparmorProfiles, "selinux": host.selinuxSettings} {
		if rows, err := gather(t, tables(off)); len(rows) != 0 || err != nil {
			t.Errorf("%s off: got %v (%v)", name, rows, err)
		}
		if rows, err := gather(t, tables(hidden)); !errors.Is(err, facts.ErrUnavailable) {
			t.Errorf("%s hidden: got %v (%v), want unavailable", name, rows, err)
		}
	}
	on := host{tree(t, map[string]string{"proc/mounts": "selinuxfs /sys/fs/selinux selinuxfs rw 0 0\n", "sys/fs/selinux/enforce": "1",
		"sys/fs/selinux/mls": "1", "sys/fs/selinux/booleans/httpd_can_network_connect": "0 0", "sys/fs/selinux/booleans/pending": "1 0",
		"sys/fs/selinux/initial_contexts/kernel": "system_u:system_r:kernel_t:s0\x00", "sys/fs/selinux/class/file/perms/read": "2", "sys/fs/selinux/class/file/index": "6"})}
	want := []muster.Row{
		{"scope": "", "key": "enforce", "value": "1"}, {"scope": "", "key": "mls", "value": "1"},
		{"scope": "booleans", "key": "httpd_can_network_connect", "value": "off"}, {"scope": "booleans", "key": "pending", "value": "on"},
		{"scope": "initial_contexts", "key": "kernel", "value": "system_u:system_r:kernel_t:s0"},
		{"scope": "class", "key": "file/perms", "value": "read"},
	}
	if diff := cmp.Diff(want, mustGather(t, on.selinuxSettings())); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(want[:2], mustGather(t, on.selinuxSettings(), equal("scope", ""))); diff != "" {
		t.Error(diff)
	}
}

// TestAuditAgreesWithAuditctl compares with auditctl; others than root are denied.
func TestAuditAgreesWithAuditctl(t *testing.T) {
	rows, err := gather(t, host{}.musterAudit())
	if errors.Is(err, facts.ErrUnavailable) || os.Geteuid() != 0 && errors.Is(err, facts.ErrDenied) {
		return
	}
	if err != nil || len(rows) != 1 {
		t.Fatal(rows, err)
	}
	text, _ := output("auditctl", "-s")
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if got, ok := rows[0][key]; ok && got != value {
			t.Errorf("%s is %q, auditctl has %q", key, got, value)
		}
	}
}

func TestAugeasReach(t *testing.T) {
	h := host{"testdata/hosts/debian"}
	for _, c := range []facts.Constraint{equal("path", "/etc/shadow"), equal("path", "/etc/login.defs.bak"), like("path", "/etc/sha%"),
		equal("node", "/files/etc/shadow/root/password"), like("node", "/files/etc/shadow/%"), equal("path", "/etc/passwd"), equal("path", "")} {
		if rows, err := gather(t, h.augeas(), c); !errors.Is(err, facts.ErrRefused) {
			t.Errorf("%v: got %v (%v), want refused", c, rows, err)
		}
	}
	for _, c := range []facts.Constraint{equal("path", "/etc/login.defs"), like("path", "/etc/apt/apt.conf.d/%"), like("path", "/etc/%"), like("path", "%"),
		equal("node", "/files/etc/ssh/sshd_config/Port[1]"), like("node", "/files/etc/ssh/%"), equal("label", "Port"), equal("path", "/etc/samba/smb.conf")} {
		if rows, err := gather(t, h.augeas(), c); err != nil || len(rows) == 0 {
			t.Errorf("%v: got %v (%v)", c, rows, err)
		}
	}
}

// TestAugeasAgreesWithAugtool compares nodes and values of what augeas can read
// with its own command, where that is at hand.
func TestAugeasAgreesWithAugtool(t *testing.T) {
	top := tree(t, map[string]string{
		"etc/apt/apt.conf.d/77mix": "APT { Periodic { Enable \"1\"; // c\n A { \"x\"; \"z\"; }; }; };\nUnattended-Upgrade::Allowed-Origins { \"a:b\"; };\nAPT::Default-Release \"x\";\n",
		"etc/exports":              "/srv/scans 192.0.2.0/24(rw,sync) ems(ro)\n/x  a(rw) b\n",
		"etc/lightdm/lightdm.conf": "# c\n[Seat:*]\nautologin-user=alice\nempty=\n[XDMCPServer]\nenabled=false\n",
		"etc/login.defs":           "# c\nUMASK 022\nERASECHAR\t0177\n",
		"etc/pam.d/common-auth":    "# c\nauth\t[success=1 default=ignore]\tpam_unix.so nullok\n-session optional pam_x.so a=b [x y]\n@include common-account\nauth required pam_deny.so # c\n",
		"etc/samba/smb.conf":       "[global]\n   server min protocol = NT1\n; c\n[print$]\n   guest ok = yes\n",
		"etc/ssh/sshd_config":      "Port 22\nPort 2222\nAcceptEnv LANG LC_*\nCiphers a,b\nPermitRootLogin=no\nAllowUsers c\nSubsystem sftp /usr/lib/sftp-server\nMatch User x Address 192.0.2.0/24\n\tX11Forwarding no\n\tAllowUsers y z\n",
		"etc/systemd/logind.conf":  "[Login]\n#NAutoVTs=6\nIdleAction=lock\nKillExcludeUsers=root bob\n",
	})
	want, ok := output("augtool", "-r", top, "print", "/files")
	if !ok {
		return
	}
	places := map[string]string{}
	for line := range strings.Lines(want) {
		place, value, _ := strings.Cut(strings.TrimSpace(line), " = ")
		if !strings.Contains(place, "#comment") && place != "" {
			places[place] = strings.Trim(value, `"`)
		}
	}
	for _, r := range mustGather(t, host{top}.augeas()) {
		value, ok := places[r["node"]]
		if !ok || value != r["value"] {
			t.Errorf("%s is %q, augtool has %q (%v)", r["node"], r["value"], value, ok)
		}
		delete(places, r["node"])
	}
	for place := range places {
		if path := strings.TrimPrefix(place, "/files"); strings.Count(path, "/") > 3 || strings.HasPrefix(path, "/etc/login.defs") {
			t.Errorf("%s is missing", place)
		}
	}
}

// FuzzAugeas: whatever a file holds, each node lies below its file, and no two
// have one place.
func FuzzAugeas(f *testing.F) {
	f.Add("a [b c] d(e,f) # g\n@include x\n-auth\n/x -ro")
	f.Add("[a]\nb=c\n[b c]\nd e = \"f\"\npassword=x")
	f.Add("APT { A { \"x\"; }; }; Unattended-Upgrade::a:: \"b\"; APT \"1\";")
	f.Add("Match User a\nAllowUsers \"b c\"\nSubsystem\nMatch\nCiphers a,b")
	f.Fuzz(func(t *testing.T, text string) {
		for _, file := range augeasFiles {
			top := augeasNode{label: "x"}
			file.read(&top, text)
			rows := top.rows("/files/x", "/x")
			if len(rows) > 8*len(text)+1 {
				t.Errorf("%d nodes of %d bytes", len(rows), len(text))
			}
			seen := map[string]bool{}
			for _, r := range rows {
				if !strings.HasPrefix(r["node"], "/files/x") || r["path"] != "/x" || seen[r["node"]] {
					t.Errorf("bad node %v", r)
				}
				if r["value"] != "" && r["label"] != "value" && !strings.Contains(text, strings.Fields(r["value"] + " x")[0]) {
					t.Errorf("invented %v", r)
				}
				seen[r["node"]] = true
			}
		}
	})
}
