package web_test

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/passmuster/muster/collector/web/internal/storybook"
)

// TestContrast computes WCAG 2.2 contrast from the tokens of both themes: 4.5
// for text, 3 for shapes and edges that carry meaning.
func TestContrast(t *testing.T) {
	css := get(mustNew(t, &storybook.Book{}, nil), "/static/muster.css").Body.String()
	light, rest, ok := strings.Cut(css, "@media (prefers-color-scheme: dark)")
	if !ok {
		t.Fatal("no dark theme")
	}
	dark, _, _ := strings.Cut(rest, "\n}\n")
	themes := map[string]map[string]string{"light": tokens(light), "dark": tokens(dark)}
	for theme, colour := range themes {
		check := func(front, back string, least float64) {
			t.Helper()
			ratio, err := contrast(colour[front], colour[back])
			if err != nil || ratio < least {
				t.Errorf("%s: %s on %s is %.2f, want %.1f (%v)", theme, front, back, ratio, least, err)
			}
		}
		for _, back := range []string{"paper", "surface", "sunk"} {
			for _, front := range []string{"ink", "soft", "link", "pass", "fail", "unknown", "stale"} {
				check(front, back, 4.5)
			}
			check("brand", back, 3)
		}
		for _, s := range []string{"pass", "fail", "unknown", "stale"} {
			check(s, s+"-wash", 4.5)
			check("ink", s+"-wash", 4.5)
			check("soft", s+"-wash", 4.5)
		}
		check("paper", "ink", 4.5)
		check("paper", "link", 4.5)
		check("demo-ink", "demo", 4.5)
	}
}

// TestStylesStayAtHome: the style sheet fetches nothing.
func TestStylesStayAtHome(t *testing.T) {
	css := get(mustNew(t, &storybook.Book{}, nil), "/static/muster.css").Body.String()
	for _, word := range []string{"url(", "@import", "http:", "https:"} {
		if strings.Contains(css, word) {
			t.Errorf("the style sheet has %s", word)
		}
	}
}

func tokens(css string) map[string]string {
	m := map[string]string{}
	for _, t := range regexp.MustCompile(`--([a-z-]+): (#[0-9a-f]{6});`).FindAllStringSubmatch(css, -1) {
		m[t[1]] = t[2]
	}
	return m
}

func contrast(a, b string) (float64, error) {
	x, err := luminance(a)
	if err != nil {
		return 0, err
	}
	y, err := luminance(b)
	return (max(x, y) + .05) / (min(x, y) + .05), err
}

func luminance(hex string) (float64, error) {
	if len(hex) != 7 {
		return 0, fmt.Errorf("colour %q is not #rrggbb", hex)
	}
	sum := 0.0
	for i, weight := range []float64{.2126, .7152, .0722} {
		n, err := strconv.ParseUint(hex[1+2*i:3+2*i], 16, 8)
		if err != nil {
			return 0, fmt.Errorf("colour %q: %w", hex, err)
		}
		c := float64(n) / 255
		if c <= .04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum, nil
}
