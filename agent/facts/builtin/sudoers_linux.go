package builtin

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// maxSudoersFiles bounds the files that one sudoers may include, so that a
// circle of includes ends. sudo itself nests no deeper than 128.
const maxSudoersFiles = 512

// sudoers are the rules of sudo, one row a line, includes in their place. No
// /etc/sudoers has no rows. osquery takes a rule for a user's number, such as
// "#1000 ALL=(ALL) ALL", for a comment.
func (h host) sudoers() facts.Table {
	return facts.Table{
		Name: "sudoers", Platforms: onLinux, Whole: true, Source: "/etc/sudoers", Preferred: true,
		Columns: columns("source text, header text, rule_details text"),
		Rows: list(func(ctx context.Context, _ facts.Query) ([]muster.Row, error) {
			s := sudoersReader{host: h, ctx: ctx}
			err := s.read("/etc/sudoers")
			return s.rows, err
		}),
	}
}

type sudoersReader struct {
	host  host
	ctx   context.Context
	files int
	rows  []muster.Row
}

func (s *sudoersReader) read(path string) error {
	if s.files++; s.files > maxSudoersFiles {
		return fmt.Errorf("read /etc/sudoers: includes more than %d files", maxSudoersFiles)
	}
	if err := s.ctx.Err(); err != nil {
		return err
	}
	text, err := s.host.textIfAny(path)
	if err != nil {
		return err
	}
	for _, r := range parseSudoers(text) {
		s.rows = append(s.rows, muster.Row{"source": path, "header": r.header, "rule_details": r.details})
		target := r.details
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(path), target)
		}
		switch r.header {
		case "#include", "@include":
			err = s.read(target)
		case "#includedir", "@includedir":
			err = s.readDir(target)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// readDir reads a folder's files; sudo ignores names with a dot or a last ~.
func (s *sudoersReader) readDir(dir string) error {
	names, err := s.host.dir(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if strings.Contains(name, ".") || strings.HasSuffix(name, "~") {
			continue
		}
		if err := s.read(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

type sudoersRule struct{ header, details string }

// parseSudoers splits every line into its first word and the rest, as osquery
// does; a line that ends in \ goes on in the next, and # before a number is no
// comment but a user.
func parseSudoers(text string) []sudoersRule {
	var rules []sudoersRule
	continued := ""
	// The empty line ends a file whose last line wants to go on.
	for line := range strings.Lines(text + "\n\n") {
		line = continued + strings.Trim(line, " \t\v\r\n")
		comment := strings.HasPrefix(line, "#") && (len(line) == 1 || line[1] < '0' || line[1] > '9')
		if before, more := strings.CutSuffix(line, `\`); more && !comment {
			continued = before
			continue
		}
		continued = ""
		header, details := line, ""
		if i := strings.IndexAny(line, " \t\v"); i >= 0 {
			header, details = line[:i], strings.Trim(line[i:], " \t\v")
		}
		isInclude := false
		switch header {
		case "#include", "@include", "#includedir", "@includedir":
			isInclude = true
			details = strings.Trim(details, `"`)
		}
		if header == "" || isInclude && details == "" || !isInclude && comment {
			continue
		}
		rules = append(rules, sudoersRule{header, details})
	}
	return rules
}
