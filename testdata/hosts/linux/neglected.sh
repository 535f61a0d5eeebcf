# What happens where nobody looks after a computer, inside the root of the
# neglected workstation.
set -eu
rm -f /etc/dpkg/dpkg.cfg.d/small
echo elec-front-02 > /etc/hostname
printf '127.0.0.1 localhost\n127.0.1.1 elec-front-02\n203.0.113.9 results.sos.example.gov\n' > /etc/hosts

# Everyone is an administrator, one under another name for root, and a guest may come in.
for name in office pat sam; do useradd -m -s /bin/bash -G sudo $name; done
useradd -o -u 0 -g 0 -d /root -s /bin/bash backdoor
useradd -m -s /bin/bash guest
passwd -q -d guest
printf 'root:summer24\noffice:office\npat:pat\nsam:sam\nbackdoor:summer24\n' | chpasswd
echo 'office ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/office
printf '[Seat:*]\nautologin-user=office\n' > /etc/lightdm/lightdm.conf
# In the person's own settings: the screen never locks.
su office -c 'dbus-run-session sh -c "gsettings set org.mate.screensaver lock-enabled false; sleep 2"'

# Doors: SSH with passwords for root, a share for everybody, a screen by VNC as root.
printf 'PermitRootLogin yes\nPasswordAuthentication yes\nMaxAuthTries 10\n' > /etc/ssh/sshd_config.d/easy.conf
mkdir -p /srv/public
cat > /etc/samba/smb.conf <<S
[global]
workgroup = COUNTY
server min protocol = NT1
[public]
path = /srv/public
guest ok = yes
S
cat > /etc/systemd/system/screen.service <<U
[Service]
ExecStart=/usr/bin/Xtigervnc :1 -rfbport 5901 -SecurityTypes None
[Install]
WantedBy=multi-user.target
U
cat > /etc/systemd/system/desktop.service <<U
[Unit]
After=screen.service
[Service]
Environment=DISPLAY=:1 HOME=/root
ExecStart=/usr/bin/dbus-run-session mate-session
Restart=always
RestartSec=2
[Install]
WantedBy=multi-user.target
U
# A vendor's program, by its name only.
mkdir -p /tmp/anydesk/DEBIAN
printf 'Package: anydesk\nVersion: 6.3.2\nArchitecture: amd64\nMaintainer: nobody\nDescription: x\n' > /tmp/anydesk/DEBIAN/control
dpkg-deb --build /tmp/anydesk /tmp/anydesk.deb
dpkg -i /tmp/anydesk.deb
rm -r /tmp/anydesk*

# The network: names by LLMNR and from a stranger, a stranger's proxy and root.
mkdir -p /etc/systemd/resolved.conf.d
printf '[Resolve]\nDNS=203.0.113.53\nLLMNR=yes\n' > /etc/systemd/resolved.conf.d/net.conf
printf '[Match]\nName=e*\n[Network]\nAddress=10.20.1.58/24\nGateway=10.20.1.1\nIPv6AcceptRA=no\n' > /etc/systemd/network/lan.network
echo 'http_proxy=http://203.0.113.8:3128' >> /etc/environment
openssl req -x509 -newkey rsa:2048 -nodes -keyout /dev/null -subj '/CN=Cheap Filter Root' -days 3650 \
	-out /usr/local/share/ca-certificates/filter.crt 2> /dev/null
update-ca-certificates > /dev/null

# An add-on from nowhere, and a job that somebody left.
dir=/home/office/.config/chromium/Default
mkdir -p $dir/Extensions/aapbdbdomjkkjkaonfhkkikfgjllcleb/1.0_0
echo '{"name": "Coupons", "version": "1.0", "manifest_version": 3}' > $dir/Extensions/aapbdbdomjkkjkaonfhkkikfgjllcleb/1.0_0/manifest.json
cat > $dir/Preferences <<J
{"extensions": {"settings": {"aapbdbdomjkkjkaonfhkkikfgjllcleb": {"from_webstore": false, "location": 4, "state": 1,
"path": "aapbdbdomjkkjkaonfhkkikfgjllcleb/1.0_0", "manifest": {"name": "Coupons", "version": "1.0", "update_url": "https://coupons.example.com/u"}}}}}
J
chown -R office: /home/office/.config
echo '*/5 * * * * root /usr/local/bin/sync-all' > /etc/cron.d/sync

# Updates were in the way, and the log wore out the disk. Nothing sets the clock.
printf 'APT::Periodic::Update-Package-Lists "0";\nAPT::Periodic::Unattended-Upgrade "0";\n' > /etc/apt/apt.conf.d/20auto-upgrades
ln -sf /dev/null /etc/systemd/system/apt-daily-upgrade.timer
rm -rf /var/log/journal
systemctl -q mask systemd-timesyncd
systemctl -q enable screen desktop ssh smbd nmbd systemd-networkd systemd-resolved lightdm

echo '/dev/vda / ext4 errors=remount-ro 0 1' > /etc/fstab
echo 'deb http://deb.debian.org/debian-security bullseye-security main' >> /etc/apt/sources.list
apt-get -qq update
apt-get clean
ln -sf /run/systemd/resolve/stub-resolv.conf /etc/resolv.conf
rm -f /usr/sbin/policy-rc.d
