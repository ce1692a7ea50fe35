// Package lang reads the rule language: YAML text to checked, compiled rules.
//
// A rule is an envelope with five working parts:
//
//	when:    which events it looks at. Only what an index can answer: what, proto, op, code, name, from, fault, ok, odd, outcome
//	state:   what it remembers, per key and within a window of packet time
//	where:   a condition over the words of the event, of the baseline and of the state
//	message: the sentence that it says, with {words}
//	tests:   events on which it must and must not fire
//
// Conditions are written in a subset of the expr language. expr's parser and type checker read them; what runs are
// closures of our own over an Env, which allocate nothing and always end. The subset:
//
//	and or not ( )            also && || !
//	== != < <= > >=           numbers with numbers, text with text, addresses with an address or a network
//	x in [a, b, c]            numbers, texts, addresses, networks
//	x in 45..64               whole numbers
//	"bad_cause" in faults     a fault of the message
//	contains startsWith endsWith   texts
//	+ - * /                   numbers; the result of / is a fraction
//
// Everything else is a load error. A word that an event does not have (modbus.sub of a DNP3 message) makes every
// comparison with it false, != too.
//
// The parts of a condition joined by `and` at its top that name no word of the state are decided first; only an event
// for which they hold is counted. So `where: status == "illegal function" and count >= 3` counts refusals.
// With a sequence the whole condition is decided last, since the steps are events of different kinds.
//
// What a state can remember, per key (by) and within a window:
//
//	                       how many events: the word count
//	distinct: WORD         different values: the word distinct; `point` stands for all points of the message
//	sequence: [C, C, ...]  conditions that hold one after the other: step, done
//	prior: C               the last event for which C holds, whatever where says: prior, prior_s
//	last: WORD             the number that WORD was at the event before: previous, changed
//	rate: true             windows that follow each other: count, windows, usual, spread, most, excess
//	each: true             asks the rule for each point of a message; addr, kind, value, quality mean that one
//	only: C                leaves out every event for which C does not hold
//
// Two kinds of state wait. Their rules fire when time has passed, on the event that was waited after:
//
//	expect: C              an event for which C holds must follow within the window
//	silence: true          a key that was heard regularly is heard no more for the window and for three of its longest
//	                       pauses: quiet_s, longest_s, count; alive: [WORDS] asks that others with these values go on
package lang
