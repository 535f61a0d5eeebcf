# What a careful administrator does, inside the root of the sound workstation.
set -eu
rm -f /etc/dpkg/dpkg.cfg.d/small
echo elec-clerk-07 > /etc/hostname
printf '127.0.0.1 localhost\n127.0.1.1 elec-clerk-07\n::1 localhost ip6-localhost ip6-loopback\n' > /etc/hosts

# Two people: one works here, the other looks after it.
useradd -m -s /bin/bash -c 'Clerk' mvega
useradd -m -s /bin/bash -G sudo -c 'County IT' countyit
printf 'mvega:correct horse battery\ncountyit:staple of the county\n' | chpasswd

# Passwords of 14 characters, and five tries.
mkdir -p /etc/security/pwquality.conf.d
echo 'minlen = 14' > /etc/security/pwquality.conf.d/county.conf
printf 'deny = 5\nunlock_time = 900\n' > /etc/security/faillock.conf
cat > /usr/share/pam-configs/faillock <<P
Name: Lock an account after wrong passwords
Default: yes
Priority: 0
Auth-Type: Primary
Auth:
	[default=die] pam_faillock.so authfail
P
cat > /usr/share/pam-configs/faillock_notify <<P
Name: Count wrong passwords
Default: yes
Priority: 1024
Auth-Type: Primary
Auth:
	requisite pam_faillock.so preauth
Account-Type: Primary
Account:
	required pam_faillock.so
P
DEBIAN_FRONTEND=noninteractive pam-auth-update --enable faillock faillock_notify

# Nothing comes in but answers.
cat > /etc/nftables.conf <<N
#!/usr/sbin/nft -f
flush ruleset
table inet filter {
	chain input {
		type filter hook input priority filter; policy drop;
		iif lo accept
		ct state established,related accept
		icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert } accept
	}
}
N
systemctl -q enable nftables auditd rsyslog unattended-upgrades NetworkManager systemd-timesyncd clamav-daemon
systemctl -q disable clamav-freshclam

cat > /etc/NetworkManager/system-connections/office.nmconnection <<N
[connection]
id=office
type=ethernet
[ipv4]
method=manual
address1=10.20.1.57/24,10.20.1.1
dns=10.20.1.10;
[ipv6]
method=disabled
N
chmod 600 /etc/NetworkManager/system-connections/office.nmconnection
mkdir -p /etc/systemd/timesyncd.conf.d
printf '[Time]\nNTP=10.20.1.1\n' > /etc/systemd/timesyncd.conf.d/county.conf

# Updates install by themselves.
printf 'APT::Periodic::Update-Package-Lists "1";\nAPT::Periodic::Unattended-Upgrade "1";\n' > /etc/apt/apt.conf.d/20auto-upgrades

# The desktop: GNOME locks after five minutes by itself. Media start nothing.
mkdir -p /etc/dconf/profile /etc/dconf/db/local.d
printf 'user-db:user\nsystem-db:local\n' > /etc/dconf/profile/user
printf '[org/gnome/desktop/media-handling]\nautorun-never=true\n' > /etc/dconf/db/local.d/00-county
dconf update

# A backup each day, onto a disk in another room.
cat > /etc/systemd/system/restic-backup.service <<U
[Unit]
Description=Back up what people wrote
[Service]
Type=oneshot
Environment=RESTIC_REPOSITORY=/srv/backup RESTIC_PASSWORD_FILE=/etc/restic-password HOME=/root
ExecStart=/usr/bin/restic -q backup /home
U
cat > /etc/systemd/system/restic-backup.timer <<U
[Unit]
Description=Back up each day
[Timer]
OnCalendar=daily
Persistent=true
[Install]
WantedBy=timers.target
U
(umask 077; echo 'a long word of the county' > /etc/restic-password)
RESTIC_PASSWORD_FILE=/etc/restic-password restic -q init --repo /srv/backup
systemctl -q enable restic-backup.timer

# The antivirus. This network has no mirror: clamd knows one signature, EICAR's,
# and the file of the day that freshclam would have fetched has its name only.
mkdir -p /var/lib/clamav/county
echo 44d88612fea8a8f36de82e1278abb02f:68:Eicar-Test-Signature > /var/lib/clamav/county/county.hdb
sed -i 's,^DatabaseDirectory .*,DatabaseDirectory /var/lib/clamav/county,' /etc/clamav/clamd.conf
mkdir -p /etc/systemd/system/clamav-daemon.service.d
printf '[Unit]\nConditionPathExistsGlob=\n' > /etc/systemd/system/clamav-daemon.service.d/county.conf
install -o clamav -m 644 /dev/null /var/lib/clamav/daily.cld

mkdir -p /var/log/journal
# The disk is encrypted: the one that unlocks it is typed by nobody here, so its
# key lies in the initial ram disk.
printf 'root UUID=5c7a1a1e-0000-4000-8000-000000000013 /etc/cryptsetup-keys.d/root.key luks\n' > /etc/crypttab
printf '/dev/mapper/root / ext4 errors=remount-ro 0 1\nLABEL=ESP /boot/efi vfat umask=0077 0 1\n' > /etc/fstab
mkdir -p /boot/efi /etc/cryptsetup-keys.d
(umask 077; head -c 32 /dev/urandom > /etc/cryptsetup-keys.d/root.key)
echo 'KEYFILE_PATTERN="/etc/cryptsetup-keys.d/*.key"' >> /etc/cryptsetup-initramfs/conf-hook
printf 'UMASK=0077\n' >> /etc/initramfs-tools/initramfs.conf
apt-get -qq update
unattended-upgrade
apt-get clean
rm -f /usr/sbin/policy-rc.d
