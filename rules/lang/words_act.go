package lang

import (
	"maps"

	"github.com/roje-ot/roje/rules"
)

// actWords are about a control action that is over: they have a value of events of the kind action.
func actWords() []*Word {
	integer := func(name, doc string, get func(*rules.Act) (int64, bool)) *Word {
		return &Word{Name: name, Doc: doc, Kind: Int, int: func(env *Env) (int64, bool) {
			if env.E.Act == nil {
				return 0, false
			}
			return get(env.E.Act)
		}}
	}
	enum := func(name, doc string, names []string, get func(*rules.Act) (int64, bool)) *Word {
		w := integer(name, doc, get)
		w.Kind, w.Names = Text, names
		return w
	}
	yes := func(name, doc string, get func(*rules.Act) bool) *Word {
		return &Word{Name: name, Doc: doc, Kind: Bool, bool: func(env *Env) bool { return env.E.Act != nil && get(env.E.Act) }}
	}
	return []*Word{
		enum("ended", "how a control action ended, as the ledger's outcome says it; none of a change that nobody asked for", rules.EndingNames(),
			func(a *rules.Act) (int64, bool) { return int64(a.Ended), true }),
		enum("effect", "whether what an action moves has moved; missing is said only where it should have, and nothing was lost", rules.EffectNames(),
			func(a *rules.Act) (int64, bool) { return int64(a.Effect), true }),
		yes("unasked", "no action: a point that follows commands has changed without one", func(a *rules.Act) bool { return a.Unasked }),
		yes("selects", "the action was given by selection and execution", func(a *rules.Act) bool { return a.Selects }),
		{Name: "latency_ms", Doc: "milliseconds from the execution of an action to its confirmation", Kind: Float, num: func(env *Env) (float64, bool) {
			if env.E.Act == nil || env.E.Act.Latency <= 0 {
				return 0, false
			}
			return float64(env.E.Act.Latency) / 1e6, true
		}},
		{Name: "record", Doc: "id of the action's record in the ledger", Kind: Text, text: func(env *Env) (string, bool) {
			if env.E.Act == nil || env.E.Act.Record == "" {
				return "", false
			}
			return env.E.Act.Record, true
		}},
		integer("actions", "how many actions of this client the ledger knows, over all stations", func(a *rules.Act) (int64, bool) { return int64(a.Actions), !a.Unasked }),
		integer("not_done", "how many of the client's last 20 actions were refused, without selection or mismatched", func(a *rules.Act) (int64, bool) { return int64(a.NotDone), !a.Unasked }),
		integer("new_points", "how many of the client's last 20 actions were of points that it had not commanded before", func(a *rules.Act) (int64, bool) { return int64(a.NewPoints), !a.Unasked }),
	}
}

// act marks that a fixture is about a control action.
func act(e *rules.Event) *rules.Act {
	if e.Act == nil {
		e.What, e.Act = rules.Action, &rules.Act{Ended: rules.EndConfirmed, Record: "0123456789abcdef"}
	}
	return e.Act
}

func init() { // not a literal: the tables of two files are one
	maps.Copy(putters, map[string]func(e *rules.Event, a assignment){
		"ended":      func(e *rules.Event, a assignment) { act(e).Ended = rules.Ending(a.int) },
		"effect":     func(e *rules.Event, a assignment) { act(e).Effect = rules.Effect(a.int) },
		"unasked":    func(e *rules.Event, a assignment) { p := act(e); p.Unasked, p.Ended = a.bool, rules.NoEnding },
		"selects":    func(e *rules.Event, a assignment) { act(e).Selects = a.bool },
		"latency_ms": func(e *rules.Event, a assignment) { act(e).Latency = int64(a.num * 1e6) },
		"record":     func(e *rules.Event, a assignment) { act(e).Record = a.text },
		"actions":    func(e *rules.Event, a assignment) { act(e).Actions = int(a.int) },
		"not_done":   func(e *rules.Event, a assignment) { act(e).NotDone = int(a.int) },
		"new_points": func(e *rules.Event, a assignment) { act(e).NewPoints = int(a.int) },
	})
}
