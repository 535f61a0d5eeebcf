package builtin

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// augeas are settings as trees, in the shapes of augeas' own lenses, but of
// these files only; every other is refused, /etc/shadow above all. Unlike
// osquery's it has no comments, of apt only what concerns updates, no stored
// passwords, and it reads a file that augeas gives up on; a pattern for path
// finds what is in the files, too. node is the place in the tree, label its
// last part, path the file. Some of them are root's only.
func (h host) augeas() facts.Table {
	return facts.Table{
		Name: "augeas", Platforms: onLinux, Source: "files in /etc", Preferred: true,
		Columns: columns("node text, value text, label text, path text"),
		Rows: list(func(_ context.Context, q facts.Query) ([]muster.Row, error) {
			for _, c := range q.Constraints {
				if err := augeasReach(c); err != nil {
					return nil, err
				}
			}
			want, one := q.Equals("path")
			var rows []muster.Row
			for _, f := range augeasFiles {
				for _, pattern := range f.paths {
					files, err := h.expand(pattern)
					if err != nil {
						return nil, err
					}
					for _, file := range files {
						if one && file != want || !h.exists(file) {
							continue
						}
						text, err := h.textIfAny(file)
						if err != nil {
							return nil, err
						}
						top := augeasNode{label: filepath.Base(file)}
						f.read(&top, text)
						rows = append(rows, top.rows("/files"+file, file)...)
					}
				}
			}
			return rows, nil
		}),
	}
}

var augeasFiles = []struct {
	paths []string
	read  func(top *augeasNode, text string)
}{
	{aptFiles, augeasApt},
	{[]string{"/etc/exports"}, augeasExports},
	{[]string{"/etc/lightdm/*.conf", "/etc/lightdm/lightdm.conf.d/*.conf"}, augeasLightdm},
	{[]string{"/etc/login.defs"}, augeasLoginDefs},
	{[]string{"/etc/pam.d/common-account", "/etc/pam.d/common-auth", "/etc/pam.d/common-password",
		"/etc/pam.d/common-session", "/etc/pam.d/common-session-noninteractive", "/etc/pam.d/password-auth",
		"/etc/pam.d/system-auth"}, augeasPAM},
	{[]string{"/etc/samba/smb.conf"}, augeasSamba},
	{[]string{"/etc/ssh/sshd_config", "/etc/ssh/sshd_config.d/*.conf"}, augeasSSHD},
	{[]string{"/etc/systemd/logind.conf"}, augeasSystemd},
}

// augeasReach is facts.ErrRefused where no file of the table can meet the constraint.
func augeasReach(c facts.Constraint) error {
	place := c.Value
	if c.Op == facts.Like {
		place = strings.ToLower(place) // LIKE does not mind the case, and the files are lower-case
	}
	switch c.Column {
	case "node":
		place = strings.TrimPrefix(place, "/files")
	case "path":
	default:
		return nil
	}
	if c.Op == facts.Like {
		if i := strings.IndexAny(place, "%_"); i >= 0 {
			place = place[:i]
		}
	}
	for _, f := range augeasFiles {
		for _, pattern := range f.paths {
			fixed, _, folder := strings.Cut(pattern, "*")
			below := strings.HasPrefix(place, fixed) && (folder || place == fixed || place[len(fixed)] == '/' && c.Column == "node")
			above := strings.HasPrefix(fixed, place) && (c.Op == facts.Like || c.Column == "node")
			if below || above {
				return nil
			}
		}
	}
	return fmt.Errorf("augeas does not read %s here: %w", c.Value, facts.ErrRefused)
}

// augeasNode is one node of a tree.
type augeasNode struct {
	label, value string
	nodes        []*augeasNode
}

func (n *augeasNode) add(label, value string) *augeasNode {
	child := &augeasNode{label: label, value: value}
	n.nodes = append(n.nodes, child)
	return child
}

// below is the last node with the label, or a new one.
func (n *augeasNode) below(label string) *augeasNode {
	for _, child := range slices.Backward(n.nodes) {
		if child.label == label {
			return child
		}
	}
	return n.add(label, "")
}

// rows are the node and all below it. Those that share a label are numbered.
func (n *augeasNode) rows(place, path string) []muster.Row {
	rows := []muster.Row{{"node": place, "value": n.value, "label": n.label, "path": path}}
	count, seen := map[string]int{}, map[string]int{}
	for _, child := range n.nodes {
		count[child.label]++
	}
	for _, child := range n.nodes {
		below := place + "/" + augeasEscape.Replace(child.label)
		if seen[child.label]++; count[child.label] > 1 {
			below += "[" + strconv.Itoa(seen[child.label]) + "]"
		}
		rows = append(rows, child.rows(below, path)...)
	}
	return rows
}

// augeasEscape marks what means something in a path of augeas.
var augeasEscape = strings.NewReplacer(" ", `\ `, "\t", "\\\t", "]", `\]`, "[", `\[`, "|", `\|`, "/", `\/`, "=", `\=`,
	"(", `\(`, ")", `\)`, "!", `\!`, ",", `\,`)
