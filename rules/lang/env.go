package lang

import (
	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
)

// Env is all that a condition or a sentence may look at: the event and the numbers of the rule's state. One goroutine
// uses it. The zero value with E set is ready.
type Env struct {
	E *rules.Event

	Count    int64 // events counted for this key within the window, this one included
	Distinct int64 // different values seen for this key within the window
	Step     int64 // steps of the sequence that are done
	Done     bool  // the sequence was completed within the window

	status map[statusKey]string
}

type statusKey struct {
	proto  *protocols.Protocol
	status uint32
}

// maxStatuses bounds the memory of status words: a decoder has a few dozen, and only forged ones run into it.
const maxStatuses = 4096

// statusText returns the words of the message's status. Each is made once.
func (env *Env) statusText(m *protocols.Message) string {
	if m.Status == 0 {
		return "ok"
	}
	key := statusKey{m.Proto, m.Status}
	if s, ok := env.status[key]; ok {
		return s
	}
	if env.status == nil || len(env.status) >= maxStatuses {
		env.status = map[statusKey]string{}
	}
	s := string(m.AppendStatus(nil))
	env.status[key] = s
	return s
}
