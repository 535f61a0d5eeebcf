package builtin

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// lvmSnapshots reads the copies that LVM keeps of its settings. They may be
// switched off: where a volume is in use that none of them knows, what else
// they lack is not known either.
func (h host) lvmSnapshots(context.Context, []muster.Row) ([]snapshot, error) {
	active, err := h.lvmVolumes()
	if err != nil || len(active) == 0 {
		return nil, err
	}
	const folder = "/etc/lvm/backup/"
	names, err := h.dir(folder)
	if err != nil {
		return nil, err
	}
	var found []snapshot
	known := map[string]bool{}
	for _, group := range names {
		text, err := h.textIfAny(folder + group)
		if err != nil {
			return nil, err
		}
		g := parseLVM(text)
		for _, id := range g.ids {
			known[id] = true
		}
		for _, s := range g.snapshots {
			s.volume = "/dev/" + group + "/" + s.volume
			found = append(found, s)
		}
	}
	for _, id := range active {
		if !known[id] {
			return nil, fmt.Errorf("list the snapshots of LVM: it keeps no copy of its settings, see vgcfgbackup(8): %w", facts.ErrUnavailable)
		}
	}
	return found, nil
}

// lvmVolumes are the ids, of group and volume, of LVM's volumes in use.
func (h host) lvmVolumes() ([]string, error) {
	names, err := h.dir(blockClass)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, name := range names {
		if !strings.HasPrefix(name, "dm-") {
			continue
		}
		uuid, err := h.value(blockClass + name + "/dm/uuid")
		if err != nil {
			return nil, err
		}
		// Layers below a volume have its id and a suffix such as -cow.
		id, ok := strings.CutPrefix(uuid, "LVM-")
		if id, _, _ = strings.Cut(id, "-"); ok && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// lvmGroup is what a copy of LVM's settings says.
type lvmGroup struct {
	ids       []string // of the group and a volume, as the kernel writes them
	snapshots []snapshot
}

// parseLVM reads the text of vgcfgbackup(8): blocks in braces and lines key =
// value. A thin snapshot names its origin in its segment; of an old one a
// hidden volume's segment names origin and store.
func parseLVM(text string) (g lvmGroup) {
	type segment struct{ volume, kind, origin, store string }
	var segments []segment
	created := map[string]int64{}
	var blocks []string // group, logical_volumes, volume, segment
	group := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutSuffix(line, "{"); ok {
			blocks = append(blocks, strings.TrimSpace(name))
			if len(blocks) == 4 {
				segments = append(segments, segment{volume: blocks[2]})
			}
			continue
		}
		if line == "}" {
			blocks = blocks[:max(len(blocks)-1, 0)]
			continue
		}
		key, value, _ := strings.Cut(line, " = ")
		value, _, _ = strings.Cut(value, "\t#")
		value = unquote(strings.TrimSpace(value))
		if len(blocks) == 1 && key == "id" {
			group = strings.ReplaceAll(value, "-", "")
		}
		if len(blocks) < 3 || blocks[1] != "logical_volumes" {
			continue
		}
		switch {
		case len(blocks) == 3 && key == "id":
			g.ids = append(g.ids, group+strings.ReplaceAll(value, "-", ""))
		case len(blocks) == 3 && key == "creation_time":
			created[blocks[2]], _ = strconv.ParseInt(value, 10, 64)
		case len(blocks) == 4:
			s := &segments[len(segments)-1]
			if to := map[string]*string{"type": &s.kind, "origin": &s.origin, "cow_store": &s.store}[key]; to != nil {
				*to = value
			}
		}
	}
	for _, s := range segments {
		name := s.volume
		if s.kind == "snapshot" {
			name = s.store
		}
		// Caches have an origin too.
		if s.origin != "" && name != "" && (s.kind == "snapshot" || s.kind == "thin") {
			g.snapshots = append(g.snapshots, snapshot{s.origin, "lvm", name, created[name]})
		}
	}
	return g
}
