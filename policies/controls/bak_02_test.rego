package muster.controls.bak_02_test

import data.muster.controls.bak_02

now := 1792418711

day := 24 * 3600

snapshot(volume, ago) := {"volume": volume, "created": format_int(now - ago, 10)}

windows(snapshots) := {
	"time": "2026-10-19T14:05:11Z",
	"host": {"platform": "windows"},
	"facts": {"shadow_copies": snapshots},
}

linux(snapshots, types) := {
	"time": "2026-10-19T14:05:11Z",
	"host": {"platform": "linux"},
	"facts": {"shadow_copies": snapshots, "root_filesystem": [{"type": type} | some type in types]},
}

test_pass if {
	every volume in ["C:", `c:\`] {
		h := windows([snapshot(volume, (14 * day) - 1), snapshot("C:", 90 * day)])
		count(bak_02.violations) == 0 with input as h
		count(bak_02.unknown) == 0 with input as h
		count(bak_02.inapplicable) == 0 with input as h
	}
}

test_pass_linux if {
	every type in ["btrfs", "zfs", "LVM2_member"] {
		h := linux([snapshot("/", day)], ["ext4", type])
		count(bak_02.violations) == 0 with input as h
		count(bak_02.unknown) == 0 with input as h
		count(bak_02.inapplicable) == 0 with input as h
	}
}

test_fail if {
	every snapshots in [[], [snapshot("C:", 14 * day)], [snapshot("D:", day)], [snapshot("CC:", day)]] {
		count(bak_02.violations) == 1 with input as windows(snapshots)
		count(bak_02.unknown) == 0 with input as windows(snapshots)
	}
	count(bak_02.violations) == 1 with input as linux([], ["btrfs"])
}

# The engine makes it unknown.
test_unknown_without_an_answer if {
	h := object.remove(linux([], ["btrfs"]), ["facts"])
	count(bak_02.violations) == 0 with input as h with input.facts.root_filesystem as [{"type": "btrfs"}]
	count(bak_02.inapplicable) == 1 with input as h with input.facts.root_filesystem as [{"type": "ext4"}]
}

test_unknown_age if {
	every odd in [{"volume": "C:", "created": ""}, {"volume": "C:", "created": "soon"}, {"volume": "C:", "created": "0"}, snapshot("C:", -2 * day)] {
		count(bak_02.violations) == 0 with input as windows([odd])
		count(bak_02.unknown) == 1 with input as windows([odd])
		count(bak_02.unknown) == 0 with input as windows([odd, snapshot("C:", day)])
	}
}

test_inapplicable_file_system if {
	count(bak_02.inapplicable) == 1 with input as linux([], ["ext4", "xfs"])
	count(bak_02.inapplicable) == 0 with input as linux([], [])
}
