// Package engine runs compiled rules over events and makes alerts of what they find.
//
// An Engine is used by one goroutine, works in packet time only, and allocates nothing for an event on which no rule
// fires. Its memory is bounded: every table has a cap, and at the cap the entry that was longest unused makes room.
//
// On its way from a rule to an alert a finding passes three tables: fold (the same finding again raises a count), fan
// (the same finding from many clients, or at many servers, becomes one alert), and incidents (alerts that share a host
// within half an hour share an incident).
package engine
