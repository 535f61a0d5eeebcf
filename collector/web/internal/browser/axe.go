package browser

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/chromedp/chromedp"
)

// axeCore is the file that packaging/axe fetches.
const axeCore = "axe-core-4.14.1.min.js"

// Violation is what axe-core found on a page.
type Violation struct {
	Rule, Impact, Help string
	// Nodes are the elements, as selectors with what is wrong there.
	Nodes []string
}

func (v Violation) String() string {
	return fmt.Sprintf("%s (%s): %s %q", v.Rule, v.Impact, v.Help, v.Nodes)
}

// Sound wants that axe-core finds nothing wrong with the page in the tab, in light and
// dark at three widths, and that it scrolls sideways at none of these and others. It says
// how often axe-core looked.
func (b *Tab) Sound() (looks int64) {
	b.Helper()
	path := Value[string](b, `location.pathname + location.search`)
	for _, width := range []int64{320, 375, 600, 768, 896, 1024, 1440, 2560} {
		b.Fits(width)
	}
	for _, width := range []int64{320, 768, 1440} {
		for _, theme := range []string{"light", "dark"} {
			looks++
			b.Do(Screen(width, theme))
			for _, v := range b.Check() {
				b.Errorf("%s, %s, %d pixels: %s", path, theme, width, v)
			}
		}
	}
	return looks
}

// Fits wants that the page in the tab does not scroll sideways at a width.
func (b *Tab) Fits(width int64) {
	b.Helper()
	b.Do(Screen(width, "light"))
	if over, err := chromedp.Run(b.Ctx, Over()); err != nil || over > 0 {
		b.Errorf("%.200s is %d pixels wider than %d: %v", Value[string](b, `location.pathname + location.search`), over, width, err)
	}
}

// Check looks at the page in the tab with axe-core, by all rules of WCAG 2.2 A and AA
// that it has and all that are good practice.
func (b *Tab) Check() []Violation {
	b.Helper()
	if !Value[bool](b, `typeof axe !== "undefined"`) {
		Value[bool](b, b.axe()+"\n;true")
	}
	answer := Value[string](b, `axe.run(document, {
		runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
		resultTypes: ["violations"],
	}).then(({ passes, violations }) => JSON.stringify({
		passed: passes.length,
		violations: violations.map((v) => ({ rule: v.id, impact: v.impact, help: v.help,
			nodes: v.nodes.map((n) => n.target.join(" ") + ": " + n.failureSummary.replace(/\s+/g, " ")) })),
	}))`)
	var told struct {
		Passed     int
		Violations []Violation
	}
	if err := json.Unmarshal([]byte(answer), &told); err != nil {
		b.Fatal(err)
	}
	const few = 8
	if told.Passed < few {
		b.Errorf("axe-core looked at next to nothing: %d rules", told.Passed)
	}
	return told.Violations
}

// axe is the script of axe-core.
func (b *Tab) axe() string {
	b.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		b.Fatal(err)
	}
	script, err := os.ReadFile(filepath.Join(cache, "muster", axeCore))
	if err != nil {
		b.Fatalf("read axe-core: run packaging/axe, as make test does: %v", err)
	}
	return string(script)
}
