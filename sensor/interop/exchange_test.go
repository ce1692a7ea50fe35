package interop

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/goburrow/modbus"

	"github.com/roje-ot/roje/testdata/need"
)

// libmodbusPeer compiles testdata/libmodbus_peer.c.
func libmodbusPeer(t *testing.T) string {
	t.Helper()
	return compileLibmodbus(t, "libmodbus_peer.c")
}

// compileLibmodbus compiles a program in testdata that is linked with libmodbus, and returns its path.
func compileLibmodbus(t *testing.T, source string) string {
	t.Helper()
	gcc := need.Tool(t, "gcc", "gcc, libc6-dev")
	need.Library(t, "modbus/modbus.h", "libmodbus-dev")
	path := filepath.Join(t.TempDir(), "peer")
	if out, err := exec.Command(gcc, "-O1", "-o", path, filepath.Join("testdata", source), "-lmodbus", "-lpthread").CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
	return path
}

// TestLibmodbus compares what libmodbus' client says of each call, and its server of each change, with ours.
func TestLibmodbus(t *testing.T) {
	s := stack{name: "libmodbus", port: 502, argv: []string{libmodbusPeer(t)}, ours: exchangeViews, least: 1500}
	s.run(t)
}

// TestGoburrow compares what goburrow's client says of each call to a server of libmodbus, and that server, with ours.
func TestGoburrow(t *testing.T) {
	port := freePort(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	server := exec.CommandContext(ctx, libmodbusPeer(t), strconv.Itoa(port), "0")
	pipe, err := server.StdoutPipe()
	if err == nil {
		err = server.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(pipe)
	if !lines.Scan() || lines.Text() != "ready" {
		t.Fatalf("the server said %q", lines.Text())
	}
	r := newRelay(t, net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	theirs := goburrowCalls(t, r.port())
	r.close()
	var out strings.Builder
	for lines.Scan() {
		out.WriteString(lines.Text() + "\n")
	}
	if err := server.Wait(); err != nil {
		t.Fatal(err)
	}
	s := stack{name: "goburrow", port: 502, ours: exchangeViews, least: 190}
	s.compareAll(t, r, append(theirs, read(t, []byte(out.String()))...))
}

// goburrowCalls makes each call that goburrow's client has and libmodbus' server answers.
func goburrowCalls(t *testing.T, port int) []record {
	t.Helper()
	handler := modbus.NewTCPClientHandler(net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	handler.SlaveId = 255
	if err := handler.Connect(); err != nil {
		t.Fatal(err)
	}
	defer handler.Close()
	c := modbus.NewClient(handler)
	var list []record
	say := func(fc, addr, count int, err error, word string, values []any) {
		r := record{"set": "client", "fc": fc, "addr": addr, "count": count}
		var refused *modbus.ModbusError
		if errors.As(err, &refused) {
			r["exception"] = refused.ExceptionCode
		} else if err != nil {
			t.Errorf("function %d: %v", fc, err)
		}
		if err == nil || word == "wrote" {
			r[word] = values
		}
		list = append(list, normalSet(t, r))
	}
	coils := []byte{0b10110101, 0b00000010}
	_, err := c.WriteMultipleCoils(20, 10, coils)
	say(15, 20, 10, err, "wrote", bitsOf(coils, 10))
	registers := []byte{0, 1, 0x80, 0, 0xff, 0xff}
	_, err = c.WriteMultipleRegisters(60, 3, registers)
	say(16, 60, 3, err, "wrote", wordsOf(registers))
	for _, span := range [][2]int{{18, 14}, {58, 7}, {5000, 3}} {
		addr, n := span[0], span[1]
		b, err := c.ReadCoils(uint16(addr), uint16(n))
		say(1, addr, n, err, "read", bitsOf(b, n))
		b, err = c.ReadDiscreteInputs(uint16(addr), uint16(n))
		say(2, addr, n, err, "read", bitsOf(b, n))
		b, err = c.ReadHoldingRegisters(uint16(addr), uint16(n))
		say(3, addr, n, err, "read", wordsOf(b))
		b, err = c.ReadInputRegisters(uint16(addr), uint16(n))
		say(4, addr, n, err, "read", wordsOf(b))
	}
	_, err = c.WriteSingleCoil(22, 0xff00)
	say(5, 22, 1, err, "wrote", []any{1})
	_, err = c.WriteSingleRegister(61, 4660)
	say(6, 61, 1, err, "wrote", []any{4660})
	if _, err = c.MaskWriteRegister(61, 0xff0f, 0x0050); err != nil {
		t.Error(err)
	}
	list = append(list, normalSet(t, record{"set": "client", "fc": 22, "addr": 61, "masks": []any{0xff0f, 0x50}}))
	b, err := c.ReadWriteMultipleRegisters(59, 5, 62, 1, []byte{0x12, 0x34})
	say(23, 59, 5, err, "read", wordsOf(b))
	return list
}

// normalSet gives r the types that JSON has, and keeps its set.
func normalSet(t *testing.T, r record) record {
	out := normal(t, r)
	out["set"] = r["set"]
	return out
}

func bitsOf(b []byte, n int) []any {
	list := []any{}
	for i := range min(n, 8*len(b)) {
		list = append(list, b[i/8]>>(i%8)&1)
	}
	return list
}

func wordsOf(b []byte) []any {
	list := []any{}
	for ; len(b) >= 2; b = b[2:] {
		list = append(list, binary.BigEndian.Uint16(b))
	}
	return list
}

// exchanges joins requests and responses as a client's caller sees them, and does to a model of the server what the
// requests say.
type exchanges struct {
	request *said
	model   map[string]map[uint32]float64 // by "coil" and "register", by address: those that are not 0
}

func exchangeViews() views {
	client := &exchanges{}
	server := &exchanges{model: map[string]map[uint32]float64{"coil": {}, "register": {}}}
	return views{"client": client.call, "server": server.change}
}

// call says a call and its result, at the response.
func (e *exchanges) call(s *said) []record {
	if s.from == "client" {
		e.request = s
		return nil
	}
	q := e.request
	r := record{"fc": s.code, "addr": q.num("addr"), "count": q.num("count")}
	if s.field["exception"] != nil {
		r["exception"] = s.field["exception"]
	}
	switch s.code {
	case 1, 2, 3, 4, 23:
		if s.status == "" {
			r["read"] = s.plain()
		}
	case 5, 6, 15, 16:
		r["wrote"] = q.plain()
	case 22:
		delete(r, "count")
		r["masks"] = []any{s.num("and_mask"), s.num("or_mask")}
	case 17:
		text, _ := s.field["server_id"].(string)
		r = record{"fc": 17, "running": s.field["running"], "server_id": text[strings.Index(text, "ÿ")+len("ÿ"):]}
	}
	return []record{r}
}

// change says which coils and registers a request has changed, at the response.
func (e *exchanges) change(s *said) []record {
	if s.from == "client" {
		e.request = s
		return nil
	}
	q, changed := e.request, []any{}
	if s.status != "" {
		return nil
	}
	set := func(table string, addr uint32, v float64) {
		if e.model[table][addr] != v {
			e.model[table][addr] = v
			changed = append(changed, []any{table, addr, v})
		}
	}
	switch s.code {
	case 5, 15:
		for _, p := range q.points {
			set("coil", p.Addr, p.Value)
		}
	case 6, 16, 23:
		for _, p := range q.points {
			if p.Has&1 != 0 {
				set("register", p.Addr, p.Value)
			}
		}
	case 22:
		addr := uint32(q.num("addr"))
		and, or := int(q.num("and_mask")), int(q.num("or_mask"))
		set("register", addr, float64(int(e.model["register"][addr])&and|or&^and))
	}
	if len(changed) == 0 {
		return nil
	}
	return []record{{"changed": changed}}
}
