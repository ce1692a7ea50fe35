package engine

import "github.com/roje-ot/roje/rules"

// see counts e as a repeat of the finding, and notes its packet, or of an action all packets.
func (f *finding) see(e *rules.Event) {
	if e.Act == nil || len(e.Act.Frames) == 0 {
		f.repeat(e.At, e.Frame)
		return
	}
	f.repeat(e.At, e.Act.Frames[0])
	for _, frame := range e.Act.Frames[1:] {
		f.frame(frame)
	}
}
