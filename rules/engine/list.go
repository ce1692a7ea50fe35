package engine

// A list keeps the numbers 0 to n-1 in the order of their last use. It is a ring of links in a slice; element 0 is its head.
type list struct{ links []link }

type link struct{ prev, next int32 }

func newList() list { return list{links: []link{{0, 0}}} }

// push adds the next number, as the one used last.
func (l *list) push(i int32) {
	l.links = append(l.links, link{})
	l.insert(i + 1)
}

// touch makes i the one used last.
func (l *list) touch(i int32) {
	n := i + 1
	if l.links[0].prev == n {
		return
	}
	e := l.links[n]
	l.links[e.prev].next = e.next
	l.links[e.next].prev = e.prev
	l.insert(n)
}

// insert puts element n before the head.
func (l *list) insert(n int32) {
	last := l.links[0].prev
	l.links[n] = link{last, 0}
	l.links[last].next = n
	l.links[0].prev = n
}

// oldest returns the number that was longest unused.
func (l *list) oldest() int32 { return l.links[0].next - 1 }
