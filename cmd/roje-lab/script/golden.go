package script

import (
	"time"
)

// golden is a capture of two stations that say everything of one theme, and nothing else on the wire.
type golden struct {
	file  string
	about string
	from  string // the host on which play runs
	play  func(*Stage) error
}

// takesGolden are the exchanges, one every quarter of an hour.
func takesGolden() []Take {
	var list []Take
	for i, g := range append(append(append([]golden(nil), goldenModbus...), goldenDNP3...), goldenIEC104...) {
		list = append(list, Take{File: g.file, About: g.about, Pace: time.Minute, Length: 14 * time.Minute,
			Start: time.Date(2026, 3, 9, 6, 0, 0, 0, time.UTC).Add(time.Duration(i) * 15 * time.Minute),
			Play: func(s *Stage) {
				s.after(g.from, 10*time.Millisecond, func() {
					if err := g.play(s); err != nil {
						s.fail(g.file, err)
					}
				})
			}})
	}
	return list
}
