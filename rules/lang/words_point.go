package lang

import (
	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
)

var pointKinds = []string{protocols.OtherKind.String(), protocols.BinaryIn.String(), protocols.BinaryOut.String(), protocols.AnalogIn.String(),
	protocols.AnalogOut.String(), protocols.Counter.String()}

// pointWords are about the points of a message; all but `points` and `point` mean the first one, or where the rule's
// state says each, the one in turn.
func pointWords() []*Word {
	first := func(name, doc string, get func(*protocols.Point) (int64, bool)) *Word {
		return &Word{Name: name, Doc: doc, Kind: Int, int: func(env *Env) (int64, bool) {
			if p := env.point(); p != nil {
				return get(p)
			}
			return 0, false
		}}
	}
	quality := func(name, doc string, bits protocols.Quality) *Word {
		return &Word{Name: name, Doc: doc, Kind: Bool, need: Doubtful, bool: func(env *Env) bool {
			p := env.point()
			return p != nil && p.Has&protocols.HasQuality != 0 && p.Quality&bits != 0
		}}
	}
	addr := first("addr", "address of the first point: register, index, information object address", func(p *protocols.Point) (int64, bool) { return int64(p.Addr), true })
	addr.point = (*Env).point
	kind := first("kind", "kind of the first point", func(p *protocols.Point) (int64, bool) { return int64(p.Kind), true })
	kind.Kind, kind.Names = Text, pointKinds
	kind.needAt = map[string]Need{protocols.Counter.String(): Counting}
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
		addr,
		kind,
		first("control", "control octet of the first point", func(p *protocols.Point) (int64, bool) { return int64(p.Control), p.Has&protocols.HasControl != 0 }),
		{Name: "value", Doc: "value of the first point", Kind: Float, num: func(env *Env) (float64, bool) {
			if p := env.point(); p != nil {
				return p.Value, p.Has&protocols.HasValue != 0
			}
			return 0, false
		}},
		first("quality", "quality bits of the first point as a number; 0 is good", func(p *protocols.Point) (int64, bool) {
			return int64(p.Quality &^ protocols.Online), p.Has&protocols.HasQuality != 0
		}),
		quality("invalid", "the first point is marked invalid, offline or without communication", protocols.Invalid|protocols.Offline|protocols.CommLost),
		quality("forced", "the value of the first point was put in by a person or a program: substituted, forced", protocols.Substituted|protocols.RemoteForced|protocols.LocalForced),
		quality("outdated", "the value of the first point is marked as not topical or as blocked: it is not what the process shows now", protocols.NotTopical|protocols.Blocked),
		{Name: "skew_ms", Doc: "time tag of the first point minus packet time, milliseconds", Kind: Float, needAny: Timed, num: func(env *Env) (float64, bool) {
			p := env.point()
			if p == nil || p.Has&protocols.HasTime == 0 || p.Has&protocols.HasAge != 0 {
				return 0, false
			}
			return float64(p.Time-env.E.At) / 1e6, true
		}},
	}
}

// point is the point that the words of a point mean; nil if there is none.
func (env *Env) point() *protocols.Point {
	if m := env.E.Msg; m != nil && env.Point < len(m.Points) {
		return &m.Points[env.Point]
	}
	return nil
}

// oddPoint is the point of the message whose value is odd; nil if there is none.
func (env *Env) oddPoint() *protocols.Point {
	if m := env.E.Msg; m != nil && env.E.Facts.Odd != 0 {
		for i := range m.Points {
			if m.Points[i].Addr == env.E.Facts.OddAddr {
				return &m.Points[i]
			}
		}
	}
	return nil
}

var noveltyDocs = [...]string{"the client has never been a client of a control protocol", "the server has never been a server of a control protocol",
	"this client, server and protocol were not learned together", "this station address was not learned on the link",
	"this operation of this station was not learned", "a point was never read or reported", "a point was never commanded or written",
	"the first write or command of this client to this server", "a commanded value lies outside the learned range and its margin",
	"an address is used with another link-layer address than learned", "a host was never seen",
	"a command comes more than an hour from all hours of the week at which the link was learned to command, over two weeks or more"}

var oddDocs = [...]string{"a measured value lies outside the learned range and its margin", "a measured value differs from the one before by more than was learned",
	"a measured value stands still for longer than it did while it was learned, and others of its station move",
	"a measured point repeats a stretch of its past to the last digit", "a point is read back as another value than was written just before",
	"the lowest bit of a measured value changes all the time, and did not while it was learned",
	"a measured value that only rose while it was learned has fallen, and not begun anew"}

// factWords are what the baseline and the asset memory know.
func factWords() []*Word {
	var words []*Word
	for i, name := range rules.NovelNames() {
		bit := rules.Novel(1) << i
		words = append(words, &Word{Name: name, Doc: noveltyDocs[i] + "; false unless a baseline is enforced", Kind: Bool, need: Unlearned,
			bool: func(env *Env) bool { return env.E.Facts.Novel&bit != 0 }})
	}
	for i, name := range rules.OddNames() {
		bit := rules.Odd(1) << i
		words = append(words, &Word{Name: name, Doc: oddDocs[i] + "; false unless a baseline is enforced", Kind: Bool,
			bool: func(env *Env) bool { return env.E.Facts.Odd&bit != 0 }})
	}
	odd := func(f *rules.Facts, v float64) (float64, bool) { return v, f.Odd != 0 }
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
		&Word{Name: "approved", Doc: "this very operation of this station on this link was learned and approved; false without a baseline", Kind: Bool, needNot: Unapproved,
			bool: func(env *Env) bool { return env.E.Facts.Approved }},
		&Word{Name: "outside_zones", Doc: "the client lies outside all control zones that the site file declares; false where it declares none", Kind: Bool, need: Outside,
			bool: func(env *Env) bool { return env.E.Facts.Outside }},
		fact("held", "this very operation was seen while learning, but it waits for a person's approval; false unless a baseline is enforced", func(f *rules.Facts) bool { return f.Held }),
		fact("client_serves", "the client's host has itself answered as a server of a control protocol", func(f *rules.Facts) bool { return f.ClientServes }),
		fact("server_serves", "the server's host has answered as a server of a control protocol before", func(f *rules.Facts) bool { return f.ServerServes }),
		fact("client_asks", "the client's host was answered as a client of a control protocol before", func(f *rules.Facts) bool { return f.ClientAsks }),
		fact("client_commands", "the client was learned to command or write", func(f *rules.Facts) bool { return f.ClientCommand }),
		fact("link_writes", "the link was learned with writes or commands", func(f *rules.Facts) bool { return f.LinkWrites }),
		number("learned_masters", "how many clients were learned for this server", func(f *rules.Facts) int { return f.Masters }),
		number("learned_writers", "how many clients were learned to write or command this server", func(f *rules.Facts) int { return f.Writers }),
		number("learned_command_points", "most distinct points commanded on this server within 60 s, as learned", func(f *rules.Facts) int { return f.CommandPoints }),
		float("learned_low", "least learned value of the commanded point, or of the measured one whose value is odd", func(f *rules.Facts) (float64, bool) { return f.Low, f.Ranged }),
		float("learned_high", "greatest learned value of the commanded point, or of the measured one whose value is odd", func(f *rules.Facts) (float64, bool) { return f.High, f.Ranged }),
		&Word{Name: "odd_addr", Doc: "address of the point whose value is odd", Kind: Int, point: (*Env).oddPoint,
			int: func(env *Env) (int64, bool) { return int64(env.E.Facts.OddAddr), env.E.Facts.Odd != 0 }},
		float("odd_value", "that value", func(f *rules.Facts) (float64, bool) { return odd(f, f.OddValue) }),
		float("odd_before", "the value before it, with value_jumped, or the one that was written, with value_not_kept", func(f *rules.Facts) (float64, bool) { return odd(f, f.OddBefore) }),
		float("odd_s", "for how many seconds it stands still, with value_frozen, or how long ago the same values came, with value_replayed", func(f *rules.Facts) (float64, bool) { return odd(f, f.OddSeconds) }),
		&Word{Name: "slow", Doc: "half of the server's answers of the last five minutes came far later than nearly all that were learned; said with one answer of them; false unless a baseline is enforced",
			Kind: Bool, need: Delayed, bool: func(env *Env) bool { return env.E.Facts.Slow }},
		float("delay_ms", "median of the delays of these answers, milliseconds", func(f *rules.Facts) (float64, bool) { return f.Delay, f.Delay > 0 }),
		float("learned_delay_ms", "within which 99.9 % of the learned answers came, milliseconds", func(f *rules.Facts) (float64, bool) { return f.UsualDelay, f.UsualDelay > 0 }),
		float("learned_days", "how many days of this link, or else of its server, were learned", func(f *rules.Facts) (float64, bool) { return f.Days, f.Masters > 0 }),
	)
}

// stateWords are the numbers of the rule's own state.
func stateWords() []*Word {
	return []*Word{
		{Name: "count", Doc: "events of this key within the window, this one included", Kind: Int, State: true, int: func(env *Env) (int64, bool) { return env.Count, true }},
		{Name: "distinct", Doc: "different values of this key within the window, at most the cap", Kind: Int, State: true, int: func(env *Env) (int64, bool) { return env.Distinct, true }},
		{Name: "step", Doc: "steps of the sequence that are done", Kind: Int, State: true, int: func(env *Env) (int64, bool) { return env.Step, true }},
		stateBool("prior", "an event that the state remembers (`prior:`) came within the window before this one", func(env *Env) bool { return env.Prior }),
		stateNum("prior_s", "how many seconds before", func(env *Env) (float64, bool) { return float64(env.PriorAgo) / 1e9, env.Prior }),
		stateBool("changed", "the value of the state's `last:` word is not what it was at this key's event before", func(env *Env) bool { return env.Changed }),
		stateNum("previous", "that value before", func(env *Env) (float64, bool) { return env.Previous, env.HasPrev }),
		{Name: "windows", Doc: "windows of this key that are over, with `rate:`", Kind: Int, State: true, int: func(env *Env) (int64, bool) { return env.rate().Windows, true }},
		stateNum("usual", "mean count of those windows", func(env *Env) (float64, bool) { return env.rate().Usual, env.rate().Windows > 0 }),
		stateNum("spread", "standard deviation of their counts", func(env *Env) (float64, bool) { return env.rate().Spread, env.rate().Windows > 0 }),
		stateNum("most", "greatest count of them", func(env *Env) (float64, bool) { return env.rate().Most, env.rate().Windows > 0 }),
		stateNum("excess", "cumulative sum of what lies above the usual, in standard deviations", func(env *Env) (float64, bool) { return env.rate().Excess, env.rate().Windows > 0 }),
		{Name: "answered", Doc: "with `expect:`, how many times in a row what is expected came, before it now did not", Kind: Int, State: true,
			int: func(env *Env) (int64, bool) { return env.Answered, true }},
		stateNum("quiet_s", "seconds since the key was last heard, with `silence:`", func(env *Env) (float64, bool) { return float64(env.Quiet) / 1e9, env.Quiet > 0 }),
		stateNum("longest_s", "its longest pause before, seconds", func(env *Env) (float64, bool) { return float64(env.Longest) / 1e9, env.Quiet > 0 }),
		{Name: "done", Doc: "the sequence was completed within the window", Kind: Bool, State: true, bool: func(env *Env) bool { return env.Done }},
	}
}

func stateBool(name, doc string, get func(*Env) bool) *Word {
	return &Word{Name: name, Doc: doc, Kind: Bool, State: true, bool: get}
}

func stateNum(name, doc string, get func(*Env) (float64, bool)) *Word {
	return &Word{Name: name, Doc: doc, Kind: Float, State: true, num: get}
}
