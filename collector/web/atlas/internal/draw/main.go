// Command draw makes the atlas's counties.tsv of the counties of the npm package
// us-atlas, whose boundaries are those of the United States Census Bureau:
//
//	curl -O https://registry.npmjs.org/us-atlas/-/us-atlas-3.0.1.tgz
//	tar xzf us-atlas-3.0.1.tgz package/counties-10m.json
//	go run ./collector/web/atlas/internal/draw package/counties-10m.json > collector/web/atlas/counties.tsv
package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
)

// side is the longer side of every state's map, in units of its view box.
const side = 1000

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "draw: error:", err)
		os.Exit(1)
	}
}

// topology is a TopoJSON file: arcs are quantized and delta-encoded, and a ring names
// them by index, ^index for one that is walked backwards.
type topology struct {
	Transform struct{ Scale, Translate [2]float64 }
	Arcs      [][][2]float64
	Objects   struct {
		Counties struct {
			Geometries []struct {
				ID, Type string
				Arcs     json.RawMessage
			}
		}
	}
}

type point struct{ x, y float64 }

// A county is rings of longitude and latitude, in degrees.
type county struct {
	id    string
	rings [][]point
}

func run(args []string, out io.Writer) error {
	if len(args) != 1 {
		return fmt.Errorf("one argument is needed: the path of counties-10m.json")
	}
	b, err := os.ReadFile(args[0])
	if err != nil {
		return fmt.Errorf("read boundaries: %w", err)
	}
	var t topology
	if err := json.Unmarshal(b, &t); err != nil {
		return fmt.Errorf("read boundaries: %w", err)
	}
	states := map[string][]county{}
	for _, g := range t.Objects.Counties.Geometries {
		var polygons [][][]int
		if g.Type == "Polygon" {
			polygons = make([][][]int, 1)
			err = json.Unmarshal(g.Arcs, &polygons[0])
		} else {
			err = json.Unmarshal(g.Arcs, &polygons)
		}
		if err != nil {
			return fmt.Errorf("read county %s: %w", g.ID, err)
		}
		c := county{id: g.ID}
		for _, polygon := range polygons {
			for _, arcs := range polygon {
				c.rings = append(c.rings, t.ring(arcs))
			}
		}
		states[g.ID[:2]] = append(states[g.ID[:2]], c)
	}
	w := bufio.NewWriter(out)
	for _, id := range slices.Sorted(func(yield func(string) bool) {
		for id := range states {
			if !yield(id) {
				return
			}
		}
	}) {
		draw(w, id, states[id])
	}
	return w.Flush()
}

func (t *topology) ring(arcs []int) []point {
	var ring []point
	for _, i := range arcs {
		backwards := i < 0
		if backwards {
			i = ^i
		}
		var x, y float64
		arc := make([]point, 0, len(t.Arcs[i]))
		for _, d := range t.Arcs[i] {
			x, y = x+d[0], y+d[1]
			p := point{x*t.Transform.Scale[0] + t.Transform.Translate[0], y*t.Transform.Scale[1] + t.Transform.Translate[1]}
			if p.x > 170 { // the Aleutian Islands beyond the date line
				p.x -= 360
			}
			arc = append(arc, p)
		}
		if backwards {
			slices.Reverse(arc)
		}
		if len(ring) > 0 {
			arc = arc[1:] // the last point of the arc before
		}
		ring = append(ring, arc...)
	}
	return ring
}

// draw writes a state: a line with the size of its map, and one for each county with
// an SVG path of whole numbers.
func draw(w io.Writer, state string, counties []county) {
	low, high := bounds(counties, func(p point) point { return p })
	project := albers(low, high)
	low, high = bounds(counties, project)
	scale := side / max(high.x-low.x, high.y-low.y)
	fmt.Fprintf(w, "%s\t%d\t%d\n", state, int(math.Round((high.x-low.x)*scale)), int(math.Round((high.y-low.y)*scale)))
	slices.SortFunc(counties, func(a, b county) int { return cmp.Compare(a.id, b.id) })
	for _, c := range counties {
		var b strings.Builder
		for _, ring := range c.rings {
			points := make([][2]int, 0, len(ring))
			for _, p := range ring {
				p = project(p)
				points = append(points, [2]int{int(math.Round((p.x - low.x) * scale)), int(math.Round((high.y - p.y) * scale))})
			}
			// What falls together on the grid goes, at all its corners alike, so that
			// neighbours still touch.
			points = slices.Compact(points)
			if len(points) < 4 && b.Len() > 0 {
				continue // an islet of less than a unit
			}
			fmt.Fprintf(&b, "M%d %d", points[0][0], points[0][1])
			last := points[0]
			verb := "l"
			for _, p := range points[1:max(1, len(points)-1)] {
				fmt.Fprintf(&b, "%s%d %d", verb, p[0]-last[0], p[1]-last[1])
				last, verb = p, " "
			}
			b.WriteByte('z')
		}
		fmt.Fprintf(w, "%s\t%s\n", c.id, strings.ReplaceAll(b.String(), " -", "-"))
	}
}

func bounds(counties []county, project func(point) point) (low, high point) {
	low, high = point{math.Inf(1), math.Inf(1)}, point{math.Inf(-1), math.Inf(-1)}
	for _, c := range counties {
		for _, ring := range c.rings {
			for _, p := range ring {
				p = project(p)
				low = point{min(low.x, p.x), min(low.y, p.y)}
				high = point{max(high.x, p.x), max(high.y, p.y)}
			}
		}
	}
	return low, high
}

// albers is an equal-area conic projection whose two standard parallels lie a sixth
// inside the state's edges (J. P. Snyder, Map Projections: A Working Manual, 1987,
// page 98, for the sphere).
func albers(low, high point) func(point) point {
	radians := func(degrees float64) float64 { return degrees * math.Pi / 180 }
	sixth := (high.y - low.y) / 6
	south, north, middle := radians(low.y+sixth), radians(high.y-sixth), radians((low.x+high.x)/2)
	n := (math.Sin(south) + math.Sin(north)) / 2
	c := math.Cos(south)*math.Cos(south) + 2*n*math.Sin(south)
	return func(p point) point {
		rho := math.Sqrt(c-2*n*math.Sin(radians(p.y))) / n
		theta := n * (radians(p.x) - middle)
		return point{rho * math.Sin(theta), -rho * math.Cos(theta)}
	}
}
