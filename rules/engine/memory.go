package engine

// A memory holds a bounded number of cells by their keys: a new key takes the cell of the one that was longest unused.
// Cells move when the memory grows.
type memory[K comparable, C any] struct {
	index map[K]int32
	cells []C
	keys  []K // of the cells
	used  list
}

func newMemory[K comparable, C any]() memory[K, C] {
	return memory[K, C]{index: map[K]int32{}, used: newList()}
}

// get returns the cell of key, which is the one used last from then on, or nil.
func (m *memory[K, C]) get(key K) *C {
	i, ok := m.index[key]
	if !ok {
		return nil
	}
	m.used.touch(i)
	return &m.cells[i]
}

// take returns a cell for a key that has none, with whatever it held of another key: a new one while there are fewer than
// most.
func (m *memory[K, C]) take(key K, most int) *C {
	i := int32(len(m.cells))
	if int(i) < most {
		var none C
		m.cells, m.keys = append(m.cells, none), append(m.keys, key)
		m.used.push(i)
	} else {
		i = m.used.oldest()
		delete(m.index, m.keys[i])
		m.used.touch(i)
	}
	m.give(i, key)
	return &m.cells[i]
}

// give makes cell i that of key.
func (m *memory[K, C]) give(i int32, key K) {
	m.keys[i], m.index[key] = key, i
}

// A keyed is the memory of a rule: it is asked for the key of the event before more often than not.
type keyed[C any] struct {
	memory[uint64, C]
	hot [64]int32 // a guess at the cell of a key, by the key's low bits
}

func newKeyed[C any]() keyed[C] { return keyed[C]{memory: newMemory[uint64, C]()} }

// cell returns the cell of key, and whether it was there; else it is as take returns it.
func (k *keyed[C]) cell(key uint64, most int) (c *C, known bool) {
	hot := &k.hot[key%uint64(len(k.hot))]
	if i := *hot; int(i) < len(k.cells) && k.keys[i] == key {
		k.used.touch(i)
		return &k.cells[i], true
	}
	if i, ok := k.index[key]; ok {
		*hot = i
		k.used.touch(i)
		return &k.cells[i], true
	}
	return k.take(key, most), false
}
