// Package trial installs, upgrades and removes every package as a county does: the
// MSI under wine, deb and rpm in a system that systemd has started.
package trial
