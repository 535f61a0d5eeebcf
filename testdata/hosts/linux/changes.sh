#!/bin/sh
# Changes a computer for real, and sees the verdict change and come back:
# changes.sh MUSTER POLICIES LISTS < changes.sound prints a table. Needs root, and a
# computer that may be spoilt. A line is control~change~undo, or ems:control~...
set -u
muster=$1 policies=$2 lists=$3
# status and the first thing found
verdict() {
	case $1 in ems:*) profile=ems ;; *) profile=workstation ;; esac
	"$muster" audit --profile $profile --bundle "$policies" --unsigned --osquery off --lists "$lists" --only "MVS-${1#ems:}" --output json 2> /dev/null |
		python3 -c 'import json, sys
f = json.load(sys.stdin)["findings"][0]
v = (f.get("violations") or [{}])[0]
print(f["status"], ": ".join(filter(None, [v.get("subject", ""), v.get("found", "")])) or f.get("reason") or "")'
}
change() { # control, change, undo
	before=$(verdict $1)
	eval "$2" > /dev/null 2>&1
	during=$(verdict $1)
	eval "$3" > /dev/null 2>&1
	printf '| %s | %s | `%s` | %s | `%s` | %s |\n' $1 "$before" "$(printf %s "$2" | tr '|' '/')" "$during" "$(printf %s "$3" | tr '|' '/')" "$(verdict $1)"
}
deb() { # name, version: a package that is nothing but its name
	d=$(mktemp -d)
	mkdir $d/DEBIAN
	printf 'Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: nobody\nDescription: a name\n' $1 $2 > $d/DEBIAN/control
	dpkg-deb --build $d $d.deb && dpkg -i --force-downgrade $d.deb
	rm -r $d $d.deb
}
echo '| control | before | change | after it | undo | after that |'
echo '|---|---|---|---|---|---|'
while IFS='~' read -r control do undo; do change "$control" "$do" "$undo"; done
