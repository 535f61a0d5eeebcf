package ingest

import (
	"container/list"
	"sync"
)

// lru keeps what was used last, up to a bound on the sum of costs. Safe for
// concurrent use.
type lru[K comparable, V any] struct {
	mu    sync.Mutex
	room  int
	order list.List // of *entry, newest first
	byKey map[K]*list.Element
}

type entry[K comparable, V any] struct {
	key   K
	value V
	cost  int
}

func newLRU[K comparable, V any](room int) *lru[K, V] {
	return &lru[K, V]{room: room, byKey: map[K]*list.Element{}}
}

func (l *lru[K, V]) get(k K) (v V, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e, ok := l.byKey[k]
	if !ok {
		return v, false
	}
	l.order.MoveToFront(e)
	return e.Value.(*entry[K, V]).value, true
}

// getOr puts in what make makes, at a cost of 1, where there is none.
func (l *lru[K, V]) getOr(k K, make func() V) V {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e, ok := l.byKey[k]; ok {
		l.order.MoveToFront(e)
		return e.Value.(*entry[K, V]).value
	}
	v := make()
	l.add(k, v, 1)
	return v
}

func (l *lru[K, V]) put(k K, v V, cost int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drop(l.byKey[k])
	l.add(k, v, cost)
}

func (l *lru[K, V]) add(k K, v V, cost int) {
	l.room -= cost
	l.byKey[k] = l.order.PushFront(&entry[K, V]{k, v, cost})
	for l.room < 0 {
		l.drop(l.order.Back())
	}
}

func (l *lru[K, V]) remove(k K) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drop(l.byKey[k])
}

func (l *lru[K, V]) drop(e *list.Element) {
	if e == nil {
		return
	}
	old := l.order.Remove(e).(*entry[K, V])
	l.room += old.cost
	delete(l.byKey, old.key)
}
