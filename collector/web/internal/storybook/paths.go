package storybook

import (
	"strconv"
	"strings"

	"github.com/passmuster/muster"
)

// Worst is the host of which most fails or could not be checked.
func (b *Book) Worst() muster.HostStanding {
	worst := b.Fleet[0]
	for _, h := range b.Fleet {
		if h.Summary.Fail+h.Summary.Unknown > worst.Summary.Fail+worst.Summary.Unknown {
			worst = h
		}
	}
	return worst
}

// Paths are the addresses of pages by their patterns, one of each: about the worst host
// and its county.
func (b *Book) Paths(patterns []string) (list []string) {
	worst := b.Worst()
	fill := strings.NewReplacer("GET ", "", "{$}", "", "{county}", string(worst.County), "{host}", string(worst.ID),
		"{control}", b.Catalogue[0].ID, "{version}", strconv.FormatInt(b.Policies[0].Version, 10))
	for _, pattern := range patterns {
		if path := fill.Replace(pattern); !strings.ContainsRune(path, '{') && path != "/live" && path != "/static/" {
			list = append(list, path)
		}
	}
	return list
}
