package iec104

import (
	"strconv"

	"github.com/roje-ot/roje/protocols"
)

// Causes of transmission, IEC 60870-5-101 clause 7.2.3 table 14; 14 to 16 are of IEC 60870-5-7.
const (
	spontaneous    = 3
	request        = 5
	activation     = 6
	activationCon  = 7
	deactivation   = 8
	deactivCon     = 9
	activationTerm = 10
	unknownType    = 44
	unknownAddress = 47
)

var causeNames = [64]string{1: "periodic", 2: "background", 3: "spontaneous", 4: "initialised", 5: "request", 6: "activation",
	7: "activation_con", 8: "deactivation", 9: "deactivation_con", 10: "activation_term", 11: "return_remote", 12: "return_local",
	13: "file", 14: "authentication", 15: "session_key", 16: "user_key", 20: "station_interrogation", 21: "group_1", 22: "group_2",
	23: "group_3", 24: "group_4", 25: "group_5", 26: "group_6", 27: "group_7", 28: "group_8", 29: "group_9", 30: "group_10",
	31: "group_11", 32: "group_12", 33: "group_13", 34: "group_14", 35: "group_15", 36: "group_16", 37: "counter_interrogation",
	38: "counter_group_1", 39: "counter_group_2", 40: "counter_group_3", 41: "counter_group_4", 44: "unknown_type",
	45: "unknown_cause", 46: "unknown_common_address", 47: "unknown_object_address"}

// causes is a set of causes of transmission, by bit.
type causes uint64

func only(c ...uint) (s causes) {
	for _, c := range c {
		s |= 1 << c
	}
	return s
}

func span(first, last uint) (s causes) {
	for c := first; c <= last; c++ {
		s |= 1 << c
	}
	return s
}

func (s causes) has(c uint8) bool { return s>>c&1 != 0 }

// String lists the set as numbers and ranges: "2,3,5,20-36".
func (s causes) String() string {
	var b []byte
	for c := 0; c < 64; c++ {
		if s>>c&1 == 0 {
			continue
		}
		if len(b) > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, int64(c), 10)
		first := c
		for c < 63 && s>>(c+1)&1 != 0 {
			c++
		}
		if c > first {
			b = append(b, '-')
			b = strconv.AppendInt(b, int64(c), 10)
		}
	}
	return string(b)
}

// A class is a family of types that may be sent for the same reasons: in control direction, by the controlling
// station, and in monitor direction, by the controlled one. It also says which object address a type must carry.
//
// The standard's own table is per type and narrower for process information: it knows no cyclic single points and no
// time tags in answers to an interrogation. Stations in the field send both, so every process type may be sent for
// every reason for which the standard lets one be sent; what is left is what no station does.
type class struct {
	control, monitor causes
	address          addressRule
}

// An addressRule says which information object addresses a class may carry (7.2.5: 0 is "irrelevant").
type addressRule uint8

const (
	anyAddress addressRule = iota
	zero                   // concerns the station as a whole
	nonzero                // names an object
)

var (
	unknowns = span(unknownType, unknownAddress)

	process     = &class{monitor: only(1, 2, 3, 5, 11, 12) | span(20, 36), address: nonzero}
	totals      = &class{monitor: only(1, 2, 3, 5) | span(37, 41), address: nonzero}
	command     = &class{control: only(6, 8), monitor: only(7, 9, 10) | unknowns, address: nonzero}
	initialised = &class{monitor: only(4), address: zero}
	system      = &class{control: only(6, 8), monitor: only(7, 9, 10) | unknowns, address: zero}
	reading     = &class{control: only(5), monitor: unknowns, address: nonzero}
	clocks      = &class{control: only(6), monitor: only(3, 7, 10) | unknowns, address: zero} // 3: the station tells that its hour has changed
	parameter   = &class{control: only(6, 8), monitor: only(7, 9, 10) | span(20, 36) | unknowns, address: nonzero}
	files       = &class{control: only(13), monitor: only(13) | unknowns}
	calls       = &class{control: only(5, 13), monitor: only(13) | unknowns}
	directory   = &class{monitor: only(3, 5)}
	security    = &class{control: span(14, 16), monitor: span(14, 16) | unknowns}
	fromMaster  = &class{control: span(14, 16), monitor: unknowns}
	fromStation = &class{monitor: span(14, 16) | unknowns}
)

// sender says which end sends a type of this class with this cause, and whether the cause is legal at all. Where both
// may, known is false.
func (c *class) sender(cause uint8) (side protocols.Side, known, legal bool) {
	switch control, monitor := c.control.has(cause), c.monitor.has(cause); {
	case control && monitor:
		return 0, false, true
	case control:
		return protocols.Client, true, true
	case monitor:
		return protocols.Server, true, true
	}
	return 0, false, false
}

// The values of Message.Status: 1, or the cause by which a station refuses what it does not know.
const negative = 1

// status is what the answer says of the request: 0 is ok.
func status(cause uint8, pn bool) uint32 {
	switch {
	case unknowns.has(cause):
		return uint32(cause)
	case pn:
		return negative
	}
	return 0
}

var statusWords = map[uint32]string{negative: "negative confirmation", unknownType: "unknown type identification",
	45: "unknown cause of transmission", 46: "unknown common address", unknownAddress: "unknown information object address"}

func appendStatus(dst []byte, s uint32) []byte { return append(dst, statusWords[s]...) }
