package modbus

import (
	"fmt"
	"strconv"

	"github.com/roje-ot/roje/protocols"
)

// noException is the Status of an exception response with code 0.
const noException = 0x200

// exceptionNames are the exception codes of 7 and, for 7, of older devices; others are invalid.
var exceptionNames = [256]string{
	1: "illegal function", 2: "illegal data address", 3: "illegal data value", 4: "server device failure", 5: "acknowledge",
	6: "server device busy", 7: "negative acknowledge", 8: "memory parity error", 10: "gateway path unavailable",
	11: "gateway target device failed to respond",
}

// appendStatus says an exception, or the refusal of a UMAS request, in words.
func appendStatus(dst []byte, status uint32) []byte {
	switch {
	case status&umasRefused != 0:
		dst = append(dst, "umas error "...)
		return strconv.AppendUint(dst, uint64(status&0xff), 10)
	case status < 256 && exceptionNames[status] != "":
		return append(dst, exceptionNames[status]...)
	}
	dst = append(dst, "exception "...)
	return strconv.AppendUint(dst, uint64(status&0xff), 10)
}

// sheets are the tables behind the function codes, for docs/protocols.md.
func sheets() []protocols.Sheet {
	diagnostics := protocols.Sheet{Title: "Diagnostics sub-functions", Header: []string{"sub", "name"}}
	for sub, name := range diagnosticNames {
		if name != "" {
			diagnostics.Rows = append(diagnostics.Rows, []string{strconv.Itoa(sub), name})
		}
	}
	exceptions := protocols.Sheet{Title: "Exceptions", Header: []string{"code", "status"}}
	for code, name := range exceptionNames {
		if name != "" {
			exceptions.Rows = append(exceptions.Rows, []string{strconv.Itoa(code), name})
		}
	}
	mei := protocols.Sheet{Title: "Encapsulated interfaces", Header: []string{"type", "name", "depth"}, Rows: [][]string{
		{strconv.Itoa(canOpen), "CANopen general reference", "data as bytes"},
		{strconv.Itoa(deviceID), "read device identification", "read code, conformity, objects joined over continuations"},
	}}
	objects := protocols.Sheet{Title: "Device identification objects", Header: []string{"id", "name"}}
	for id, name := range objectNames {
		objects.Rows = append(objects.Rows, []string{strconv.Itoa(id), name})
	}
	umas := protocols.Sheet{Title: "UMAS sub-codes", Header: []string{"sub", "name", "op"}}
	for sub, u := range umasSubs {
		if u.name != "" {
			umas.Rows = append(umas.Rows, []string{fmt.Sprintf("0x%02x", sub), u.name, u.op.String()})
		}
	}
	return []protocols.Sheet{diagnostics, exceptions, mei, objects, umas}
}
