package interop

import (
	"encoding/hex"
	"slices"
	"sort"
	"strconv"
	"testing"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/testdata/need"
)

// TestOpenDNP3 compares what a master and an outstation of opendnp3 say, of each fragment with its object headers, each
// value, control, status and file object, with ours: integrity, class and range polls, every variation that the stack
// can be asked for, unsolicited events, freezes, time, restarts, classes, deadbands, files, refusals.
func TestOpenDNP3(t *testing.T) {
	python := need.Python(t, "opendnp3")
	s := stack{name: "opendnp3", port: 20000, argv: []string{python, "testdata/opendnp3_peer.py"}, least: 15000,
		ours: func() views {
			asked, wanted := 0, 0
			return views{
				"master.fragments": fragmentRecord, "outstation.fragments": fragmentRecord,
				"master.link": linkRecord("client"), "outstation.link": linkRecord("server"),
				"master.points": measurementRecords, "outstation.commands": controlRecords,
				"master.results":   func(s *said) []record { return statusRecords(s, &asked) },
				"outstation.clock": timeRecord, "outstation.restarts": func(s *said) []record { return restartRecord(s, &wanted) }, "logged.files": fileRecords,
			}
		}}
	s.run(t)
}

// qualifiers is how the stack calls qualifier codes.
var qualifiers = map[float64]string{
	0x00: "8-bit start stop", 0x01: "16-bit start stop", 0x06: "all objects", 0x07: "8-bit count", 0x08: "16-bit count",
	0x17: "8-bit count and prefix", 0x28: "16-bit count and prefix", 0x5b: "16-bit free format",
}

// functions is how the stack calls functions that it spells otherwise than IEEE 1815 4.4.1.
var functions = map[string]string{"START_APPL": "START_APPLICATION"}

// fragmentRecord says an application header and the object headers behind it. The stack logs file objects by themselves.
func fragmentRecord(s *said) []record {
	if s.code < 0 {
		return nil
	}
	r := record{"from": s.from, "func": s.name}
	if name, ok := functions[s.name]; ok {
		r["func"] = name
	}
	for _, name := range []string{"fir", "fin", "con", "uns", "seq"} {
		r[name] = s.field[name]
	}
	if s.field["iin1"] != nil {
		r["iin"] = []any{s.field["iin1"], s.field["iin2"]}
	}
	list := []any{}
	objects, _ := s.field["objects"].([]any)
	for _, o := range objects {
		h := o.(map[string]any)
		if h["group"] == 70.0 {
			continue
		}
		row := []any{h["group"], h["var"], qualifiers[h["qualifier"].(float64)]}
		if span, ok := h["range"].([]any); ok {
			row = append(row, span...)
		} else if h["count"] != nil {
			row = append(row, h["count"])
		}
		list = append(list, row)
	}
	r["objects"] = list
	return []record{r}
}

// linkNames is how the stack calls link functions, by whether a primary station sent them.
var linkNames = map[string]string{"REQUEST_LINK_STATUS": "PRI_REQUEST_LINK_STATUS", "LINK_STATUS": "SEC_LINK_STATUS", "ACK": "SEC_ACK", "RESET_LINK_STATES": "PRI_RESET_LINK_STATES"}

func linkRecord(from string) func(*said) []record {
	return func(s *said) []record {
		if s.code >= 0 || s.from != from {
			return nil
		}
		name, _ := s.field["link"].(string)
		return []record{{"src": s.num("src"), "dst": s.num("dst"), "func": linkNames[name]}}
	}
}

// opendnp3Quality is how the stack calls flags; a bit means one thing per kind of point.
var opendnp3Quality = map[protocols.Quality]string{
	protocols.Online: "ONLINE", protocols.Restarted: "RESTART", protocols.CommLost: "COMM_LOST", protocols.RemoteForced: "REMOTE_FORCED",
	protocols.LocalForced: "LOCAL_FORCED", protocols.Chatter: "CHATTER_FILTER", protocols.Rollover: "ROLLOVER",
	protocols.Discontinuity: "DISCONTINUITY", protocols.Overflow: "OVERRANGE", protocols.ReferenceErr: "REFERENCE_ERR",
}

// measured are the groups whose values go to the master's handler.
var measured = []uint16{1, 2, 3, 4, 10, 11, 13, 20, 21, 22, 23, 30, 32, 34, 40, 42, 43, 50, 110, 111}

// measurementRecords says each value that an outstation reports.
func measurementRecords(s *said) []record {
	if s.from != "server" || s.code != 129 && s.code != 130 {
		return nil
	}
	var list []record
	for i := range s.points {
		p := &s.points[i]
		group, variation := p.Type>>8, p.Type&0xff
		if !slices.Contains(measured, group) {
			continue
		}
		r := record{"group": group, "var": variation, "index": p.Addr}
		switch {
		case group == 110 || group == 111:
			r["var"], r["text"] = 0, hex.EncodeToString([]byte(p.text))
		case group == 50:
			r["time"] = p.Time / 1e6
			if len(s.points) == 1 {
				r["interval"], r["units"] = s.num("interval"), s.num("interval_units")
			}
		default:
			r["value"] = p.Value
		}
		if p.Has&protocols.HasQuality != 0 {
			names := []string{}
			for bit, name := range opendnp3Quality {
				if p.Quality&bit != 0 {
					names = append(names, name)
				}
			}
			sort.Strings(names)
			r["quality"] = names
		}
		if p.Has&protocols.HasTime != 0 && group != 50 {
			r["time"], r["synchronised"] = p.Time/1e6, p.Quality&protocols.TimeUnsynchronised == 0
		}
		list = append(list, r)
	}
	return list
}

// controlRecords says each control that a master sends.
func controlRecords(s *said) []record {
	if s.from != "client" || s.code < 3 || s.code > 6 {
		return nil
	}
	var list []record
	for i := range s.points {
		p := &s.points[i]
		r := record{"func": s.name, "group": p.Type >> 8, "var": p.Type & 0xff, "index": p.Addr}
		if p.Type>>8 == 12 {
			r["op"], r["clear"], r["tcc"] = p.Control&0xf, p.Control&0x20 != 0, p.Control>>6
			r["count"], r["on"], r["off"] = p.Count, p.OnMS, p.OffMS
		} else {
			r["value"] = p.Value
		}
		list = append(list, r)
	}
	return list
}

// statusRecords says how each control ended: the status in the answer to the function that was asked last, save that a
// selection which succeeded is not the end.
func statusRecords(s *said, asked *int) []record {
	if s.from == "client" {
		*asked = s.code
		return nil
	}
	if s.code != 129 || *asked < 3 || *asked > 5 {
		return nil
	}
	var list []record
	for i := range s.points {
		if p := &s.points[i]; p.Has&protocols.HasStatus != 0 && (*asked != 3 || p.Status != 0) {
			list = append(list, record{"index": p.Addr, "status": p.Status})
		}
	}
	return list
}

func timeRecord(s *said) []record {
	if s.name != "WRITE" || len(s.points) != 1 || s.points[0].Type>>8 != 50 || s.points[0].Type&0xff == 4 {
		return nil
	}
	ms := s.points[0].Time / 1e6
	if s.points[0].Type&0xff == 3 { // the outstation adds the time since it recorded its own; it is compared to the minute
		ms -= ms % 60_000
	}
	return []record{{"time": ms}}
}

// restartRecord says how long a restart will take, in the unit of the object, in the answer to a restart.
func restartRecord(s *said, asked *int) []record {
	if s.from == "client" {
		*asked = s.code
		return nil
	}
	if *asked != 13 && *asked != 14 {
		return nil
	}
	objects, _ := s.field["objects"].([]any)
	for _, o := range objects {
		h := o.(map[string]any)
		if h["group"] != 52.0 {
			continue
		}
		ms := s.num("time_delay_ms")
		if h["var"] == 1.0 {
			ms /= 1000
		}
		return []record{{"var": h["var"], "value": ms}}
	}
	return nil
}

// fileFields is how the stack calls what a file object holds, by variation.
var fileFields = map[float64]map[string]string{
	2: {},
	3: {"file_size": "size", "file_mode": "mode", "file_block_size": "max_block", "file_request": "req_id"},
	4: {"file_handle": "handle", "file_size": "size", "file_block_size": "max_block", "file_request": "req_id", "file_status": "status"},
	5: {"file_handle": "handle", "file_block": "block"},
	6: {"file_handle": "handle", "file_block": "block", "file_status": "status"},
	7: {"file_type": "type", "file_size": "size", "file_request": "req_id"},
}

// fileRecords says a file object as the stack logs it.
func fileRecords(s *said) []record {
	objects, _ := s.field["objects"].([]any)
	for _, o := range objects {
		h := o.(map[string]any)
		if h["group"] != 70.0 || s.name == "READ" { // it does not log what a block is asked for with
			continue
		}
		v := h["var"].(float64)
		r := record{"var": v}
		for from, to := range fileFields[v] {
			if n, ok := s.field[from].(float64); ok {
				r[to] = strconv.Itoa(int(n))
			}
		}
		if v == 5 {
			r["final"] = strconv.FormatBool(s.field["file_last"] == true)
		}
		if len(s.points) == 1 && (v == 3 || v == 7) {
			r["file"] = s.points[0].text
		}
		return []record{r}
	}
	return nil
}
