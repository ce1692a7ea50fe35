package script

import (
	"time"
)

// Act is something that an attacker does, or that looks like it.
type Act struct {
	Name       string   // file name: act-<name>.pcap
	Title      string   // one line for people
	Actor      string   // who of the cast
	Victims    []string // against whom
	Expect     []string // detections of the catalogue that should see it
	Techniques []string // ATT&CK for ICS v19, that which the act is first
	Malformed  bool     // breaks the protocol's rules on purpose
	Virtual    bool     // needs frames that a socket cannot send, or the inside of a station

	Alone         bool           // in its own capture nobody is at work but its actor and its first victim, a 104 station
	Pace          time.Duration  // of the work in its own capture; 0: brisk
	Before        func(s *Stage) // what happens at the beginning of its own capture, as a part of normal work; nil: nothing
	After, Length time.Duration  // when in its own capture it begins, and how long that is; 0: what most have
	Run           func(s *Stage, a Act) error
}

// Performed is an act that was played: the truth that detections are held against.
type Performed struct {
	Act        string    `json:"act"`
	Title      string    `json:"title"`
	Start      time.Time `json:"start"`
	End        time.Time `json:"end"`
	Actor      string    `json:"actor"`
	ActorAddr  string    `json:"actor_addr"`
	Victims    []string  `json:"victims"`
	Addrs      []string  `json:"victim_addrs"`
	Expect     []string  `json:"expect"`
	Technique  string    `json:"technique"` // the first of Techniques: what an incident must be said to be
	Techniques []string  `json:"techniques"`
	Malformed  bool      `json:"malformed,omitempty"`
}

// Perform plays an act now, on the calling goroutine.
func (s *Stage) Perform(a Act) {
	h := s.host(a.Actor)
	p := Performed{Act: a.Name, Title: a.Title, Start: h.Now().UTC(), Actor: a.Actor, ActorAddr: addr(a.Actor).String(),
		Victims: a.Victims, Expect: a.Expect, Technique: a.Techniques[0], Techniques: a.Techniques, Malformed: a.Malformed}
	for _, v := range a.Victims {
		p.Addrs = append(p.Addrs, addr(v).String())
	}
	if err := a.Run(s, a); err != nil {
		s.fail("act "+a.Name, err)
	}
	h.Sleep(500 * time.Millisecond)
	p.End = h.Now().UTC()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.acts = append(s.acts, p)
}

// Performed are the acts that were played so far.
func (s *Stage) Performed() []Performed {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Performed(nil), s.acts...)
}

// Acts is every act there is.
var Acts = func() (all []Act) {
	for _, list := range [][]Act{actsModbus, actsDNP3, actsIEC104, actsLAN, actsPose, actsRate, actsValue, actsSearch, actsHabit, actsWire, actsStrain, actsAlone, actsDepart} {
		all = append(all, list...)
	}
	return all
}()
