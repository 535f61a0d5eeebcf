package ingest

import (
	"math/rand/v2"
	"testing"
)

// What is kept is what was put last, and never costs more than the room.
func TestCache(t *testing.T) {
	const room = 100
	random := rand.New(rand.NewPCG(1, 1))
	c, put := newCache[int, int](room), map[int]int{}
	for step := range 10_000 {
		k, cost := random.IntN(50), random.IntN(room/4)
		switch random.IntN(3) {
		case 0:
			c.put(k, step, cost)
			put[k] = step
		case 1:
			c.remove(k)
			delete(put, k)
		default:
			if v, ok := c.get(k); ok && v != put[k] {
				t.Fatalf("step %d: %d is %d, want %d", step, k, v, put[k])
			}
		}
		sum := 0
		for _, e := range c.kept {
			sum += e.cost
		}
		if sum > room || sum != room-c.room {
			t.Fatalf("step %d: %d is kept where %d are free of %d", step, sum, c.room, room)
		}
	}
	if len(c.kept) < 3 {
		t.Errorf("only %d are kept", len(c.kept))
	}
	c.put(1, 1, room+1)
	if _, ok := c.get(1); ok || c.room != room {
		t.Errorf("what is too large is kept, or costs: %d are free", c.room)
	}
}
