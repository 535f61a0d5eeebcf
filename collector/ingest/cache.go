package ingest

import "sync"

// cache keeps what fits into its room, a bound on the sum of costs. What goes is chosen
// at random: hosts report in turn, and of a little too many the one that was heard least
// recently would always be the next to come. Safe for concurrent use.
type cache[K comparable, V any] struct {
	mu   sync.Mutex
	room int
	kept map[K]entry[V]
}

type entry[V any] struct {
	value V
	cost  int
}

func newCache[K comparable, V any](room int) *cache[K, V] {
	return &cache[K, V]{room: room, kept: map[K]entry[V]{}}
}

func (c *cache[K, V]) get(k K) (v V, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.kept[k]
	return e.value, ok
}

// getOr puts in what make makes, at a cost of 1, where there is none.
func (c *cache[K, V]) getOr(k K, make func() V) V {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.kept[k]
	if !ok {
		e = entry[V]{make(), 1}
		c.add(k, e)
	}
	return e.value
}

func (c *cache[K, V]) put(k K, v V, cost int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop(k)
	c.add(k, entry[V]{v, cost})
}

func (c *cache[K, V]) add(k K, e entry[V]) {
	c.room -= e.cost
	for other := range c.kept { // any of them
		if c.room >= 0 {
			break
		}
		c.drop(other)
	}
	if c.room < 0 { // it is larger than the whole room
		c.room += e.cost
		return
	}
	c.kept[k] = e
}

func (c *cache[K, V]) remove(k K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop(k)
}

func (c *cache[K, V]) drop(k K) {
	c.room += c.kept[k].cost
	delete(c.kept, k)
}
