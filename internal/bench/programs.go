package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/passmuster/muster/internal/figure"
)

// uplinkTags lists what muster-uplink is built without.
const uplinkTags = "packaging/uplink.tags"

// programSizes builds the agent's two programs as they are released.
func programSizes(ctx context.Context, w io.Writer, _ options, dir string) error {
	list, err := os.ReadFile(uplinkTags)
	if err != nil {
		return err
	}
	var tags []string
	for line := range strings.Lines(string(list)) {
		if fields := strings.Fields(line); len(fields) > 0 && fields[0] != "#" {
			tags = append(tags, fields[0])
		}
	}
	for _, p := range []struct {
		name, tags string
		bound      float64
	}{{"muster", "", 32}, {"muster-uplink", strings.Join(tags, ","), 22}} {
		for _, system := range []string{"linux", "windows"} {
			out := filepath.Join(dir, p.name+"-"+system)
			cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-tags", p.tags, "-o", out, "./cmd/"+p.name)
			cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+system)
			if b, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("build %s for %s: %w\n%s", p.name, system, err, b)
			}
			info, err := os.Stat(out)
			if err != nil {
				return err
			}
			figure.Print(w, fmt.Sprintf("%s for %s, stripped, MB", p.name, system), float64(info.Size())/1e6, figure.AtMost(p.bound))
		}
	}
	return nil
}
