package interop

import (
	"encoding/hex"
	"strconv"
	"strings"
	"testing"

	"github.com/roje-ot/roje/testdata/need"
)

// TestPymodbus compares every PDU that pymodbus' client and server report with ours, in the three framings.
func TestPymodbus(t *testing.T) {
	python := need.Python(t, "pymodbus")
	for framer, framing := range map[string]string{"socket": "mbap", "rtu": "rtu", "ascii": "ascii"} {
		t.Run(framer, func(t *testing.T) {
			ours := func(s *said) []record { return pymodbusRecord(s, framing) }
			s := stack{name: "pymodbus-" + framer, port: 502, argv: []string{python, "testdata/pymodbus_peer.py", framer},
				ours: func() views { return views{"client": ours, "server": ours} }, least: 1500}
			s.run(t)
		})
	}
}

// pymodbusRecord says a message as pymodbus_peer.py does: what a PDU of pymodbus holds, function by function.
func pymodbusRecord(s *said, framing string) []record {
	r := record{"from": s.from, "fc": s.code, "unit": s.num("unit")}
	if s.field["framing"] != framing {
		r["framing"] = s.field["framing"] // the script has none: a difference
	}
	copyTo(r, s, map[string]string{"tid": "tid", "exception": "exception"})
	if s.code == 8 {
		r["sub"] = s.num("sub")
		if s.num("sub") != 0 && s.num("sub") != 2 { // of which it keeps the data as bytes, or as bits
			copyTo(r, s, map[string]string{"word": "word"})
		}
	}
	if r["exception"] != nil {
		return []record{r}
	}
	request := s.from == "client"
	switch s.code {
	case 1, 2, 3, 4:
		if request {
			copyTo(r, s, map[string]string{"addr": "addr", "count": "count"})
		} else {
			r["values"] = s.addressed()
		}
	case 5, 6:
		copyTo(r, s, map[string]string{"addr": "addr"})
		r["values"] = s.addressed()
	case 15, 16:
		copyTo(r, s, map[string]string{"addr": "addr", "count": "count"})
		if request {
			r["values"] = s.addressed()
		}
	case 22:
		copyTo(r, s, map[string]string{"addr": "addr"})
		r["masks"] = []any{s.num("and_mask"), s.num("or_mask")}
	case 23:
		if request {
			copyTo(r, s, map[string]string{"addr": "addr", "count": "count"})
		}
		r["values"] = s.addressed()
	case 24:
		if request {
			copyTo(r, s, map[string]string{"addr": "addr"})
		} else {
			r["fifo"] = s.plain()
		}
	case 20, 21:
		s.fileRecords(r)
	case 43:
		s.identity(r, request)
	case 17:
		if !request {
			text, _ := s.field["server_id"].(string)
			r["server_id"], r["running"] = strings.TrimRight(text, "\x00ÿ"), s.field["running"]
		}
	case 7:
		copyTo(r, s, map[string]string{"outputs": "exception_status"})
	case 11:
		copyTo(r, s, map[string]string{"event_count": "event_count"})
	}
	return []record{r}
}

// copyTo copies the members of the protocol's object that are there, under the names of the record.
func copyTo(r record, s *said, names map[string]string) {
	for from, to := range names {
		if v, ok := s.field[from]; ok {
			r[to] = v
		}
	}
}

// addressed is the points that have a value, as pairs of address and value.
func (s *said) addressed() []any {
	list := []any{}
	for i := range s.points {
		if p := &s.points[i]; p.Has&1 != 0 {
			list = append(list, []any{p.Addr, p.Value})
		}
	}
	return list
}

// plain is the values of the points.
func (s *said) plain() []any {
	list := []any{}
	for i := range s.points {
		list = append(list, s.points[i].Value)
	}
	return list
}

// fileRecords adds the sub-requests of functions 20 and 21, and the registers in them as the bytes that they were.
func (s *said) fileRecords(r record) {
	var data []string
	if files, ok := s.field["files"].([]any); ok && (s.from == "client" || s.code == 21) {
		list := []any{}
		for _, f := range files {
			f := f.(map[string]any)
			list = append(list, []any{f["file"], f["record"], f["length"]})
		}
		r["files"] = list
	}
	var b []byte
	for i := range s.points {
		if p := &s.points[i]; p.Has&1 != 0 {
			b = append(b, byte(uint16(p.Value)>>8), byte(uint16(p.Value)))
		}
	}
	if len(b) > 0 {
		data = append(data, hex.EncodeToString(b))
		r["filedata"] = data
	}
}

// identity adds what function 43 asks for and answers.
func (s *said) identity(r record, request bool) {
	if request {
		r["mei"] = []any{s.num("mei"), s.num("read_code"), s.num("object")}
		return
	}
	r["mei"] = []any{s.num("mei"), s.num("read_code")}
	r["more"] = s.field["more"] != nil
	objects := map[string]any{}
	if list, ok := s.field["objects"].([]any); ok {
		for _, o := range list {
			o := o.(map[string]any)
			objects[strconv.Itoa(int(o["id"].(float64)))] = o["text"]
		}
	}
	r["identity"] = objects
}
