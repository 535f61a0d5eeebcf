#!/bin/sh
# Runs as the only program of a virtual machine: puts its root, /dev/vda, onto
# the encrypted disk /dev/vdb, which starts by way of Debian's signed programs.
set -eu
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
trap 'sync; poweroff -f' EXIT
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t tmpfs tmpfs /run
mkdir /run/to
printf 'label: gpt\nsize=512M, type=U\ntype=L\n' | sfdisk -q /dev/vdb
mkfs.vfat -n ESP /dev/vdb1
key=/etc/cryptsetup-keys.d/root.key
cryptsetup luksFormat -q --pbkdf pbkdf2 --uuid 5c7a1a1e-0000-4000-8000-000000000013 --key-file $key /dev/vdb2
cryptsetup open --key-file $key /dev/vdb2 root
mkfs.ext4 -q /dev/mapper/root
mount /dev/mapper/root /run/to
cp -ax /. /run/to
mount /dev/vdb1 /run/to/boot/efi
for d in dev proc sys run; do mount --bind /$d /run/to/$d; done
chroot /run/to update-initramfs -u
cd /run/to/boot/efi
mkdir -p EFI/BOOT EFI/debian
cp ../../usr/lib/shim/shimx64.efi.signed EFI/BOOT/BOOTX64.EFI
cp ../../usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed EFI/BOOT/grubx64.efi
cp ../vmlinuz-* vmlinuz
cp ../initrd.img-* initrd.img
cat > EFI/debian/grub.cfg <<G
linux /vmlinuz root=/dev/mapper/root ro console=ttyS1 console=ttyS0 systemd.debug_shell=ttyS1 systemd.unit=multi-user.target
initrd /initrd.img
boot
G
cd /
umount -R /run/to
cryptsetup close root
echo the disk is ready
