#!/bin/bash
# Makes ../linux-sound.json and ../linux-neglected.json anew: two Debian systems
# from the archive, set up by sound.sh and neglected.sh, started as virtual machines
# and recorded by the real program. Nothing in them is typed but what their
# administrators typed; the names of the computer's maker, the time and one
# signature of the antivirus are given, because a test has none of its own.
#
#	testdata/hosts/linux/make.sh FOLDER       # root, 25 GB, about 30 minutes
#
# Made with debootstrap 1.0.128, qemu-system-x86 7.2 (its own emulation: no KVM),
# ovmf 2022.11 (Secure Boot with Microsoft's keys), swtpm 0.7.1, e2fsprogs 1.47;
# sound: Debian 13 with linux 6.12.117, systemd 257, firefox-esr 153.7;
# neglected: Debian 11 with linux 5.10, chromium 120, samba 4.13.
# What time makes of it, such as waiting updates, is another day's.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
repo=$here/../../..
mkdir -p "$1/share" "$1/tpm"
cd "$1"
work=$PWD

base=systemd,systemd-sysv,dbus,udev,apt-utils,ca-certificates,adduser,kmod,iproute2,procps,libpam-systemd,login,passwd,gpgv,e2fsprogs,initramfs-tools,zstd,openssl
sound="gdm3 gnome-session gnome-shell gnome-settings-daemon dconf-cli libglib2.0-bin nftables unattended-upgrades
	libpam-pwquality cracklib-runtime clamav-daemon clamav-freshclam auditd rsyslog firefox-esr sudo cron logrotate
	systemd-timesyncd apparmor apparmor-profiles mokutil network-manager restic linux-image-amd64 cryptsetup
	cryptsetup-initramfs shim-signed grub-efi-amd64-signed dosfstools fdisk"
neglected="lightdm lightdm-gtk-greeter mate-session-manager mate-screensaver mate-desktop-common caja-common dconf-cli
	libglib2.0-bin openssh-server samba avahi-daemon sudo cron firefox-esr chromium unattended-upgrades python2
	tigervnc-standalone-server linux-image-amd64"

# root NAME SUITE PACKAGES: a system, set up by NAME.sh inside it
root() {
	local name=$1 suite=$2
	shift 2
	debootstrap --variant=minbase --include=$base $suite $name http://deb.debian.org/debian
	printf '#!/bin/sh\nexit 101\n' > $name/usr/sbin/policy-rc.d
	chmod +x $name/usr/sbin/policy-rc.d
	printf 'path-exclude=/usr/share/%s/*\n' doc man locale > $name/etc/dpkg/dpkg.cfg.d/small
	if [ $name = sound ]; then
		printf 'deb http://deb.debian.org/%s main\n' "debian $suite" "debian-security $suite-security" > $name/etc/apt/sources.list
	fi
	install -m 755 "$here/$name.sh" "$here/install.sh" $name/root/
	mount -t proc proc $name/proc
	mount --bind /dev $name/dev
	chroot $name env DEBIAN_FRONTEND=noninteractive sh -c "apt-get -qq update && apt-get -qq -y full-upgrade &&
		apt-get -qq -y --no-install-recommends install $* && bash /root/$name.sh"
	umount $name/dev $name/proc
	rm $name/root/$name.sh
}
# disk NAME SIZE: its files as a file system
disk() {
	truncate -s $2 $1.ext4
	mke2fs -q -t ext4 -F -m 0 -d $1 $1.ext4
}
machine() { qemu-system-x86_64 -accel tcg,thread=multi -cpu max -m 2048 -smp 2 "$@"; }
# start NAME ARGUMENTS: a machine with two serial consoles in the county's network
start() {
	local name=$1
	shift
	machine -display none -monitor none -daemonize -pidfile $name.pid \
		-chardev socket,id=c0,path=$work/$name.tty0,server=on,wait=off -serial chardev:c0 \
		-chardev socket,id=c1,path=$work/$name.tty1,server=on,wait=off -serial chardev:c1 \
		-virtfs local,path=$work/share,mount_tag=share,security_model=none \
		-netdev user,id=n,net=10.20.1.0/24,host=10.20.1.1,dns=10.20.1.10 \
		-device virtio-net-pci,netdev=n,mac=00:1a:4b:10:20:57 "$@"
}
# on NAME.ttyN SECONDS WORDS: speak with it
on() { python3 "$here/console.py" $work/$1 "${@:2}"; }
record() {
	on $1.tty1 600 send '\n' expect '# ' run "mkdir -p /run/m; mount -t 9p -o trans=virtio,version=9p2000.L share /run/m
		cd /run/m; ./muster facts record --profile workstation --policy policies --unsigned --timeout 60s --out $1.json; cd /"
	python3 "$here/cut.py" share/$1.json "$here/../linux-$1.json"
}
finish() {
	local pid
	for pid in *.pid tpm/pid; do [ -e "$pid" ] && kill "$(cat "$pid")" || true; done
	umount {sound,neglected}/{dev,proc} 2> /dev/null || true
}
trap finish EXIT

(cd "$repo" && CGO_ENABLED=0 go build -o "$work/share/muster" ./cmd/muster)
cp -r "$repo/policies" share/

root neglected bullseye $neglected
disk neglected 1880M
start neglected -drive file=neglected.ext4,if=virtio,format=raw,cache=unsafe -smbios type=1,manufacturer=LENOVO,product=3238A1G \
	-kernel neglected/boot/vmlinuz-* -initrd neglected/boot/initrd.img-* -append 'root=/dev/vda ro console=ttyS0 console=ttyS1 apparmor=0 quiet'
on neglected.tty1 300 send '\n' expect 'login: ' send 'root\n' expect 'Password: ' send 'summer24\n' expect '# '
on neglected.tty1 900 run 'systemctl start serial-getty@ttyS0; dpkg-reconfigure linux-image-$(uname -r)'
wrong=()
for i in 1 2 3 4 5; do wrong+=(send 'office\n' expect assword: send 'wrong\n' expect ogin:); done
on neglected.tty0 200 send '\n' expect 'login: ' "${wrong[@]}" send 'office\n' expect assword: send 'office\n' expect '\$ '
record neglected

root sound trixie $sound
disk sound 5G
truncate -s 12G sound.img
machine -nographic -nic none -drive file=sound.ext4,if=virtio,format=raw,cache=unsafe -drive file=sound.img,if=virtio,format=raw,cache=unsafe \
	-kernel sound/boot/vmlinuz-* -initrd sound/boot/initrd.img-* -append 'root=/dev/vda rw console=ttyS0 init=/root/install.sh' < /dev/null
cp /usr/share/OVMF/OVMF_VARS_4M.ms.fd sound.vars
swtpm socket --tpm2 --tpmstate dir=$work/tpm --ctrl type=unixio,path=$work/tpm/sock --terminate --daemon --pid file=$work/tpm/pid
python3 "$here/ntp.py" & echo $! > ntp.pid
start sound -machine q35,smm=on -global ICH9-LPC.disable_s3=1 -global driver=cfi.pflash01,property=secure,value=on \
	-drive if=pflash,format=raw,unit=0,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.ms.fd -drive if=pflash,format=raw,unit=1,file=sound.vars \
	-chardev socket,id=tpm,path=tpm/sock -tpmdev emulator,id=tpm0,chardev=tpm -device tpm-tis,tpmdev=tpm0 \
	-drive file=sound.img,if=virtio,format=raw,cache=unsafe -smbios 'type=1,manufacturer=Dell Inc.,product=OptiPlex 7020'
on sound.tty1 400 send '\n' expect '# ' run 'systemctl start serial-getty@ttyS0 restic-backup; sleep 60'
on sound.tty0 120 send '\n' expect 'login: ' send 'mvega\n' expect assword: send 'correct horse battery\n' expect '\$ '
record sound
