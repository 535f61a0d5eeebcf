package changes

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/passmuster/muster"
)

type differ struct{ all []Change }

func (d *differ) add(c Change) { d.all = append(d.all, c) }

// field tells a value that differs.
func (d *differ) field(kind, name, what, old, new string) {
	if old != new {
		d.add(Change{kind, name, what, old, new})
	}
}

// both goes through two maps by name, and says where each is.
func both[V any](old, new map[string]V, do func(name string, was, is V, wasThere, isThere bool)) {
	names := slices.Collect(maps.Keys(old))
	names = slices.AppendSeq(names, maps.Keys(new))
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		was, wasThere := old[name]
		is, isThere := new[name]
		do(name, was, is, wasThere, isThere)
	}
}

func (d *differ) release(was, is *policy) {
	if was.manifest == nil || is.manifest == nil {
		return
	}
	for _, name := range []string{"revision", "version", "expires", "min_agent"} {
		unset := map[string]string{"expires": "never", "min_agent": "any"}[name]
		d.field(KindRelease, "", strings.ReplaceAll(name, "_", " "), cmp.Or(day(was.manifest[name]), unset), cmp.Or(day(is.manifest[name]), unset))
	}
}

func (d *differ) controls(was, is *policy) {
	both(was.controls, is.controls, func(id string, a, b muster.Control, wasThere, isThere bool) {
		switch {
		case !wasThere:
			d.add(Change{KindControl, id, "added", "", b.Severity.String() + ": " + b.Title})
			return
		case !isThere:
			d.add(Change{KindControl, id, "removed", a.Severity.String() + ": " + a.Title, ""})
			return
		}
		for _, f := range []struct {
			what     string
			old, new any
		}{
			{"title", a.Title, b.Title}, {"why", a.Why, b.Why}, {"severity", a.Severity.String(), b.Severity.String()},
			{"profiles", a.Profiles, b.Profiles}, {"platforms", a.Platforms, b.Platforms},
			{"facts", a.Facts, b.Facts}, {"facts that help", a.Also, b.Also}, {"lists", a.Lists, b.Lists},
			{"standards", a.Maps, b.Maps}, {"remedy", a.Remedy, b.Remedy}, {"remedies by platform", a.Remedies, b.Remedies},
		} {
			d.field(KindControl, id, f.what, line(f.old), line(f.new))
		}
		d.lines(KindControl, id, "rule", was.rules[a.Package], is.rules[b.Package])
	})
}

// texts compares named things made of named texts.
func (d *differ) texts(kind string, old, new map[string]map[string]string) {
	both(old, new, func(name string, was, is map[string]string, wasThere, isThere bool) {
		switch {
		case !wasThere:
			d.add(Change{Kind: kind, Name: name, What: "added"})
		case !isThere:
			d.add(Change{Kind: kind, Name: name, What: "removed"})
			return
		}
		both(was, is, func(what string, was, is string, _, _ bool) {
			if kind == KindHelper {
				d.lines(kind, name, what, was, is)
				return
			}
			d.field(kind, name, what, strings.TrimSpace(was), strings.TrimSpace(is))
		})
	})
}

// lines tells only the lines of a long text that are not in the other.
func (d *differ) lines(kind, name, what, old, new string) {
	if old == new {
		return
	}
	was, is := slices.Collect(strings.Lines(old)), slices.Collect(strings.Lines(new))
	gone, added := without(was, is), without(is, was)
	if gone == nil && added == nil {
		d.add(Change{Kind: kind, Name: name, What: what + " in another order"})
		return
	}
	d.add(Change{kind, name, what, strings.Join(gone, ""), strings.Join(added, "")})
}

// without lists what is in a and not in b, each as often as it is there more.
func without(a, b []string) (rest []string) {
	count := map[string]int{}
	for _, s := range b {
		count[s]++
	}
	for _, s := range a {
		if count[s]--; count[s] < 0 {
			rest = append(rest, s)
		}
	}
	return rest
}

func (d *differ) lists(old, new map[string]list) {
	both(old, new, func(name string, was, is list, wasThere, isThere bool) {
		switch {
		case !wasThere:
			d.add(Change{KindList, name, "added", "", is.dated})
		case !isThere:
			d.add(Change{KindList, name, "removed", was.dated, ""})
			return
		default:
			d.field(KindList, name, "dated", was.dated, is.dated)
		}
		d.field(KindList, name, "source", was.source, is.source)
		d.field(KindList, name, "freshness", was.limit, is.limit)
		d.value(name, was.value, is.value)
	})
}

// value tells which entries of a list came, went, or changed.
func (d *differ) value(name string, old, new any) {
	wasList, a := old.([]any)
	isList, b := new.([]any)
	if (a || old == nil) && (b || new == nil) {
		was, is := texts(wasList), texts(isList)
		for _, entry := range without(was, is) {
			d.add(Change{KindList, name, "entry removed", entry, ""})
		}
		for _, entry := range without(is, was) {
			d.add(Change{KindList, name, "entry added", "", entry})
		}
		if a && b && len(was) == len(is) && without(was, is) == nil && !slices.Equal(was, is) {
			d.add(Change{Kind: KindList, Name: name, What: "entries in another order"})
		}
		return
	}
	wasObject, a := old.(map[string]any)
	isObject, b := new.(map[string]any)
	if (a || old == nil) && (b || new == nil) {
		both(wasObject, isObject, func(key string, was, is any, _, _ bool) {
			d.field(KindList, name, key, line(was), line(is))
		})
		return
	}
	d.field(KindList, name, "value", line(old), line(new))
}

func texts(values []any) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = line(v)
	}
	return out
}

// entries compares waivers or attestations.
func (d *differ) entries(kind string, old, new map[string]map[string]string) {
	both(old, new, func(id string, was, is map[string]string, wasThere, isThere bool) {
		switch {
		case !wasThere:
			d.add(Change{kind, id, "added", "", summary(is)})
		case !isThere:
			d.add(Change{kind, id, "removed", summary(was), ""})
		default:
			both(was, is, func(what string, was, is string, _, _ bool) { d.field(kind, id, what, was, is) })
		}
	})
}

// summary tells an entry in one line: what, whose, by whom, until when, why.
func summary(fields map[string]string) string {
	var parts []string
	for _, f := range []struct{ name, before string }{
		{"control", ""}, {"claim", ""}, {"county", "county "}, {"host", "host "}, {"approver", "approved by "}, {"by", "by "},
		{"approved", "on "}, {"on", "on "}, {"expires", "until "}, {"until", "until "}, {"reason", ""}, {"note", ""},
	} {
		if v := fields[f.name]; v != "" {
			parts = append(parts, f.before+v)
		}
	}
	return strings.Join(parts, ", ")
}
