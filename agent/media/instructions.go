package media

import (
	_ "embed"
	"html"
	"path"
	"strings"
)

// InstructionsName is the path of the page in MUSTER.
const InstructionsName = "INSTRUCTIONS.html"

//go:embed instructions.html
var instructions string

// Instructions is the page that lies with the stick, in one sheet of paper: what to do
// with these files, of which the programs are in bin, for the county that they are
// made for. The key is the signer's, as people compare it.
func Instructions(m Manifest, contents []Content, county, key string) Content {
	policy := "Its own policy"
	if m.Policy != "" {
		policy = "Policy " + m.Policy
	}
	var start strings.Builder
	for _, c := range contents {
		dir, name := path.Split(c.Path)
		switch {
		case dir != "bin/":
		case path.Ext(name) == ".exe":
			start.WriteString("<br>On Windows open a terminal with “Run as administrator” and type<br><code>E:\\MUSTER\\bin\\" + html.EscapeString(name) + " audit --profile ems --courier E:\\</code>")
		default:
			start.WriteString("<br>On Linux: <code>sudo mount -o umask=077 /dev/sdb1 /mnt</code>, then<br><code>sudo /mnt/MUSTER/bin/" + html.EscapeString(name) + " audit --profile ems --courier /mnt</code>")
		}
	}
	page := strings.NewReplacer("{start}", start.String(), "{county}", html.EscapeString(county), "{by}", html.EscapeString(m.MadeBy),
		"{version}", html.EscapeString(m.Version), "{policy}", html.EscapeString(policy), "{key}", html.EscapeString(key),
		"{date}", m.MadeAt.UTC().Format("2 January 2006")).Replace(instructions)
	return Content{InstructionsName, []byte(page), 0o644}
}
