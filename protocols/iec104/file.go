package iec104

import "github.com/roje-ot/roje/protocols"

// A transfer sums up the octets of the file that one end is sending, to check them against the checksums of its last
// segment messages (60870-5-101 clause 7.2.6.37: the sum modulo 256). It keeps no data.
type transfer struct {
	file         uint16
	section      uint8
	sum          uint8 // of the section
	total        uint8 // of the sections before it
	whole, part  bool  // the file's, the section's beginning was seen and nothing was lost since
	sectionEnded bool
}

// Values of the last section or segment qualifier, clause 7.2.6.31.
const (
	lsqFile           = 1
	lsqFileStopped    = 2
	lsqSection        = 3
	lsqSectionStopped = 4
)

// moved follows a file transfer with one message of the sender; data is what a segment carries.
func (t *transfer) moved(d *detail, data []byte) protocols.Faults {
	switch d.typ {
	case 120:
		*t = transfer{file: d.file.name, whole: true}
	case 121:
		if t.sectionEnded && d.file.section != t.section {
			t.total += t.sum
		}
		t.whole = t.whole && t.file == d.file.name
		t.section, t.sum, t.part, t.sectionEnded = d.file.section, 0, true, false
	case 125:
		for _, c := range data {
			t.sum += c
		}
	case 123:
		return t.checked(d)
	}
	return 0
}

// checked compares the checksum of a last section or segment message.
func (t *transfer) checked(d *detail) protocols.Faults {
	bad := false
	switch d.qualifier {
	case lsqSection:
		bad = t.part && d.file.section == t.section && d.file.sum != t.sum
		t.sectionEnded = true
	case lsqFile:
		bad = t.whole && t.file == d.file.name && d.file.sum != t.total+t.sum
		*t = transfer{}
	case lsqFileStopped, lsqSectionStopped: // broken off by a deactivation: there is nothing to compare
		*t = transfer{}
	}
	if bad {
		return protocols.BadChecksum
	}
	return 0
}
