package modbusstation

import (
	"bytes"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/goburrow/modbus"

	"github.com/roje-ot/roje/cmd/roje-lab/tally"
)

type wall struct{}

func (wall) Now() time.Time        { return time.Now() }
func (wall) Sleep(d time.Duration) { time.Sleep(d) }

func unit() *Unit {
	u := &Unit{Coils: make([]bool, 20), Discrete: make([]bool, 20), Holding: make([]uint16, 20), Input: make([]uint16, 20),
		ServerID: "X", Identity: []string{"vendor", "product", "1.0"}, Records: make([]uint16, 20), FIFO: []uint16{1, 2}, Project: "P"}
	for i := range u.Holding {
		u.Holding[i], u.Input[i], u.Coils[i], u.Discrete[i] = uint16(i), uint16(100+i), i%2 == 0, i%3 == 0
	}
	return u
}

// TestUnit holds responses against the examples' form of Application Protocol V1.1b3 §6.
func TestUnit(t *testing.T) {
	for _, c := range []struct {
		name      string
		code      byte
		in, out   []byte
		exception byte
	}{
		{"coils", 1, []byte{0, 0, 0, 10}, []byte{2, 0x55, 0x01}, 0},
		{"discrete", 2, []byte{0, 0, 0, 8}, []byte{1, 0x49}, 0},
		{"holding", 3, []byte{0, 1, 0, 2}, []byte{4, 0, 1, 0, 2}, 0},
		{"input", 4, []byte{0, 0, 0, 1}, []byte{2, 0, 100}, 0},
		{"none", 3, []byte{0, 1, 0, 0}, nil, 3},
		{"too many", 3, []byte{0, 0, 0, 126}, nil, 3},
		{"past the end", 3, []byte{0, 19, 0, 2}, nil, 2},
		{"at the very end", 3, []byte{0, 19, 0, 1}, []byte{2, 0, 19}, 0},
		{"beyond 16 bits", 3, []byte{0xff, 0xff, 0, 2}, nil, 2},
		{"coil on", 5, []byte{0, 1, 0xff, 0}, []byte{0, 1, 0xff, 0}, 0},
		{"coil half on", 5, []byte{0, 1, 0x12, 0}, nil, 3},
		{"register", 6, []byte{0, 1, 0xab, 0xcd}, []byte{0, 1, 0xab, 0xcd}, 0},
		{"coils written", 15, []byte{0, 0, 0, 9, 2, 0xff, 0x01}, []byte{0, 0, 0, 9}, 0},
		{"coils, wrong count", 15, []byte{0, 0, 0, 9, 1, 0xff}, nil, 3},
		{"registers", 16, []byte{0, 2, 0, 1, 2, 0, 7}, []byte{0, 2, 0, 1}, 0},
		{"registers, cut", 16, []byte{0, 2, 0, 2, 4, 0, 7}, nil, 3},
		{"mask", 22, []byte{0, 4, 0, 0xf2, 0, 0x25}, []byte{0, 4, 0, 0xf2, 0, 0x25}, 0},
		{"read and write", 23, []byte{0, 0, 0, 1, 0, 0, 0, 1, 2, 0, 9}, []byte{2, 0, 9}, 0},
		{"fifo", 24, []byte{0, 0}, []byte{0, 6, 0, 2, 0, 1, 0, 2}, 0},
		{"record", 20, []byte{7, 6, 0, 1, 0, 0, 0, 1}, []byte{4, 3, 6, 0, 0}, 0},
		{"server id", 17, nil, []byte{2, 'X', 0xff}, 0},
		{"identity", 43, []byte{14, 4, 1}, []byte{14, 4, 0x81, 0, 0, 1, 1, 7, 'p', 'r', 'o', 'd', 'u', 'c', 't'}, 0},
		{"unknown", 99, []byte{1}, nil, 1},
		{"cut", 3, []byte{0}, nil, 3},
		{"loop back", 8, []byte{0, 0, 0xa5, 0x37}, []byte{0, 0, 0xa5, 0x37}, 0},
	} {
		out, exception := unit().do(c.code, c.in, time.Time{})
		if !bytes.Equal(out, c.out) || exception != c.exception {
			t.Errorf("%s: got % x exception %d, want % x exception %d", c.name, out, exception, c.out, c.exception)
		}
	}
}

func TestMaskAsInTheStandard(t *testing.T) {
	u := unit()
	u.Holding[4] = 0x12
	u.do(22, []byte{0, 4, 0, 0xf2, 0, 0x25}, time.Time{})
	if u.Holding[4] != 0x17 { // §6.16
		t.Errorf("got %#x, want 0x17", u.Holding[4])
	}
}

func TestContinuation(t *testing.T) {
	u := unit()
	u.Identity = []string{string(make([]byte, 100)), string(make([]byte, 100)), "end"}
	first, _ := u.do(43, []byte{14, 1, 0}, time.Time{})
	if first[3] != 0xff || first[4] != 1 || first[5] != 1 {
		t.Fatalf("first part: % x", first[:6])
	}
	second, _ := u.do(43, []byte{14, 1, first[4]}, time.Time{})
	if second[3] != 0 || second[5] != 2 {
		t.Errorf("second part: % x", second[:6])
	}
}

// TestGoburrow lets goburrow's own TCP client, and our master around its packager, speak to the server on loopback.
func TestGoburrow(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	count := &tally.Tally{}
	server := &Server{Units: map[byte]*Unit{1: unit()}, Clock: wall{}, Tally: count}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go server.Serve(conn)
		}
	}()

	own := modbus.NewTCPClientHandler(l.Addr().String())
	own.SlaveId = 1
	defer own.Close()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for name, client := range map[string]modbus.Client{"goburrow": modbus.NewClient(own), "master": NewMaster(conn, wall{}, count).To(1)} {
		if _, err := client.WriteMultipleRegisters(3, 2, []byte{1, 2, 3, 4}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		got, err := client.ReadHoldingRegisters(3, 2)
		if err != nil || !bytes.Equal(got, []byte{1, 2, 3, 4}) {
			t.Errorf("%s: read % x, %v", name, got, err)
		}
		var refused *modbus.ModbusError
		if _, err := client.ReadCoils(500, 1); !errors.As(err, &refused) || refused.ExceptionCode != 2 {
			t.Errorf("%s: got %v, want exception 2", name, err)
		}
	}
	if got := count.Counts()["modbus"]["response_fc"]; got["3"] != 2 || got["16"] != 2 || got["1"] != 2 {
		t.Errorf("counted %v", got)
	}
}

func TestListenOnly(t *testing.T) {
	s := &Server{Units: map[byte]*Unit{1: unit()}, Clock: wall{}}
	ask := func(pdu ...byte) []byte {
		return s.answer(append([]byte{0, 1, 0, 0, 0, byte(1 + len(pdu)), 1}, pdu...))
	}
	if ask(8, 0, 4, 0, 0) != nil || ask(3, 0, 0, 0, 1) != nil {
		t.Error("a silenced unit answers")
	}
	if ask(8, 0, 1, 0, 0) == nil || ask(3, 0, 0, 0, 1) == nil {
		t.Error("a restarted unit is still silent")
	}
}
