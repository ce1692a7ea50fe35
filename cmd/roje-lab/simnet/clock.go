package simnet

import (
	"container/heap"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"time"
)

// Tap takes the frames that the network carries, in the order of their times. The bytes are the tap's to keep.
type Tap func(at time.Time, frame []byte)

// Net is a network and the one clock of everything on it. All of it belongs to the goroutine in Run, or to the one
// process that Run has handed control to.
type Net struct {
	now    time.Time
	events eventQueue
	seq    uint64
	tap    Tap
	rng    *rand.Rand
	hosts  map[netip.Addr]*Host
	middle []*Interception
	spans  []*Span

	running *process
	parked  map[*process]bool
	yielded chan struct{}
}

// New returns an empty network whose clock shows start.
func New(start time.Time, seed uint64, tap Tap) *Net {
	return &Net{
		now: start, tap: tap,
		rng:     rand.New(rand.NewPCG(seed, 0x526f6a65)),
		hosts:   map[netip.Addr]*Host{},
		parked:  map[*process]bool{},
		yielded: make(chan struct{}),
	}
}

// Now is the virtual time.
func (n *Net) Now() time.Time { return n.now }

// event is something that happens at a time; equal times keep the order of their making.
type event struct {
	at  time.Time
	seq uint64
	do  func()
}

type eventQueue []event

func (q eventQueue) Len() int { return len(q) }
func (q eventQueue) Less(i, j int) bool {
	if !q[i].at.Equal(q[j].at) {
		return q[i].at.Before(q[j].at)
	}
	return q[i].seq < q[j].seq
}
func (q eventQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *eventQueue) Push(x any)   { *q = append(*q, x.(event)) }
func (q *eventQueue) Pop() any {
	old := *q
	last := old[len(old)-1]
	*q = old[:len(old)-1]
	return last
}

// at makes do happen at t, or now if t is past.
func (n *Net) at(t time.Time, do func()) {
	if t.Before(n.now) {
		t = n.now
	}
	n.seq++
	heap.Push(&n.events, event{t, n.seq, do})
}

// process is a goroutine that runs only while Run lets it.
type process struct {
	wake chan bool // false: the network is over, unwind
}

// spawn makes f a process that starts when the events before it are done.
func (n *Net) spawn(f func()) {
	p := &process{wake: make(chan bool)}
	n.parked[p] = true
	go func() {
		defer func() { n.yielded <- struct{}{} }()
		if <-p.wake {
			f()
		}
	}()
	n.at(n.now, func() { n.resume(p) })
}

// resume hands control to p until it waits or ends.
func (n *Net) resume(p *process) { n.handOver(p, true) }

func (n *Net) handOver(p *process, alive bool) {
	if !n.parked[p] {
		return
	}
	delete(n.parked, p)
	before := n.running
	n.running = p
	p.wake <- alive
	<-n.yielded
	n.running = before
}

// park waits for resume. It does not return once the network is over: the process's deferred calls run instead.
func (n *Net) park() {
	p := n.running
	n.parked[p] = true
	n.yielded <- struct{}{}
	if !<-p.wake {
		runtime.Goexit()
	}
}

// sleep parks the running process for d.
func (n *Net) sleep(d time.Duration) {
	p := n.running
	n.at(n.now.Add(d), func() { n.resume(p) })
	n.park()
}

// Run lets the network live until the given time, or until nothing is left to happen, and then ends its processes.
// A Net runs once.
func (n *Net) Run(until time.Time) {
	for len(n.events) > 0 && !n.events[0].at.After(until) {
		e := heap.Pop(&n.events).(event)
		n.now = e.at
		e.do()
	}
	n.tap, n.spans = func(time.Time, []byte) {}, nil // what deferred calls still send is after the end
	for len(n.parked) > 0 {
		for p := range n.parked {
			n.handOver(p, false)
		}
	}
}
