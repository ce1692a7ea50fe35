package lang

import (
	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
)

var pointKinds = []string{protocols.OtherKind.String(), protocols.BinaryIn.String(), protocols.BinaryOut.String(), protocols.AnalogIn.String(),
	protocols.AnalogOut.String(), protocols.Counter.String()}

// pointWords are about the points of a message; all but `points` and `point` mean the first one.
func pointWords() []*Word {
	first := func(name, doc string, get func(*protocols.Point) (int64, bool)) *Word {
		return &Word{Name: name, Doc: doc, Kind: Int, int: func(env *Env) (int64, bool) {
			if m := env.E.Msg; m != nil && len(m.Points) > 0 {
				return get(&m.Points[0])
			}
			return 0, false
		}}
	}
	kind := first("kind", "kind of the first point", func(p *protocols.Point) (int64, bool) { return int64(p.Kind), true })
	kind.Kind, kind.Names = Text, pointKinds
	return []*Word{
		{Name: "points", Doc: "how many points the message carries, runs counted by their length", Kind: Int, int: func(env *Env) (int64, bool) {
			if env.E.Msg == nil {
				return 0, false
			}
			var n int64
			for i := range env.E.Msg.Points {
				n += int64(env.E.Msg.Points[i].N)
			}
			return n, true
		}},
		first("addr", "address of the first point: register, index, information object address", func(p *protocols.Point) (int64, bool) { return int64(p.Addr), true }),
		kind,
		first("control", "control octet of the first point", func(p *protocols.Point) (int64, bool) { return int64(p.Control), p.Has&protocols.HasControl != 0 }),
		{Name: "value", Doc: "value of the first point", Kind: Float, num: func(env *Env) (float64, bool) {
			if m := env.E.Msg; m != nil && len(m.Points) > 0 {
				return m.Points[0].Value, m.Points[0].Has&protocols.HasValue != 0
			}
			return 0, false
		}},
	}
}

var noveltyDocs = [...]string{"the client has never been a client of a control protocol", "the server has never been a server of a control protocol",
	"this client, server and protocol were not learned together", "this station address was not learned on the link",
	"this operation of this station was not learned", "a point was never read or reported", "a point was never commanded or written",
	"the first write or command of this client to this server", "a commanded value lies outside the learned range and its margin",
	"an address is used with another link-layer address than learned", "a host was never seen"}

// factWords are what the baseline and the asset memory know.
func factWords() []*Word {
	var words []*Word
	for i, name := range rules.NovelNames() {
		bit := rules.Novel(1) << i
		words = append(words, &Word{Name: name, Doc: noveltyDocs[i] + "; false unless a baseline is enforced", Kind: Bool,
			bool: func(env *Env) bool { return env.E.Facts.Novel&bit != 0 }})
	}
	fact := func(name, doc string, get func(*rules.Facts) bool) *Word {
		return &Word{Name: name, Doc: doc, Kind: Bool, bool: func(env *Env) bool { return get(&env.E.Facts) }}
	}
	number := func(name, doc string, get func(*rules.Facts) int) *Word {
		return &Word{Name: name, Doc: doc, Kind: Int, int: func(env *Env) (int64, bool) {
			return int64(get(&env.E.Facts)), env.E.Facts.Masters > 0
		}}
	}
	float := func(name, doc string, get func(*rules.Facts) (float64, bool)) *Word {
		return &Word{Name: name, Doc: doc, Kind: Float, num: func(env *Env) (float64, bool) { return get(&env.E.Facts) }}
	}
	return append(words,
		&Word{Name: "phase", Doc: "phase of the baseline", Kind: Text, Names: phaseNames, int: func(env *Env) (int64, bool) { return int64(env.E.Facts.Phase), true }},
		fact("approved", "this very operation of this station on this link was learned and approved; false without a baseline", func(f *rules.Facts) bool { return f.Approved }),
		fact("held", "this very operation was seen while learning, but it waits for a person's approval; false unless a baseline is enforced", func(f *rules.Facts) bool { return f.Held }),
		fact("client_serves", "the client's host has itself answered as a server of a control protocol", func(f *rules.Facts) bool { return f.ClientServes }),
		fact("server_serves", "the server's host has answered as a server of a control protocol before", func(f *rules.Facts) bool { return f.ServerServes }),
		fact("client_asks", "the client's host was answered as a client of a control protocol before", func(f *rules.Facts) bool { return f.ClientAsks }),
		fact("client_commands", "the client was learned to command or write", func(f *rules.Facts) bool { return f.ClientCommand }),
		fact("link_writes", "the link was learned with writes or commands", func(f *rules.Facts) bool { return f.LinkWrites }),
		number("learned_masters", "how many clients were learned for this server", func(f *rules.Facts) int { return f.Masters }),
		number("learned_writers", "how many clients were learned to write or command this server", func(f *rules.Facts) int { return f.Writers }),
		number("learned_command_points", "most distinct points commanded on this server within 60 s, as learned", func(f *rules.Facts) int { return f.CommandPoints }),
		float("learned_low", "least learned value of the commanded point", func(f *rules.Facts) (float64, bool) { return f.Low, f.Ranged }),
		float("learned_high", "greatest learned value of the commanded point", func(f *rules.Facts) (float64, bool) { return f.High, f.Ranged }),
		float("learned_days", "how many days of this link, or else of its server, were learned", func(f *rules.Facts) (float64, bool) { return f.Days, f.Masters > 0 }),
	)
}

// stateWords are the numbers of the rule's own state.
func stateWords() []*Word {
	return []*Word{
		{Name: "count", Doc: "events of this key within the window, this one included", Kind: Int, State: true, int: func(env *Env) (int64, bool) { return env.Count, true }},
		{Name: "distinct", Doc: "different values of this key within the window, at most the cap", Kind: Int, State: true, int: func(env *Env) (int64, bool) { return env.Distinct, true }},
		{Name: "step", Doc: "steps of the sequence that are done", Kind: Int, State: true, int: func(env *Env) (int64, bool) { return env.Step, true }},
		{Name: "done", Doc: "the sequence was completed within the window", Kind: Bool, State: true, bool: func(env *Env) bool { return env.Done }},
	}
}
