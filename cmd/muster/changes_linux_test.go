package main

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/passmuster/muster"
)

const (
	inNamespace = "MUSTER_TEST_NAMESPACE" // set where the test runs in namespaces of its own
	layers      = "/mnt"                  // where a file system in memory then lies
)

// soundHost lays folders in memory over those of this computer and makes of them
// a small host that meets what the changes below break.
const soundHost = `
set -e
cat > $T/lists.json <<'END'
{"dated": "2026-11-20", "admins_allowed": ["root"], "accounts_known": ["root"], "ports_allowed": [],
"dns_servers": ["10.9.9.53"], "root_ca_allowed": ["0000000000000000000000000000000000000000"],
"hosts_allowed": [], "shares_allowed": [], "extensions_allowed": [], "remote_tools_allowed": [], "proxies": [],
"protected_domains": ["sos.example.gov"], "startup_approved": [
{"kind": "service", "name": "ssh.service", "path": "/lib/systemd/system/ssh.service"},
{"kind": "service", "name": "apt-daily.timer", "path": "/lib/systemd/system/apt-daily.timer"},
{"kind": "service", "name": "apt-daily-upgrade.timer", "path": "/lib/systemd/system/apt-daily-upgrade.timer"}]}
END
for d in etc usr var; do
	mkdir "$T/$d" "$T/$d.work"
	mount -t overlay over -o "lowerdir=/$d,upperdir=$T/$d,workdir=$T/$d.work" "/$d"
done
for d in root home run sys/module; do mkdir -p "/$d"; mount -t tmpfs none "/$d"; done
: > /var/lib/dpkg/status; : > /var/lib/dpkg/statoverride; rm -f /var/lib/dpkg/triggers/*
rm -rf /etc/systemd/system/* /etc/systemd/user/* /etc/rc?.d /etc/init.d /etc/xdg/autostart /etc/cron* /var/spool/cron \
	/usr/local/share/ca-certificates/* /etc/ssh/sshd_config* /etc/samba /etc/exports* /etc/gdm3 /etc/lightdm /etc/sddm* \
	/etc/apt/apt.conf* /etc/security/pwquality* /etc/security/faillock* /etc/modprobe.d /etc/sudoers* /etc/profile.d/* \
	/etc/dconf /etc/resolv.conf /usr/share/xsessions /usr/share/wayland-sessions /usr/lib/modprobe.d
mkdir -p /etc/ssh /etc/ssh/sshd_config.d /etc/samba /etc/gdm3 /etc/lightdm /etc/apt/apt.conf.d /etc/modprobe.d /etc/cron.d \
	/etc/systemd/system/multi-user.target.wants /etc/systemd/system/timers.target.wants /usr/local/share/ca-certificates \
	/etc/dconf/profile /etc/dconf/db/site.d /usr/share/xsessions
printf 'root:x:0:0::/root:/bin/bash\n' > /etc/passwd; printf 'root:*:20000::::::\n' > /etc/shadow
printf 'root:x:0:\nsudo:x:27:\n' > /etc/group; printf 'root:*::\nsudo:*::\n' > /etc/gshadow
echo '127.0.0.1 localhost' > /etc/hosts; echo 'nameserver 10.9.9.53' > /etc/resolv.conf; : > /etc/environment; : > /var/log/btmp
printf 'Include /etc/ssh/sshd_config.d/*.conf\nPermitRootLogin no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nMaxAuthTries 3\n' > /etc/ssh/sshd_config
ln -s /lib/systemd/system/ssh.service /etc/systemd/system/multi-user.target.wants/; printf '[global]\nserver min protocol = SMB3\n' > /etc/samba/smb.conf; : > /usr/sbin/smbd
echo 'password requisite pam_pwquality.so' > /etc/pam.d/common-password; echo 'minlen = 15' > /etc/security/pwquality.conf
printf 'auth required pam_faillock.so preauth\nauth sufficient pam_unix.so\nauth [default=die] pam_faillock.so authfail\n' > /etc/pam.d/common-auth
echo 'deny = 5' > /etc/security/faillock.conf; printf 'APT::Periodic::Update-Package-Lists "1";\nAPT::Periodic::Unattended-Upgrade "1";\n' > /etc/apt/apt.conf.d/20auto-upgrades
: > /usr/bin/unattended-upgrade; for u in apt-daily apt-daily-upgrade; do ln -s /lib/systemd/system/$u.timer /etc/systemd/system/timers.target.wants/; done
echo 'install usb_storage /bin/false' > /etc/modprobe.d/usb.conf
: > /usr/share/xsessions/gnome.desktop; printf 'user-db:user\nsystem-db:site\n' > /etc/dconf/profile/user
printf "[org/gnome/desktop/media-handling]\nautomount=false\nautorun-never=true\n" > /etc/dconf/db/site.d/01
! command -v dconf || dconf update; ! command -v nft || wall
package google-chrome-stable 999.0; : > /usr/bin/google-chrome-stable
`

// tools are for every snippet: a package that holds nothing but its name, and
// a firewall.
const tools = `
package() {
	mkdir -p "$T/deb/DEBIAN"
	printf 'Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: A <a@example.org>\nDescription: a test\n' "$1" "$2" > "$T/deb/DEBIAN/control"
	dpkg-deb --build "$T/deb" "$T/test.deb" && PATH=$PATH:/sbin:/usr/sbin dpkg -i --force-downgrade "$T/test.deb"
}
wall() { nft 'table inet f { chain in { type filter hook input priority 0; policy drop; iif lo accept; }; }'; }
`

// deeds are what people and intruders do to a computer, and undo. Before a
// change the control passes, unless before says otherwise; after it it fails.
var deeds = []struct {
	name, control, change, undo, before, needs string
}{
	{name: "a password is enough for ssh", control: "MVS-NET-04", change: `echo 'PasswordAuthentication yes' > /etc/ssh/sshd_config.d/50-cloud.conf`, undo: `rm /etc/ssh/sshd_config.d/50-cloud.conf`},
	{name: "one more may use sudo", control: "MVS-ACC-02", change: `useradd -G sudo -p '$6$salt$hash' helper`, undo: `userdel helper`, needs: "useradd"},
	{name: "a seasonal worker stays", control: "MVS-ACC-11", change: `useradd -s /bin/bash -p '$6$salt$hash' seasonal`, undo: `userdel seasonal`, needs: "useradd"},
	{name: "a guest may sign in", control: "MVS-ACC-03", change: `useradd -s /bin/bash -p '$6$salt$hash' guest`, undo: `userdel guest`, needs: "useradd"},
	{name: "a port is open", control: "MVS-NET-02", change: `python3 -m http.server 8080 >/dev/null 2>&1 & echo $! > $T/pid; for i in $(seq 50); do ss -tln | grep -q 8080 && break; sleep 0.1; done`, undo: `kill $(cat $T/pid); sleep 0.2`, needs: "python3 ss"},
	{name: "the firewall is flushed", control: "MVS-NET-01", change: `nft flush ruleset`, undo: `wall`, needs: "nft"},
	{name: "gdm signs in by itself", control: "MVS-ACC-06", change: `printf '[daemon]\nAutomaticLoginEnable=true\nAutomaticLogin=clerk\n' > /etc/gdm3/daemon.conf`, undo: `rm /etc/gdm3/daemon.conf`},
	{name: "lightdm signs in by itself", control: "MVS-ACC-06", change: `printf '[Seat:*]\nautologin-user=clerk\n' > /etc/lightdm/lightdm.conf`, undo: `rm /etc/lightdm/lightdm.conf`},
	{name: "short passwords", control: "MVS-ACC-04", change: `sed -i s/15/8/ /etc/security/pwquality.conf`, undo: `sed -i s/8/15/ /etc/security/pwquality.conf`},
	{name: "no faillock", control: "MVS-ACC-05", change: `sed -i.old /faillock/d /etc/pam.d/common-auth && mv /etc/pam.d/common-auth.old $T/`, undo: `cp $T/common-auth.old /etc/pam.d/common-auth`},
	{name: "the timer of updates is masked", control: "MVS-UPD-03", change: `ln -s /dev/null /etc/systemd/system/apt-daily-upgrade.timer`, undo: `rm /etc/systemd/system/apt-daily-upgrade.timer`},
	{name: "the service of updates is masked", control: "MVS-UPD-03", change: `ln -s /dev/null /etc/systemd/system/apt-daily-upgrade.service`, undo: `rm /etc/systemd/system/apt-daily-upgrade.service`},
	{name: "updates are set to 0", control: "MVS-UPD-03", change: `echo 'APT::Periodic::Unattended-Upgrade "0";' > /etc/apt/apt.conf.d/99off`, undo: `rm /etc/apt/apt.conf.d/99off`},
	{name: "the hosts file leads astray", control: "MVS-NET-08", change: `echo '203.0.113.9 sos.example.gov' >> /etc/hosts`, undo: `sed -i /sos.example/d /etc/hosts`},
	{name: "another name server", control: "MVS-NET-09", change: `echo 'nameserver 203.0.113.53' >> /etc/resolv.conf`, undo: `sed -i /203/d /etc/resolv.conf`},
	{name: "another root is trusted", control: "MVS-NET-11", change: `cp $(ls /usr/share/ca-certificates/mozilla/*.crt | head -1) /usr/local/share/ca-certificates/helper.crt`, undo: `rm /usr/local/share/ca-certificates/helper.crt`, needs: "update-ca-certificates"},
	{name: "a folder is shared", control: "MVS-NET-07", change: `printf '[voters]\npath = /srv/voters\n' >> /etc/samba/smb.conf`, undo: `sed -i '/voters/d' /etc/samba/smb.conf`},
	{name: "samba speaks SMB1", control: "MVS-NET-05", change: `sed -i s/SMB3/NT1/ /etc/samba/smb.conf`, undo: `sed -i s/NT1/SMB3/ /etc/samba/smb.conf`},
	{name: "a proxy for everyone", control: "MVS-NET-10", change: `echo 'https_proxy=http://203.0.113.7:3128' >> /etc/environment`, undo: `: > /etc/environment`},
	{name: "anydesk", control: "MVS-APP-01", change: `package anydesk 6.4.0`, undo: `dpkg -P anydesk`},
	{name: "an old browser", control: "MVS-UPD-05", change: `package google-chrome-stable 100.0`, undo: `package google-chrome-stable 999.0`},
	{name: "an add-on", control: "MVS-APP-05", change: `mkdir -p /root/.config/google-chrome/Default/Extensions/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/1_0 && cd /root/.config/google-chrome/Default &&
		echo '{"name": "Helper", "version": "1", "manifest_version": 3, "update_url": "https://helper.example/crx"}' > Extensions/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/1_0/manifest.json &&
		echo '{"extensions": {"settings": {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa": {"state": 1, "path": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/1_0", "from_webstore": false}}}}' > Preferences`, undo: `rm -r /root/.config`},
	{name: "a job for cron", control: "MVS-APP-04", change: `echo '*/5 * * * * root /tmp/.x' > /etc/cron.d/x`, undo: `rm /etc/cron.d/x`},
	{name: "the screen never locks", control: "MVS-ACC-01", change: `printf '[org/gnome/desktop/screensaver]\nlock-enabled=false\n' > /etc/dconf/db/site.d/02 && dconf update`, undo: `rm /etc/dconf/db/site.d/02 && dconf update`, needs: "dconf gsettings"},
	{name: "media start by themselves", control: "MVS-MED-01", change: `printf '[org/gnome/desktop/media-handling]\nautomount=true\nautorun-never=false\n' > /etc/dconf/db/site.d/02 && dconf update`, undo: `rm /etc/dconf/db/site.d/02 && dconf update`, needs: "dconf gsettings"},
	{name: "six wrong passwords", control: "MVS-LOG-03", change: `cat $T/btmp > /var/log/btmp`, undo: `: > /var/log/btmp`, before: "unknown"},
	{name: "usb sticks work", control: "MVS-MED-02 ems", change: `rm /etc/modprobe.d/usb.conf`, undo: `echo 'install usb_storage /bin/false' > /etc/modprobe.d/usb.conf`},
	{name: "remote control runs", control: "MVS-NET-03", change: `cp $(command -v sleep) $T/xrdp && { $T/xrdp 60 > /dev/null 2>&1 & echo $! > $T/pid; sleep 0.2; }`, undo: `kill $(cat $T/pid); sleep 0.2`},
}

// TestChanges changes a real computer, in namespaces of its own, and wants the
// verdict to follow, there and back.
func TestChanges(t *testing.T) {
	if os.Getenv(inNamespace) == "" || os.Getppid() != 1 {
		enterNamespace(t)
		return
	}
	if err := os.WriteFile(layers+"/btmp", bytes.Repeat(failedLogin(time.Now()), 6), 0o600); err != nil {
		t.Fatal(err)
	}
	shell := func(t *testing.T, text string) {
		t.Helper()
		c := exec.Command("bash", "-c", tools+text)
		c.Dir, c.Env = "/", append(os.Environ(), "T="+layers)
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", text, err, out)
		}
	}
	shell(t, soundHost)
	for _, c := range deeds {
		t.Run(c.name, func(t *testing.T) {
			for _, tool := range strings.Fields(c.needs) {
				if _, err := exec.LookPath(tool); err != nil {
					t.Skip(err)
				}
			}
			before := cmp.Or(c.before, "pass")
			want(t, c.control, before, "before")
			shell(t, c.change)
			want(t, c.control, "fail", "after the change")
			shell(t, c.undo)
			want(t, c.control, before, "after the change was undone")
		})
	}
}

// enterNamespace runs the test again in namespaces of its own, which end with it.
func enterNamespace(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root may lay folders over those of the computer")
	}
	if _, err := os.Stat("/var/lib/dpkg/status"); err != nil {
		t.Skip("the changes are those of Debian and its kin: ", err)
	}
	// The shell stays, as the first process has to collect those that end.
	again := exec.Command("sh", "-c", `mount --make-rprivate / && mount -t proc proc /proc && mount -t sysfs sysfs /sys &&
		mount -t tmpfs layers "$T" && mkdir "$T/u" "$T/w" && mount -t overlay over -o "lowerdir=/etc,upperdir=$T/u,workdir=$T/w" /etc &&
		umount /etc || exit 77; "$0" -test.run='^TestChanges$' -test.v; exit $?`, os.Args[0])
	again.Env = append(os.Environ(), inNamespace+"=1", "T="+layers)
	again.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
		Pdeathsig:  syscall.SIGKILL,
	}
	out, err := again.CombinedOutput()
	if again.ProcessState == nil || again.ProcessState.ExitCode() == 77 {
		t.Skipf("no namespaces with overlays here: %v: %s", err, out)
	}
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
}

// want audits one control, given as "ID" or "ID profile".
func want(t *testing.T, control, status, when string) {
	t.Helper()
	id, profile, _ := strings.Cut(control, " ")
	var out, errs bytes.Buffer
	run([]string{"audit", "--osquery", "off", "--output", "json", "--only", id, "--lists", layers + "/lists.json", "--profile", cmp.Or(profile, "workstation")}, &out, &errs)
	var audit muster.Audit
	if err := json.Unmarshal(out.Bytes(), &audit); err != nil || len(audit.Findings) != 1 {
		t.Fatalf("%s: %v: %s%s", when, err, out.Bytes(), errs.Bytes())
	}
	f := audit.Findings[0]
	t.Logf("%s: %s %s %v %v", when, id, f.Status, f.Reason, f.Violations)
	if f.Status.String() != status {
		t.Errorf("%s: %s is %s, want %s", when, id, f.Status, status)
	}
}

// failedLogin is a record of /var/log/btmp, see utmp(5).
func failedLogin(at time.Time) []byte {
	r := make([]byte, 384)
	r[0] = 6
	copy(r[44:], "root")
	binary.NativeEndian.PutUint32(r[340:], uint32(at.Unix()))
	return r
}
